use std::fmt;
use std::time::{Duration, Instant};

use crate::error::TestnetStep;

pub(super) type ProgressListener = Box<dyn FnMut(&NetworkProgress) + Send>;

/// How far a private network has come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkProgress {
    /// The step that begins.
    pub step: TestnetStep,
    /// How much of the usual time is over, in percent.
    pub percent: u8,
    /// The time since the beginning.
    pub elapsed: Duration,
}

impl fmt::Display for NetworkProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:3} % {}", self.percent, self.step)
    }
}

/// Tells a closure of each step.
pub(super) struct Reporter {
    started: Instant,
    listener: Option<ProgressListener>,
}

impl Reporter {
    pub(super) fn new(listener: Option<ProgressListener>) -> Self {
        Self { started: Instant::now(), listener }
    }

    pub(super) fn begin(&mut self, step: TestnetStep) {
        let elapsed = self.started.elapsed();
        log::debug!("private network, {elapsed:.2?}: {step}");
        if let Some(listener) = &mut self.listener {
            listener(&NetworkProgress { step, percent: step.percent(), elapsed });
        }
    }
}
