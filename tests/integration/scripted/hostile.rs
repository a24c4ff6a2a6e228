//! Input in pieces of every size, and hostile input.

use std::ops::ControlFlow;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use torcon::{ConnectOptions, Controller, EventKind};

use super::{LIMIT, connected, connected_with};
use crate::support::script::Script;
use crate::support::watchdog::within;

/// The bytes that the peer sends after three commands: events, replies of every form, and bytes that
/// are not UTF-8.
const DIALOGUE: &[u8] = b"650 BW 1 2\r\n250-a=1\r\n650-CONF_CHANGED\r\n650-Nickname=\xff\r\n650 OK\r\n\
250+b=\r\n100 BUILT\r\n..\r\n650 BW 9 9\r\n\r\n.\r\n250 OK\r\n650+NS\r\n..x\r\n250 OK\r\n.\r\n650 OK\r\n\
552-Unrecognized key \"x\"\r\n650 BW 3 4\r\n552 Unrecognized key \"y\"\r\n250+big=\r\n1\r\n2\r\n.\r\n\
250 OK\r\n650 BW 5 6\r\n";

/// Runs the dialogue and returns every reply and event.
fn run(controller: &Controller) -> Vec<String> {
    let kinds = [EventKind::Bw, EventKind::ConfChanged, EventKind::Ns];
    let queue = controller.events(kinds).unwrap();
    let first = controller.queue_command("GETINFO a b").unwrap();
    let second = controller.queue_command("GETINFO x y").unwrap();
    let mut seen = Vec::new();
    controller
        .get_info_incremental("big", |line| {
            seen.push(line.to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    for line in first.wait().unwrap().lines() {
        seen.push(format!("{line:?} {:?}", line.data().map(<[u8]>::to_vec)));
    }
    seen.push(second.wait().unwrap_err().to_string());
    for _ in 0..5 {
        seen.push(format!("{:?}", queue.recv().unwrap().text().unwrap()));
    }
    controller.close();
    seen
}

/// Sends the dialogue in pieces that end at the given positions.
fn in_pieces(positions: Vec<usize>) -> Vec<String> {
    let (tor, controller) = connected(move |script| {
        script.unchecked("every form of message in a few bytes");
        script.expect("SETEVENTS BW CONF_CHANGED NS").send("250 OK\r\n");
        script.expect("GETINFO a b").expect("GETINFO x y").expect("GETINFO big");
        let mut start = 0;
        for place in positions {
            script.send(&DIALOGUE[start..place]);
            // The reader may or may not read the piece before the next is sent. The result must not
            // depend on it.
            std::thread::yield_now();
            start = place;
        }
        script.send(&DIALOGUE[start..]).expect_end();
    });
    let seen = run(&controller);
    drop(controller);
    tor.finish();
    seen
}

#[test]
fn a_dialogue_that_is_split_at_any_byte_gives_the_same_replies_and_events() {
    let whole = in_pieces(vec![]);
    assert_eq!(whole.len(), 2 + 3 + 1 + 5);
    assert_eq!(whole[0..2], ["1", "2"]);
    for place in 1..DIALOGUE.len() {
        assert_eq!(in_pieces(vec![place]), whole, "cut at {place}");
    }
    assert_eq!(in_pieces((1..DIALOGUE.len()).collect()), whole, "in single bytes");
}

#[test]
fn a_dialogue_that_is_split_at_many_bytes_gives_the_same_replies_and_events() {
    let whole = in_pieces(vec![]);
    let positions = prop::collection::btree_set(1..DIALOGUE.len(), 2..40);
    runner(60)
        .run(&positions, |positions| {
            prop_assert_eq!(&in_pieces(positions.into_iter().collect()), &whole);
            Ok(())
        })
        .unwrap();
}

/// Creates a test runner with the same cases in every run.
pub(super) fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    };
    TestRunner::new(config)
}

/// Generates hostile input from valid and invalid pieces of the protocol.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"250 OK\r\n",
        b"250-a=1\r\n",
        b"250+a=\r\n",
        b".\r\n",
        b"..\r\n",
        b"650 BW 1 2\r\n",
        b"650-CONF_CHANGED\r\n",
        b"650+NS\r\n",
        b"650 OK\r\n",
        b"650 \r\n",
        b"552 Unrecognized key \"torcon/sync/3\"\r\n",
        b"552 Unrecognized key \"torcon/sync/5\"\r\n",
        b"510 Command filtered\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"999 ",
        b"000\r\n",
        b"65",
        b"\0",
        b"\xff\xfe",
    ];
    let piece = prop::sample::select(PIECES);
    let pieces = prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat());
    let random = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![4 => pieces, 1 => random]
}

/// Sends bytes to a client that may have closed, and waits for its end.
fn send(script: &mut Script, bytes: &[u8]) {
    if !bytes.is_empty() {
        script.flood_until_hang_up(bytes, bytes.len() as u64);
    }
    script.drain();
}

#[test]
fn a_hostile_peer_can_neither_hang_nor_panic_the_client() {
    runner(150)
        .run(&hostile_bytes(), |bytes| {
            let options = ConnectOptions::new().command_timeout(Duration::from_millis(20));
            let (tor, controller) = connected_with(&options, move |script| {
                script.unchecked("random bytes");
                script.expect("GETINFO a");
                send(script, &bytes);
            });
            within(LIMIT, "talking to a hostile peer", move || {
                // Any outcome is correct.
                let _ = controller.get_info_one("a");
                let _ = controller.add_event_listener(EventKind::Bw, |_| {});
                let _ = controller.get_info_incremental("a", |_| ControlFlow::Continue(()));
                let _ = controller.command("ECHO a");
                controller.close();
                assert!(!controller.is_alive());
            });
            tor.finish();
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_hostile_greeting_can_neither_hang_nor_panic_the_client() {
    runner(100)
        .run(&hostile_bytes(), |bytes| {
            let tor = crate::support::fake_tor::FakeTor::unix(move |script| {
                script.unchecked("random bytes");
                script.expect("PROTOCOLINFO 1");
                send(script, &bytes);
            });
            let options = ConnectOptions::new().timeout(Duration::from_millis(100));
            let endpoint = tor.endpoint();
            let outcome = within(LIMIT, "connecting", move || options.connect(endpoint));
            prop_assert!(outcome.is_err());
            tor.finish();
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_greeting_that_ends_at_any_byte_is_an_error() {
    let greeting =
        "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
    for end in 0..greeting.len() {
        let tor = crate::support::fake_tor::FakeTor::unix(move |script| {
            script.expect("PROTOCOLINFO 1").send(&greeting[..end]).close();
        });
        let endpoint = tor.endpoint();
        within(LIMIT, "connecting", move || torcon::connect(endpoint)).unwrap_err();
        tor.finish();
    }
}
