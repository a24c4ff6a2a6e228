//! Bytes, cells and clients.

use std::time::Duration;

use super::{parse, text, time};
use crate::event::{CellQueue, Event, EventText};
use crate::names::{CircuitId, ConnectionType, TokenBucket};

#[test]
fn stream_bw_has_every_field() {
    // Recorded: an application sent 5019 bytes and received 5012.
    let line = "STREAM_BW 17 5019 5012 2026-11-23T09:27:52.640983";
    let stream_bw = parse_as!(StreamBw, line);
    assert_eq!(stream_bw.id(), 17.into());
    assert_eq!((stream_bw.bytes_written(), stream_bw.bytes_read()), (5019, 5012));
    assert_eq!(stream_bw.time(), Some(time(1_795_426_072, 640_983)));
    assert_eq!((stream_bw.extra().count(), stream_bw.text()), (0, &text(line)));
    // Before 0.3.2, tor sent no time.
    let old = parse_as!(StreamBw, "STREAM_BW 17 5019 5012 NEW=1");
    assert_eq!((old.time(), old.extra().map(|field| field.key).next()), (None, Some("NEW")));
}

#[test]
fn circ_bw_has_every_field() {
    // Recorded, but for the numbers of SS, RTT and MIN_RTT and the unknown field.
    let circ_bw = parse_as!(
        CircBw,
        "CIRC_BW ID=3 READ=1527 WRITTEN=2036 TIME=2026-11-23T09:26:17.513653 DELIVERED_READ=187 \
         OVERHEAD_READ=1307 DELIVERED_WRITTEN=384 OVERHEAD_WRITTEN=1608 SS=0 CWND=124 RTT=250 \
         MIN_RTT=180 NEW=\"a b\""
    );
    assert_eq!(circ_bw.id(), CircuitId::from(3));
    assert_eq!((circ_bw.bytes_read(), circ_bw.bytes_written()), (1527, 2036));
    assert_eq!(circ_bw.time(), Some(time(1_795_425_977, 513_653)));
    assert_eq!((circ_bw.delivered_read(), circ_bw.overhead_read()), (Some(187), Some(1307)));
    assert_eq!((circ_bw.delivered_written(), circ_bw.overhead_written()), (Some(384), Some(1608)));
    assert_eq!((circ_bw.slow_start(), circ_bw.congestion_window()), (Some(false), Some(124)));
    assert_eq!(circ_bw.rtt(), Some(Duration::from_millis(250)));
    assert_eq!(circ_bw.min_rtt(), Some(Duration::from_millis(180)));
    let extra: Vec<_> = circ_bw.extra().collect();
    assert_eq!((extra.len(), extra[0].key, &*extra[0].value), (1, "NEW", &b"a b"[..]));
}

#[test]
fn circ_bw_has_the_fields_of_congestion_control() {
    // Recorded.
    let with = parse_as!(
        CircBw,
        "CIRC_BW ID=4 READ=1527 WRITTEN=2036 TIME=2026-11-23T09:26:17.513662 DELIVERED_READ=187 \
         OVERHEAD_READ=1307 DELIVERED_WRITTEN=384 OVERHEAD_WRITTEN=1608 SS=1 CWND=124 RTT=0 \
         MIN_RTT=0"
    );
    assert_eq!((with.slow_start(), with.rtt()), (Some(true), Some(Duration::ZERO)));
    let without = parse_as!(
        CircBw,
        "CIRC_BW ID=1 READ=10180 WRITTEN=2036 TIME=2026-11-23T09:26:16.514903 \
         DELIVERED_READ=7498 OVERHEAD_READ=2462 DELIVERED_WRITTEN=404 OVERHEAD_WRITTEN=1588"
    );
    assert_eq!((without.slow_start(), without.congestion_window()), (None, None));
    assert_eq!((without.rtt(), without.min_rtt()), (None, None));
    let unreadable = parse_as!(CircBw, "CIRC_BW ID=1 READ=1 WRITTEN=2 SS=2 CWND=-1 RTT=x TIME=0");
    assert_eq!((unreadable.slow_start(), unreadable.congestion_window()), (None, None));
    assert_eq!((unreadable.rtt(), unreadable.time()), (None, None));
    assert_eq!(unreadable.extra().count(), 0);
}

#[test]
fn conn_bw_has_every_field() {
    // Recorded, but for the unknown field.
    let conn_bw = parse_as!(ConnBw, "CONN_BW ID=6 TYPE=OR READ=13140 WRITTEN=3780 NEW=1");
    assert_eq!(conn_bw.id(), 6.into());
    assert_eq!(conn_bw.connection_type(), ConnectionType::Or);
    assert_eq!((conn_bw.bytes_read(), conn_bw.bytes_written()), (13140, 3780));
    assert_eq!(conn_bw.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW"]);
    let exit = parse_as!(ConnBw, "CONN_BW ID=26 TYPE=EXIT READ=7047 WRITTEN=0");
    assert_eq!((&exit.connection_type(), exit.bytes_read()), (&ConnectionType::Exit, 7047));
    let directory = parse_as!(ConnBw, "CONN_BW ID=22 TYPE=DIR READ=83 WRITTEN=3236");
    assert_eq!(directory.connection_type(), ConnectionType::Dir);
    let other = parse_as!(ConnBw, "CONN_BW WRITTEN=1 READ=2 TYPE=ODD ID=7");
    assert_eq!((other.connection_type(), other.bytes_written()), ("ODD".into(), 1));
}

// The examples of the specification: tor 0.4.9 does not offer the event.
#[test]
fn tb_empty_has_every_field() {
    let connection = parse_as!(TbEmpty, "TB_EMPTY ORCONN ID=16 READ=0 WRITTEN=93 LAST=100 NEW=1");
    assert_eq!((connection.bucket(), connection.id()), (TokenBucket::OrConn, Some(16.into())));
    assert_eq!(connection.read_bucket_empty(), Duration::ZERO);
    assert_eq!(connection.write_bucket_empty(), Duration::from_millis(93));
    assert_eq!(connection.last_refill(), Duration::from_millis(100));
    assert_eq!(connection.extra().map(|field| field.key).collect::<Vec<_>>(), ["NEW"]);
    let global = parse_as!(TbEmpty, "TB_EMPTY GLOBAL READ=93 WRITTEN=93 LAST=100");
    assert_eq!((global.bucket(), global.id()), (TokenBucket::Global, None));
}

/// The parts of a direction as text.
#[test]
fn of_a_repeated_keyword_the_first_counts_also_where_the_event_must_have_it() {
    let circ_bw =
        parse_as!(CircBw, "CIRC_BW ID=3 ID=4 READ=1 READ=5 WRITTEN=2 WRITTEN=6 RTT=7 RTT=8");
    assert_eq!(circ_bw.id(), 3.into());
    assert_eq!((circ_bw.bytes_read(), circ_bw.bytes_written()), (1, 2));
    assert_eq!(circ_bw.rtt(), Some(Duration::from_millis(7)));
    let conn_bw =
        parse_as!(ConnBw, "CONN_BW ID=3 ID=4 TYPE=DIR TYPE=OR READ=1 READ=5 WRITTEN=2 WRITTEN=6");
    assert_eq!(
        (conn_bw.id().to_string().as_str(), conn_bw.connection_type().as_str()),
        ("3", "DIR")
    );
    assert_eq!((conn_bw.bytes_read(), conn_bw.bytes_written()), (1, 2));
    let tb_empty =
        parse_as!(TbEmpty, "TB_EMPTY ORCONN READ=1 READ=5 WRITTEN=2 WRITTEN=6 LAST=3 LAST=7");
    let times =
        [tb_empty.read_bucket_empty(), tb_empty.write_bucket_empty(), tb_empty.last_refill()];
    assert_eq!(times, [1, 2, 3].map(Duration::from_millis));
    assert!(matches!(parse("CIRC_BW ID=3 READ=x READ=1 WRITTEN=2"), Event::Malformed { .. }));
}

fn parts(queue: &CellQueue) -> [Vec<(String, u128)>; 3] {
    let count = |count: &crate::event::CellCount| (count.cell_type.to_string(), count.count.into());
    [
        queue.added.iter().map(count).collect(),
        queue.removed.iter().map(count).collect(),
        queue.time.iter().map(|time| (time.cell_type.to_string(), time.time.as_millis())).collect(),
    ]
}

#[test]
fn cell_stats_of_a_circuit_of_this_tor_have_every_field() {
    // Recorded.
    let stats = parse_as!(
        CellStats,
        "CELL_STATS ID=1 OutboundQueue=2930918688 OutboundConn=1 \
         OutboundRemoved=relay:4,create_fast:1 OutboundTime=relay:0,create_fast:0"
    );
    assert_eq!((stats.id(), &stats.inbound()), (Some(1.into()), &CellQueue::default()));
    assert_eq!(stats.outbound().queue, Some(2_930_918_688));
    assert_eq!(stats.outbound().connection, Some(1.into()));
    let pair = |name: &str, number| (name.to_owned(), number);
    assert_eq!(
        parts(&stats.outbound()),
        [
            vec![],
            vec![pair("relay", 4), pair("create_fast", 1)],
            vec![pair("relay", 0), pair("create_fast", 0)],
        ]
    );
    assert_eq!(stats.extra().count(), 0);
}

// After the example of the specification, with other numbers.
#[test]
fn cell_stats_of_a_circuit_of_others_have_every_field() {
    let stats = parse_as!(
        CellStats,
        "CELL_STATS InboundQueue=19403 InboundConn=32 InboundAdded=relay:1,created_fast:2 \
         InboundRemoved=relay:3,created_fast:4 InboundTime=relay:5,created_fast:6 \
         OutboundQueue=6710 OutboundConn=18 OutboundAdded=create:7,relay_early:8 \
         OutboundRemoved=create:9,relay_early:10 OutboundTime=create:11,odd,relay_early:12,x:y \
         InboundNew=1"
    );
    assert_eq!(stats.id(), None);
    assert_eq!((stats.inbound().queue, stats.inbound().connection), (Some(19403), Some(32.into())));
    assert_eq!(
        (stats.outbound().queue, stats.outbound().connection),
        (Some(6710), Some(18.into()))
    );
    let pairs = |one: &str, a, other: &str, b| vec![(one.to_owned(), a), (other.to_owned(), b)];
    assert_eq!(
        parts(&stats.inbound()),
        [
            pairs("relay", 1, "created_fast", 2),
            pairs("relay", 3, "created_fast", 4),
            pairs("relay", 5, "created_fast", 6),
        ]
    );
    assert_eq!(
        parts(&stats.outbound()),
        [
            pairs("create", 7, "relay_early", 8),
            pairs("create", 9, "relay_early", 10),
            pairs("create", 11, "relay_early", 12),
        ]
    );
    assert_eq!(stats.extra().map(|field| field.key).collect::<Vec<_>>(), ["InboundNew"]);
}

// The example of the specification: only bridges with clients send this, and only every hour.
#[test]
fn clients_seen_has_every_field() {
    let seen = parse_as!(
        ClientsSeen,
        "CLIENTS_SEEN TimeStarted=\"2008-12-25 23:50:43\" CountrySummary=us=16,de=8,uk=8 \
         IPVersions=v4=16,v6=40 New=1"
    );
    assert_eq!(seen.time_started(), Some(time(1_230_249_043, 0)));
    let counts = |counts: &[crate::event::ClientCount]| -> Vec<(String, u64)> {
        counts.iter().map(|count| (count.name.to_string(), count.count)).collect()
    };
    let pair = |name: &str, count| (name.to_owned(), count);
    assert_eq!(counts(&seen.countries()), [pair("us", 16), pair("de", 8), pair("uk", 8)]);
    assert_eq!(counts(&seen.ip_versions()), [pair("v4", 16), pair("v6", 40)]);
    assert_eq!(seen.extra().map(|field| field.key).collect::<Vec<_>>(), ["New"]);
    // The value of `GETINFO status/clients-seen` of a tor without clients.
    let none = parse_as!(
        ClientsSeen,
        "CLIENTS_SEEN TimeStarted=\"1970-01-01 00:00:00\" CountrySummary= IPVersions=v4=0,v6=0"
    );
    assert_eq!((none.time_started(), none.countries().len()), (Some(time(0, 0)), 0));
    assert_eq!(counts(&none.ip_versions()), [pair("v4", 0), pair("v6", 0)]);
}

#[test]
fn lists_of_numbers_keep_what_can_be_read() {
    let seen = parse_as!(ClientsSeen, "CLIENTS_SEEN CountrySummary=us,=1,,de=x,fr=2");
    let names: Vec<_> = seen.countries().iter().map(|count| count.name.clone()).collect();
    assert_eq!(names, [EventText::new(b""), EventText::new(b"fr")]);
    assert_eq!((seen.time_started(), seen.ip_versions().len()), (None, 0));
}
