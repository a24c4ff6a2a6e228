//! Events of each kind, and their methods.

use torcon::event::{Event, EventKind, EventText, StatusEvent};

use super::{FIELDS, LINES, LISTS, Reach, Shape, check, is_table};

/// The beginnings of events of each kind, up to a text of any length. A kind can have several.
const STARTS: &[&str] = &[
    "CIRC 1 BUILT ",
    "CIRC 1 BUILT $AB BUILD_FLAGS=",
    "CIRC_MINOR 1 PURPOSE_CHANGED $AB ",
    "STREAM 1 NEW 0 a:80 ",
    "STREAM 1 NEW 0 ",
    "STREAM 1 NEW 0 a:80 SOCKS_PASSWORD=",
    "STREAM 1 NEW 0 a:80 ISO_FIELDS=",
    "ORCONN $AB~n CONNECTED ",
    "BW 1 2 ",
    "NOTICE ",
    "STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1 ",
    "STATUS_GENERAL WARN CLOCK_SKEW ",
    "STATUS_SERVER NOTICE X ",
    "HS_DESC FAILED a NO_AUTH $AB d ",
    "CONF_CHANGED\n",
    "SIGNAL ",
    "STREAM_BW 1 1 1 ",
    "CIRC_BW ID=1 READ=1 WRITTEN=1 ",
    "CONN_BW ID=1 TYPE=OR READ=1 WRITTEN=1 ",
    "CELL_STATS ID=1 InboundAdded=",
    "CELL_STATS ID=1 ",
    "TB_EMPTY ORCONN ",
    "CLIENTS_SEEN CountrySummary=",
    "CLIENTS_SEEN ",
    "NEWDESC ",
    "DESCCHANGED ",
    "NS\n",
    "NEWCONSENSUS\n",
    "ADDRMAP a b NEVER ",
    "ADDRMAP ",
    "GUARD ENTRY $AB ",
    "BUILDTIMEOUT_SET COMPUTED ",
    "NETWORK_LIVENESS ",
    "TRANSPORT_LAUNCHED client a 127.0.0.1 1 ",
    "PT_LOG PT=a ",
    "PT_STATUS PT=a ",
    "HS_DESC_CONTENT a b c\n",
    "NEW_KIND ",
];

/// Parses an event and calls its methods.
fn use_event(text: &str) {
    let event = Event::parse(EventText::new(text.as_bytes()));
    match &event {
        Event::Circ(event) => drop(event.extra().count()),
        Event::Stream(event) => drop(event.extra().count()),
        Event::AddrMap(event) => drop(event.extra().count()),
        Event::HsDesc(event) => drop(event.extra().count()),
        Event::Status(event) => use_status(event),
        Event::Ns(event) => drop(event.entries().count()),
        Event::NewConsensus(event) => drop(event.entries().count()),
        _ => {}
    }
    assert!(event.to_string().len() >= text.trim_end().len());
}

fn use_status(event: &StatusEvent) {
    let _ = event.detail();
    let _ = event.argument("NOTHING");
    assert!(event.extra().count() <= event.arguments().count());
}

/// Checks all shapes behind the beginnings of this share of the work.
fn check_share(share: usize, shares: usize) {
    // Texts of each sort, where tor would write one.
    for start in STARTS.iter().skip(share).step_by(shares) {
        let shapes: Vec<Shape> = match start.as_bytes().last() {
            _ if is_table() => [FIELDS, LISTS, LINES].concat(),
            Some(b'=') => LISTS.to_vec(),
            Some(b'\n') => LINES.to_vec(),
            _ => FIELDS.to_vec(),
        };
        let mut whole = String::new();
        check(start, Reach::Short, &shapes, |text| {
            whole.clear();
            whole.push_str(start);
            whole.push_str(text);
            use_event(&whole);
        });
    }
}

#[test]
fn a_stream_event_with_broken_quotes_is_parsed_in_linear_time_at_every_size() {
    check("STREAM", Reach::Whole, FIELDS.get(..3).unwrap(), |text| {
        use_event(&format!("STREAM 1 NEW 0 a:80 {text}"));
    });
}

#[test]
fn the_first_third_of_all_events_is_parsed_in_linear_time() {
    check_share(0, 3);
}

#[test]
fn the_second_third_of_all_events_is_parsed_in_linear_time() {
    check_share(1, 3);
}

#[test]
fn the_last_third_of_all_events_is_parsed_in_linear_time() {
    check_share(2, 3);
}

#[test]
fn no_kind_of_event_is_missing() {
    for kind in EventKind::KNOWN {
        let word = kind.as_str();
        let is_log = ["DEBUG", "INFO", "WARN", "ERR"].contains(&word);
        let begins = |start: &str| start.split([' ', '\n']).next() == Some(word);
        assert!(is_log || STARTS.iter().any(|start| begins(start)), "{word}");
    }
}
