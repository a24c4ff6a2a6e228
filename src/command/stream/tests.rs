use super::{AttachStream, CloseStream, RedirectStream};
use crate::command::dialogue::{answered, error, refusal, sent};
use crate::names::{CircuitId, StreamId, StreamReason};

fn stream() -> StreamId {
    StreamId::from(37)
}

fn circuit(number: u32) -> CircuitId {
    CircuitId::from(number)
}

#[test]
fn a_stream_is_attached_to_a_circuit_or_left_to_tor() {
    let attach = AttachStream::new(stream(), circuit(36));
    assert_eq!(sent(&attach), "ATTACHSTREAM 37 36\r\n");
    assert_eq!(sent(&attach.hop(2)), "ATTACHSTREAM 37 36 HOP=2\r\n");
    assert_eq!(sent(&AttachStream::left_to_tor(stream())), "ATTACHSTREAM 37 0\r\n");
    assert!(answered(&attach, b"250 OK\r\n").is_ok());
    for (reply, message) in [
        (&b"552 Unknown stream \"37\"\r\n"[..], r#"552 "Unknown stream \"37\"""#),
        (b"551 Circuit doesn't have 9 hops.\r\n", r#"551 "Circuit doesn't have 9 hops.""#),
        (
            b"555 Connection is not managed by controller.\r\n",
            r#"555 "Connection is not managed by controller.""#,
        ),
    ] {
        let message = format!("tor refused ATTACHSTREAM: {message}");
        assert_eq!(error(&attach, reply).to_string(), message);
    }
}

#[test]
fn a_place_that_is_none_is_refused() {
    for (command, message) in [
        (
            AttachStream::new(stream(), circuit(0)),
            "\"circuit\": must not be 0, which is not a circuit",
        ),
        (AttachStream::new(stream(), circuit(1)).hop(0), "\"hop\": must not be 0"),
        (AttachStream::left_to_tor(stream()).hop(2), "\"hop\": needs a circuit"),
    ] {
        assert_eq!(refusal(&command), format!("invalid argument {message}"));
    }
}

#[test]
fn a_stream_is_led_to_another_address_and_port() {
    let redirect = RedirectStream::new(stream(), "example.org");
    assert_eq!(sent(&redirect), "REDIRECTSTREAM 37 example.org\r\n");
    assert_eq!(sent(&redirect.clone().port(81)), "REDIRECTSTREAM 37 example.org 81\r\n");
    assert!(answered(&redirect, b"250 OK\r\n").is_ok());
    assert_eq!(
        error(&redirect, b"552 Unknown stream \"37\"\r\n").to_string(),
        r#"tor refused REDIRECTSTREAM: 552 "Unknown stream \"37\"""#
    );
    for (address, problem) in [
        ("", "is empty"),
        ("a 80", "contains a blank"),
        ("a\r\nQUIT", "contains a carriage return"),
        ("a\nQUIT", "contains a line feed"),
        ("a\0", "contains NUL"),
        ("a\x07", "contains a control character"),
        ("\"a\"", "must not contain quotes or \"=\""),
        ("\u{e9}.example", "must be ASCII: an international name is written with xn--"),
    ] {
        let message = format!("invalid argument \"address\": {problem}");
        assert_eq!(refusal(&RedirectStream::new(stream(), address)), message);
    }
    let port = RedirectStream::new(stream(), "a").port(0);
    assert_eq!(refusal(&port), "invalid argument \"port\": must not be 0");
}

#[test]
fn a_stream_is_closed_for_a_reason_with_a_number() {
    let close = |reason: StreamReason| CloseStream::new(stream(), reason);
    assert_eq!(sent(&close(StreamReason::Misc)), "CLOSESTREAM 37 1\r\n");
    assert_eq!(sent(&close(StreamReason::NotDirectory)), "CLOSESTREAM 37 14\r\n");
    assert!(answered(&close(StreamReason::Misc), b"250 OK\r\n").is_ok());
    assert_eq!(
        error(&close(StreamReason::Done), b"552 Unknown stream \"37\"\r\n").to_string(),
        r#"tor refused CLOSESTREAM: 552 "Unknown stream \"37\"""#
    );
    // With reason 0, tor reports the stream as connected.
    for reason in [StreamReason::End, StreamReason::from("0"), StreamReason::from("1\nQUIT")] {
        assert_eq!(
            refusal(&close(reason)),
            "invalid argument \"reason\": has no number, so CLOSESTREAM cannot send it"
        );
    }
}
