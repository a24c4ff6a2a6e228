//! Asynchronous events of tor.
//!
//! Every [`Event`] keeps the text that tor sent; an event of a known kind has a type with methods
//! for its fields. Parsing never fails and never ends the connection: an unknown word is
//! `Unrecognized`, an unknown field is in `extra()`, an unknown kind of event is [`Event::Other`],
//! and an event that contradicts the specification is [`Event::Malformed`].
//!
//! Only the required fields are checked when an event arrives. Each method of another field parses
//! it when it is called: call it once if you need the value more than once.
//!
//! # The events
//!
//! A listener of a kind ([`Controller::add_event_listener`](crate::Controller::add_event_listener))
//! gets an [`Event`], a listener of a type ([`Controller::on`](crate::Controller::on)) the typed
//! event.
//!
//! | event | kind | type | tor sends it |
//! | --- | --- | --- | --- |
//! | `CIRC` | `Circ` | [`CircEvent`] | when a circuit is launched, extended, built, or ends |
//! | `CIRC_MINOR` | `CircMinor` | [`CircMinorEvent`] | when a circuit changes its purpose or is cannibalized |
//! | `CIRC_BW` | `CircBw` | [`CircBwEvent`] | each second, for each circuit with traffic |
//! | `STREAM` | `Stream` | [`StreamEvent`] | when a stream is new, attached, connected, detached, or ends |
//! | `STREAM_BW` | `StreamBw` | [`StreamBwEvent`] | each second, for each stream with traffic |
//! | `ORCONN` | `OrConn` | [`OrConnEvent`] | when a connection to a relay is launched, connected, or ends |
//! | `CONN_BW` | `ConnBw` | [`ConnBwEvent`] | each second, for each connection; test networks only |
//! | `BW` | `Bw` | [`BwEvent`] | each second, traffic or not |
//! | `CELL_STATS` | `CellStats` | [`CellStatsEvent`] | each second, for each circuit; test networks only |
//! | `TB_EMPTY` | `TbEmpty` | [`TbEmptyEvent`] | when a token bucket is refilled after it was empty; not by tor 0.4.9 |
//! | `BUILDTIMEOUT_SET` | `BuildTimeoutSet` | [`BuildTimeoutSetEvent`] | when tor computes its circuit build timeout |
//! | `STATUS_CLIENT` | `StatusClient` | [`StatusEvent`] | on bootstrap progress, when circuits can be built or no longer, on suspicious requests of applications |
//! | `STATUS_GENERAL` | `StatusGeneral` | [`StatusEvent`] | on a wrong clock, a deprecated version, an internal bug |
//! | `STATUS_SERVER` | `StatusServer` | [`StatusEvent`] | to a relay: its address, its reachability, its descriptor's acceptance |
//! | `NETWORK_LIVENESS` | `NetworkLiveness` | [`NetworkLivenessEvent`] | when the network becomes reachable, or is no longer |
//! | `GUARD` | `Guard` | [`GuardEvent`] | when a guard is chosen, dropped, up or down |
//! | `ADDRMAP` | `AddrMap` | [`AddrMapEvent`] | when a name is resolved or mapped, or a mapping ends |
//! | `CONF_CHANGED` | `ConfChanged` | [`ConfChangedEvent`] | when a controller or a reload changes options |
//! | `SIGNAL` | `Signal` | [`SignalEvent`] | when tor has received a signal, also from a controller |
//! | `NEWCONSENSUS` | `NewConsensus` | [`NewConsensusEvent`] | when a consensus arrives, about every hour or two; a large event |
//! | `NEWDESC` | `NewDesc` | [`NewDescEvent`] | when descriptors of relays arrive |
//! | `NS` | `Ns` | [`NsEvent`] | when the router status of relays changes |
//! | `DESCCHANGED` | `DescChanged` | [`DescChangedEvent`] | to a relay: when its own descriptor changes |
//! | `HS_DESC` | `HsDesc` | [`HsDescEvent`] | when a descriptor of an onion service is created, uploaded, requested or received, or this fails |
//! | `HS_DESC_CONTENT` | `HsDescContent` | [`HsDescContentEvent`] | when `HSFETCH` or a client has received a descriptor |
//! | `CLIENTS_SEEN` | `ClientsSeen` | [`ClientsSeenEvent`] | to a bridge: once a day |
//! | `TRANSPORT_LAUNCHED` | `TransportLaunched` | [`TransportLaunchedEvent`] | when a pluggable transport is ready |
//! | `PT_LOG` | `PtLog` | [`PtLogEvent`] | when a pluggable transport logs a message |
//! | `PT_STATUS` | `PtStatus` | [`PtStatusEvent`] | when a pluggable transport reports its status |
//! | `DEBUG` | `Debug` | [`LogEvent`] | at each message of the log of this severity; thousands in a second |
//! | `INFO` | `Info` | [`LogEvent`] | at each message of the log of this severity; many |
//! | `NOTICE` | `Notice` | [`LogEvent`] | at each message of the log of this severity |
//! | `WARN` | `Warn` | [`LogEvent`] | at each message of the log of this severity |
//! | `ERR` | `Err` | [`LogEvent`] | at each message of the log of this severity; tor may exit |

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
#[cfg(any(test, feature = "serde"))]
mod fields;
mod guard;
pub(crate) mod keyword;
mod kind;
mod message;
#[cfg(feature = "serde")]
mod serialize;
mod status;
pub(crate) mod stream;
mod text;
mod transport;
mod typed;

use std::fmt;
use std::time::Duration;

#[doc(alias = "ParseAddrMapEvent")]
pub use address::AddrMapEvent;
pub use address::MappedAddress;
#[doc(alias("BandwidthEvent", "ParseBandwidthEvent"))]
pub use bandwidth::BwEvent;
#[doc(alias("CircuitBandwidthEvent", "ParseCircuitBandwidthEvent"))]
pub use bandwidth::CircBwEvent;
#[doc(alias("ConnBandwidthEvent", "ParseConnBandwidthEvent"))]
pub use bandwidth::ConnBwEvent;
#[doc(alias("StreamBandwidthEvent", "ParseStreamBandwidthEvent"))]
pub use bandwidth::StreamBwEvent;
#[doc(alias("TokenBucketEmptyEvent", "ParseTokenBucketEmptyEvent"))]
pub use bandwidth::TbEmptyEvent;
#[doc(alias = "ParseBuildTimeoutSetEvent")]
pub use build_timeout::BuildTimeoutSetEvent;
pub use build_timeout::Decimal;
#[doc(alias = "ParseCellStatsEvent")]
pub use cells::CellStatsEvent;
pub use cells::{CellCount, CellQueue, CellTime};
#[doc(alias("CircuitEvent", "ParseCircuitEvent"))]
pub use circuit::CircEvent;
#[doc(alias("CircuitMinorEvent", "ParseCircuitMinorEvent"))]
pub use circuit::CircMinorEvent;
pub use circuit::HsPow;
pub use clients::ClientCount;
#[doc(alias = "ParseClientsSeenEvent")]
pub use clients::ClientsSeenEvent;
pub use config::ConfChange;
#[doc(alias = "ParseConfChangedEvent")]
pub use config::ConfChangedEvent;
#[doc(alias = "ParseSignalEvent")]
pub use config::SignalEvent;
#[doc(alias = "ParseORConnEvent")]
pub use connection::OrConnEvent;
pub use connection::OrConnPeer;
#[doc(alias = "ParseHSDescContentEvent")]
pub use descriptor::HsDescContentEvent;
#[doc(alias = "ParseHSDescEvent")]
pub use descriptor::HsDescEvent;
#[doc(alias = "ParseDescChangedEvent")]
pub use directory::DescChangedEvent;
#[doc(alias = "ParseNewConsensusEvent")]
pub use directory::NewConsensusEvent;
#[doc(alias = "ParseNewDescEvent")]
pub use directory::NewDescEvent;
#[doc(alias("NetworkStatusEvent", "ParseNetworkStatusEvent"))]
pub use directory::NsEvent;
#[doc(alias = "ParseGuardEvent")]
pub use guard::GuardEvent;
#[doc(alias = "ParseNetworkLivenessEvent")]
pub use guard::NetworkLivenessEvent;
#[doc(alias("event_description", "EVENT_DESCRIPTIONS", "EventCode", "EventCodes"))]
#[doc(alias = "EventType")]
pub use kind::EventKind;
pub use kind::EventKinds;
#[doc(alias = "ParseLogEvent")]
pub use message::LogEvent;
#[doc(alias = "ParseStatusEvent")]
pub use status::StatusEvent;
pub use status::{Bootstrap, ClockSource, StatusArea, StatusArgument, StatusDetail};
#[doc(alias = "ParseStreamEvent")]
pub use stream::StreamEvent;
pub use text::EventText;
#[doc(alias = "ParseTransportLaunchedEvent")]
pub use transport::TransportLaunchedEvent;
pub use transport::{PtLogEvent, PtStatusEvent};
pub(crate) use typed::typed_callback;
pub use typed::{ExtraField, TypedEvent};

use self::typed::Parsed;
use crate::error::ProtocolError;
use crate::names::Severity;

/// Generates [`Event`] and the functions with a branch for each variant. A row has the variant with its
/// type, and the kind with the function that wraps the parsed event; kinds that share a type have
/// branches in the macro.
macro_rules! events {
    (
        $(#[$attribute:meta])*
        pub enum Event {
            $( $(#[$row_attribute:meta])* $variant:ident($type:ty) $(= $parse:ident($kind:ident))?, )*
        }
        $($without_type:tt)*
    ) => {
        $(#[$attribute])*
        pub enum Event {
            $( $(#[$row_attribute])* $variant($type), )*
            $($without_type)*
        }

        impl Event {
            /// Parses an event of a kind.
            #[inline]
            fn parse_kind(kind: EventKind, text: EventText) -> Self {
                match kind {
                    $($( EventKind::$kind => $parse(<$type>::parse(text), Self::$variant), )?)*
                    EventKind::Debug => Self::Log(LogEvent::parse(Severity::Debug, text)),
                    EventKind::Info => Self::Log(LogEvent::parse(Severity::Info, text)),
                    EventKind::Notice => Self::Log(LogEvent::parse(Severity::Notice, text)),
                    EventKind::Warn => Self::Log(LogEvent::parse(Severity::Warn, text)),
                    EventKind::Err => Self::Log(LogEvent::parse(Severity::Err, text)),
                    EventKind::StatusGeneral => {
                        fallible(StatusEvent::parse(StatusArea::General, text), Self::Status)
                    }
                    EventKind::StatusClient => {
                        fallible(StatusEvent::parse(StatusArea::Client, text), Self::Status)
                    }
                    EventKind::StatusServer => {
                        fallible(StatusEvent::parse(StatusArea::Server, text), Self::Status)
                    }
                    kind @ EventKind::Unrecognized(_) => Self::Other(OtherEvent { kind, text }),
                }
            }

            /// Returns the kind of the event; `None` for [`Event::Lagged`], [`Event::Reconnected`] and
            /// a line without a status code.
            #[must_use]
            pub fn kind(&self) -> Option<EventKind> {
                Some(match self {
                    $($( Self::$variant(_) => EventKind::$kind, )?)*
                    Self::Log(log) => log.kind(),
                    Self::Status(status) => status.kind(),
                    Self::Other(other) => other.kind.clone(),
                    Self::Malformed { text, .. } if text.is_stray() => return None,
                    Self::Malformed { text, .. } => EventKind::from_bytes(text.keyword()),
                    Self::Lagged { .. } | Self::Reconnected { .. } => return None,
                })
            }

            /// Takes the text that tor sent.
            pub(crate) fn into_text(self) -> Option<EventText> {
                match self {
                    $( Self::$variant(event) => Some(event.into_text()), )*
                    Self::Malformed { text, .. } => Some(text),
                    Self::Lagged { .. } | Self::Reconnected { .. } => None,
                }
            }

            /// Returns the text that tor sent; `None` for [`Event::Lagged`] and
            /// [`Event::Reconnected`], which tor did not send.
            #[must_use]
            pub fn text(&self) -> Option<&EventText> {
                match self {
                    $( Self::$variant(event) => Some(event.text()), )*
                    Self::Malformed { text, .. } => Some(text),
                    Self::Lagged { .. } | Self::Reconnected { .. } => None,
                }
            }
        }
    };
}

events! {
    /// An event of tor, or the notice that events were lost.
    ///
    /// `Display` prints the text that tor sent.
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
    #[doc(alias = "MALFORMED_EVENTS")]
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Event {
        /// Bytes read and written in the last second.
        Bw(BwEvent) = fallible(Bw),
        /// A circuit changed its status.
        Circ(CircEvent) = fallible(Circ),
        /// A stream changed its status.
        Stream(StreamEvent) = fallible(Stream),
        /// An OR connection changed its status.
        OrConn(OrConnEvent) = fallible(OrConn),
        /// A message of tor's log.
        Log(LogEvent),
        /// The status of tor changed.
        Status(StatusEvent),
        /// An onion service descriptor was created, uploaded or fetched.
        HsDesc(HsDescEvent) = fallible(HsDesc),
        /// Options changed.
        ConfChanged(ConfChangedEvent) = infallible(ConfChanged),
        /// tor received a signal.
        Signal(SignalEvent) = fallible(Signal),
        /// A circuit changed, but not its status.
        CircMinor(CircMinorEvent) = fallible(CircMinor),
        /// Bytes of a stream.
        StreamBw(StreamBwEvent) = fallible(StreamBw),
        /// Bytes of a circuit.
        CircBw(CircBwEvent) = fallible(CircBw),
        /// Bytes of a connection.
        ConnBw(ConnBwEvent) = fallible(ConnBw),
        /// Cells of a circuit.
        CellStats(CellStatsEvent) = infallible(CellStats),
        /// A token bucket was empty, and was refilled.
        TbEmpty(TbEmptyEvent) = fallible(TbEmpty),
        /// Numbers of the clients of a bridge.
        ClientsSeen(ClientsSeenEvent) = infallible(ClientsSeen),
        /// tor received server descriptors of relays.
        NewDesc(NewDescEvent) = fallible(NewDesc),
        /// The descriptor of this relay changed.
        DescChanged(DescChangedEvent) = infallible(DescChanged),
        /// Router status entries changed.
        Ns(NsEvent) = infallible(Ns),
        /// tor received a new consensus.
        NewConsensus(NewConsensusEvent) = infallible(NewConsensus),
        /// A name or address was mapped to another.
        AddrMap(AddrMapEvent) = fallible(AddrMap),
        /// The set of guards, or the status of a guard, changed.
        Guard(GuardEvent) = fallible(Guard),
        /// tor set its circuit build timeout.
        BuildTimeoutSet(BuildTimeoutSetEvent) = fallible(BuildTimeoutSet),
        /// tor found that the network is reachable, or no longer.
        NetworkLiveness(NetworkLivenessEvent) = fallible(NetworkLiveness),
        /// A pluggable transport was launched.
        TransportLaunched(TransportLaunchedEvent) = fallible(TransportLaunched),
        /// A pluggable transport sent a log message.
        PtLog(PtLogEvent) = fallible(PtLog),
        /// A pluggable transport reported its status.
        PtStatus(PtStatusEvent) = fallible(PtStatus),
        /// The content of an onion service descriptor that a directory returned.
        HsDescContent(HsDescContentEvent) = fallible(HsDescContent),
        /// An event of a kind that this version of torcon does not know.
        Other(OtherEvent),
    }

    /// An event of a known kind with a syntax error, or a line without a status code.
    ///
    /// A filtering proxy in front of tor sends such a line instead of an event. The line has no
    /// kind; every listener and event queue of the connection receives it, except those for texts
    /// and for single types.
    #[non_exhaustive]
    Malformed {
        /// The text that tor sent.
        text: EventText,
        /// The syntax error.
        reason: ProtocolError,
    },
    /// Events were lost at this position, since the listener was too slow.
    ///
    /// tor does not send this event. It has no kind and no text; every listener that subscribed to
    /// one of the lost events receives it. For texts and single types,
    /// [`Controller::on_lagged`](crate::Controller::on_lagged) reports the loss.
    #[non_exhaustive]
    Lagged {
        /// The number of lost events of the kinds to which the listener subscribed.
        dropped: u64,
    },
    /// A [`Supervisor`](crate::Supervisor) has connected again: the events before this one are from
    /// the former connection.
    ///
    /// tor does not send this event. It has no kind and no text; every listener and event queue of
    /// the supervisor receives it once for each new connection. For texts and single types,
    /// [`Supervisor::on_reconnected`](crate::Supervisor::on_reconnected) reports it.
    #[non_exhaustive]
    Reconnected {
        /// The time from the end of the former connection to the new subscription.
        gap: Duration,
    },
}

/// An event of a kind that this version of torcon does not know.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let Event::Other(other) = Event::parse(EventText::new(b"NEW_KIND 1 a=b")) else { panic!() };
/// assert_eq!(other.kind.as_str(), "NEW_KIND");
/// assert_eq!(other.text().as_bytes(), b"NEW_KIND 1 a=b");
/// ```
#[doc(alias("UnrecognizedEvent", "ParseUnrecognizedEvent"))]
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

    fn into_text(self) -> EventText {
        self.text
    }
}

/// Prints the text of the event.
impl fmt::Display for OtherEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)
    }
}

impl Event {
    /// Parses an event. A syntax error makes it [`Event::Malformed`].
    #[doc(alias = "ParseEvent")]
    #[must_use]
    pub fn parse(text: EventText) -> Self {
        if text.is_stray() {
            // Even if the line looks like an event, since tor sends a status code with each.
            let reason = ProtocolError::new("an event", "a status code", text.as_bytes());
            return Self::Malformed { text, reason };
        }
        Self::parse_kind(EventKind::from_bytes(text.keyword()), text)
    }

    /// Parses an event whose keyword is known to be that of `kind`.
    #[inline]
    pub(crate) fn of_kind(kind: EventKind, text: EventText) -> Self {
        match text.is_stray() {
            true => Self::parse(text),
            false => Self::parse_kind(kind, text),
        }
    }

    /// Returns whether this is a line without a status code, which may have been any event.
    pub(crate) fn is_stray_line(&self) -> bool {
        matches!(self, Self::Malformed { text, .. } if text.is_stray())
    }

    /// Creates the event for lost events.
    pub(crate) fn lagged(dropped: u64) -> Self {
        Self::Lagged { dropped }
    }

    /// Creates the event of a new connection.
    pub(crate) fn reconnected(gap: Duration) -> Self {
        Self::Reconnected { gap }
    }

    /// Returns a copy that shares no memory with other events.
    ///
    /// Events share the bytes of one read from the socket, 64 KiB or more; detached events take
    /// less memory in a program that stores them.
    #[must_use]
    pub fn detached(&self) -> Self {
        match self.text() {
            Some(text) => Self::parse(text.detached()),
            None => self.clone(),
        }
    }
}

/// Wraps an event in its variant.
#[inline]
fn infallible<E>(event: E, variant: fn(E) -> Event) -> Event {
    variant(event)
}

/// Wraps an event in its variant, or its text and the failed expectation in
/// [`Event::Malformed`].
#[inline]
fn fallible<E>(parsed: Parsed<E>, variant: fn(E) -> Event) -> Event {
    match parsed {
        Ok(event) => variant(event),
        Err((text, expected)) => {
            let reading = format!("the event {}", String::from_utf8_lossy(text.keyword()));
            let reason = ProtocolError::new(&reading, expected, text.as_bytes());
            Event::Malformed { text, reason }
        }
    }
}

/// Prints the text that tor sent; for [`Event::Lagged`] and [`Event::Reconnected`] a note in
/// parentheses.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.text()) {
            (Self::Lagged { dropped }, _) => write!(f, "({dropped} events were lost)"),
            (Self::Reconnected { gap }, _) => write!(f, "(connected again after {gap:?})"),
            (_, Some(text)) => fmt::Display::fmt(text, f),
            (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
