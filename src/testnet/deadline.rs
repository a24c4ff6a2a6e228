use std::time::{Duration, Instant};

use crate::error::TestnetProblem;

/// The deadline of one operation on a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    limit: Duration,
    /// `None` if the limit is too long for the clock.
    at: Option<Instant>,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self { limit, at: Instant::now().checked_add(limit) }
    }

    pub(super) fn left(self) -> Duration {
        let left = self.at.map(|at| at.saturating_duration_since(Instant::now()));
        left.unwrap_or(Duration::MAX)
    }

    pub(super) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Returns the error at the deadline.
    pub(super) fn problem(self) -> TestnetProblem {
        TestnetProblem::timeout(self.limit)
    }
}
