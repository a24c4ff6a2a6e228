//! Checks that the events of unit tests are events of a real tor.

/// The recorded dialogues are not in the packed crate, whose unit tests must build too.
const DIALOGUES: &str = "";

#[path = "../../tests/integration/support/dialect.rs"]
mod lines;

/// Panics unless an event of this shape was recorded from tor.
#[track_caller]
pub(crate) fn assert_dialect(event: &str) {
    let outcome = lines::Dialect::default().check(format!("650 {event}\r\n").as_bytes());
    assert_eq!(outcome, Ok(()));
}
