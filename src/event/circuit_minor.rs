//! Circuits that changed without a change of their state.

use std::time::{Duration, SystemTime};

use crate::event::circuit::{read_hs_pow, read_path, set_property};
use crate::event::typed::typed_event;
use crate::event::{EventText, HsPow};
use crate::names::{BuildFlag, CircuitChange, CircuitId, CircuitPurpose, HsState, RelaySpec};
use crate::wire::fields::{Fields, Value};
use crate::wire::timestamp::read_time;

/// `CIRC_MINOR`: a circuit changed, but its state did not.
///
/// The fields that a [`CircEvent`](crate::event::CircEvent) has too say what the circuit is now,
/// those whose names begin with `old` what it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircMinorEvent {
    /// The circuit.
    pub id: CircuitId,
    /// What has changed.
    pub change: CircuitChange,
    /// The relays that are part of it by now, first the guard.
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
    /// The user name of the SOCKS requests for which it is kept apart from others.
    pub socks_username: Option<EventText>,
    /// The password of the SOCKS requests for which it is kept apart from others.
    pub socks_password: Option<EventText>,
    /// The proof of work with which a client came, or with which we go, to an onion service.
    pub hs_pow: Option<Box<HsPow>>,
    /// What the legs of a pair that shares its traffic have in common.
    pub conflux_id: Option<EventText>,
    /// How long a message takes to go to the end of the pair and back, on this leg.
    pub conflux_rtt: Option<Duration>,
    /// What tor used it for before.
    pub old_purpose: Option<CircuitPurpose>,
    /// How far it had come before, if it was one of onion services.
    pub old_hs_state: Option<HsState>,
    /// When it was begun, if that was changed to the time when it was taken for something else.
    pub old_time_created: Option<SystemTime>,
    text: EventText,
}

typed_event!(
    CircMinorEvent, CircMinor: CircMinor;
    words 3 + 1,
    keywords [
        "BUILD_FLAGS",
        "PURPOSE",
        "HS_STATE",
        "REND_QUERY",
        "TIME_CREATED",
        "SOCKS_USERNAME",
        "SOCKS_PASSWORD",
        "HS_POW",
        "CONFLUX_ID",
        "CONFLUX_RTT",
        "OLD_PURPOSE",
        "OLD_HS_STATE",
        "OLD_TIME_CREATED",
    ]
);

impl CircMinorEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(CircuitId::from_bytes) else {
            return Err((text, "a circuit id"));
        };
        let Some(change) = fields.word_unless_keyword() else {
            return Err((text, "what has changed about the circuit"));
        };
        let mut event = Self {
            id,
            change: CircuitChange::from_bytes(change),
            path: fields.word_unless_keyword().map(read_path).unwrap_or_default(),
            build_flags: Vec::new(),
            purpose: None,
            hs_state: None,
            rend_query: None,
            time_created: None,
            socks_username: None,
            socks_password: None,
            hs_pow: None,
            conflux_id: None,
            conflux_rtt: None,
            old_purpose: None,
            old_hs_state: None,
            old_time_created: None,
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
            b"OLD_PURPOSE" => {
                self.old_purpose = Some(CircuitPurpose::from_bytes(value.inside()));
            }
            b"OLD_HS_STATE" => self.old_hs_state = Some(HsState::from_bytes(value.inside())),
            b"OLD_TIME_CREATED" => self.old_time_created = read_time(value.inside()),
            _ => set_property!(self, text, key, value),
        }
    }
}
