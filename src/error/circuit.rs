use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::Rejection;
use crate::names::{
    CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, RelaySpec, StreamReason, printable,
};

/// The error of a circuit that could not be built or used, or of a stream through it.
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
/// match state.build_circuit(Path::any())?.wait_built(Duration::from_secs(60)) {
///     Err(Error::Circuit(error)) => {
///         eprintln!("circuit {} failed: {:?}", error.circuit(), error.reason());
///     }
///     outcome => println!("{:?}", outcome?.path()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CircuitError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    circuit: CircuitId,
    action: Box<str>,
    problem: CircuitProblem,
}

/// Why an operation on a circuit failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CircuitProblem {
    /// The circuit ended before it was built.
    #[error("it failed: {0}")]
    Failed(CircuitEnd),
    /// The circuit is closed.
    #[error("it is closed: {0}")]
    Closed(CircuitEnd),
    /// The circuit is not built yet.
    #[error("it is not built, its status is {status}")]
    NotBuilt {
        /// The current status.
        status: CircuitStatus,
    },
    /// The target is an onion service. tor attaches such a stream only to its own rendezvous circuit,
    /// and closes it if a controller attaches it to another circuit.
    #[error("tor builds the circuits to onion services itself")]
    Onion,
    /// A stream cannot be attached to a circuit of this purpose: tor resolves names only through
    /// general circuits, and circuits of onion services and of measurements carry no streams of
    /// applications. ATTACHSTREAM was not sent, since tor would abort or the stream would hang.
    #[error("a circuit of {} cannot carry the stream", .purpose.as_ref().map_or("unknown purpose".to_owned(), |purpose| format!("purpose {purpose}")))]
    Purpose {
        /// The purpose of the circuit.
        purpose: Option<CircuitPurpose>,
    },
    /// tor refused ATTACHSTREAM, and the stream is closed.
    #[error("tor refused to attach the stream")]
    NotAttached(#[source] Rejection),
    /// The stream failed at the last hop, and is closed.
    #[error("the stream failed: {}", stream_reasons(.reason.as_ref(), .remote_reason.as_ref()))]
    Stream {
        /// Why the stream failed or was detached.
        reason: Option<StreamReason>,
        /// The reason that the exit reported.
        remote_reason: Option<StreamReason>,
    },
    /// The stream was attached to another circuit, and is closed: another controller attached it, or
    /// reset the option `__LeaveStreamsUnattached`.
    #[error("the stream was attached to another circuit")]
    OtherCircuit {
        /// The other circuit.
        circuit: Option<CircuitId>,
    },
    /// tor reported no `STREAM` event for the stream, which is closed: the proxy belongs to another
    /// tor, or a forwarder in front of it hides the source address of the stream.
    #[error("tor did not report the stream")]
    NotSeen,
}

/// How a circuit ended.
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
/// let outcome = state.build_circuit(Path::any())?.wait_built(Duration::from_secs(60));
/// if let Err(Error::Circuit(error)) = outcome {
///     if let Some(end) = error.end() {
///         eprintln!("ended after {} hops, before {:?}: {end}", end.path.len(), end.next);
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitEnd {
    /// `REASON` of the event.
    pub reason: Option<CircuitReason>,
    /// `REMOTE_REASON` of the event: the reason of the last hop, if it ended the circuit.
    pub remote_reason: Option<CircuitReason>,
    /// The relays of the circuit, the guard first.
    pub path: Vec<RelaySpec>,
    /// The relay to which the circuit was to be extended, if known.
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
                write!(f, "{reason}, {remote} from ")?;
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

/// Formats the reasons of a stream.
fn stream_reasons(reason: Option<&StreamReason>, remote: Option<&StreamReason>) -> String {
    match (reason, remote) {
        (None, None) => "tor gave no reason".to_owned(),
        (Some(reason), None) => reason.to_string(),
        (None, Some(remote)) => format!("{remote} from the exit"),
        (Some(reason), Some(remote)) => format!("{reason}, {remote} from the exit"),
    }
}

impl CircuitError {
    /// Creates the error "cannot `action`".
    pub(crate) fn new(circuit: CircuitId, action: &str, problem: CircuitProblem) -> Self {
        Self { inner: Arc::new(Inner { circuit, action: action.into(), problem }) }
    }

    /// Returns the circuit.
    #[must_use]
    pub fn circuit(&self) -> CircuitId {
        self.inner.circuit
    }

    /// Returns why the operation failed.
    #[must_use]
    pub fn problem(&self) -> &CircuitProblem {
        &self.inner.problem
    }

    /// Returns how the circuit ended, if that is the problem.
    #[must_use]
    pub fn end(&self) -> Option<&CircuitEnd> {
        match &self.inner.problem {
            CircuitProblem::Failed(end) | CircuitProblem::Closed(end) => Some(end),
            _ => None,
        }
    }

    /// Returns tor's refusal to attach a stream, if that is the problem.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match &self.inner.problem {
            CircuitProblem::NotAttached(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns `REASON` of the event, if the circuit ended.
    #[must_use]
    pub fn reason(&self) -> Option<&CircuitReason> {
        self.end()?.reason.as_ref()
    }

    /// Returns `REMOTE_REASON` of the event, if the last hop ended the circuit.
    #[must_use]
    pub fn remote_reason(&self) -> Option<&CircuitReason> {
        self.end()?.remote_reason.as_ref()
    }
}

impl fmt::Display for CircuitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", printable(&*self.inner.action))
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
    fn a_failed_circuit_has_both_reasons_and_the_next_hop() {
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
            "it failed: DESTROYED, CONNECTFAILED from \
             $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~middle; hop 3, \
             $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~exit, was not reached"
        );
        assert_eq!(error.reason(), Some(&CircuitReason::Destroyed));
        assert_eq!(error.remote_reason(), Some(&CircuitReason::ConnectFailed));
    }

    #[test]
    fn unknown_reasons_are_left_out() {
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
                "it failed: no reason, INTERNAL from the first relay",
            ),
            (
                CircuitProblem::NotBuilt { status: CircuitStatus::Extended },
                "it is not built, its status is EXTENDED",
            ),
            (
                CircuitProblem::Purpose { purpose: Some(CircuitPurpose::Controller) },
                "a circuit of purpose CONTROLLER cannot carry the stream",
            ),
            (
                CircuitProblem::Purpose { purpose: None },
                "a circuit of unknown purpose cannot carry the stream",
            ),
            (
                CircuitProblem::Stream {
                    reason: Some(StreamReason::End),
                    remote_reason: Some(StreamReason::ExitPolicy),
                },
                "the stream failed: END, EXITPOLICY from the exit",
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
