//! The fields of one stream.

use std::fmt;

use super::cell::Cell;
use super::line::StreamLine;
use super::record::{Keys, Layout, Record};
use crate::event::stream::{stream_keywords, target_word};
use crate::event::{EventText, StreamEvent};
use crate::names::{
    CircuitId, ClientProtocol, IsoField, StreamId, StreamPurpose, StreamReason, StreamSource,
    StreamStatus, Target,
};

/// The fields of a stream, as of one event.
///
/// It never changes: [`Stream::info`](super::Stream::info) returns a new one after the next event.
/// tor reports constant fields only once. For streams that began before the state it lists only the
/// status, circuit and target: the other fields are `None` until an event has them, and
/// [`source_addr`](Self::source_addr) and [`purpose`](Self::purpose) stay `None`.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for info in &state.snapshot().streams {
///     println!("{} {} {}", info.id(), info.status(), info.target());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StreamInfo {
    id: StreamId,
    status: StreamStatus,
    circuit: Option<CircuitId>,
    record: Record,
}

/// In `STREAM`.
pub(super) static LAYOUT: Layout = Layout::new((5, 0), StreamEvent::KEYWORDS);

/// The fields that tor does not repeat in each event.
const CONSTANT: Keys = LAYOUT.keys(&[
    "SOURCE",
    "SOURCE_ADDR",
    "PURPOSE",
    "SOCKS_USERNAME",
    "SOCKS_PASSWORD",
    "NYM_EPOCH",
    "SESSION_GROUP",
]);
const CLIENT_PROTOCOL: Keys = LAYOUT.keys(&["CLIENT_PROTOCOL"]);
const CLIENT: Keys = LAYOUT.keys(&["CLIENT_PROTOCOL", "ISO_FIELDS"]);
const REASON: Keys = LAYOUT.keys(&["REASON"]);
const REASONS: Keys = LAYOUT.keys(&["REASON", "REMOTE_REASON"]);
const USERNAME: Keys = LAYOUT.keys(&["SOCKS_USERNAME"]);
const PASSWORD: Keys = LAYOUT.keys(&["SOCKS_PASSWORD"]);

stream_keywords!(keyword_methods!(StreamInfo));

impl StreamInfo {
    /// Returns the stream of an event with this text.
    pub(super) fn of(line: &StreamLine<'_>, text: EventText) -> Self {
        let status = StreamStatus::from_bytes(line.status);
        let circuit = circuit_after(line, &status);
        let record = Record::new(&LAYOUT, text, line.keys);
        Self { id: line.id, status, circuit, record }
    }

    /// Applies the next event, which has this status.
    pub(super) fn next(&mut self, line: &StreamLine<'_>, status: &StreamStatus) {
        let has = |keys: Keys| !line.keys.and(keys).is_empty();
        let circuit = circuit_after(line, status);
        let before = self.status.clone();
        if is_state(status) {
            self.status = status.clone();
        }
        self.circuit = match self.is_over() {
            true => circuit.or(self.circuit),
            false => circuit,
        };
        let keeps_reason = match (before, &self.status) {
            // tor closes the stream afterwards, not always with the reason.
            (StreamStatus::Failed, _) if self.is_over() => !has(REASON),
            // The stream waits again, for the reason for which it left its circuit.
            (StreamStatus::Detached, StreamStatus::ControllerWait) => true,
            _ => false,
        };
        let kept_if = |keeps, keys| if keeps { keys } else { Keys::default() };
        let kept =
            CONSTANT.or(kept_if(!has(CLIENT_PROTOCOL), CLIENT)).or(kept_if(keeps_reason, REASONS));
        self.record.replace(line.text, line.keys, kept);
    }

    /// Returns the approximate size in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.record.size()
    }

    /// Returns whether tor isolates the stream by its SOCKS credentials.
    pub(super) fn isolates_credentials(&self) -> bool {
        let has = |keys| !self.record.keys().and(keys).is_empty();
        let isolates = |keys, field| has(keys) && self.iso_fields().contains(&field);
        isolates(USERNAME, IsoField::SocksUsername) || isolates(PASSWORD, IsoField::SocksPassword)
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    fn keyword(&self, key: &str) -> crate::event::keyword::Keyword<'_> {
        self.record.keyword(key)
    }

    /// Returns the identifier of the stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().streams {
    ///     println!("{:?}", info.id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the status of the stream: never [`StreamStatus::Remap`] and none of the four of flow
    /// control, which leave the status as it was.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().streams {
    ///     println!("{:?}", info.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.status.clone()
    }

    /// Returns the circuit to which the stream is attached; after its end, the last one. For a
    /// conflux pair, it is the leg that tor's last `STREAM` event named; the stream may have moved
    /// to the other leg.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().streams {
    ///     println!("{:?}", info.circuit());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn circuit(&self) -> Option<CircuitId> {
        self.circuit
    }

    /// Returns the target that the last event named. `REDIRECTSTREAM` changes it without an event.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().streams {
    ///     println!("{:?}", info.target());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn target(&self) -> Target {
        target_word(self.record.text())
    }

    /// Returns the text of the last event, or the line of the snapshot as such an event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        self.record.text()
    }

    /// Returns whether the stream has ended: it is closed, or has failed and is about to be.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for info in &state.snapshot().streams {
    ///     println!("{:?}", info.is_over());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status, StreamStatus::Closed | StreamStatus::Failed)
    }
}

/// Returns the circuit of the stream after an event with this status.
fn circuit_after(line: &StreamLine<'_>, status: &StreamStatus) -> Option<CircuitId> {
    match status {
        // The event names the circuit that the stream has left, even if the stream waits for
        // another.
        StreamStatus::Detached | StreamStatus::ControllerWait => None,
        _ => line.circuit,
    }
}

/// Returns whether a status lasts until the next event; the others only report an action.
fn is_state(status: &StreamStatus) -> bool {
    !matches!(
        status,
        StreamStatus::Remap
            | StreamStatus::XoffSent
            | StreamStatus::XoffReceived
            | StreamStatus::XonSent
            | StreamStatus::XonReceived
    )
}

impl fmt::Debug for StreamInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamInfo({:?})", self.text())
    }
}

pub(crate) type StreamCell = Cell<StreamId, StreamInfo>;
