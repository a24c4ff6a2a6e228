//! Circuits.

use std::time::{Duration, SystemTime};

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{
    BuildFlag, CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, HsState, RelaySpec,
};
use crate::wire::fields::{Fields, Value, read_number, split_list};
use crate::wire::timestamp::read_time;

/// `CIRC`: a circuit changed its state.
///
/// A circuit may be first seen as closed, and may be built more than once, when it is extended.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{CircuitPurpose, CircuitStatus};
///
/// let text = b"CIRC 5 EXTENDED $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~guard PURPOSE=GENERAL";
/// let Event::Circ(circ) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(circ.id, 5.into());
/// assert_eq!(circ.status, CircuitStatus::Extended);
/// assert_eq!(circ.path.len(), 1);
/// assert_eq!(circ.purpose, Some(CircuitPurpose::General));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircEvent {
    /// The circuit.
    pub id: CircuitId,
    /// Its new state.
    pub status: CircuitStatus,
    /// The relays that are part of it by now, first the guard; empty before the first is.
    pub path: Vec<RelaySpec>,
    /// The demands that tor made when it began the circuit; none for one of a controller.
    pub build_flags: Vec<BuildFlag>,
    /// What tor uses it for.
    pub purpose: Option<CircuitPurpose>,
    /// How far a circuit of an onion service, or to one, has come.
    pub hs_state: Option<HsState>,
    /// The onion service, without `.onion`.
    pub rend_query: Option<EventText>,
    /// When it was begun, or was first used for its purpose.
    pub time_created: Option<SystemTime>,
    /// Why it ended.
    pub reason: Option<CircuitReason>,
    /// The reason that its last hop gave, if the reason is that this hop ended it.
    pub remote_reason: Option<CircuitReason>,
    /// The user name of the SOCKS requests for which it is kept apart from others.
    pub socks_username: Option<EventText>,
    /// The password of the SOCKS requests for which it is kept apart from others.
    pub socks_password: Option<EventText>,
    /// The proof of work with which a client came, or with which we go, to an onion service.
    pub hs_pow: Option<HsPow>,
    /// What the legs of a pair that shares its traffic have in common.
    pub conflux_id: Option<EventText>,
    /// How long a message takes to go to the end of the pair and back, on this leg.
    pub conflux_rtt: Option<Duration>,
    text: EventText,
}

/// The proof of work of a circuit of an onion service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsPow {
    /// The kind of work, such as `v1`.
    pub scheme: EventText,
    /// How much work it was.
    pub effort: u64,
}

typed_event!(
    CircEvent, Circ: Circ;
    words 3 + 1,
    keywords [
        "BUILD_FLAGS",
        "PURPOSE",
        "HS_STATE",
        "REND_QUERY",
        "TIME_CREATED",
        "REASON",
        "REMOTE_REASON",
        "SOCKS_USERNAME",
        "SOCKS_PASSWORD",
        "HS_POW",
        "CONFLUX_ID",
        "CONFLUX_RTT",
    ]
);

/// Sets the property of a circuit that a keyword tells, which `CIRC` and `CIRC_MINOR` have in
/// common; no other keyword changes anything.
macro_rules! set_property {
    ($event:expr, $text:expr, $key:expr, $value:expr) => {
        match $key {
            b"BUILD_FLAGS" => {
                $event.build_flags = $value.list().map(BuildFlag::from_bytes).collect();
            }
            b"PURPOSE" => $event.purpose = Some(CircuitPurpose::from_bytes($value.inside())),
            b"HS_STATE" => $event.hs_state = Some(HsState::from_bytes($value.inside())),
            b"REND_QUERY" => $event.rend_query = Some($text.value($value.bytes())),
            b"TIME_CREATED" => $event.time_created = read_time($value.inside()),
            b"SOCKS_USERNAME" => {
                $event.socks_username = Some($text.value($value.bytes()).into_secret());
            }
            b"SOCKS_PASSWORD" => {
                $event.socks_password = Some($text.value($value.bytes()).into_secret());
            }
            b"HS_POW" => $event.hs_pow = read_hs_pow($text, $value.inside()).map(Into::into),
            b"CONFLUX_ID" => $event.conflux_id = Some($text.value($value.bytes())),
            b"CONFLUX_RTT" => $event.conflux_rtt = $value.number().map(Duration::from_micros),
            _ => {}
        }
    };
}
pub(super) use set_property;

impl CircEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(CircuitId::from_bytes) else {
            return Err((text, "a circuit id"));
        };
        let Some(status) = fields.word_unless_keyword() else {
            return Err((text, "the state of the circuit"));
        };
        let mut event = Self {
            id,
            status: CircuitStatus::from_bytes(status),
            path: fields.word_unless_keyword().map(read_path).unwrap_or_default(),
            build_flags: Vec::new(),
            purpose: None,
            hs_state: None,
            rend_query: None,
            time_created: None,
            reason: None,
            remote_reason: None,
            socks_username: None,
            socks_password: None,
            hs_pow: None,
            conflux_id: None,
            conflux_rtt: None,
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
            b"REASON" => self.reason = Some(CircuitReason::from_bytes(value.inside())),
            b"REMOTE_REASON" => {
                self.remote_reason = Some(CircuitReason::from_bytes(value.inside()));
            }
            _ => set_property!(self, text, key, value),
        }
    }
}

pub(super) fn read_path(path: &[u8]) -> Vec<RelaySpec> {
    const FINGERPRINT: usize = 41;
    // Memory is asked for once if every relay has its fingerprint, as tor's have.
    let mut relays = Vec::with_capacity(path.len() / FINGERPRINT + 1);
    for relay in split_list(path) {
        relays.push(RelaySpec::from_bytes(relay));
    }
    relays
}

pub(super) fn read_hs_pow(text: &EventText, value: &[u8]) -> Option<HsPow> {
    let (scheme, effort) = value.split_at_checked(memchr::memchr(b',', value)?)?;
    let effort = read_number(effort.strip_prefix(b",")?)?;
    Some(HsPow { scheme: text.part(scheme), effort })
}
