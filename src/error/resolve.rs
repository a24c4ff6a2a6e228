use std::fmt;
use std::sync::Arc;

use crate::names::{StreamReason, printable};

/// A name or an address could not be resolved by tor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    name: Box<str>,
    problem: ResolveProblem,
}

/// Why a name or an address could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveProblem {
    /// There is no answer, or tor could not get one. It does not say which: its word is mostly
    /// `yes`, and `internal` if it could not even begin.
    #[error("tor answered {}", .error.as_ref().map_or("that it failed".to_owned(), |error| format!("error={}", printable(&**error))))]
    Failed {
        /// The word of tor, if it has one.
        error: Option<Box<str>>,
    },
    /// The request was closed without an answer.
    #[error("the request was closed{}", .reason.as_ref().map_or(String::new(), |reason| format!(", {reason}")))]
    Closed {
        /// Why, if tor says so.
        reason: Option<StreamReason>,
    },
}

impl ResolveError {
    pub(crate) fn new(name: &str, problem: ResolveProblem) -> Self {
        Self { inner: Arc::new(Inner { name: name.into(), problem }) }
    }

    /// Returns the name or address that was to be resolved.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn problem(&self) -> &ResolveProblem {
        &self.inner.problem
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, problem } = &*self.inner;
        write!(f, "{} was not resolved: {problem}", printable(&**name))
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::{ResolveError, ResolveProblem};
    use crate::names::StreamReason;

    #[test]
    fn each_problem_says_what_was_asked_and_what_tor_said() {
        for (problem, text) in [
            (ResolveProblem::Failed { error: Some("yes".into()) }, "tor answered error=yes"),
            (ResolveProblem::Failed { error: None }, "tor answered that it failed"),
            (
                ResolveProblem::Closed { reason: Some(StreamReason::Timeout) },
                "the request was closed, TIMEOUT",
            ),
            (ResolveProblem::Closed { reason: None }, "the request was closed"),
        ] {
            let error = ResolveError::new("a.example", problem);
            assert_eq!(error.to_string(), format!("a.example was not resolved: {text}"));
            assert_eq!(error.name(), "a.example");
        }
    }
}
