//! Entry guards and network liveness.

use crate::event::EventText;
use crate::event::keyword::{event_keywords, require_words, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{GuardStatus, GuardType, NetworkLiveness, RelaySpec};

/// `GUARD`: the set of guards, or the status of a guard, changed.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{GuardStatus, GuardType};
///
/// let text = b"GUARD ENTRY $E194605ABC68F291ABC8E6732814854F41465325~test006r NEW";
/// let Event::Guard(guard) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(guard.guard_type(), GuardType::Entry);
/// assert_eq!(guard.relay().nickname().unwrap().as_str(), "test006r");
/// assert_eq!(guard.status(), GuardStatus::New);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct GuardEvent {
    text: EventText,
}

typed_event!(GuardEvent, Guard: Guard);
event_keywords!(GuardEvent, words 4 + 0, stored [] {});

impl GuardEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let expected = ["the type of the guard", "a relay", "the status of the guard"];
        require_words(text, &expected).map(|text| Self { text })
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

    /// Returns the status of the guard.
    #[must_use]
    pub fn status(&self) -> GuardStatus {
        GuardStatus::from_bytes(word(&self.text, 3))
    }
}

/// `NETWORK_LIVENESS`: tor found that the network is reachable, or no longer.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::NetworkLiveness;
///
/// let text = EventText::new(b"NETWORK_LIVENESS DOWN");
/// let Event::NetworkLiveness(liveness) = Event::parse(text) else { panic!() };
/// assert_eq!(liveness.status(), NetworkLiveness::Down);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkLivenessEvent {
    text: EventText,
}

typed_event!(NetworkLivenessEvent, NetworkLiveness: NetworkLiveness);
event_keywords!(NetworkLivenessEvent, words 2 + 0, stored [] {});

impl NetworkLivenessEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        require_words(text, &["the status of the network"]).map(|text| Self { text })
    }

    /// Returns whether the network is reachable.
    #[must_use]
    pub fn status(&self) -> NetworkLiveness {
        NetworkLiveness::from_bytes(word(&self.text, 1))
    }
}
