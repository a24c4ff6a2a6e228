//! Pluggable transports.

use std::net::IpAddr;

use crate::event::EventText;
use crate::event::keyword::{Keyword, event_keywords, fields_after, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{PtConnect, PtSeverity, Target, TransportType};
use crate::wire::fields::read_number;

/// `TRANSPORT_LAUNCHED`: a pluggable transport was launched and accepts connections.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::TransportType;
///
/// let text = EventText::new(b"TRANSPORT_LAUNCHED client obfs4 127.0.0.1 40111");
/// let Event::TransportLaunched(launched) = Event::parse(text) else { panic!() };
/// assert_eq!(launched.transport_type(), TransportType::Client);
/// assert_eq!(launched.name(), "obfs4");
/// assert_eq!(launched.address().to_string(), "127.0.0.1:40111");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TransportLaunchedEvent {
    port: u16,
    text: EventText,
}

typed_event!(TransportLaunchedEvent, TransportLaunched: TransportLaunched);
event_keywords!(TransportLaunchedEvent, words 5 + 0, stored [] {});

impl TransportLaunchedEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = fields_after(&text, 1, 0);
        if fields.word_unless_keyword().is_none() {
            return Err((text, "the type of the transport"));
        }
        for expected in ["the name of the transport", "an address"] {
            if fields.word().is_none() {
                return Err((text, expected));
            }
        }
        match fields.word().and_then(read_number) {
            Some(port) => Ok(Self { port, text }),
            None => Err((text, "a port")),
        }
    }

    /// Returns the type of the transport.
    #[doc(alias = "Type")]
    #[must_use]
    pub fn transport_type(&self) -> TransportType {
        TransportType::from_bytes(word(&self.text, 1))
    }

    /// Returns the name of the transport, such as `obfs4`.
    #[must_use]
    pub fn name(&self) -> EventText {
        self.text.part(word(&self.text, 2))
    }

    /// Returns the address at which the transport accepts connections.
    #[must_use]
    pub fn address(&self) -> Target {
        let (host, port) = (String::from_utf8_lossy(word(&self.text, 3)), self.port);
        match host.parse::<IpAddr>() {
            Ok(address) => Target::from((address, port)),
            Err(_) => Target::from_bytes(format!("{host}:{port}").as_bytes()),
        }
    }
}

/// `PT_LOG`: a message of a pluggable transport for the log.
///
/// tor 0.4.9 does not offer this event.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::PtSeverity;
///
/// let text = b"PT_LOG PT=/usr/bin/lyrebird SEVERITY=debug MESSAGE=\"Connected to bridge A\"";
/// let Event::PtLog(log) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(log.severity(), Some(PtSeverity::Debug));
/// assert_eq!(log.message().unwrap(), "Connected to bridge A");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PtLogEvent {
    pt: EventText,
    text: EventText,
}

typed_event!(PtLogEvent, PtLog: PtLog);
event_keywords!(PtLogEvent, words 1 + 0, stored ["PT"] {
    /// Returns the severity.
    "SEVERITY" => severity: Option<PtSeverity> = word(PtSeverity::from_bytes);
    /// Returns the message.
    "MESSAGE" => message: Option<EventText> = text();
});

impl PtLogEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        read_pt(text).map(|(pt, text)| Self { pt, text })
    }

    /// Returns the program, as the configuration names it.
    #[must_use]
    pub fn pt(&self) -> EventText {
        self.pt.clone()
    }
}

/// `PT_STATUS`: the status of a pluggable transport.
///
/// tor 0.4.9 does not offer this event. A transport may send any keys;
/// [`extra`](Self::extra) returns those that the specification of pluggable transports does not
/// name.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"PT_STATUS PT=/usr/bin/lyrebird TYPE=version VERSION=0.6.1 IMPLEMENTATION=lyrebird";
/// let Event::PtStatus(status) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(status.status_type().unwrap(), "version");
/// assert_eq!(status.version().unwrap(), "0.6.1");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PtStatusEvent {
    pt: EventText,
    text: EventText,
}

typed_event!(PtStatusEvent, PtStatus: PtStatus);
event_keywords!(PtStatusEvent, words 1 + 0, stored ["PT"] {
    /// Returns the name of the transport, such as `obfs4`.
    "TRANSPORT" => transport: Option<EventText> = text();
    /// Returns the result of a connection attempt.
    "CONNECT" => connect: Option<PtConnect> = word(PtConnect::from_bytes);
    /// Returns the target of the connection.
    "ADDRESS" => address: Option<Target> = target();
    /// Returns the type of the status, such as `version`.
    #[doc(alias = "TYPE")]
    "TYPE" => status_type: Option<EventText> = text();
    /// Returns the version of the program.
    "VERSION" => version: Option<EventText> = text();
    /// Returns the name of the program.
    "IMPLEMENTATION" => implementation: Option<EventText> = text();
});

impl PtStatusEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        read_pt(text).map(|(pt, text)| Self { pt, text })
    }

    /// Returns the program, as the configuration names it.
    #[must_use]
    pub fn pt(&self) -> EventText {
        self.pt.clone()
    }
}

/// Reads the program, which an event must have.
fn read_pt(text: EventText) -> Parsed<(EventText, EventText)> {
    match Keyword::find(&text, fields_after(&text, 1, 0), "PT").text() {
        Some(pt) => Ok((pt, text)),
        None => Err((text, "PT with a program")),
    }
}
