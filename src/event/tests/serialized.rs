//! Events as JSON, one of each kind.

use serde_json::Value;

use super::{from_wire, parse, recorded};
use crate::event::{Event, EventKind};

/// The first event of each kind in the recordings, in the order of `EventKind::KNOWN`.
const SERIALIZED: &str = include_str!("serialized.txt");

fn json(event: &Event) -> String {
    serde_json::to_string(event).unwrap()
}

#[test]
fn an_event_of_each_kind_has_its_fields_in_json() {
    let events: Vec<_> = recorded().iter().map(|wire| from_wire(wire)).collect();
    let first = |kind: &EventKind| events.iter().find(|it| it.kind().as_ref() == Some(kind));
    let lines: Vec<_> = EventKind::KNOWN.iter().map(|kind| json(first(kind).unwrap())).collect();
    let expected: Vec<_> = SERIALIZED.lines().collect();
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "all lines:\n{}", lines.join("\n"));
}

#[test]
fn every_event_is_a_map_with_its_kind_and_its_text() {
    for wire in recorded() {
        let event = from_wire(&wire);
        let value: Value = serde_json::from_str(&json(&event)).unwrap();
        let kind: EventKind = serde_json::from_value(value["kind"].clone()).unwrap();
        assert_eq!(Some(kind), event.kind());
        assert!(value["text"].is_string(), "{value}");
    }
}

#[test]
fn secrets_are_left_out_and_events_without_type_have_what_is_known() {
    let stream =
        parse("STREAM 5 NEW 0 a.example:80 SOCKS_USERNAME=\"alice\" SOCKS_PASSWORD=\"wonderland\"");
    let changed = parse("CONF_CHANGED\nHashedControlPassword=16:0123\nNickname=Ada");
    for (event, secrets) in [(stream, ["alice", "wonderland"]), (changed, ["0123", "16:"])] {
        let json = json(&event);
        assert!(secrets.iter().all(|secret| !json.contains(secret)), "{json}");
        assert!(json.contains("[redacted]"), "{json}");
    }
    assert_eq!(json(&parse("FUTURE 1 2")), r#"{"kind":"FUTURE","text":"FUTURE 1 2"}"#);
    assert_eq!(json(&Event::lagged(7)), r#"{"kind":null,"dropped":7}"#);
    assert_eq!(
        json(&Event::reconnected(std::time::Duration::from_millis(1500))),
        r#"{"kind":null,"gap":{"secs":1,"nanos":500000000}}"#
    );
    let malformed: Value = serde_json::from_str(&json(&parse("BW 1"))).unwrap();
    assert_eq!((&malformed["kind"], &malformed["text"]), (&"BW".into(), &"BW 1".into()));
    assert!(malformed["malformed"].as_str().unwrap().starts_with("cannot read the event BW"));
}
