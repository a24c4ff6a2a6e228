//! Lines without a status code between two messages.

use super::{Connection, refusal, text};

#[test]
fn a_line_without_a_status_code_between_two_replies_shifts_no_reply() {
    for line in ["REDACTED", "", ".", "BW 1 2", "CIRC 250 BUILT", "1.2.3.4:443 x", "250x"] {
        let mut tor = Connection::new();
        let (_, first) = tor.push();
        let (_, second) = tor.push();
        tor.feed(format!("250 first\r\n{line}\r\n")).unwrap();
        assert_eq!(text(&first).as_deref(), Some("250 first"));
        let nonce = tor.push_probe();
        tor.feed("250 second\r\n").unwrap();
        if let Some(nonce) = nonce {
            tor.feed(refusal(nonce)).unwrap();
        }
        assert_eq!(text(&second).as_deref(), Some("250 second"), "{line}");
        let (_, next) = tor.push();
        tor.feed("250 next\r\n").unwrap();
        assert_eq!(text(&next).as_deref(), Some("250 next"), "{line}");
    }
}

#[test]
fn a_reply_inside_a_line_without_a_status_code_shifts_no_other() {
    // A filter that replaces an event together with its line end.
    let mut tor = Connection::new();
    let (lost, never) = tor.push();
    tor.feed("REDACTED250 OK\r\n").unwrap();
    let nonce = tor.push_probe().unwrap();
    let (_, next) = tor.push();
    // The reply of the next command must not replace the lost one.
    assert!(tor.feed(format!("{}250 next\r\n", refusal(nonce))).is_err());
    assert_eq!((text(&never), text(&next)), (None, None));

    // The caller of the lost reply has canceled, so no caller is affected.
    let mut tor = Connection::new();
    let (lost_too, _never) = tor.push();
    assert_eq!(lost, lost_too);
    tor.feed("REDACTED250 OK\r\n").unwrap();
    let nonce = tor.push_probe().unwrap();
    tor.cancel(lost_too);
    let (_, next) = tor.push();
    tor.feed(refusal(nonce)).unwrap();
    tor.feed("250 next\r\n").unwrap();
    assert_eq!(text(&next).as_deref(), Some("250 next"));

    // The rest of a longer reply would count as the whole reply.
    let mut tor = Connection::new();
    let _asked = tor.push();
    assert!(tor.feed("REDACTED250-version=1\r\n250 OK\r\n").is_err());
    // No command is pending, so no reply can be lost.
    let mut tor = Connection::new();
    tor.feed("REDACTED250-version=1\r\n").unwrap();
    assert_eq!(tor.push_probe(), None);
}

#[test]
fn the_data_of_an_event_inside_a_line_without_a_status_code_is_no_reply() {
    // The operator of the onion service wrote the descriptor.
    let mut tor = Connection::new();
    let (_, asked) = tor.push();
    let event = "REDACTED650+HS_DESC_CONTENT a b c\r\n250 forged\r\n.\r\n650 OK\r\n";
    assert!(tor.feed(event).is_err());
    assert_eq!(text(&asked), None);
    // Nor is it another event.
    let mut tor = Connection::new();
    assert!(tor.feed("REDACTED650+NS\r\n650 BW 1 2\r\n.\r\n650 OK\r\n").is_err());
    assert_eq!(tor.events, 0);
}

#[test]
fn a_line_without_a_status_code_is_searched_to_its_end() {
    let mut tor = Connection::new();
    let (_, asked) = tor.push();
    // The reply would lose its first line.
    let lines = "STREAM 250 CLOSED 0 x250-version=1\r\n250 OK\r\n";
    assert!(tor.feed(lines).is_err());
    assert_eq!(text(&asked), None);
}

#[test]
fn a_second_doubtful_line_is_settled_by_a_second_probe() {
    let mut tor = Connection::new();
    let (_, first) = tor.push();
    tor.feed("a:443 b\r\n").unwrap();
    let one = tor.push_probe().unwrap();
    let (_, second) = tor.push();
    tor.feed("a:443 b\r\n").unwrap();
    let two = tor.push_probe().unwrap();
    tor.feed(format!("250 first\r\n{}", refusal(one))).unwrap();
    assert_eq!(text(&first).as_deref(), Some("250 first"));
    tor.feed("250 second\r\n").unwrap();
    assert_eq!(text(&second), None);
    tor.feed(refusal(two)).unwrap();
    assert_eq!(text(&second).as_deref(), Some("250 second"));
}
