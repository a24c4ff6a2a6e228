//! Connections to relays and from other tors.

use std::fmt;

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{ConnectionId, OrConnReason, OrConnStatus, RelaySpec, Target};
use crate::wire::fields::Fields;

/// `ORCONN`: a connection to a relay, or from another tor, changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrConnEvent {
    /// The other side.
    pub peer: OrConnPeer,
    /// The new state.
    pub status: OrConnStatus,
    /// Why it ended.
    pub reason: Option<OrConnReason>,
    /// How many circuits it had.
    pub circuits: Option<u64>,
    /// The connection.
    pub id: Option<ConnectionId>,
    text: EventText,
}

/// The other side of a connection between tors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrConnPeer {
    /// A relay whose identity is known.
    Relay(RelaySpec),
    /// An address, behind which the identity is not known, or not yet.
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

typed_event!(
    OrConnEvent, OrConn: OrConn;
    words 3 + 0,
    keywords ["REASON", "NCIRCS", "ID"]
);

impl OrConnEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(peer) = fields.word_unless_keyword() else {
            return Err((text, "a relay or an address"));
        };
        let Some(status) = fields.word_unless_keyword() else {
            return Err((text, "the state of the connection"));
        };
        let mut event = Self {
            peer: OrConnPeer::read(peer),
            status: OrConnStatus::from_bytes(status),
            reason: None,
            circuits: None,
            id: None,
            text: EventText::default(),
        };
        for field in fields {
            let value = field.value;
            match field.key {
                b"REASON" => event.reason = Some(OrConnReason::from_bytes(value.inside())),
                b"NCIRCS" => event.circuits = value.number(),
                b"ID" => event.id = ConnectionId::from_bytes(value.inside()),
                _ => {}
            }
        }
        event.text = text;
        Ok(event)
    }
}
