//! Cells of circuits.

use std::time::Duration;

use crate::event::EventText;
use crate::event::keyword::{Keyword, event_keywords};
use crate::event::typed::typed_event;
use crate::names::{CircuitId, ConnectionId};

/// `CELL_STATS`: cells of a circuit since the last event of this circuit.
///
/// Only a tor with the option `TestingEnableCellStatsEvent`, in a test network, sends this.
#[derive(Clone, PartialEq, Eq)]
pub struct CellStatsEvent {
    text: EventText,
}

/// The cell queue of one direction of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CellQueue {
    /// The number of the circuit on its connection; `None` if the circuit ends here.
    pub queue: Option<u64>,
    /// The connection that carries the cells; `None` if the circuit ends here.
    pub connection: Option<ConnectionId>,
    /// Cells that were added to the queue, by type.
    pub added: Vec<CellCount>,
    /// Cells that were removed from the queue and sent, by type.
    pub removed: Vec<CellCount>,
    /// The total waiting time of the removed cells, by type.
    pub time: Vec<CellTime>,
}

/// The number of cells of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CellCount {
    /// The type, such as `relay_early`.
    pub cell_type: EventText,
    /// The number of cells.
    pub count: u64,
}

/// The waiting time of the cells of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CellTime {
    /// The type, such as `relay_early`.
    pub cell_type: EventText,
    /// The sum of the waiting times.
    pub time: Duration,
}

typed_event!(CellStatsEvent, CellStats: CellStats);
event_keywords!(
    CellStatsEvent, words 1 + 0,
    stored [
        "InboundQueue",
        "InboundConn",
        "InboundAdded",
        "InboundRemoved",
        "InboundTime",
        "OutboundQueue",
        "OutboundConn",
        "OutboundAdded",
        "OutboundRemoved",
        "OutboundTime"
    ] {
        /// Returns the identifier of the circuit, if this tor launched it.
        "ID" => id: Option<CircuitId> = try_word(CircuitId::from_bytes);
    }
);

impl CellStatsEvent {
    pub(crate) fn parse(text: EventText) -> Self {
        Self { text }
    }

    /// Returns the queue of the cells towards the start of the circuit.
    #[must_use]
    pub fn inbound(&self) -> CellQueue {
        CellQueue {
            queue: self.keyword("InboundQueue").number(),
            connection: self.keyword("InboundConn").try_word(ConnectionId::from_bytes),
            added: read_counts(self.keyword("InboundAdded")),
            removed: read_counts(self.keyword("InboundRemoved")),
            time: read_times(self.keyword("InboundTime")),
        }
    }

    /// Returns the queue of the cells away from the start of the circuit.
    #[must_use]
    pub fn outbound(&self) -> CellQueue {
        CellQueue {
            queue: self.keyword("OutboundQueue").number(),
            connection: self.keyword("OutboundConn").try_word(ConnectionId::from_bytes),
            added: read_counts(self.keyword("OutboundAdded")),
            removed: read_counts(self.keyword("OutboundRemoved")),
            time: read_times(self.keyword("OutboundTime")),
        }
    }
}

/// Reads `relay:4,create_fast:1`.
fn read_counts(keyword: Keyword<'_>) -> Vec<CellCount> {
    keyword.counts(b':', |cell_type, count| CellCount { cell_type, count })
}

/// Reads `relay:4,create_fast:1` as milliseconds.
fn read_times(keyword: Keyword<'_>) -> Vec<CellTime> {
    keyword.counts(b':', |cell_type, milliseconds| CellTime {
        cell_type,
        time: Duration::from_millis(milliseconds),
    })
}
