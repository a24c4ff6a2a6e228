//! Replies as their callers read them.

use super::{Reply, StatusLine};

fn reply(text: &str) -> Reply {
    Reply::parse(text.replace('\n', "\r\n").into_bytes()).unwrap()
}

fn lines(reply: &Reply) -> Vec<(u16, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    reply.lines().map(|line| (line.code(), text(line.bytes()), line.data().map(text))).collect()
}

#[test]
fn a_single_line_is_parsed() {
    let reply = reply("250 OK\n");
    assert_eq!(lines(&reply), [(250, "OK".to_owned(), None)]);
    assert!(reply.is_success());
}

#[test]
fn data_is_unstuffed_and_may_look_like_status_lines() {
    // `100 BUILT`, `250 x` and a lone `OK` were taken for replies or deleted (peers 5).
    let reply = reply(
        "250-version=0.4.9.11\n250+config-text=\n100 BUILT\n250 x\n..\n...a\nOK\n\n.\n250 OK\n",
    );
    assert_eq!(
        lines(&reply),
        [
            (250, "version=0.4.9.11".to_owned(), None),
            (250, "config-text=".to_owned(), Some("100 BUILT\n250 x\n.\n..a\nOK\n".to_owned())),
            (250, "OK".to_owned(), None),
        ]
    );
}

#[test]
fn an_empty_data_block_is_not_absent() {
    assert_eq!(lines(&reply("250+key=\n.\n250 OK\n"))[0].2.as_deref(), Some(""));
}

#[test]
fn a_reply_with_mixed_codes_is_a_refusal() {
    // MAPADDRESS mixes codes, which left txtorcon waiting forever (peers 6).
    let reply = reply("512-syntax error: invalid address '@@@'\n250 127.226.47.3=example.com\n");
    assert_eq!(reply.lines().map(|line| line.code()).collect::<Vec<_>>(), [512, 250]);
    let rejection = reply.into_result("MAPADDRESS").unwrap_err();
    assert_eq!(rejection.code(), 512);
    assert_eq!(rejection.lines().len(), 2);
}

#[test]
fn a_refusal_keeps_all_its_lines() {
    let reply = reply("552-Unrecognized key \"a\"\n552 Unrecognized key \"b\"\n");
    let rejection = reply.into_result("GETINFO").unwrap_err();
    let texts: Vec<_> = rejection.lines().iter().map(|line| line.text()).collect();
    assert_eq!(texts, ["Unrecognized key \"a\"", "Unrecognized key \"b\""]);
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let reply = Reply::parse(b"552 Unrecognized key \"caf\xc3\xa9\xff\"\r\n".to_vec()).unwrap();
    assert_eq!(reply.lines().next().unwrap().bytes(), b"Unrecognized key \"caf\xc3\xa9\xff\"");
    assert_eq!(reply.text(), "Unrecognized key \"caf\u{e9}\u{fffd}\"");
}

#[test]
fn a_line_feed_without_carriage_return_ends_a_line() {
    let reply = Reply::parse(b"250-a=1\n250 OK\n".to_vec()).unwrap();
    assert_eq!(lines(&reply)[0].1, "a=1");
}

#[test]
fn a_line_without_status_code_is_an_error() {
    for line in ["", "25", "2x0 OK", "250/OK", "HTTP/1.0 501"] {
        assert_eq!(StatusLine::parse(line.as_bytes()), None, "{line}");
    }
    let error = Reply::parse(b"SSH-2.0\r\n".to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read a reply: expected a status code, got \"SSH-2.0\"");
}

#[test]
fn bytes_that_are_not_one_whole_reply_are_an_error() {
    for (bytes, last) in [
        ("", ""),
        ("250 OK", ""),
        ("250-a=1\r\n250-OK\r\n", "OK"),
        ("250-a=1\r\n250 O", "a=1"),
        ("250+a=\r\nx\r\n", "a="),
        ("250+a=\r\nx\r\n.\r\n", "a="),
        ("250 OK\r\n250 OK\r\n", "OK"),
        ("250 AUTH METHODS=NULL\r\n250-VERSION Tor=\"1\"\r\n250 OK\r\n", "OK"),
        ("250 OK\r\n250", "OK"),
    ] {
        let error = Reply::parse(bytes.into()).unwrap_err();
        assert_eq!(error.excerpt(), last, "{bytes:?}");
    }
    let error = Reply::parse(b"250-a=1\r\n250-OK\r\n".to_vec()).unwrap_err();
    let expected = "cannot read a reply: expected one reply up to its last line, got \"OK\"";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn debug_hides_the_text() {
    let reply = reply("250-PrivateKey=ED25519-V3:c2VjcmV0\n250 OK\n");
    assert!(!format!("{reply:?}").contains("c2Vj"));
}

/// Has one implementation for `Reply`, so that its type parameter can be inferred, and two for a type
/// with a default value.
trait HasNoDefault<Marker> {
    fn check() {}
}

impl<T> HasNoDefault<()> for T {}
impl<T: Default> HasNoDefault<u8> for T {}

#[test]
fn a_program_cannot_make_a_reply_without_lines() {
    <Reply as HasNoDefault<_>>::check();
    assert!(Reply::parse(Vec::new()).is_err());
}

#[test]
fn a_line_of_400_and_more_is_no_success() {
    for (code, is_success) in [(250, true), (399, true), (400, false), (552, false)] {
        let reply = reply(&format!("{code} x\n"));
        assert_eq!(reply.lines().next().unwrap().is_success(), is_success, "{code}");
    }
}

#[test]
fn a_status_line_is_that_of_a_reply_of_an_event_or_of_neither() {
    for (code, is_reply, is_event) in [
        (199, false, false),
        (250, true, false),
        (299, true, false),
        (300, false, false),
        (451, true, false),
        (552, true, false),
        (599, true, false),
        (600, false, true),
        (650, false, true),
        (699, false, true),
        (700, false, false),
    ] {
        let line = StatusLine::parse(format!("{code} x").as_bytes()).unwrap();
        assert_eq!((line.is_reply(), line.is_event()), (is_reply, is_event), "{code}");
    }
}

#[test]
fn debug_shows_the_code_and_the_size_of_a_reply_and_the_text_of_a_line() {
    let reply = reply("250-a=1\n250+b=\nabc\n.\n250 OK\n");
    let wire = "250-a=1\r\n250+b=\r\n250 OK\r\n".len();
    let expected = format!("Reply(250, 3 lines, {} bytes)", wire + "abc".len());
    assert_eq!(format!("{reply:?}"), expected);
    let lines: Vec<_> = reply.lines().map(|line| format!("{line:?}")).collect();
    let [first, second, last] = &lines[..] else { panic!("{lines:?}") };
    assert!(first.starts_with("250 ") && first.contains("a=1"), "{first}");
    assert!(second.ends_with("and 3 bytes of data"), "{second}");
    assert!(last.contains("OK") && !last.contains("data"), "{last}");
}

#[test]
fn debug_of_a_line_escapes_what_does_not_print() {
    let reply = Reply::parse(b"250 a\r[notice]\x1b[31m\xe2\x80\xae\xff\r\n".to_vec()).unwrap();
    let line = format!("{:?}", reply.lines().next().unwrap());
    assert_eq!(line, r#"250 "a\r[notice]\u{1b}[31m\u{202e}\xff""#);
}

#[test]
fn the_lines_know_their_number_from_both_ends() {
    let reply = reply("250-a=1\n250-b=2\n250 OK\n");
    let mut lines = reply.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines.next().unwrap().bytes(), b"a=1");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines.next_back().unwrap().bytes(), b"OK");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines.next().unwrap().bytes(), b"b=2");
    assert_eq!(lines.len(), 0);
    assert!(lines.next().is_none() && lines.next_back().is_none());
}
