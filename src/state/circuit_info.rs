//! What tor has told of one circuit.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::cell::Cell;
use super::stream_info::StreamInfo;
use crate::event::{CircEvent, CircMinorEvent, EventText, HsPow};
use crate::names::{
    BuildFlag, CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, HsState, RelaySpec,
};

/// What tor has told of a circuit, up to one event.
///
/// It never changes: [`Circuit::info`](super::Circuit::info) returns another one after the next
/// event. A field is as old as the last `CIRC` or `CIRC_MINOR` event of the circuit; where tor changes
/// it without such an event, the field says so. `GETINFO circuit-status` has the value of the
/// moment.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitInfo {
    /// The circuit.
    pub id: CircuitId,
    /// Its state. tor has no event for [`CircuitStatus::GuardWait`], so a circuit that waits for
    /// a better guard is `EXTENDED` here until it is built, unless the state began in between.
    pub status: CircuitStatus,
    /// The relays that are part of it by now, first the guard.
    pub path: Vec<RelaySpec>,
    /// The demands that tor made when it began the circuit; none for one of a controller.
    pub build_flags: Vec<BuildFlag>,
    /// What tor uses it for.
    pub purpose: Option<CircuitPurpose>,
    /// How far a circuit of an onion service, or to one, has come.
    pub hs_state: Option<HsState>,
    /// The onion service, without `.onion`.
    pub rend_query: Option<EventText>,
    /// When it was begun, or was first used for its purpose. Out of date until the next event if
    /// tor takes a circuit that it had built before.
    pub time_created: Option<SystemTime>,
    /// Why it ended.
    pub reason: Option<CircuitReason>,
    /// The reason that its last hop gave, if the reason is that this hop ended it.
    pub remote_reason: Option<CircuitReason>,
    /// The user name of the SOCKS requests for which it is kept apart from others. A circuit that
    /// was built before its first stream has it from the `STREAM` event of that stream, without an
    /// update for listeners. Not known yet between tor's choice of the circuit and that event; out
    /// of date if tor clears it because no stream could be attached; not known if the stream does
    /// not isolate by credentials (`IsolateSOCKSAuth`).
    pub socks_username: Option<EventText>,
    /// The password of the SOCKS requests for which it is kept apart from others; as
    /// [`socks_username`](Self::socks_username).
    pub socks_password: Option<EventText>,
    /// The proof of work with which a client came, or with which we go, to an onion service.
    pub hs_pow: Option<HsPow>,
    /// What the legs of a pair that shares its traffic have in common.
    pub conflux_id: Option<EventText>,
    /// How long a message takes to go to the end of the pair and back, on this leg; out of date
    /// after the event, since tor measures again all the time.
    pub conflux_rtt: Option<Duration>,
    text: EventText,
}

impl CircuitInfo {
    /// Takes what an event tells.
    pub(super) fn of(event: CircEvent) -> Self {
        let text = event.text().clone();
        Self {
            id: event.id,
            status: event.status,
            path: event.path,
            build_flags: event.build_flags,
            purpose: event.purpose,
            hs_state: event.hs_state,
            rend_query: event.rend_query,
            time_created: event.time_created,
            reason: event.reason,
            remote_reason: event.remote_reason,
            socks_username: event.socks_username,
            socks_password: event.socks_password,
            hs_pow: event.hs_pow,
            conflux_id: event.conflux_id,
            conflux_rtt: event.conflux_rtt,
            text,
        }
    }

    /// Takes what tor lists. It lists a circuit without relays as if it had some.
    pub(super) fn listed(event: CircEvent) -> Self {
        let mut info = Self::of(event);
        if info.path.is_empty() && info.status == CircuitStatus::Extended {
            info.status = CircuitStatus::Launched;
        }
        info
    }

    /// Takes what an event tells after what was known before.
    ///
    /// tor describes the whole circuit each time, so that what is not there any more is no longer
    /// so. An event that does not even tell the purpose describes nothing: it leaves everything as
    /// it was but the state. And no circuit loses its relays, whatever an event leaves out.
    pub(super) fn after(before: &Self, event: CircEvent) -> Self {
        let mut info = Self::of(event);
        if info.path.is_empty() {
            info.path.clone_from(&before.path);
        }
        if info.purpose.is_none() {
            let Self { status, reason, remote_reason, path, text, .. } = info;
            return Self { status, reason, remote_reason, path, text, ..before.clone() };
        }
        info
    }

    /// Takes what an event tells that leaves the state as it was.
    pub(super) fn changed(before: &Self, event: CircMinorEvent) -> Self {
        let text = event.text().clone();
        let path = if event.path.is_empty() { before.path.clone() } else { event.path };
        if event.purpose.is_none() {
            return Self { path, text, ..before.clone() };
        }
        Self {
            id: before.id,
            status: before.status.clone(),
            path,
            build_flags: event.build_flags,
            purpose: event.purpose,
            hs_state: event.hs_state,
            rend_query: event.rend_query,
            time_created: event.time_created,
            reason: before.reason.clone(),
            remote_reason: before.remote_reason.clone(),
            socks_username: event.socks_username,
            socks_password: event.socks_password,
            hs_pow: event.hs_pow.map(|pow| *pow),
            conflux_id: event.conflux_id,
            conflux_rtt: event.conflux_rtt,
            text,
        }
    }

    /// Returns about how many bytes this keeps.
    pub(super) fn size(&self) -> usize {
        /// A relay's nickname on the heap.
        const NICKNAME: usize = 32;
        size_of::<Self>()
            + self.text.as_bytes().len()
            + self.path.capacity() * (size_of::<RelaySpec>() + NICKNAME)
            + self.build_flags.capacity() * size_of::<BuildFlag>()
    }

    /// Takes the SOCKS credentials of the first stream that tor attached to the circuit.
    pub(super) fn bound_to(before: &Self, stream: &StreamInfo) -> Self {
        Self {
            socks_username: stream.socks_username.clone(),
            socks_password: stream.socks_password.clone(),
            ..before.clone()
        }
    }

    /// Returns the text of the last event, or the line of the snapshot as such an event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    /// Returns whether the circuit has ended: it is closed, or has failed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status, CircuitStatus::Closed | CircuitStatus::Failed)
    }

    /// Returns whether the circuit can carry streams.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.status == CircuitStatus::Built
    }
}

impl fmt::Debug for CircuitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitInfo({:?})", self.text)
    }
}

/// The place of one circuit.
pub(crate) type CircuitCell = Cell<CircuitId, CircuitInfo>;
