use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::Rejection;
use crate::names::{
    CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, RelaySpec, StreamReason, printable,
};

/// A circuit could not be built or used, or no stream be made through it.
#[derive(Clone, Debug)]
pub struct CircuitError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    circuit: CircuitId,
    wish: Box<str>,
    problem: CircuitProblem,
}

/// Why a circuit did not do what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CircuitProblem {
    /// It ended before it was built.
    #[error("it failed: {0}")]
    Failed(CircuitEnd),
    /// It ended.
    #[error("it is closed: {0}")]
    Closed(CircuitEnd),
    /// It has not been built yet.
    #[error("it is not built, but {status}")]
    NotBuilt {
        /// How far it has come.
        status: CircuitStatus,
    },
    /// tor makes the circuits to onion services itself, and closes a stream to one that is to go
    /// through another circuit.
    #[error("tor makes the circuits to onion services itself")]
    Onion,
    /// Circuits of this purpose do not take the stream: names are resolved through general circuits
    /// only, and those of onion services and of measurements take no streams of applications. tor
    /// was not asked: it would abort, or the stream would go nowhere.
    #[error("a circuit for {} does not take it", .purpose.as_ref().map_or("nothing known".to_owned(), CircuitPurpose::to_string))]
    Purpose {
        /// What tor uses the circuit for.
        purpose: Option<CircuitPurpose>,
    },
    /// tor did not take the circuit for the stream, which is closed.
    #[error("tor refused it for the stream")]
    NotAttached(#[source] Rejection),
    /// The stream failed at the other end of the circuit, and is closed.
    #[error("the stream failed: {}", stream_reasons(.reason.as_ref(), .remote_reason.as_ref()))]
    Stream {
        /// Why it failed, or left the circuit.
        reason: Option<StreamReason>,
        /// The reason that the exit gave.
        remote_reason: Option<StreamReason>,
    },
    /// The stream went through another circuit, and is closed: somebody else has attached it, or
    /// has switched off that controllers do.
    #[error("the stream went through another circuit")]
    OtherCircuit {
        /// The circuit.
        circuit: Option<CircuitId>,
    },
    /// tor has not told of the stream, which is closed: the proxy belongs to another tor, or
    /// something between us and it hides where the stream comes from.
    #[error("tor has not told of the stream")]
    NotSeen,
}

/// How a circuit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitEnd {
    /// Why it ended.
    pub reason: Option<CircuitReason>,
    /// The reason that its last hop gave, if the reason is that this hop ended it.
    pub remote_reason: Option<CircuitReason>,
    /// The relays that were part of it, first the guard.
    pub path: Vec<RelaySpec>,
    /// The relay that was to be the next, if the circuit was to be longer and its path is known.
    pub next: Option<RelaySpec>,
}

impl fmt::Display for CircuitEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, &self.remote_reason, self.path.last()) {
            (None, None, _) => f.write_str("tor gave no reason")?,
            (Some(reason), None, _) => write!(f, "{reason}")?,
            (reason, Some(remote), last) => {
                let reason =
                    reason.as_ref().map_or("no reason".to_owned(), CircuitReason::to_string);
                write!(f, "{reason}, {remote} said ")?;
                match last {
                    Some(relay) => write!(f, "{relay}")?,
                    None => f.write_str("the first relay")?,
                }
            }
        }
        match &self.next {
            Some(next) => write!(f, "; hop {}, {next}, was not reached", self.path.len() + 1),
            None => Ok(()),
        }
    }
}

/// Names the reasons of a stream.
fn stream_reasons(reason: Option<&StreamReason>, remote: Option<&StreamReason>) -> String {
    match (reason, remote) {
        (None, None) => "tor gave no reason".to_owned(),
        (Some(reason), None) => reason.to_string(),
        (None, Some(remote)) => format!("{remote} said the exit"),
        (Some(reason), Some(remote)) => format!("{reason}, {remote} said the exit"),
    }
}

impl CircuitError {
    /// `wish` completes "cannot ...".
    pub(crate) fn new(circuit: CircuitId, wish: &str, problem: CircuitProblem) -> Self {
        Self { inner: Arc::new(Inner { circuit, wish: wish.into(), problem }) }
    }

    /// Returns the circuit.
    #[must_use]
    pub fn circuit(&self) -> CircuitId {
        self.inner.circuit
    }

    /// Returns why it failed.
    #[must_use]
    pub fn problem(&self) -> &CircuitProblem {
        &self.inner.problem
    }

    /// Returns how the circuit ended, if that is why it failed.
    #[must_use]
    pub fn end(&self) -> Option<&CircuitEnd> {
        match &self.inner.problem {
            CircuitProblem::Failed(end) | CircuitProblem::Closed(end) => Some(end),
            _ => None,
        }
    }

    /// Returns tor's refusal to attach a stream to the circuit, if that is why it failed.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.inner.problem {
            CircuitProblem::NotAttached(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns why the circuit ended, if it has: `REASON` of the event.
    #[must_use]
    pub fn reason(&self) -> Option<&CircuitReason> {
        self.end()?.reason.as_ref()
    }

    /// Returns the reason that the last hop of the circuit gave, if it ended it: `REMOTE_REASON`
    /// of the event.
    #[must_use]
    pub fn remote_reason(&self) -> Option<&CircuitReason> {
        self.end()?.remote_reason.as_ref()
    }
}

impl fmt::Display for CircuitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", printable(&*self.inner.wish))
    }
}

impl StdError for CircuitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.inner.problem)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{CircuitEnd, CircuitError, CircuitProblem};
    use crate::names::{CircuitPurpose, CircuitReason, CircuitStatus, RelaySpec, StreamReason};

    fn relay(name: &str) -> RelaySpec {
        let spec = format!("$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~{name}");
        RelaySpec::from_bytes(spec.as_bytes())
    }

    #[test]
    fn a_failed_circuit_tells_both_reasons_and_the_hop() {
        let end = CircuitEnd {
            reason: Some(CircuitReason::Destroyed),
            remote_reason: Some(CircuitReason::ConnectFailed),
            path: vec![relay("guard"), relay("middle")],
            next: Some(relay("exit")),
        };
        let problem = CircuitProblem::Failed(end);
        let error = CircuitError::new(26.into(), "build circuit 26", problem);
        assert_eq!(error.to_string(), "cannot build circuit 26");
        assert_eq!(
            error.source().unwrap().to_string(),
            "it failed: DESTROYED, CONNECTFAILED said \
             $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~middle; hop 3, \
             $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~exit, was not reached"
        );
        assert_eq!(error.reason(), Some(&CircuitReason::Destroyed));
        assert_eq!(error.remote_reason(), Some(&CircuitReason::ConnectFailed));
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let text = |problem: CircuitProblem| problem.to_string();
        let end = |reason, remote_reason| CircuitEnd {
            reason,
            remote_reason,
            path: Vec::new(),
            next: None,
        };
        for (problem, expected) in [
            (CircuitProblem::Closed(end(None, None)), "it is closed: tor gave no reason"),
            (
                CircuitProblem::Closed(end(Some(CircuitReason::Requested), None)),
                "it is closed: REQUESTED",
            ),
            (
                CircuitProblem::Failed(end(None, Some(CircuitReason::Internal))),
                "it failed: no reason, INTERNAL said the first relay",
            ),
            (
                CircuitProblem::NotBuilt { status: CircuitStatus::Extended },
                "it is not built, but EXTENDED",
            ),
            (
                CircuitProblem::Purpose { purpose: Some(CircuitPurpose::Controller) },
                "a circuit for CONTROLLER does not take it",
            ),
            (
                CircuitProblem::Purpose { purpose: None },
                "a circuit for nothing known does not take it",
            ),
            (
                CircuitProblem::Stream {
                    reason: Some(StreamReason::End),
                    remote_reason: Some(StreamReason::ExitPolicy),
                },
                "the stream failed: END, EXITPOLICY said the exit",
            ),
            (
                CircuitProblem::Stream { reason: None, remote_reason: None },
                "the stream failed: tor gave no reason",
            ),
        ] {
            assert_eq!(text(problem), expected);
        }
    }
}
