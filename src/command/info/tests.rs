use super::{AnswerCheck, GetInfo, InfoMap};
use crate::command::dialogue::{answered, error, misrouted, refusal, sent};
use crate::error::Error;
use crate::wire::{PartLine, Reply, Request};

fn info<const N: usize>(keys: [&str; N], reply: &[u8]) -> InfoMap {
    answered(&GetInfo::new(keys), reply).unwrap()
}

#[test]
fn one_reply_answers_every_key_in_order() {
    let command = GetInfo::new(["traffic/read", "version"]);
    assert_eq!(sent(&command), "GETINFO traffic/read version\r\n");
    let reply = b"250-traffic/read=12\r\n250-version=0.4.9.11\r\n250 OK\r\n";
    let info = answered(&command, reply).unwrap();
    assert_eq!(format!("{info:?}"), r#"{"traffic/read": "12", "version": "0.4.9.11"}"#);
    assert_eq!(info.get("version").as_deref(), Some("0.4.9.11"));
    assert_eq!(info.get("VERSION"), None, "keys are case-sensitive");
    assert_eq!((info.len(), info.is_empty()), (2, false));
    assert!(answered(&GetInfo::new([""; 0]), b"250 OK\r\n").unwrap().is_empty());
}

#[test]
fn values_keep_equals_signs_blanks_and_quotes() {
    let info = info(
        ["net/listeners/control", "status/clients-seen"],
        b"250-net/listeners/control=\"127.0.0.1:1\" \"unix:/t/ctl.sock\"\r\n\
          250-status/clients-seen=TimeStarted=\"1970-01-01 00:00:00\" IPVersions=v4=0,v6=0\r\n\
          250 OK\r\n",
    );
    assert_eq!(info.get("net/listeners/control").unwrap(), "\"127.0.0.1:1\" \"unix:/t/ctl.sock\"");
    assert_eq!(
        info.get("status/clients-seen").unwrap(),
        "TimeStarted=\"1970-01-01 00:00:00\" IPVersions=v4=0,v6=0"
    );
}

#[test]
fn a_value_may_be_empty_or_one_line_or_data() {
    let key = ["circuit-status"];
    assert_eq!(info(key, b"250-circuit-status=\r\n250 OK\r\n").get(key[0]).unwrap(), "");
    assert_eq!(
        info(key, b"250-circuit-status=1 LAUNCHED\r\n250 OK\r\n").get(key[0]).unwrap(),
        "1 LAUNCHED"
    );
    // Data that looks like reply lines was taken for them (peers 5); a dot is unstuffed, and
    // a line `OK` of the data is data.
    let block = b"250+circuit-status=\r\n250 OK\r\n..a.example b\r\nOK\r\n.\r\n250 OK\r\n";
    assert_eq!(info(key, block).get(key[0]).unwrap(), "250 OK\n.a.example b\nOK");
}

#[test]
fn a_value_of_any_bytes_is_kept() {
    // txtorcon, torut: a byte that is not UTF-8 wedged the connection (peers 8).
    let info = info(["config-file"], b"250-config-file=/tmp/caf\xe9\r\n250 OK\r\n");
    assert_eq!(info.bytes("config-file").unwrap(), b"/tmp/caf\xe9");
    assert_eq!(info.get("config-file").unwrap(), "/tmp/caf\u{fffd}");
}

#[test]
fn a_repeated_key_is_answered_twice() {
    let info = info(["a", "a"], b"250-a=1\r\n250-a=2\r\n250 OK\r\n");
    let values: Vec<_> = info.iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["1", "2"]);
}

#[test]
fn a_key_may_contain_an_equals_sign() {
    let info = info(["x=y"], b"250-x=y=z\r\n250 OK\r\n");
    assert_eq!(info.get("x=y").unwrap(), "z");
}

#[test]
fn keys_are_checked_before_anything_is_sent() {
    // Bare line feeds end a command, and a carriage return in a key gives a reply that has no
    // end (peers 16, 29).
    for (key, problem) in [
        ("version\nSIGNAL HALT", "contains a line feed"),
        ("a\rb", "contains a carriage return"),
        ("version\0x", "contains NUL"),
        ("version traffic/read", "contains a blank"),
        ("a\tb", "contains a blank"),
        ("a\x07", "contains a control character"),
        ("", "is empty"),
        ("downloads/desc/descs", "makes some versions of tor abort"),
    ] {
        let message = format!("invalid argument \"key\": {problem}");
        assert_eq!(refusal(&GetInfo::new(["version", key])), message);
    }
    assert_eq!(
        refusal(&GetInfo::new([""; 0])),
        "invalid argument \"keys\": none is given",
        "tor would say OK"
    );
}

#[test]
fn refusals_keep_their_code_and_every_line() {
    // Stem made 510, 512 and 551 all into "malformed" (peers 28).
    let command = GetInfo::new(["a", "b"]);
    let error = error(&command, b"552-Unrecognized key \"a\"\r\n552 Unrecognized key \"b\"\r\n");
    assert_eq!(error.status_code(), Some(552));
    assert_eq!(
        error.to_string(),
        r#"tor refused GETINFO: 552 "Unrecognized key \"a\"" and 1 more"#
    );
    let address = answered(&GetInfo::new(["address"]), b"551 Address unknown\r\n");
    assert_eq!(address.unwrap_err().status_code(), Some(551));
    let filtered = answered(&command, b"510 Command filtered\r\n").unwrap_err();
    assert!(filtered.is_filtered());
}

#[test]
fn the_reply_to_another_query_is_out_of_step() {
    // Stem: a late reply after a timeout went to the next caller (peers 1).
    let command = GetInfo::new(["version", "uptime"]);
    for (reply, message) in [
        (&b"250 OK\r\n"[..], r#"each queried key, got "OK""#),
        (b"250-uptime=1\r\n250-version=2\r\n250 OK\r\n", r#"each queried key, got "uptime=""#),
        (b"250-version=2\r\n250 OK\r\n", r#"each queried key, got "OK""#),
        (b"250 version=2\r\n", r#"each queried key, got """#),
        (
            b"250-version=2\r\n250-uptime=1\r\n250-pid=4\r\n250 OK\r\n",
            r#"OK after the last key, got "pid=""#,
        ),
        (b"250-version=2\r\n250 uptime=1\r\n", r#"OK after the last key, got """#),
    ] {
        assert_eq!(
            misrouted(&command, reply),
            format!("cannot read the reply to GETINFO: expected {message}")
        );
    }
}

#[test]
fn a_refusal_of_another_key_is_out_of_step() {
    let command = GetInfo::new(["a", "b"]);
    let check = |reply: &str| {
        let reply = Reply::parse(reply.replace('\n', "\r\n").into_bytes()).unwrap();
        match command.check(reply) {
            Ok(_) => "accepted",
            Err(Error::Rejected(_)) => "refused",
            Err(Error::Protocol(error)) if error.is_out_of_step() => "out of step",
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(check("250-a=1\n250-b=2\n250 OK\n"), "accepted");
    assert_eq!(check("250+a=\n1\n.\n250-b=2\n250 OK\n"), "accepted");
    assert_eq!(check("250+a=x\n1\n.\n250-b=2\n250 OK\n"), "out of step");
    assert_eq!(check("552 Unrecognized key \"b\"\n"), "refused");
    assert_eq!(check("551 Internal error\n"), "refused");
    assert_eq!(check("552-Unrecognized key \"a\"\n552 Unrecognized key \"b\"\n"), "refused");
    assert_eq!(check("552 Unrecognized key \"c\"\n"), "out of step");
    assert_eq!(check("552-Unrecognized key \"a\"\n552 Unrecognized key \"c\"\n"), "out of step");
    // The end of the answer is `OK`, and nothing else.
    assert_eq!(check("250-a=1\n250-b=2\n250 closing connection\n"), "out of step");
    assert_eq!(check("250-a=1\n250-b=2\n250-OK\n250 OK\n"), "out of step");
}

fn status(code: u16, text: &[u8], is_last: bool) -> PartLine<'_> {
    PartLine::Status { code, text, is_last }
}

#[test]
fn the_lines_of_an_answer_in_parts_are_checked_too() {
    let command = GetInfo::new(["a", "b"]);
    let mut check = AnswerCheck::new(&command);
    assert_eq!(check.line(status(250, b"a=1", false)).unwrap(), Some(&b"1"[..]));
    assert_eq!(check.line(status(250, b"b=", false)).unwrap(), Some(&b""[..]));
    assert_eq!(check.line(PartLine::Data(b"c=3")).unwrap(), None);
    assert_eq!(check.line(status(250, b"OK", true)).unwrap(), None);
    for (code, text, is_last) in [(250, &b"b=1"[..], false), (250, b"OK", true)] {
        assert!(AnswerCheck::new(&command).line(status(code, text, is_last)).is_err());
    }
    let refused = |key: &[u8]| {
        let text = [b"Unrecognized key \"", key, b"\""].concat();
        AnswerCheck::new(&command).line(status(552, &text, true)).map(|value| value.is_none())
    };
    assert!(refused(b"a").unwrap() && refused(b"b").unwrap());
    assert!(refused(b"c").is_err());
}

#[test]
fn the_keys_of_a_raw_line_are_those_between_blanks() {
    let keys = |line: &str| {
        GetInfo::of_request(&Request::from_line(line).unwrap()).map(|command| sent(&command))
    };
    assert_eq!(keys("GETINFO a  b ").as_deref(), Some("GETINFO a b\r\n"));
    assert_eq!(keys("getinfo \ta b").as_deref(), Some("GETINFO a b\r\n"));
    assert_eq!(keys("GETINFO a\tb"), None, "tor's reading of this tab is not documented");
    assert_eq!(keys("GETCONF a"), None);
    assert_eq!(keys("GETCONF a\tb"), None);
}
