//! Connections to relays and from other tors.

use std::fmt;

use crate::event::EventText;
use crate::event::keyword::{event_keywords, require_words, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{ConnectionId, OrConnReason, OrConnStatus, RelaySpec, Target};

/// `ORCONN`: an OR connection changed its status.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{OrConnReason, OrConnStatus};
///
/// let text = b"ORCONN $D514DEE5CD26283F498AD3433026B60B37BE14EB~test008r CLOSED REASON=DONE ID=50";
/// let Event::OrConn(conn) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(conn.status(), OrConnStatus::Closed);
/// assert_eq!(conn.reason(), Some(OrConnReason::Done));
/// assert_eq!(conn.id(), Some(50.into()));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OrConnEvent {
    text: EventText,
}

/// The peer of an OR connection.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, OrConnPeer};
///
/// let peer = |text: &[u8]| match Event::parse(EventText::new(text)) {
///     Event::OrConn(conn) => conn.peer(),
///     other => panic!("{other}"),
/// };
/// let relay = peer(b"ORCONN $088A568DA6A493187FA94B71CB198E06F73D70F1 CONNECTED ID=6");
/// assert!(matches!(relay, OrConnPeer::Relay(_)));
/// // A connection to a relay whose fingerprint is not yet known.
/// assert!(matches!(peer(b"ORCONN 192.0.2.1:9001 NEW ID=7"), OrConnPeer::Address(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OrConnPeer {
    /// A relay whose identity is known.
    Relay(RelaySpec),
    /// An address whose identity is not known, or not yet.
    Address(Target),
}

impl OrConnPeer {
    fn read(peer: &[u8]) -> Self {
        if !peer.starts_with(b"$") && peer.contains(&b':') {
            return Self::Address(Target::from_bytes(peer));
        }
        Self::Relay(RelaySpec::from_bytes(peer))
    }
}

impl fmt::Display for OrConnPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(relay) => relay.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

typed_event!(OrConnEvent, OrConn: OrConn);
event_keywords!(OrConnEvent, words 3 + 0, stored [] {
    /// Returns why the connection was closed or failed.
    "REASON" => reason: Option<OrConnReason> = word(OrConnReason::from_bytes);
    /// Returns the number of circuits that the connection had.
    #[doc(alias = "NCIRCS")]
    "NCIRCS" => circuits: Option<u64> = number();
    /// Returns the identifier of the connection.
    "ID" => id: Option<ConnectionId> = try_word(ConnectionId::from_bytes);
});

impl OrConnEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let expected = ["a relay or an address", "the status of the connection"];
        require_words(text, &expected).map(|text| Self { text })
    }

    /// Returns the peer.
    #[must_use]
    pub fn peer(&self) -> OrConnPeer {
        OrConnPeer::read(word(&self.text, 1))
    }

    /// Returns the new status of the connection.
    #[must_use]
    pub fn status(&self) -> OrConnStatus {
        OrConnStatus::from_bytes(word(&self.text, 2))
    }
}
