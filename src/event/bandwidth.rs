//! Bandwidth.

use std::time::{Duration, SystemTime};

use crate::event::EventText;
use crate::event::keyword::{event_keywords, fields_after, find_each, flag, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{CircuitId, ConnectionId, ConnectionType, StreamId, TokenBucket};
use crate::wire::fields::{Fields, Value, read_number};
use crate::wire::timestamp::read_time;

/// `BW`: how many bytes tor read and wrote in the last second.
///
/// # Examples
///
/// ```no_run
/// use torcon::event::BwEvent;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// controller.on(|bw: &BwEvent| {
///     println!("{} B/s read, {} B/s written", bw.bytes_read(), bw.bytes_written());
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BwEvent {
    bytes_read: u64,
    bytes_written: u64,
    text: EventText,
}

typed_event!(BwEvent, Bw: Bw);
event_keywords!(BwEvent, words 3 + 0, stored [] {});

impl BwEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut number = || fields.word().and_then(read_number);
        let Some(bytes_read) = number() else { return Err((text, "the number of bytes read")) };
        let Some(bytes_written) = number() else {
            return Err((text, "the number of bytes written"));
        };
        Ok(Self { bytes_read, bytes_written, text })
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns the number of bytes written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }
}

/// `STREAM_BW`: bytes of an application's stream since the last event of this stream.
///
/// tor sends it about once a second for each stream with traffic, and when a stream ends.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"STREAM_BW 5 168 0 2026-11-23T09:26:15.608570");
/// let Event::StreamBw(bw) = Event::parse(text) else { panic!() };
/// assert_eq!(bw.id(), 5.into());
/// // tor sends the bytes that the application wrote first.
/// assert_eq!((bw.bytes_written(), bw.bytes_read()), (168, 0));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StreamBwEvent {
    id: StreamId,
    bytes_written: u64,
    bytes_read: u64,
    text: EventText,
}

typed_event!(StreamBwEvent, StreamBw: StreamBw);
event_keywords!(StreamBwEvent, words 4 + 1, stored [] {});

impl StreamBwEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(id) = fields.word().and_then(StreamId::from_bytes) else {
            return Err((text, "a stream id"));
        };
        let mut number = || fields.word().and_then(read_number);
        let Some(bytes_written) = number() else {
            return Err((text, "the number of bytes written"));
        };
        let Some(bytes_read) = number() else { return Err((text, "the number of bytes read")) };
        Ok(Self { id, bytes_written, bytes_read, text })
    }

    /// Returns the identifier of the stream.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the number of bytes that the application wrote, which tor read.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Returns the number of bytes that the application read, which tor wrote.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns when tor created the event.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        fields_after(&self.text, 4, 0).word_unless_keyword().and_then(read_time)
    }
}

/// `CIRC_BW`: bytes of a circuit since the last event of this circuit.
///
/// tor sends it about once a second for each of its circuits with traffic. Delivered and overhead
/// bytes are less than all bytes read or written: the rest is cell headers, and cells that tor
/// ignored or rejected.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"CIRC_BW ID=3 READ=1527 WRITTEN=2036 TIME=2026-11-23T09:26:17.513653 \
///              DELIVERED_READ=187 OVERHEAD_READ=1307 DELIVERED_WRITTEN=384 OVERHEAD_WRITTEN=1608 \
///              SS=1 CWND=124 RTT=0 MIN_RTT=0";
/// let Event::CircBw(bw) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!((bw.bytes_read(), bw.delivered_read()), (1527, Some(187)));
/// assert_eq!((bw.slow_start(), bw.congestion_window()), (Some(true), Some(124)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CircBwEvent {
    id: CircuitId,
    bytes_read: u64,
    bytes_written: u64,
    text: EventText,
}

typed_event!(CircBwEvent, CircBw: CircBw);
event_keywords!(CircBwEvent, words 1 + 0, stored ["ID", "READ", "WRITTEN"] {
    /// Returns when tor created the event.
    "TIME" => time: Option<SystemTime> = time();
    /// Returns the bytes read that were data.
    "DELIVERED_READ" => delivered_read: Option<u64> = number();
    /// Returns the unused bytes in the cells that were read.
    "OVERHEAD_READ" => overhead_read: Option<u64> = number();
    /// Returns the bytes written that were data.
    "DELIVERED_WRITTEN" => delivered_written: Option<u64> = number();
    /// Returns the unused bytes in the cells that were written.
    "OVERHEAD_WRITTEN" => overhead_written: Option<u64> = number();
    /// Returns whether congestion control is in slow start. tor sends this field and the three
    /// after it if the last hop takes part in congestion control.
    #[doc(alias = "SS")]
    "SS" => slow_start: Option<bool> = try_word(flag([b"1", b"0"]));
    /// Returns the congestion window in cells.
    #[doc(alias = "CWND")]
    "CWND" => congestion_window: Option<u64> = number();
    /// Returns the present round-trip time to the last hop.
    "RTT" => rtt: Option<Duration> = milliseconds();
    /// Returns the lowest round-trip time to the last hop so far.
    "MIN_RTT" => min_rtt: Option<Duration> = milliseconds();
});

impl CircBwEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let [id, read, written] = find_each(fields_after(&text, 1, 0), ["ID", "READ", "WRITTEN"]);
        let Some(id) = id.and_then(|id| CircuitId::from_bytes(id.inside())) else {
            return Err((text, "ID with a circuit id"));
        };
        let Some(bytes_read) = read.and_then(Value::number) else {
            return Err((text, "READ with a number of bytes"));
        };
        let Some(bytes_written) = written.and_then(Value::number) else {
            return Err((text, "WRITTEN with a number of bytes"));
        };
        Ok(Self { id, bytes_read, bytes_written, text })
    }

    /// Returns the identifier of the circuit.
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.id
    }

    /// Returns the number of bytes read, relay cell headers included.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns the number of bytes written, relay cell headers included.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }
}

/// `CONN_BW`: bytes of a connection since the last event of this connection.
///
/// Only a tor with the option `TestingEnableConnBwEvent`, in a test network, sends this.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::ConnectionType;
///
/// let text = EventText::new(b"CONN_BW ID=6 TYPE=OR READ=13140 WRITTEN=3780");
/// let Event::ConnBw(bw) = Event::parse(text) else { panic!() };
/// assert_eq!((bw.id(), bw.connection_type()), (6.into(), ConnectionType::Or));
/// assert_eq!((bw.bytes_read(), bw.bytes_written()), (13140, 3780));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnBwEvent {
    id: ConnectionId,
    connection_type: ConnectionType,
    bytes_read: u64,
    bytes_written: u64,
    text: EventText,
}

typed_event!(ConnBwEvent, ConnBw: ConnBw);
event_keywords!(ConnBwEvent, words 1 + 0, stored ["ID", "TYPE", "READ", "WRITTEN"] {});

impl ConnBwEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let keys = ["ID", "TYPE", "READ", "WRITTEN"];
        let [id, connection_type, read, written] = find_each(fields_after(&text, 1, 0), keys);
        let Some(id) = id.and_then(|id| ConnectionId::from_bytes(id.inside())) else {
            return Err((text, "ID with a connection id"));
        };
        let Some(connection_type) = connection_type else {
            return Err((text, "TYPE with the type of the connection"));
        };
        let connection_type = ConnectionType::from_bytes(connection_type.inside());
        let Some(bytes_read) = read.and_then(Value::number) else {
            return Err((text, "READ with a number of bytes"));
        };
        let Some(bytes_written) = written.and_then(Value::number) else {
            return Err((text, "WRITTEN with a number of bytes"));
        };
        Ok(Self { id, connection_type, bytes_read, bytes_written, text })
    }

    /// Returns the identifier of the connection.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Returns the type of the connection.
    #[doc(alias = "TYPE")]
    #[must_use]
    pub fn connection_type(&self) -> ConnectionType {
        self.connection_type.clone()
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns the number of bytes written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }
}

/// `TB_EMPTY`: a token bucket was empty, and was refilled.
///
/// tor 0.4.9 does not offer this event; older ones sent it in test networks.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use torcon::event::{Event, EventText};
/// use torcon::names::TokenBucket;
///
/// let text = EventText::new(b"TB_EMPTY GLOBAL READ=93 WRITTEN=93 LAST=100");
/// let Event::TbEmpty(empty) = Event::parse(text) else { panic!() };
/// assert_eq!(empty.bucket(), TokenBucket::Global);
/// assert_eq!(empty.read_bucket_empty(), Duration::from_millis(93));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TbEmptyEvent {
    read_bucket_empty: Duration,
    write_bucket_empty: Duration,
    last_refill: Duration,
    text: EventText,
}

typed_event!(TbEmptyEvent, TbEmpty: TbEmpty);
event_keywords!(TbEmptyEvent, words 2 + 0, stored ["READ", "WRITTEN", "LAST"] {
    /// Returns the identifier of the connection, if the bucket is that of one connection.
    "ID" => id: Option<ConnectionId> = try_word(ConnectionId::from_bytes);
});

impl TbEmptyEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = fields_after(&text, 1, 0);
        if fields.word_unless_keyword().is_none() {
            return Err((text, "the name of a token bucket"));
        }
        let milliseconds = |value: Value<'_>| value.number().map(Duration::from_millis);
        let [read, written, last] = find_each(fields, ["READ", "WRITTEN", "LAST"])
            .map(|value| value.and_then(milliseconds));
        let Some(read_bucket_empty) = read else { return Err((text, "READ with milliseconds")) };
        let Some(write_bucket_empty) = written else {
            return Err((text, "WRITTEN with milliseconds"));
        };
        let Some(last_refill) = last else { return Err((text, "LAST with milliseconds")) };
        Ok(Self { read_bucket_empty, write_bucket_empty, last_refill, text })
    }

    /// Returns the token bucket.
    #[must_use]
    pub fn bucket(&self) -> TokenBucket {
        TokenBucket::from_bytes(word(&self.text, 1))
    }

    /// Returns how long the read bucket was empty.
    #[doc(alias = "READ")]
    #[must_use]
    pub fn read_bucket_empty(&self) -> Duration {
        self.read_bucket_empty
    }

    /// Returns how long the write bucket was empty.
    #[doc(alias = "WRITTEN")]
    #[must_use]
    pub fn write_bucket_empty(&self) -> Duration {
        self.write_bucket_empty
    }

    /// Returns the time since the bucket was last refilled.
    #[doc(alias = "LAST")]
    #[must_use]
    pub fn last_refill(&self) -> Duration {
        self.last_refill
    }
}
