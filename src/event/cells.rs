//! Cells of circuits.

use std::time::Duration;

use crate::event::EventText;
use crate::event::keyword::{Keyword, event_keywords};
use crate::event::typed::typed_event;
use crate::names::{CircuitId, ConnectionId};

/// `CELL_STATS`: cells of a circuit since the last event of this circuit.
///
/// Only a tor with the option `TestingEnableCellStatsEvent`, in a test network, sends this.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"CELL_STATS ID=14 OutboundQueue=19403 OutboundConn=15 \
///              OutboundAdded=create_fast:1,relay_early:2 \
///              OutboundRemoved=create_fast:1,relay_early:2 OutboundTime=create_fast:0,relay_early:0";
/// let Event::CellStats(stats) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(stats.id(), Some(14.into()));
/// assert_eq!(stats.outbound().connection, Some(15.into()));
/// // This tor launched the circuit, so nothing is queued towards its start.
/// assert_eq!(stats.inbound().queue, None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CellStatsEvent {
    text: EventText,
}

/// The cell queue of one direction of a circuit.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"CELL_STATS ID=1 OutboundQueue=2930918688 OutboundConn=1 \
///              OutboundRemoved=relay:4,create_fast:1 OutboundTime=relay:0,create_fast:0";
/// let Event::CellStats(stats) = Event::parse(EventText::new(text)) else { panic!() };
/// let queue = stats.outbound();
/// assert_eq!(queue.removed.iter().map(|cells| cells.count).sum::<u64>(), 5);
/// assert!(queue.added.is_empty());
/// ```
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
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CELL_STATS ID=1 OutboundRemoved=relay:4,create_fast:1");
/// let Event::CellStats(stats) = Event::parse(text) else { panic!() };
/// let relay_cells = &stats.outbound().removed[0];
/// assert_eq!(relay_cells.cell_type, "relay");
/// assert_eq!(relay_cells.count, 4);
/// ```
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
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CELL_STATS ID=1 OutboundRemoved=relay:4 OutboundTime=relay:120");
/// let Event::CellStats(stats) = Event::parse(text) else { panic!() };
/// let queue = stats.outbound();
/// // 120 ms in all for four cells.
/// assert_eq!(queue.time[0].time / queue.removed[0].count as u32, Duration::from_millis(30));
/// ```
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
