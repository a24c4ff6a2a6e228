use std::time::{Duration, Instant};

use crate::clock::{self, deadline_after};
use crate::error::{Error, TestnetError, TestnetProblem, TestnetStep};

/// A step of an operation on a network, and the deadline of the operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    pub(super) step: TestnetStep,
    limit: Duration,
    deadline: Instant,
}

impl Stage {
    pub(super) fn new(step: TestnetStep, limit: Duration) -> Self {
        Self { step, limit, deadline: deadline_after(limit) }
    }

    pub(super) fn at(self, step: TestnetStep) -> Self {
        Self { step, ..self }
    }

    pub(super) fn time_left(self) -> Duration {
        clock::time_left(self.deadline)
    }

    pub(super) fn is_over(self) -> bool {
        self.time_left().is_zero()
    }

    pub(super) fn timeout(self) -> TestnetProblem {
        TestnetProblem::timeout(self.limit)
    }

    pub(super) fn error(self, problem: TestnetProblem) -> Error {
        TestnetError::new(self.step, problem).into()
    }

    /// Returns the error of one tor, with the last lines that it printed.
    pub(super) fn node_error(
        self,
        nickname: &str,
        problem: TestnetProblem,
        lines: Vec<String>,
    ) -> Error {
        TestnetError::of_node(self.step, nickname, problem, lines).into()
    }
}
