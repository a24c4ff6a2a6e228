//! The fields of one circuit.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::cell::Cell;
use super::record::{Layout, Record};
use super::stream_info::StreamInfo;
use crate::event::circuit::{circuit_keywords, path_word, read_path};
use crate::event::{CircEvent, CircMinorEvent, EventText, HsPow};
use crate::names::{
    BuildFlag, CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, HsState, RelaySpec,
};
use crate::wire::fields::split_list;

/// The fields of a circuit, as of one event.
///
/// It never changes: [`Circuit::info`](super::Circuit::info) returns a new one after the next
/// event. A field is as recent as the last `CIRC` or `CIRC_MINOR` event of the circuit. `GETINFO
/// circuit-status` has the present value of a field that tor changes without an event:
///
/// - `status`: tor has no event for [`CircuitStatus::GuardWait`], so a circuit that waits for a
///   better guard is `EXTENDED` here until it is built, unless the state began in between.
/// - `time_created`: outdated until the next event if tor cannibalizes the circuit.
/// - `socks_username` and `socks_password`: a circuit that was built before its first stream gets
///   them from the `STREAM` event of that stream, without an update for listeners. They are unknown
///   between the choice of the circuit and that event, outdated if tor clears them because no
///   stream could be attached, and unknown if the stream is not isolated by credentials
///   (`IsolateSOCKSAuth`).
/// - `conflux_rtt`: outdated soon after the event, since tor measures continuously.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for info in &state.snapshot().circuits {
///     println!("{} {} {:?}", info.id(), info.status(), info.purpose());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CircuitInfo {
    id: CircuitId,
    status: CircuitStatus,
    /// The path of an earlier event, if the last event has none.
    earlier_path: Option<EventText>,
    record: Record,
}

/// In `CIRC` and `CIRC_MINOR`.
static LAYOUT: Layout = Layout { words: (3, 1), keywords: CircEvent::KEYWORDS };

circuit_keywords!(keyword_methods!(CircuitInfo) {
    /// Returns why the circuit was closed or failed.
    "REASON" => reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
    /// Returns the reason that the last hop gave, if that hop ended the circuit.
    "REMOTE_REASON" => remote_reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
});

impl CircuitInfo {
    /// Returns the circuit of an event.
    pub(super) fn of(event: &CircEvent) -> Self {
        Self {
            id: event.id(),
            status: event.status(),
            earlier_path: None,
            record: Record::new(&LAYOUT, event.text().clone()),
        }
    }

    /// Returns the circuit of a line of `circuit-status`. For a circuit without relays, that line
    /// looks as if it had some.
    pub(super) fn listed(event: &CircEvent) -> Self {
        let mut info = Self::of(event);
        if info.status == CircuitStatus::Extended && path_word(event.text()).is_empty() {
            info.status = CircuitStatus::Launched;
        }
        info
    }

    /// Returns the circuit after the next `CIRC` event.
    ///
    /// tor describes the whole circuit in each event, so fields that the event omits are no longer
    /// valid. An event without a purpose has only the status and its reasons: the other fields
    /// stay. No circuit loses its relays.
    pub(super) fn after(before: &Self, event: &CircEvent) -> Self {
        let is_described = event.purpose().is_some();
        let keeps = |key: &str| !is_described && !is_reason(key);
        Self { status: event.status(), ..before.next(event.text(), keeps) }
    }

    /// Returns the circuit after a `CIRC_MINOR` event, which does not change the status.
    pub(super) fn changed(before: &Self, event: &CircMinorEvent) -> Self {
        let is_described = event.purpose().is_some();
        let keeps = |key: &str| !is_described || is_reason(key);
        before.next(event.text(), keeps)
    }

    fn next(&self, text: &EventText, keeps: impl Fn(&str) -> bool) -> Self {
        let earlier_path = match path_word(text) {
            b"" => Some(self.record.text().part(self.path_word())).filter(|path| *path != ""),
            _ => None,
        };
        let record = Record::after(&self.record, text.clone(), keeps);
        Self { id: self.id, status: self.status.clone(), earlier_path, record }
    }

    /// Returns the circuit with the SOCKS credentials of the first stream that tor attached to it.
    pub(super) fn bound_to(before: &Self, stream: &StreamInfo) -> Self {
        let is_credential = |key: &str| matches!(key, "SOCKS_USERNAME" | "SOCKS_PASSWORD");
        Self { record: before.record.joined(stream.record(), is_credential), ..before.clone() }
    }

    /// Returns the approximate size in bytes.
    pub(super) fn size(&self) -> usize {
        let path = self.earlier_path.as_ref().map_or(0, |path| path.as_bytes().len());
        size_of::<Self>() + self.record.size() + path
    }

    /// Returns whether tor isolates the circuit by SOCKS credentials.
    pub(super) fn has_credentials(&self) -> bool {
        self.keyword("SOCKS_USERNAME").is_some() || self.keyword("SOCKS_PASSWORD").is_some()
    }

    /// Returns the number of relays in the path.
    pub(super) fn hops(&self) -> usize {
        split_list(self.path_word()).count()
    }

    fn keyword(&self, key: &str) -> crate::event::keyword::Keyword<'_> {
        self.record.keyword(key)
    }

    fn path_word(&self) -> &[u8] {
        match &self.earlier_path {
            Some(path) => path.as_bytes(),
            None => path_word(self.record.text()),
        }
    }

    /// Returns the identifier of the circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().circuits {
    ///     println!("{:?}", info.id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.id
    }

    /// Returns the status of the circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().circuits {
    ///     println!("{:?}", info.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> CircuitStatus {
        self.status.clone()
    }

    /// Returns the relays to which the circuit extends so far, the guard first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().circuits {
    ///     println!("{:?}", info.path());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> Vec<RelaySpec> {
        read_path(self.path_word())
    }

    /// Returns the text of the last event, or the line of the snapshot as such an event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        self.record.text()
    }

    /// Returns whether the circuit has ended: it is closed, or has failed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().circuits {
    ///     println!("{:?}", info.is_over());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status, CircuitStatus::Closed | CircuitStatus::Failed)
    }

    /// Returns whether the circuit can carry streams.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().circuits {
    ///     println!("{:?}", info.is_built());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.status == CircuitStatus::Built
    }
}

fn is_reason(key: &str) -> bool {
    matches!(key, "REASON" | "REMOTE_REASON")
}

impl fmt::Debug for CircuitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitInfo({:?})", self.text())
    }
}

pub(crate) type CircuitCell = Cell<CircuitId, CircuitInfo>;
