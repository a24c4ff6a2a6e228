//! Guards and the network behind them.

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{GuardStatus, GuardType, NetworkLiveness, RelaySpec};
use crate::wire::fields::Fields;

/// `GUARD`: the set of guards, or what tor knows of one, has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardEvent {
    /// What the guard is for.
    #[doc(alias = "Type")]
    pub guard_type: GuardType,
    /// The relay.
    #[doc(alias = "Name")]
    pub relay: RelaySpec,
    /// What has happened to it.
    pub status: GuardStatus,
    text: EventText,
}

typed_event!(GuardEvent, Guard: Guard; words 4 + 0, keywords []);

impl GuardEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(guard_type) = fields.word_unless_keyword().map(GuardType::from_bytes) else {
            return Err((text, "what the guard is for"));
        };
        let Some(relay) = fields.word_unless_keyword().map(RelaySpec::from_bytes) else {
            return Err((text, "a relay"));
        };
        let Some(status) = fields.word_unless_keyword().map(GuardStatus::from_bytes) else {
            return Err((text, "what happened to the guard"));
        };
        Ok(Self { guard_type, relay, status, text })
    }
}

/// `NETWORK_LIVENESS`: the network can be reached, or no longer, as far as tor can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkLivenessEvent {
    /// Whether it can be reached.
    pub status: NetworkLiveness,
    text: EventText,
}

typed_event!(NetworkLivenessEvent, NetworkLiveness: NetworkLiveness; words 2 + 0, keywords []);

impl NetworkLivenessEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(status) = fields.word_unless_keyword().map(NetworkLiveness::from_bytes) else {
            return Err((text, "whether the network can be reached"));
        };
        Ok(Self { status, text })
    }
}
