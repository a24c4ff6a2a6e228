//! Checks which streams can go through which circuits.

use crate::error::CircuitProblem;
use crate::names::{CircuitPurpose, StreamPurpose, Target};
use crate::state::circuit_info::CircuitInfo;
use crate::state::stream_info::StreamInfo;

/// Returns whether tor opened a stream for itself, so that only tor knows its purpose.
pub(super) fn is_of_tor(stream: &StreamInfo) -> bool {
    let is_internal =
        stream.source_addr().as_ref().is_some_and(|source| source.host() == "(Tor_internal)");
    let is_directory = matches!(
        stream.purpose(),
        Some(StreamPurpose::DirFetch | StreamPurpose::DirUpload | StreamPurpose::DirportTest)
    );
    is_internal || is_directory
}

/// Checks that a circuit can take a stream.
pub(super) fn check_circuit(
    circuit: &CircuitInfo,
    stream: &StreamInfo,
) -> Result<(), CircuitProblem> {
    let resolves =
        stream.purpose() == Some(StreamPurpose::DnsRequest) || stream.target().port() == Some(0);
    check_purpose(circuit.purpose().as_ref(), resolves)
}

/// Checks that circuits of a purpose can take streams of applications, or requests to resolve
/// names.
///
/// tor 0.4.9 aborts if a request to resolve a name is attached to a circuit of a controller. It
/// accepts streams on circuits of onion services and similar ones, but never sends their cells.
pub(in crate::state) fn check_purpose(
    purpose: Option<&CircuitPurpose>,
    resolves: bool,
) -> Result<(), CircuitProblem> {
    match purpose {
        Some(CircuitPurpose::General | CircuitPurpose::ConfluxLinked) => Ok(()),
        Some(CircuitPurpose::Controller) if !resolves => Ok(()),
        purpose => Err(CircuitProblem::Purpose { purpose: purpose.cloned() }),
    }
}

/// Returns whether a stream goes to an onion service, to which tor builds the circuits itself.
pub(in crate::state) fn is_onion(target: &Target) -> bool {
    let host = target.host().as_bytes();
    host.len() > 6
        && host.get(host.len() - 6..).is_some_and(|end| end.eq_ignore_ascii_case(b".onion"))
}
