//! Streams.

use crate::event::EventText;
use crate::event::keyword::word;
use crate::event::typed::{Parsed, typed_event};
use crate::names::{
    CircuitId, ClientProtocol, IsoField, StreamId, StreamPurpose, StreamReason, StreamSource,
    StreamStatus, Target,
};
use crate::wire::fields::Fields;

/// `STREAM`: a stream changed its status.
///
/// The first event of a stream can be its close, a stream can be sent more than once, and it can
/// move between the legs of a conflux pair without an event.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{StreamReason, StreamStatus};
///
/// let text = b"STREAM 20 DETACHED 7 127.0.0.1:1 REASON=END REMOTE_REASON=MISC \
///              CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 ISO_FIELDS=SESSION_GROUP";
/// let Event::Stream(stream) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!((stream.id(), stream.circuit()), (20.into(), Some(7.into())));
/// assert_eq!(stream.status(), StreamStatus::Detached);
/// assert_eq!(stream.target().to_string(), "127.0.0.1:1");
/// assert_eq!(stream.remote_reason(), Some(StreamReason::Misc));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StreamEvent {
    id: StreamId,
    circuit: Option<CircuitId>,
    text: EventText,
}

/// The keywords of every stream, for `STREAM` and [`StreamInfo`](crate::state::StreamInfo).
macro_rules! stream_keywords {
    ($define:ident!($($head:tt)*)) => {
        $crate::event::keyword::$define!($($head)* {
            /// Returns why the stream ended or left its circuit.
            "REASON" => reason: Option<StreamReason> = word(StreamReason::from_bytes);
            /// Returns the reason that the exit reported, if the exit ended the stream.
            "REMOTE_REASON" => remote_reason: Option<StreamReason> =
                word(StreamReason::from_bytes);
            /// Returns the component that remapped the target: tor's cache or the exit.
            "SOURCE" => source: Option<StreamSource> = word(StreamSource::from_bytes);
            /// Returns the address of the application that opened the stream. tor sends it for new
            /// streams only, and not for its own streams.
            "SOURCE_ADDR" => source_addr: Option<Target> = target();
            /// Returns the purpose of the stream. tor sends it for new streams only.
            "PURPOSE" => purpose: Option<StreamPurpose> = word(StreamPurpose::from_bytes);
            /// Returns the user name of the SOCKS request.
            "SOCKS_USERNAME" => socks_username: Option<EventText> = secret();
            /// Returns the password of the SOCKS request.
            "SOCKS_PASSWORD" => socks_password: Option<EventText> = secret();
            /// Returns the protocol with which the application opened the stream.
            "CLIENT_PROTOCOL" => client_protocol: Option<ClientProtocol> =
                word(ClientProtocol::from_bytes);
            /// Returns the number of `NEWNYM` signals before the stream.
            "NYM_EPOCH" => nym_epoch: Option<u64> = number();
            /// Returns the session group of the port that the application used; it is negative for
            /// streams of tor.
            "SESSION_GROUP" => session_group: Option<i64> = number();
            /// Returns the fields by which tor isolates the stream from others.
            "ISO_FIELDS" => iso_fields: Vec<IsoField> = list(IsoField::from_bytes);
        });
    };
}
pub(crate) use stream_keywords;

typed_event!(StreamEvent, Stream: Stream);
stream_keywords!(event_keywords!(StreamEvent, words 5 + 0, stored []));

impl StreamEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(StreamId::from_bytes) else {
            return Err((text, "a stream id"));
        };
        if fields.word_unless_keyword().is_none() {
            return Err((text, "the status of the stream"));
        }
        let Some(circuit) = fields.word().and_then(CircuitId::from_bytes) else {
            return Err((text, "a circuit id"));
        };
        // An application may request any name, also one with the syntax of a keyword.
        if fields.word().is_none() {
            return Err((text, "the target of the stream"));
        }
        let circuit = Some(circuit).filter(|circuit| circuit.as_str() != "0");
        Ok(Self { id, circuit, text })
    }

    /// Returns the identifier of the stream.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the new status of the stream.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        StreamStatus::from_bytes(word(&self.text, 2))
    }

    /// Returns the circuit to which the stream is attached.
    #[must_use]
    pub fn circuit(&self) -> Option<CircuitId> {
        self.circuit
    }

    /// Returns the target of the stream.
    #[must_use]
    pub fn target(&self) -> Target {
        target_word(&self.text)
    }
}

/// Returns the target of a `STREAM` event.
pub(crate) fn target_word(text: &EventText) -> Target {
    Target::from_bytes(word(text, 4))
}
