//! Pluggable transports.

use std::net::IpAddr;

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{PtConnect, PtSeverity, Target, TransportType};
use crate::wire::fields::{Fields, read_number};

/// `TRANSPORT_LAUNCHED`: a pluggable transport has started and takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportLaunchedEvent {
    /// The side of the transport.
    #[doc(alias = "Type")]
    pub transport_type: TransportType,
    /// The name of the transport, such as `obfs4`.
    pub name: EventText,
    /// Where it takes connections.
    pub address: Target,
    text: EventText,
}

typed_event!(
    TransportLaunchedEvent, TransportLaunched: TransportLaunched;
    words 5 + 0,
    keywords []
);

impl TransportLaunchedEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(transport_type) = fields.word_unless_keyword() else {
            return Err((text, "the side of the transport"));
        };
        let Some(name) = fields.word() else { return Err((text, "the name of the transport")) };
        let Some(host) = fields.word() else { return Err((text, "an address")) };
        let Some(port) = fields.word().and_then(read_number) else { return Err((text, "a port")) };
        let transport_type = TransportType::from_bytes(transport_type);
        let name = text.part(name);
        let address = listening_at(host, port);
        Ok(Self { transport_type, name, address, text })
    }
}

fn listening_at(host: &[u8], port: u16) -> Target {
    let host = String::from_utf8_lossy(host);
    match host.parse::<IpAddr>() {
        Ok(address) => Target::from((address, port)),
        Err(_) => Target::from_bytes(format!("{host}:{port}").as_bytes()),
    }
}

/// `PT_LOG`: a pluggable transport says something for the log.
///
/// tor 0.4.9 does not offer this event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PtLogEvent {
    /// The program, as the configuration names it.
    pub pt: EventText,
    /// How grave it is.
    pub severity: Option<PtSeverity>,
    /// What the transport says.
    pub message: Option<EventText>,
    text: EventText,
}

typed_event!(
    PtLogEvent, PtLog: PtLog;
    words 1 + 0,
    keywords ["PT", "SEVERITY", "MESSAGE"]
);

impl PtLogEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let (mut pt, mut severity, mut message) = (None, None, None);
        for field in fields {
            let value = field.value;
            match field.key {
                b"PT" => pt = Some(text.value(value.bytes())),
                b"SEVERITY" => severity = Some(PtSeverity::from_bytes(value.inside())),
                b"MESSAGE" => message = Some(text.value(value.bytes())),
                _ => {}
            }
        }
        let Some(pt) = pt else { return Err((text, "PT with a program")) };
        Ok(Self { pt, severity, message, text })
    }
}

/// `PT_STATUS`: a pluggable transport tells what it does.
///
/// tor 0.4.9 does not offer this event. A transport may send any keys; those that the
/// specification of pluggable transports does not name are found by [`extra`](Self::extra).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PtStatusEvent {
    /// The program, as the configuration names it.
    pub pt: EventText,
    /// The name of the transport, such as `obfs4`.
    pub transport: Option<EventText>,
    /// What became of a connection.
    pub connect: Option<PtConnect>,
    /// Where the connection goes.
    pub address: Option<Target>,
    /// What the message is about, such as `version`.
    #[doc(alias = "TYPE")]
    pub status_type: Option<EventText>,
    /// The version of the program.
    pub version: Option<EventText>,
    /// The name of the program.
    pub implementation: Option<EventText>,
    text: EventText,
}

typed_event!(
    PtStatusEvent, PtStatus: PtStatus;
    words 1 + 0,
    keywords ["PT", "TRANSPORT", "CONNECT", "ADDRESS", "TYPE", "VERSION", "IMPLEMENTATION"]
);

impl PtStatusEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut pt = None;
        let (mut transport, mut connect, mut address) = (None, None, None);
        let (mut status_type, mut version, mut implementation) = (None, None, None);
        for field in fields {
            let value = field.value;
            let part = || Some(text.value(value.bytes()));
            match field.key {
                b"PT" => pt = part(),
                b"TRANSPORT" => transport = part(),
                b"CONNECT" => connect = Some(PtConnect::from_bytes(value.inside())),
                b"ADDRESS" => address = Some(Target::from_bytes(&value.bytes())),
                b"TYPE" => status_type = part(),
                b"VERSION" => version = part(),
                b"IMPLEMENTATION" => implementation = part(),
                _ => {}
            }
        }
        let Some(pt) = pt else { return Err((text, "PT with a program")) };
        Ok(Self { pt, transport, connect, address, status_type, version, implementation, text })
    }
}
