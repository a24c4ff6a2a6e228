use std::fmt;
use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::clock;
use crate::error::TestnetStep;

pub(super) type ProgressListener = Box<dyn FnMut(&NetworkProgress) + Send>;

/// The progress of [`PrivateNetwork::launch`](super::PrivateNetwork::launch).
///
/// # Examples
///
/// ```no_run
/// use torcon::testnet::PrivateNetwork;
///
/// let network = PrivateNetwork::builder()
///     .on_progress(|progress| eprintln!("{} % after {:?}", progress.percent, progress.elapsed))
///     .launch()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkProgress {
    /// The step that begins.
    pub step: TestnetStep,
    /// The share of the usual time that has passed, in percent.
    pub percent: u8,
    /// The time since the start.
    pub elapsed: Duration,
}

impl fmt::Display for NetworkProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:3} % {}", self.percent, self.step)
    }
}

/// Calls the progress closure at each step.
pub(super) struct Reporter {
    started: Instant,
    listener: Option<ProgressListener>,
}

impl Reporter {
    pub(super) fn new(listener: Option<ProgressListener>) -> Self {
        Self { started: clock::now(), listener }
    }

    /// Reports that a step begins, and returns it.
    pub(super) fn begin(&mut self, stage: Stage) -> Stage {
        let Stage { step, .. } = stage;
        let elapsed = clock::elapsed_since(self.started);
        log::debug!("private network, {elapsed:.2?}: {step}");
        if let Some(listener) = &mut self.listener {
            listener(&NetworkProgress { step, percent: step.percent(), elapsed });
        }
        stage
    }
}
