//! Asynchronous events of tor.
//!
//! Every event is an [`Event`]: one of a type with methods for its fields where there is such a
//! type, and always with the text that tor sent. Nothing that tor sends makes an event unreadable
//! or ends a connection: an unknown word is `Unrecognized`, an unknown field is in `extra()`, an
//! unknown kind of event is [`Event::Other`], and an event that contradicts the specification is
//! [`Event::Malformed`].
//!
//! An event keeps its text and checks the fields that it must have when it arrives; each method
//! reads its field when it is called. A listener reads one to four fields of an event and pays for
//! no other; public fields would make tor's busiest events (`CIRC`, `STREAM`) cost several times as
//! much to receive. A method also returns its value, which a listener can compare and keep without
//! borrowing or cloning; call it once if you need the value more than once.
//!
//! **Invariant**: pure. Nothing here subscribes, waits or calls.

mod address;
mod answers;
mod bandwidth;
mod build_timeout;
mod cells;
pub(crate) mod circuit;
mod clients;
mod config;
mod connection;
mod descriptor;
#[cfg(test)]
pub(crate) mod dialect;
mod directory;
mod guard;
pub(crate) mod keyword;
mod kind;
mod message;
mod status;
pub(crate) mod stream;
mod text;
mod transport;
mod typed;

use std::fmt;

pub use address::{AddrMapEvent, MappedAddress};
pub use bandwidth::{BwEvent, CircBwEvent, ConnBwEvent, StreamBwEvent, TbEmptyEvent};
pub use build_timeout::{BuildTimeoutSetEvent, Decimal};
pub use cells::{CellCount, CellQueue, CellStatsEvent, CellTime};
pub use circuit::{CircEvent, CircMinorEvent, HsPow};
pub use clients::{ClientCount, ClientsSeenEvent};
pub use config::{ConfChange, ConfChangedEvent, SignalEvent};
pub use connection::{OrConnEvent, OrConnPeer};
pub use descriptor::{HsDescContentEvent, HsDescEvent};
pub use directory::{DescChangedEvent, NewConsensusEvent, NewDescEvent, NsEvent};
pub use guard::{GuardEvent, NetworkLivenessEvent};
pub use kind::EventKind;
pub use message::LogEvent;
pub use status::{Bootstrap, ClockSource, StatusArea, StatusArgument, StatusDetail, StatusEvent};
pub use stream::StreamEvent;
pub use text::EventText;
pub use transport::{PtLogEvent, PtStatusEvent, TransportLaunchedEvent};
pub use typed::{ExtraField, TypedEvent};

use self::typed::Parsed;
use crate::error::ProtocolError;
use crate::names::Severity;

/// An event of tor, or the notice that events were lost.
///
/// Prints the text that tor sent, so that `println!("{event}")` shows what a listener of any
/// other library would get.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventKind, EventText};
///
/// let event = Event::parse(EventText::new(b"BW 15 20"));
/// assert_eq!(event.kind(), Some(EventKind::Bw));
/// assert_eq!(event.to_string(), "BW 15 20");
/// match event {
///     Event::Bw(bw) => assert_eq!(bw.bytes_read() + bw.bytes_written(), 35),
///     other => panic!("{other}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Bytes of the last second.
    Bw(BwEvent),
    /// A circuit changed its state.
    Circ(CircEvent),
    /// A stream changed its state.
    Stream(StreamEvent),
    /// A connection to a relay, or from another tor, changed its state.
    OrConn(OrConnEvent),
    /// A line of tor's log.
    Log(LogEvent),
    /// The condition of tor.
    Status(StatusEvent),
    /// A descriptor of an onion service is made, sent or fetched.
    HsDesc(HsDescEvent),
    /// Options have changed.
    ConfChanged(ConfChangedEvent),
    /// tor received a signal.
    Signal(SignalEvent),
    /// A circuit changed, but its state did not.
    CircMinor(CircMinorEvent),
    /// Bytes of a stream.
    StreamBw(StreamBwEvent),
    /// Bytes of a circuit.
    CircBw(CircBwEvent),
    /// Bytes of a connection.
    ConnBw(ConnBwEvent),
    /// Cells of a circuit.
    CellStats(CellStatsEvent),
    /// An allowance of bytes had been used up.
    TbEmpty(TbEmptyEvent),
    /// Where a bridge's clients were.
    ClientsSeen(ClientsSeenEvent),
    /// Descriptors of relays have come.
    NewDesc(NewDescEvent),
    /// The descriptor of this relay has changed.
    DescChanged(DescChangedEvent),
    /// What tor knows of some relays has changed.
    Ns(NsEvent),
    /// A new consensus has come.
    NewConsensus(NewConsensusEvent),
    /// A name or address was mapped to another.
    AddrMap(AddrMapEvent),
    /// The set of guards has changed.
    Guard(GuardEvent),
    /// The time that circuits may take to build was set.
    BuildTimeoutSet(BuildTimeoutSetEvent),
    /// The network can be reached, or no longer.
    NetworkLiveness(NetworkLivenessEvent),
    /// A pluggable transport has started.
    TransportLaunched(TransportLaunchedEvent),
    /// A pluggable transport says something for the log.
    PtLog(PtLogEvent),
    /// A pluggable transport tells what it does.
    PtStatus(PtStatusEvent),
    /// A descriptor of an onion service, in full.
    HsDescContent(HsDescContentEvent),
    /// An event of a kind that this version of torcon does not know.
    Other(OtherEvent),
    /// An event of a kind that has a type, but not of its form; or a line without a status code.
    ///
    /// Such a line comes from a filter in front of tor that has replaced an event. It has no kind
    /// and goes to every listener and queue of events of the connection, except those that take
    /// texts or single types.
    #[non_exhaustive]
    Malformed {
        /// What tor sent.
        text: EventText,
        /// What is wrong with it.
        reason: ProtocolError,
    },
    /// Events were lost at this place, since they came faster than they were taken.
    ///
    /// It is no event of tor, has no kind and no text, and goes to every listener that had
    /// subscribed to one of the lost events. Listeners that take texts or single types learn of it
    /// by [`Controller::on_lagged`](crate::Controller::on_lagged).
    #[non_exhaustive]
    Lagged {
        /// How many events were lost that the listener had subscribed to.
        dropped: u64,
    },
}

/// An event of a kind that this version of torcon does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherEvent {
    /// The kind.
    pub kind: EventKind,
    text: EventText,
}

impl OtherEvent {
    /// Returns the text of the event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }
}

/// Prints the text of the event.
impl fmt::Display for OtherEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)
    }
}

impl Event {
    /// Reads an event. This never fails: see [`Event::Malformed`].
    #[must_use]
    pub fn parse(text: EventText) -> Self {
        if text.is_stray() {
            // Whatever it looks like: between two events everything has a status code.
            let reason = ProtocolError::new("an event", "a status code", text.as_bytes());
            return Self::Malformed { text, reason };
        }
        let kind = EventKind::from_bytes(text.keyword());
        match kind {
            EventKind::Bw => parsed(BwEvent::parse(text), Self::Bw),
            EventKind::Circ => parsed(CircEvent::parse(text), Self::Circ),
            EventKind::Stream => parsed(StreamEvent::parse(text), Self::Stream),
            EventKind::OrConn => parsed(OrConnEvent::parse(text), Self::OrConn),
            EventKind::Debug => Self::Log(LogEvent::parse(Severity::Debug, text)),
            EventKind::Info => Self::Log(LogEvent::parse(Severity::Info, text)),
            EventKind::Notice => Self::Log(LogEvent::parse(Severity::Notice, text)),
            EventKind::Warn => Self::Log(LogEvent::parse(Severity::Warn, text)),
            EventKind::Err => Self::Log(LogEvent::parse(Severity::Err, text)),
            EventKind::StatusGeneral => {
                parsed(StatusEvent::parse(StatusArea::General, text), Self::Status)
            }
            EventKind::StatusClient => {
                parsed(StatusEvent::parse(StatusArea::Client, text), Self::Status)
            }
            EventKind::StatusServer => {
                parsed(StatusEvent::parse(StatusArea::Server, text), Self::Status)
            }
            EventKind::HsDesc => parsed(HsDescEvent::parse(text), Self::HsDesc),
            EventKind::ConfChanged => Self::ConfChanged(ConfChangedEvent::parse(text)),
            EventKind::Signal => parsed(SignalEvent::parse(text), Self::Signal),
            EventKind::CircMinor => parsed(CircMinorEvent::parse(text), Self::CircMinor),
            EventKind::StreamBw => parsed(StreamBwEvent::parse(text), Self::StreamBw),
            EventKind::CircBw => parsed(CircBwEvent::parse(text), Self::CircBw),
            EventKind::ConnBw => parsed(ConnBwEvent::parse(text), Self::ConnBw),
            EventKind::CellStats => Self::CellStats(CellStatsEvent::parse(text)),
            EventKind::TbEmpty => parsed(TbEmptyEvent::parse(text), Self::TbEmpty),
            EventKind::ClientsSeen => Self::ClientsSeen(ClientsSeenEvent::parse(text)),
            EventKind::NewDesc => parsed(NewDescEvent::parse(text), Self::NewDesc),
            EventKind::DescChanged => Self::DescChanged(DescChangedEvent::parse(text)),
            EventKind::Ns => Self::Ns(NsEvent::parse(text)),
            EventKind::NewConsensus => Self::NewConsensus(NewConsensusEvent::parse(text)),
            EventKind::AddrMap => parsed(AddrMapEvent::parse(text), Self::AddrMap),
            EventKind::Guard => parsed(GuardEvent::parse(text), Self::Guard),
            EventKind::BuildTimeoutSet => {
                parsed(BuildTimeoutSetEvent::parse(text), Self::BuildTimeoutSet)
            }
            EventKind::NetworkLiveness => {
                parsed(NetworkLivenessEvent::parse(text), Self::NetworkLiveness)
            }
            EventKind::TransportLaunched => {
                parsed(TransportLaunchedEvent::parse(text), Self::TransportLaunched)
            }
            EventKind::PtLog => parsed(PtLogEvent::parse(text), Self::PtLog),
            EventKind::PtStatus => parsed(PtStatusEvent::parse(text), Self::PtStatus),
            EventKind::HsDescContent => {
                parsed(HsDescContentEvent::parse(text), Self::HsDescContent)
            }
            kind @ EventKind::Unrecognized(_) => Self::Other(OtherEvent { kind, text }),
        }
    }

    /// Returns whether this is a line without a status code, which may stand for any event.
    pub(crate) fn is_stray_line(&self) -> bool {
        matches!(self, Self::Malformed { text, .. } if text.is_stray())
    }

    /// Makes the notice that events were lost.
    pub(crate) fn lagged(dropped: u64) -> Self {
        Self::Lagged { dropped }
    }

    /// Returns the kind of the event; `None` for [`Event::Lagged`] and for a line without a status
    /// code, which are none of tor's.
    #[must_use]
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::Bw(_) => EventKind::Bw,
            Self::Circ(_) => EventKind::Circ,
            Self::Stream(_) => EventKind::Stream,
            Self::OrConn(_) => EventKind::OrConn,
            Self::Log(log) => log.kind(),
            Self::Status(status) => status.kind(),
            Self::HsDesc(_) => EventKind::HsDesc,
            Self::ConfChanged(_) => EventKind::ConfChanged,
            Self::Signal(_) => EventKind::Signal,
            Self::CircMinor(_) => EventKind::CircMinor,
            Self::StreamBw(_) => EventKind::StreamBw,
            Self::CircBw(_) => EventKind::CircBw,
            Self::ConnBw(_) => EventKind::ConnBw,
            Self::CellStats(_) => EventKind::CellStats,
            Self::TbEmpty(_) => EventKind::TbEmpty,
            Self::ClientsSeen(_) => EventKind::ClientsSeen,
            Self::NewDesc(_) => EventKind::NewDesc,
            Self::DescChanged(_) => EventKind::DescChanged,
            Self::Ns(_) => EventKind::Ns,
            Self::NewConsensus(_) => EventKind::NewConsensus,
            Self::AddrMap(_) => EventKind::AddrMap,
            Self::Guard(_) => EventKind::Guard,
            Self::BuildTimeoutSet(_) => EventKind::BuildTimeoutSet,
            Self::NetworkLiveness(_) => EventKind::NetworkLiveness,
            Self::TransportLaunched(_) => EventKind::TransportLaunched,
            Self::PtLog(_) => EventKind::PtLog,
            Self::PtStatus(_) => EventKind::PtStatus,
            Self::HsDescContent(_) => EventKind::HsDescContent,
            Self::Other(other) => other.kind.clone(),
            Self::Malformed { text, .. } if text.is_stray() => return None,
            Self::Malformed { text, .. } => EventKind::from_bytes(text.keyword()),
            Self::Lagged { .. } => return None,
        })
    }

    /// Returns the text that tor sent; `None` for [`Event::Lagged`], which tor did not send.
    #[must_use]
    pub fn text(&self) -> Option<&EventText> {
        Some(match self {
            Self::Bw(event) => event.text(),
            Self::Circ(event) => event.text(),
            Self::Stream(event) => event.text(),
            Self::OrConn(event) => event.text(),
            Self::Log(event) => event.text(),
            Self::Status(event) => event.text(),
            Self::HsDesc(event) => event.text(),
            Self::ConfChanged(event) => event.text(),
            Self::Signal(event) => event.text(),
            Self::CircMinor(event) => event.text(),
            Self::StreamBw(event) => event.text(),
            Self::CircBw(event) => event.text(),
            Self::ConnBw(event) => event.text(),
            Self::CellStats(event) => event.text(),
            Self::TbEmpty(event) => event.text(),
            Self::ClientsSeen(event) => event.text(),
            Self::NewDesc(event) => event.text(),
            Self::DescChanged(event) => event.text(),
            Self::Ns(event) => event.text(),
            Self::NewConsensus(event) => event.text(),
            Self::AddrMap(event) => event.text(),
            Self::Guard(event) => event.text(),
            Self::BuildTimeoutSet(event) => event.text(),
            Self::NetworkLiveness(event) => event.text(),
            Self::TransportLaunched(event) => event.text(),
            Self::PtLog(event) => event.text(),
            Self::PtStatus(event) => event.text(),
            Self::HsDescContent(event) => event.text(),
            Self::Other(event) => event.text(),
            Self::Malformed { text, .. } => text,
            Self::Lagged { .. } => return None,
        })
    }

    /// Returns a copy that keeps nothing alive but itself.
    ///
    /// Events share the bytes of everything that arrived together with them, up to 64 KiB and
    /// more; a program that keeps events for long keeps less with this.
    #[must_use]
    pub fn detached(&self) -> Self {
        match self.text() {
            Some(text) => Self::parse(text.detached()),
            None => self.clone(),
        }
    }
}

/// Puts an event into its variant, or says why it could not be read: what was expected.
#[inline]
fn parsed<E>(parsed: Parsed<E>, variant: fn(E) -> Event) -> Event {
    match parsed {
        Ok(event) => variant(event),
        Err((text, expected)) => {
            let reading = format!("the event {}", String::from_utf8_lossy(text.keyword()));
            let reason = ProtocolError::new(&reading, expected, text.as_bytes());
            Event::Malformed { text, reason }
        }
    }
}

/// Prints the text that tor sent; of [`Event::Lagged`], a note in parentheses.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.text()) {
            (Self::Lagged { dropped }, _) => write!(f, "({dropped} events were lost)"),
            (_, Some(text)) => fmt::Display::fmt(text, f),
            (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
