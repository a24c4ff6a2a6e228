//! Entry guards and network liveness.

use crate::event::EventText;
use crate::event::keyword::{event_keywords, fields_after, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{GuardStatus, GuardType, NetworkLiveness, RelaySpec};

/// `GUARD`: the set of guards, or the status of a guard, changed.
#[derive(Clone, PartialEq, Eq)]
pub struct GuardEvent {
    text: EventText,
}

typed_event!(GuardEvent, Guard: Guard);
event_keywords!(GuardEvent, words 4 + 0, stored [] {});

impl GuardEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = fields_after(&text, 1, 0);
        for expected in ["what the guard is for", "a relay", "what happened to the guard"] {
            if fields.word_unless_keyword().is_none() {
                return Err((text, expected));
            }
        }
        Ok(Self { text })
    }

    /// Returns the type of the guard.
    #[doc(alias = "Type")]
    #[must_use]
    pub fn guard_type(&self) -> GuardType {
        GuardType::from_bytes(word(&self.text, 1))
    }

    /// Returns the relay.
    #[doc(alias = "Name")]
    #[must_use]
    pub fn relay(&self) -> RelaySpec {
        RelaySpec::from_bytes(word(&self.text, 2))
    }

    /// Returns what happened to the guard.
    #[must_use]
    pub fn status(&self) -> GuardStatus {
        GuardStatus::from_bytes(word(&self.text, 3))
    }
}

/// `NETWORK_LIVENESS`: tor found that the network is reachable, or no longer.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkLivenessEvent {
    text: EventText,
}

typed_event!(NetworkLivenessEvent, NetworkLiveness: NetworkLiveness);
event_keywords!(NetworkLivenessEvent, words 2 + 0, stored [] {});

impl NetworkLivenessEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        match fields_after(&text, 1, 0).word_unless_keyword() {
            Some(_) => Ok(Self { text }),
            None => Err((text, "whether the network can be reached")),
        }
    }

    /// Returns whether the network is reachable.
    #[must_use]
    pub fn status(&self) -> NetworkLiveness {
        NetworkLiveness::from_bytes(word(&self.text, 1))
    }
}
