//! Bytes that went through tor.

use std::time::{Duration, SystemTime};

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::{CircuitId, ConnectionId, ConnectionType, StreamId, TokenBucket};
use crate::wire::fields::{Fields, Value, read_number};
use crate::wire::timestamp::read_time;

/// `BW`: how many bytes tor read and wrote in the last second.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BwEvent {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    text: EventText,
}

typed_event!(BwEvent, Bw: Bw; words 3 + 0, keywords []);

impl BwEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut number = || fields.word().and_then(read_number);
        let Some(read) = number() else { return Err((text, "the number of bytes read")) };
        let Some(written) = number() else { return Err((text, "the number of bytes written")) };
        Ok(Self { read, written, text })
    }
}

/// `STREAM_BW`: bytes of a stream of an application since the last event of this stream.
///
/// Comes about once a second for each stream that carried something, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamBwEvent {
    /// The stream.
    pub id: StreamId,
    /// Bytes that the application wrote, which tor read.
    pub written: u64,
    /// Bytes that the application read, which tor wrote.
    pub read: u64,
    /// When tor made the event.
    pub time: Option<SystemTime>,
    text: EventText,
}

typed_event!(StreamBwEvent, StreamBw: StreamBw; words 4 + 1, keywords []);

impl StreamBwEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(StreamId::from_bytes) else {
            return Err((text, "a stream id"));
        };
        let mut number = || fields.word().and_then(read_number);
        let Some(written) = number() else { return Err((text, "the number of bytes written")) };
        let Some(read) = number() else { return Err((text, "the number of bytes read")) };
        let time = fields.word_unless_keyword().and_then(read_time);
        Ok(Self { id, written, read, time, text })
    }
}

/// `CIRC_BW`: bytes of a circuit since the last event of this circuit.
///
/// Comes about once a second for each circuit of this tor that carried something. What was
/// delivered and what was overhead is less than all that was read or written: the rest is
/// headers, and what tor ignored or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircBwEvent {
    /// The circuit.
    pub id: CircuitId,
    /// Bytes read, with the headers of the relay protocol.
    pub read: u64,
    /// Bytes written, with the headers of the relay protocol.
    pub written: u64,
    /// When tor made the event.
    pub time: Option<SystemTime>,
    /// Bytes read that were data.
    pub delivered_read: Option<u64>,
    /// Bytes read that only filled cells up.
    pub overhead_read: Option<u64>,
    /// Bytes written that were data.
    pub delivered_written: Option<u64>,
    /// Bytes written that only filled cells up.
    pub overhead_written: Option<u64>,
    /// Whether congestion control still looks for the capacity of the circuit (`SS`, slow
    /// start). This field and the three after it are there if the last hop takes part in
    /// congestion control.
    #[doc(alias = "SS")]
    pub slow_start: Option<bool>,
    /// How many cells may be on their way to the last hop (`CWND`, congestion window).
    #[doc(alias = "CWND")]
    pub congestion_window: Option<u64>,
    /// How long a cell takes to the last hop and back at present.
    pub rtt: Option<Duration>,
    /// How long a cell took to the last hop and back at best.
    pub min_rtt: Option<Duration>,
    text: EventText,
}

typed_event!(
    CircBwEvent, CircBw: CircBw;
    words 1 + 0,
    keywords [
        "ID",
        "READ",
        "WRITTEN",
        "TIME",
        "DELIVERED_READ",
        "OVERHEAD_READ",
        "DELIVERED_WRITTEN",
        "OVERHEAD_WRITTEN",
        "SS",
        "CWND",
        "RTT",
        "MIN_RTT",
    ]
);

impl CircBwEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut id = None;
        let mut read = None;
        let mut written = None;
        let mut time = None;
        let mut delivered_read = None;
        let mut overhead_read = None;
        let mut delivered_written = None;
        let mut overhead_written = None;
        let mut slow_start = None;
        let mut congestion_window = None;
        let mut rtt = None;
        let mut min_rtt = None;
        for field in fields {
            let value = field.value;
            match field.key {
                b"ID" => id = CircuitId::from_bytes(value.inside()),
                b"READ" => read = value.number(),
                b"WRITTEN" => written = value.number(),
                b"TIME" => time = read_time(value.inside()),
                b"DELIVERED_READ" => delivered_read = value.number(),
                b"OVERHEAD_READ" => overhead_read = value.number(),
                b"DELIVERED_WRITTEN" => delivered_written = value.number(),
                b"OVERHEAD_WRITTEN" => overhead_written = value.number(),
                b"SS" => slow_start = read_flag(value.inside()),
                b"CWND" => congestion_window = value.number(),
                b"RTT" => rtt = milliseconds(value),
                b"MIN_RTT" => min_rtt = milliseconds(value),
                _ => {}
            }
        }
        let Some(id) = id else { return Err((text, "ID with a circuit id")) };
        let Some(read) = read else { return Err((text, "READ with a number of bytes")) };
        let Some(written) = written else { return Err((text, "WRITTEN with a number of bytes")) };
        Ok(Self {
            id,
            read,
            written,
            time,
            delivered_read,
            overhead_read,
            delivered_written,
            overhead_written,
            slow_start,
            congestion_window,
            rtt,
            min_rtt,
            text,
        })
    }
}

/// `CONN_BW`: bytes of a connection since the last event of this connection.
///
/// Only a tor with the option `TestingEnableConnBwEvent`, in a test network, sends this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnBwEvent {
    /// The connection.
    pub id: ConnectionId,
    /// What it is for.
    #[doc(alias = "TYPE")]
    pub connection_type: ConnectionType,
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    text: EventText,
}

typed_event!(
    ConnBwEvent, ConnBw: ConnBw;
    words 1 + 0,
    keywords ["ID", "TYPE", "READ", "WRITTEN"]
);

impl ConnBwEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let (mut id, mut connection_type, mut read, mut written) = (None, None, None, None);
        for field in fields {
            let value = field.value;
            match field.key {
                b"ID" => id = ConnectionId::from_bytes(value.inside()),
                b"TYPE" => connection_type = Some(ConnectionType::from_bytes(value.inside())),
                b"READ" => read = value.number(),
                b"WRITTEN" => written = value.number(),
                _ => {}
            }
        }
        let Some(id) = id else { return Err((text, "ID with a connection id")) };
        let Some(connection_type) = connection_type else {
            return Err((text, "TYPE with what the connection is for"));
        };
        let Some(read) = read else { return Err((text, "READ with a number of bytes")) };
        let Some(written) = written else { return Err((text, "WRITTEN with a number of bytes")) };
        Ok(Self { id, connection_type, read, written, text })
    }
}

/// `TB_EMPTY`: an allowance of bytes had been used up, and was filled again.
///
/// tor 0.4.9 does not offer this event; older ones sent it in test networks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TbEmptyEvent {
    /// The allowance.
    pub bucket: TokenBucket,
    /// The connection, if the allowance is that of one.
    pub id: Option<ConnectionId>,
    /// How long nothing could be read since it was last filled.
    pub read: Duration,
    /// How long nothing could be written since it was last filled.
    pub written: Duration,
    /// How long ago it was last filled.
    pub last: Duration,
    text: EventText,
}

typed_event!(
    TbEmptyEvent, TbEmpty: TbEmpty;
    words 2 + 0,
    keywords ["ID", "READ", "WRITTEN", "LAST"]
);

impl TbEmptyEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(bucket) = fields.word_unless_keyword().map(TokenBucket::from_bytes) else {
            return Err((text, "the name of an allowance"));
        };
        let (mut id, mut read, mut written, mut last) = (None, None, None, None);
        for field in fields {
            let value = field.value;
            match field.key {
                b"ID" => id = ConnectionId::from_bytes(value.inside()),
                b"READ" => read = milliseconds(value),
                b"WRITTEN" => written = milliseconds(value),
                b"LAST" => last = milliseconds(value),
                _ => {}
            }
        }
        let Some(read) = read else { return Err((text, "READ with milliseconds")) };
        let Some(written) = written else { return Err((text, "WRITTEN with milliseconds")) };
        let Some(last) = last else { return Err((text, "LAST with milliseconds")) };
        Ok(Self { bucket, id, read, written, last, text })
    }
}

fn milliseconds(value: Value<'_>) -> Option<Duration> {
    value.number().map(Duration::from_millis)
}

fn read_flag(value: &[u8]) -> Option<bool> {
    match value {
        b"1" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}
