//! Streams.

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{
    CircuitId, ClientProtocol, IsoField, StreamId, StreamPurpose, StreamReason, StreamSource,
    StreamStatus, Target,
};
use crate::wire::fields::{Fields, Value};

/// `STREAM`: a stream changed its state.
///
/// A stream may be first seen as closed, may be sent more than once, and its circuit may change
/// without a word between the legs of a pair that shares its traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEvent {
    /// The stream.
    pub id: StreamId,
    /// What has happened to it.
    pub status: StreamStatus,
    /// The circuit it is attached to, if it is.
    pub circuit: Option<CircuitId>,
    /// Where it goes.
    pub target: Target,
    /// Why it ended or left its circuit.
    pub reason: Option<StreamReason>,
    /// The reason that the other side gave, if the reason is that it ended the stream.
    pub remote_reason: Option<StreamReason>,
    /// Who replaced the target by another address.
    pub source: Option<StreamSource>,
    /// The application that asked for it. Only new streams have it, and none of tor's own.
    pub source_addr: Option<Target>,
    /// What it is for. Only new streams have it.
    pub purpose: Option<StreamPurpose>,
    /// The user name of the SOCKS request.
    pub socks_username: Option<EventText>,
    /// The password of the SOCKS request.
    pub socks_password: Option<EventText>,
    /// The protocol by which the application asked for it.
    pub client_protocol: Option<ClientProtocol>,
    /// The number of `NEWNYM` signals before it.
    pub nym_epoch: Option<u64>,
    /// The group of the port of tor that the application used; tor's own are negative.
    pub session_group: Option<i64>,
    /// What keeps it apart from streams that differ in it.
    pub iso_fields: Vec<IsoField>,
    text: EventText,
}

typed_event!(
    StreamEvent, Stream: Stream;
    words 5 + 0,
    keywords [
        "REASON",
        "REMOTE_REASON",
        "SOURCE",
        "SOURCE_ADDR",
        "PURPOSE",
        "SOCKS_USERNAME",
        "SOCKS_PASSWORD",
        "CLIENT_PROTOCOL",
        "NYM_EPOCH",
        "SESSION_GROUP",
        "ISO_FIELDS",
    ]
);

impl StreamEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(StreamId::from_bytes) else {
            return Err((text, "a stream id"));
        };
        let Some(status) = fields.word_unless_keyword() else {
            return Err((text, "the state of the stream"));
        };
        let Some(circuit) = fields.word().and_then(CircuitId::from_bytes) else {
            return Err((text, "a circuit id"));
        };
        // An application may ask for any name, also for one that looks like a keyword.
        let Some(target) = fields.word() else {
            return Err((text, "the target of the stream"));
        };
        let mut event = Self {
            id,
            status: StreamStatus::from_bytes(status),
            circuit: Some(circuit).filter(|circuit| circuit.as_str() != "0"),
            target: Target::from_bytes(target),
            reason: None,
            remote_reason: None,
            source: None,
            source_addr: None,
            purpose: None,
            socks_username: None,
            socks_password: None,
            client_protocol: None,
            nym_epoch: None,
            session_group: None,
            iso_fields: Vec::new(),
            text: EventText::default(),
        };
        for field in fields {
            event.set(&text, field.key, field.value);
        }
        event.text = text;
        Ok(event)
    }

    fn set(&mut self, text: &EventText, key: &[u8], value: Value<'_>) {
        match key {
            b"REASON" => self.reason = Some(StreamReason::from_bytes(value.inside())),
            b"REMOTE_REASON" => self.remote_reason = Some(StreamReason::from_bytes(value.inside())),
            b"SOURCE" => self.source = Some(StreamSource::from_bytes(value.inside())),
            b"SOURCE_ADDR" => self.source_addr = Some(Target::from_bytes(&value.bytes())),
            b"PURPOSE" => self.purpose = Some(StreamPurpose::from_bytes(value.inside())),
            b"SOCKS_USERNAME" => {
                self.socks_username = Some(text.value(value.bytes()).into_secret());
            }
            b"SOCKS_PASSWORD" => {
                self.socks_password = Some(text.value(value.bytes()).into_secret());
            }
            b"CLIENT_PROTOCOL" => {
                self.client_protocol = Some(ClientProtocol::from_bytes(value.inside()));
            }
            b"NYM_EPOCH" => self.nym_epoch = value.number(),
            b"SESSION_GROUP" => self.session_group = value.number(),
            b"ISO_FIELDS" => {
                self.iso_fields = value.list().map(IsoField::from_bytes).collect();
            }
            _ => {}
        }
    }
}
