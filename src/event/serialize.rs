//! `Serialize` of events (Cargo feature `serde`).
//!
//! An event is a map: `kind`, `text` without known secrets, then the value of each method that reads
//! a field, under the name of the method.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::fields::for_each_event;
use super::{
    AddrMapEvent, BuildTimeoutSetEvent, BwEvent, CellStatsEvent, CircBwEvent, CircEvent,
    CircMinorEvent, ClientsSeenEvent, ConfChangedEvent, ConnBwEvent, Decimal, DescChangedEvent,
    Event, EventKind, EventText, GuardEvent, HsDescContentEvent, HsDescEvent, LogEvent,
    NetworkLivenessEvent, NewConsensusEvent, NewDescEvent, NsEvent, OrConnEvent, OtherEvent,
    PtLogEvent, PtStatusEvent, SignalEvent, StatusEvent, StreamBwEvent, StreamEvent, TbEmptyEvent,
    TransportLaunchedEvent,
};

/// Serializes the text without known secrets; bytes that are not UTF-8 are replaced.
impl Serialize for EventText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_redacted())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

macro_rules! serialize_events {
    ($( $variant:ident($type:ty) { $($field:ident)* } [$($list:ident)*] )*) => {
        $(
            /// Serializes the kind, the text and the fields.
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut map = serializer.serialize_map(None)?;
                    map.serialize_entry("kind", &EventKind::from_bytes(self.text().keyword()))?;
                    map.serialize_entry("text", self.text())?;
                    $( map.serialize_entry(stringify!($field), &self.$field())?; )*
                    $(
                        let list: Vec<_> = self.$list().collect();
                        map.serialize_entry(stringify!($list), &list)?;
                    )*
                    map.end()
                }
            }
        )*

        /// Serializes the map of the event's type. An event without type has `kind` and `text`, a
        /// malformed one also `malformed` with the reason; [`Event::Lagged`] has `dropped`, and
        /// [`Event::Reconnected`] `gap`, with the kind `null`.
        impl Serialize for Event {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = match self {
                    $( Self::$variant(event) => return event.serialize(serializer), )*
                    Self::Other(event) => return event.serialize(serializer),
                    _ => serializer.serialize_map(None)?,
                };
                map.serialize_entry("kind", &self.kind())?;
                if let Some(text) = self.text() {
                    map.serialize_entry("text", text)?;
                }
                match self {
                    Self::Malformed { reason, .. } => {
                        map.serialize_entry("malformed", &reason.to_string())?;
                    }
                    Self::Lagged { dropped } => map.serialize_entry("dropped", dropped)?,
                    Self::Reconnected { gap } => map.serialize_entry("gap", gap)?,
                    _ => {}
                }
                map.end()
            }
        }
    };
}

for_each_event!(serialize_events);

impl Serialize for OtherEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind)?;
        map.serialize_entry("text", self.text())?;
        map.end()
    }
}
