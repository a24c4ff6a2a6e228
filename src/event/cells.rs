//! Cells of circuits.

use std::time::Duration;

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{CircuitId, ConnectionId};
use crate::wire::fields::{Fields, Value, read_number};

/// `CELL_STATS`: cells of a circuit since the last event of this circuit.
///
/// Only a tor with the option `TestingEnableCellStatsEvent`, in a test network, sends this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellStatsEvent {
    /// The circuit, if this tor began it.
    pub id: Option<CircuitId>,
    /// Cells to where the circuit was begun.
    pub inbound: CellQueue,
    /// Cells away from where the circuit was begun.
    pub outbound: CellQueue,
    text: EventText,
}

/// Cells that wait to be sent in one direction of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellQueue {
    /// The number of the circuit on its connection; none if the circuit ends here.
    pub queue: Option<u64>,
    /// The connection that carries the cells; none if the circuit ends here.
    pub connection: Option<ConnectionId>,
    /// How many cells began to wait.
    pub added: Vec<CellCount>,
    /// How many cells were sent.
    pub removed: Vec<CellCount>,
    /// How long the cells that were sent had waited, all together.
    pub time: Vec<CellTime>,
}

/// How many cells of a type there were.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellCount {
    /// The type, such as `relay_early`.
    pub cell_type: EventText,
    /// The number of cells.
    pub count: u64,
}

/// How long cells of a type had waited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellTime {
    /// The type, such as `relay_early`.
    pub cell_type: EventText,
    /// The time of all of them together.
    pub time: Duration,
}

typed_event!(
    CellStatsEvent, CellStats: CellStats;
    words 1 + 0,
    keywords [
        "ID",
        "InboundQueue",
        "InboundConn",
        "InboundAdded",
        "InboundRemoved",
        "InboundTime",
        "OutboundQueue",
        "OutboundConn",
        "OutboundAdded",
        "OutboundRemoved",
        "OutboundTime",
    ]
);

impl CellStatsEvent {
    pub(crate) fn read(text: EventText) -> Self {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut id = None;
        let mut inbound = CellQueue::default();
        let mut outbound = CellQueue::default();
        for field in fields {
            if field.key == b"ID" {
                id = CircuitId::from_bytes(field.value.inside());
            } else if let Some(key) = field.key.strip_prefix(b"Inbound") {
                inbound.set(&text, key, field.value);
            } else if let Some(key) = field.key.strip_prefix(b"Outbound") {
                outbound.set(&text, key, field.value);
            }
        }
        Self { id, inbound, outbound, text }
    }
}

impl CellQueue {
    fn set(&mut self, text: &EventText, key: &[u8], value: Value<'_>) {
        match key {
            b"Queue" => self.queue = value.number(),
            b"Conn" => self.connection = ConnectionId::from_bytes(value.inside()),
            b"Added" => self.added = read_counts(text, value),
            b"Removed" => self.removed = read_counts(text, value),
            b"Time" => {
                let times = by_type(text, value).map(|(cell_type, time)| CellTime {
                    cell_type,
                    time: Duration::from_millis(time),
                });
                self.time = times.collect();
            }
            _ => {}
        }
    }
}

fn read_counts(text: &EventText, value: Value<'_>) -> Vec<CellCount> {
    by_type(text, value).map(|(cell_type, count)| CellCount { cell_type, count }).collect()
}

/// Reads `relay:4,create_fast:1`; what is not of this form is left out.
fn by_type(text: &EventText, value: Value<'_>) -> impl Iterator<Item = (EventText, u64)> {
    value.list().filter_map(|element| {
        let colon = memchr::memchr(b':', element)?;
        let (cell_type, number) = element.split_at_checked(colon)?;
        Some((text.part(cell_type), read_number(number.strip_prefix(b":")?)?))
    })
}
