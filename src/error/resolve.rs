use std::fmt;
use std::sync::Arc;

use crate::names::{StreamReason, printable};

/// The error of a name or an address that tor could not resolve.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Error;
/// use torcon::state::Path;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let circuit = state.build_circuit_timeout(Path::any(), Duration::from_secs(60))?;
/// match circuit.resolve("nx.example.com") {
///     Err(Error::Resolve(error)) => eprintln!("{}: {}", error.name(), error.problem()),
///     outcome => println!("{}", outcome?),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
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
    /// The lookup failed. tor does not report whether the name exists: it mostly sends
    /// `error=yes`, and `internal` if it could not start the lookup.
    #[error("tor answered {}", .error.as_ref().map_or("that the lookup failed".to_owned(), |error| word_of_error(error)))]
    Failed {
        /// The value of tor's `error=` field.
        error: Option<Box<str>>,
    },
    /// tor closed the request without an answer.
    #[error("tor closed the request{}", .reason.as_ref().map_or(String::new(), |reason| format!(": {reason}")))]
    Closed {
        /// The reason, if tor gives one.
        reason: Option<StreamReason>,
    },
}

/// Returns the word as tor writes it in `ADDRMAP`: `internal`, or `error=yes`.
fn word_of_error(error: &str) -> String {
    let keyword = if error == "internal" { "" } else { "error=" };
    format!("{keyword}{}", printable(error))
}

impl ResolveError {
    pub(crate) fn new(name: &str, problem: ResolveProblem) -> Self {
        Self { inner: Arc::new(Inner { name: name.into(), problem }) }
    }

    /// Returns the name or address of the request.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns why the name or the address could not be resolved.
    #[must_use]
    pub fn problem(&self) -> &ResolveProblem {
        &self.inner.problem
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, problem } = &*self.inner;
        write!(f, "cannot resolve {}: {problem}", printable(&**name))
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::{ResolveError, ResolveProblem};
    use crate::names::StreamReason;

    #[test]
    fn each_problem_names_the_request_and_the_answer_of_tor() {
        for (problem, text) in [
            (ResolveProblem::Failed { error: Some("yes".into()) }, "tor answered error=yes"),
            (ResolveProblem::Failed { error: Some("internal".into()) }, "tor answered internal"),
            (ResolveProblem::Failed { error: None }, "tor answered that the lookup failed"),
            (
                ResolveProblem::Closed { reason: Some(StreamReason::Timeout) },
                "tor closed the request: TIMEOUT",
            ),
            (ResolveProblem::Closed { reason: None }, "tor closed the request"),
        ] {
            let error = ResolveError::new("a.example", problem);
            assert_eq!(error.to_string(), format!("cannot resolve a.example: {text}"));
            assert_eq!(error.name(), "a.example");
        }
    }
}
