//! The fields of one circuit.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::cell::Cell;
use super::line::CircLine;
use super::record::{Keys, Layout, Record};
use super::stream_info::StreamInfo;
use crate::event::circuit::{circuit_keywords, path_word, read_path};
use crate::event::{CircEvent, EventText, HsPow};
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
pub(super) static LAYOUT: Layout = Layout::new((3, 1), CircEvent::KEYWORDS);

const REASONS: Keys = LAYOUT.keys(&["REASON", "REMOTE_REASON"]);
const ALL_BUT_REASONS: Keys = LAYOUT.keys(CircEvent::KEYWORDS).without(REASONS);
const PURPOSE: Keys = LAYOUT.keys(&["PURPOSE"]);
const CREDENTIAL_NAMES: &[&str] = &["SOCKS_USERNAME", "SOCKS_PASSWORD"];
const CREDENTIALS: Keys = LAYOUT.keys(CREDENTIAL_NAMES);

circuit_keywords!(keyword_methods!(CircuitInfo) {
    /// Returns why the circuit was closed or failed.
    "REASON" => reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
    /// Returns the reason that the last hop gave, if that hop ended the circuit.
    "REMOTE_REASON" => remote_reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
});

impl CircuitInfo {
    /// Returns the circuit of an event with this text.
    pub(super) fn of(line: &CircLine<'_>, text: EventText) -> Self {
        Self {
            id: line.id,
            status: CircuitStatus::from_bytes(line.word),
            earlier_path: None,
            record: Record::new(&LAYOUT, text, line.keys),
        }
    }

    /// Returns the circuit of a line of `circuit-status`. For a circuit without relays, that line
    /// looks as if it had some.
    pub(super) fn listed(line: &CircLine<'_>, text: EventText) -> Self {
        let mut info = Self::of(line, text);
        if info.status == CircuitStatus::Extended && line.path.is_empty() {
            info.status = CircuitStatus::Launched;
        }
        info
    }

    /// Applies the next `CIRC` event.
    ///
    /// tor describes the whole circuit in each event, so fields that the event omits are no longer
    /// valid. An event without a purpose has only the status and its reasons: the other fields
    /// stay. No circuit loses its relays.
    pub(super) fn circ(&mut self, line: &CircLine<'_>, status: CircuitStatus) {
        self.status = status;
        self.next(line, if is_described(line) { Keys::default() } else { ALL_BUT_REASONS });
    }

    /// Applies a `CIRC_MINOR` event, which does not change the status.
    pub(super) fn circ_minor(&mut self, line: &CircLine<'_>) {
        let kept = if is_described(line) { REASONS } else { REASONS.or(ALL_BUT_REASONS) };
        self.next(line, kept);
    }

    fn next(&mut self, line: &CircLine<'_>, kept: Keys) {
        if !line.path.is_empty() {
            self.earlier_path = None;
        } else if self.earlier_path.is_none() {
            let path = Some(path_word(self.record.text())).filter(|path| !path.is_empty());
            self.earlier_path = path.map(EventText::new);
        }
        self.record.replace(line.text, line.keys, kept);
    }

    /// Adds the SOCKS credentials of the first stream that tor attached to the circuit.
    pub(super) fn bind_to(&mut self, stream: &StreamInfo) {
        self.record.join(stream.record(), CREDENTIAL_NAMES);
    }

    /// Returns the approximate size in bytes.
    pub(super) fn size(&self) -> usize {
        let path = self.earlier_path.as_ref().map_or(0, |path| path.as_bytes().len());
        size_of::<Self>() + self.record.size() + path
    }

    /// Returns whether tor isolates the circuit by SOCKS credentials.
    pub(super) fn has_credentials(&self) -> bool {
        !self.record.keys().and(CREDENTIALS).is_empty()
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

fn is_described(line: &CircLine<'_>) -> bool {
    !line.keys.and(PURPOSE).is_empty()
}

impl fmt::Debug for CircuitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitInfo({:?})", self.text())
    }
}

pub(crate) type CircuitCell = Cell<CircuitId, CircuitInfo>;
