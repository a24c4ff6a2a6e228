//! Turns a snapshot of the state into rows.

use torcon::event::OrConnPeer;
use torcon::names::{HsState, NetworkLiveness, StreamPurpose};
use torcon::state::{CircuitInfo, OrConnection as Connected, Snapshot, StreamInfo};

use super::relays::Lookup;
use super::targets::Targets;
use crate::model::{Bootstrap, Circuit, Live, OrConnection, Relay, Stream};
use crate::text::printable;

/// Returns the rows of a snapshot.
pub(super) fn live(snapshot: &Snapshot, targets: &Targets, lookup: &mut Lookup<'_>) -> Live {
    let circuits = snapshot.circuits.iter().map(|info| {
        let streams =
            snapshot.streams_of(info.id()).map(|stream| stream_row(stream, targets)).collect();
        circuit_row(info, streams, lookup)
    });
    let mut circuits: Vec<Circuit> = circuits.collect();
    // A tor has many circuits in reserve. The sort is stable: each part is in the order of tor.
    circuits.sort_by_key(|circuit| circuit.streams.is_empty());
    // A stream may also name a circuit that has just ended.
    let is_waiting = |stream: &StreamInfo| {
        stream.circuit().is_none_or(|circuit| snapshot.circuit(circuit).is_none())
    };
    let waiting = snapshot.streams.iter().filter(|stream| is_waiting(stream));
    let waiting = waiting.map(|stream| stream_row(stream, targets)).collect();
    let connections = snapshot.connections.iter();
    let connections =
        connections.map(|connection| connection_row(snapshot, connection, lookup)).collect();
    let bootstrap = snapshot.bootstrap.as_ref().map(|bootstrap| Bootstrap {
        percent: bootstrap.progress,
        summary: printable(&bootstrap.summary),
        warning: bootstrap.warning.as_ref().map(printable),
    });
    let is_reachable = snapshot.liveness.as_ref().map(|liveness| *liveness == NetworkLiveness::Up);
    Live { circuits, waiting, connections, bootstrap, is_reachable }
}

fn circuit_row(info: &CircuitInfo, streams: Vec<Stream>, lookup: &mut Lookup<'_>) -> Circuit {
    let purpose = info.purpose().map(|purpose| purpose.to_string()).unwrap_or_default();
    let state = info.hs_state().as_ref().map(HsState::to_string);
    // The state repeats the purpose: HSCI_CONNECTING of HS_CLIENT_INTRO.
    let detail = state.map(|state| match state.split_once('_') {
        Some((_, detail)) => printable(detail),
        None => printable(state),
    });
    Circuit {
        id: info.id().to_string(),
        status: info.status().to_string(),
        purpose,
        detail,
        created: info.time_created(),
        path: info.path().iter().map(|relay| lookup.relay(relay)).collect(),
        streams,
    }
}

fn stream_row(info: &StreamInfo, targets: &Targets) -> Stream {
    let purpose = info.purpose().filter(|purpose| *purpose != StreamPurpose::User);
    Stream {
        id: info.id().to_string(),
        status: info.status().to_string(),
        target: targets.describe(info),
        purpose: purpose.map(|purpose| purpose.to_string()),
    }
}

fn connection_row(
    snapshot: &Snapshot,
    connection: &Connected,
    lookup: &mut Lookup<'_>,
) -> OrConnection {
    let (peer, address, fingerprint) = match &connection.peer {
        OrConnPeer::Relay(relay) => {
            (lookup.relay(relay), lookup.address(relay), relay.fingerprint())
        }
        other => {
            let name = printable(other.to_string());
            (Relay { name, ..Relay::default() }, None, None)
        }
    };
    let mut guards = snapshot.guards.iter().map(|guard| guard.relay.fingerprint());
    OrConnection {
        id: connection.id.as_ref().map(ToString::to_string),
        status: connection.status.to_string(),
        peer,
        address,
        is_guard: fingerprint.is_some() && guards.any(|guard| guard == fingerprint),
    }
}
