//! Requires of unit tests that they feed what a real tor says.

#[path = "../../tests/integration/support/dialect.rs"]
mod lines;

/// Panics if no tor was recorded with an event of this shape.
#[track_caller]
pub(crate) fn assert_dialect(event: &str) {
    let outcome = lines::Dialect::default().check(format!("650 {event}\r\n").as_bytes());
    assert_eq!(outcome, Ok(()));
}
