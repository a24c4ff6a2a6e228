use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::properties::play;
use super::{Answer, Command, Handshake};
use crate::error::{SocksProblem, SocksStep};
use crate::socks::isolation::Isolation;
use crate::socks::target::Host;

fn handshake(command: Command, host: &str, port: u16, isolation: &Isolation) -> Handshake {
    let credentials = isolation.next_credentials().unwrap();
    Handshake::new(command, &Host::new("host", host).unwrap(), port, credentials.as_deref())
}

fn plain(command: Command, host: &str, port: u16) -> Handshake {
    handshake(command, host, port, &Isolation::none())
}

fn refusal(handshake: Handshake, answers: &[u8]) -> String {
    let (_, outcome, _) = play(handshake, answers, 1);
    outcome.unwrap_err().unwrap().to_string()
}

#[test]
fn the_request_encodes_names_and_addresses_of_both_families() {
    let last = |handshake| {
        let answers = b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0";
        play(handshake, answers, 99).0.pop().unwrap()
    };
    assert_eq!(
        last(plain(Command::Connect, "a.example", 80)),
        b"\x05\x01\x00\x03\x09a.example\0\x50"
    );
    assert_eq!(
        last(plain(Command::Connect, "10.1.2.3", 443)),
        b"\x05\x01\x00\x01\x0a\x01\x02\x03\x01\xbb"
    );
    assert_eq!(
        last(plain(Command::Connect, "2001:db8::1", 65535)),
        b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff"
    );
    assert_eq!(last(plain(Command::Resolve, "a.example", 0)), b"\x05\xf0\x00\x03\x09a.example\0\0");
    assert_eq!(
        last(plain(Command::ResolvePtr, "1.2.3.4", 0)),
        b"\x05\xf1\x00\x01\x01\x02\x03\x04\0\0"
    );
    assert_eq!(
        last(plain(Command::ResolvePtr, "::1", 0)),
        b"\x05\xf1\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0"
    );
}

#[test]
fn only_the_password_method_is_offered_and_the_password_precedes_the_request() {
    let isolation = Isolation::credentials("user", "pass word").unwrap();
    let handshake = handshake(Command::Connect, "a", 1, &isolation);
    let answers = b"\x05\x02\x01\x00\x05\x00\x00\x01\0\0\0\0\0\0";
    let (sent, outcome, _) = play(handshake, answers, 99);
    assert_eq!(
        sent,
        [
            b"\x05\x01\x02".to_vec(),
            b"\x01\x04user\x09pass word".to_vec(),
            b"\x05\x01\x00\x03\x01a\0\x01".to_vec(),
        ]
    );
    assert_eq!(outcome.unwrap(), Answer::Ip([0, 0, 0, 0].into()));
    let (sent, ..) = play(plain(Command::Connect, "a", 1), b"\x05\x00", 99);
    assert_eq!(sent.first().unwrap(), b"\x05\x01\x00");
}

#[test]
fn an_answer_ends_at_its_last_byte_however_it_is_split() {
    // Replies of tor 0.4.9.11, followed by the first bytes of the stream.
    for (answer, expected) in [
        (&b"\x05\x00\x00\x01\x0a\x01\x02\x03\0\0"[..], Answer::Ip([10, 1, 2, 3].into())),
        (
            b"\x05\x00\x00\x04\xfe\x95\x57\xe7\x74\x08\x01\x52\x3b\xe5\xc2\xe1\x1d\x1c\x71\xd5\0\0",
            Answer::Ip("fe95:57e7:7408:152:3be5:c2e1:1d1c:71d5".parse().unwrap()),
        ),
        (b"\x05\x00\x00\x03\x04name\0\0", Answer::Name(b"name".to_vec())),
        (b"\x05\x00\x00\x03\x00\0\0", Answer::Name(Vec::new())),
    ] {
        let answers = [b"\x05\x00", answer, b"SSH-2.0"].concat();
        for chunk in 1..=answers.len() {
            let (sent, outcome, left) = play(plain(Command::Connect, "a", 1), &answers, chunk);
            assert_eq!(sent.len(), 2);
            assert_eq!(outcome.unwrap(), expected);
            assert_eq!(left, 7, "a byte of the stream was taken, in pieces of {chunk}");
        }
    }
}

#[test]
fn a_refusal_is_reported_as_soon_as_its_code_arrives() {
    for code in 1..=u8::MAX {
        // A complete reply, one with the address type 0 that tor sends for RESOLVE, and a short one.
        for rest in [&b"\x00\x01\0\0\0\0\0\0"[..], b"\x00\x00\0\0\0\0\0\0", b""] {
            let answers = [b"\x05\x00\x05", &[code][..], rest].concat();
            match play(plain(Command::Resolve, "a", 0), &answers, 99).1 {
                Err(Some(SocksProblem::Refused { code: found })) => assert_eq!(found.code(), code),
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}

#[test]
fn another_protocol_is_recognized_by_its_first_byte() {
    for answer in [&b"HTTP/1.0 400 Bad Request\r\n"[..], b"SSH-2.0-OpenSSH", b"\x00\x5b", b"514"] {
        let (_, outcome, left) = play(plain(Command::Connect, "a", 1), answer, 1);
        assert!(matches!(outcome, Err(Some(SocksProblem::NotSocks { .. }))), "{outcome:?}");
        assert_eq!(left, answer.len() - 1);
    }
}

#[test]
fn a_proxy_that_does_not_accept_the_offered_method_is_reported() {
    let with_password = || {
        let isolation = Isolation::token("token").unwrap();
        handshake(Command::Connect, "a", 1, &isolation)
    };
    let plain = || plain(Command::Connect, "a", 1);
    for (handshake, answers, text) in [
        (plain(), &b"\x05\xff"[..], "the proxy does not accept clients without authentication"),
        (with_password(), b"\x05\xff", "the proxy does not accept user name and password"),
        (
            with_password(),
            b"\x05\x00",
            "cannot read the proxy's answer to the greeting: expected the method that was offered, \
             got \"\\x05\\x00\"",
        ),
        (
            with_password(),
            b"\x05\x02\x01\x07",
            "the proxy refused the user name and password: status 7",
        ),
        (
            // tor, for a reserved user name.
            with_password(),
            b"\x05\x02\x05\x01\x00\x01\0\0\0\0\0\0",
            "the proxy refused: general failure (0x01)",
        ),
        (
            with_password(),
            b"\x05\x02\x05\x00",
            "cannot read the proxy's answer to user name and password: expected version 1 and a status, \
             got \"\\x05\\x00\"",
        ),
        (
            plain(),
            b"\x05\x00\x04",
            "cannot read the proxy's answer to the request: expected version 5, got \"\\x04\"",
        ),
        (
            plain(),
            b"\x05\x00\x05\x00\x00\x02",
            "cannot read the proxy's answer to the request: expected an address of type 1, 3 or 4, \
             got \"\\x05\\x00\\x00\\x02\"",
        ),
    ] {
        assert_eq!(refusal(handshake, answers), text);
    }
}

/// Bytes that reach the later steps of a handshake more often than random ones.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\x05\x00".to_vec()),
        Just(b"\x05\x02".to_vec()),
        Just(b"\x01\x00".to_vec()),
        Just(b"\x05\x00\x00\x03".to_vec()),
        Just(b"\x05\x00\x00\x01".to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_proxy_can_confuse_the_handshake(answers in answers(), chunk in 1_usize..30) {
        for isolation in [Isolation::none(), Isolation::token("token").unwrap()] {
            let made = || handshake(Command::Connect, "a.example", 80, &isolation);
            let (sent, outcome, left) = play(made(), &answers, chunk);
            assert!(sent.len() <= 3);
            // The outcome does not depend on the sizes of the reads.
            let (sent_1, outcome_1, left_1) = play(made(), &answers, 1);
            assert_eq!(sent, sent_1);
            assert_eq!(outcome.is_ok(), outcome_1.is_ok());
            if outcome.is_ok() {
                assert_eq!((outcome.unwrap(), left), (outcome_1.unwrap(), left_1));
            }
        }
    }
}

#[test]
fn the_steps_follow_each_other() {
    let isolation = Isolation::token("token").unwrap();
    let mut handshake = handshake(Command::Connect, "a", 1, &isolation);
    assert_eq!((handshake.step(), handshake.missing()), (SocksStep::Greeting, 2));
    handshake.receive(b"\x05").unwrap();
    assert_eq!((handshake.step(), handshake.missing()), (SocksStep::Greeting, 1));
    handshake.receive(b"\x02").unwrap();
    assert_eq!((handshake.step(), handshake.missing()), (SocksStep::Credentials, 2));
    handshake.receive(b"\x01\x00").unwrap();
    assert_eq!((handshake.step(), handshake.missing()), (SocksStep::Request, 4));
}
