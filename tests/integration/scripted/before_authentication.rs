//! Memory and time that a peer can use before authentication, and values that are refused before
//! they are sent.

use std::time::{Duration, Instant};

use torcon::{ConnectOptions, Error};

use super::{SOON, chain, connected};
use crate::support::exclusive::exclusive_beside;
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;
use crate::support::leaks::{peak_growth, peak_memory};

/// The beginning of a peer's answer to the first command, and the text that it then repeats until
/// the connection ends.
const FLOODS: [(&str, &str); 9] = [
    ("250-PROTOCOLINFO 1\r\n250-AUTH METHODS=", "A,"),
    ("250-PROTOCOLINFO 1\r\n", "250-AUTH METHODS=A,B,C\r\n"),
    ("250-PROTOCOLINFO 1\r\n", "250-\r\n"),
    ("250-PROTOCOLINFO 1\r\n", "250-AUTH \"x\"y \"x\"y \"x\"y\r\n"),
    ("250+PROTOCOLINFO 1\r\n", ".\r\n"),
    ("", "250-\r\n"),
    ("", "250 OK\r\n"),
    ("650 NOTICE ", "\""),
    ("", "650 NOTICE x\r\n"),
];

#[test]
fn a_hostile_peer_is_left_within_the_time_limit() {
    // 60 MB of methods took 1.6 GiB, and a connect with a limit of 2 seconds took 11.6.
    for (start, flood) in FLOODS {
        let tor = FakeTor::unix(move |script| {
            script.unchecked("a rogue port");
            script.expect("PROTOCOLINFO 1").send(start).flood_until_hang_up(flood, 1 << 30);
        });
        let begin = Instant::now();
        let options = ConnectOptions::new().timeout(Duration::from_secs(2));
        let error = options.connect(tor.endpoint()).unwrap_err();
        assert!(begin.elapsed() < SOON, "{start:?} and {flood:?} took {:?}", begin.elapsed());
        assert!(matches!(error, Error::Connect(_)), "{}", chain(&error));
        tor.finish();
    }
}

/// Returns the processor time that this process has used, to a hundredth of a second.
fn processor_time() -> Duration {
    let used = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    // Behind the name, which may hold anything: the 14th and 15th field of all.
    let (_, fields) = used.rsplit_once(')').expect("the name stands in parentheses");
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

#[test]
fn a_peer_takes_little_memory_and_time_before_authentication() {
    // The peer is another process: what it sends is not counted.
    let start = || {
        let tor = FakeTor::unix(|script| {
            script.unchecked("a rogue port");
            script.greet().drain();
            let mut next = script.accept();
            next.expect("PROTOCOLINFO 1").send("250-AUTH METHODS=\r\n no reply\r\n").drain();
            for (start, flood) in FLOODS {
                let mut next = script.accept();
                next.expect("PROTOCOLINFO 1").send(start).flood_until_hang_up(flood, 1 << 30);
            }
        });
        let endpoint = tor.endpoint();
        (tor, endpoint)
    };
    let peer = exclusive_beside(start, |endpoint| {
        let options = ConnectOptions::new().timeout(Duration::from_secs(2));
        // The memory of the first connection, and of the code that reads and reports a malformed
        // reply, is not caused by the flood.
        drop(ConnectOptions::new().connect(endpoint).unwrap());
        options.connect(endpoint).unwrap_err();
        for (start, flood) in FLOODS {
            let (memory, time) = (peak_memory(), processor_time());
            let error = options.connect(endpoint).unwrap_err();
            let (memory, time) = (peak_growth(memory), processor_time() - time);
            assert!(matches!(error, Error::Connect(_)), "{}", chain(&error));
            assert!(memory <= 4 << 20, "{memory} bytes for {start:?} and {flood:?}");
            assert!(time < Duration::from_secs(4), "{time:?} for {start:?} and {flood:?}");
        }
    });
    if let Some(tor) = peer {
        tor.finish();
    }
}

#[test]
fn the_limits_of_the_handshake_end_with_it() {
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO a").send("250-a=").flood("x", 1 << 20).send("\r\n250 OK\r\n");
        script.drain();
    });
    assert_eq!(controller.get_info_one("a").unwrap().len(), 1 << 20);
    drop(controller);
    tor.finish();
}

#[test]
fn a_password_that_no_command_can_hold_is_refused_by_name() {
    let password = "x".repeat(600_000);
    let expected =
        "invalid argument \"password\": has 600000 bytes, and tor accepts at most 524280";
    let tor = FakeTor::unix(|script| {
        script.protocol_info("HASHEDPASSWORD", None).expect_end();
    });
    let error = ConnectOptions::new().password(&*password).connect(tor.endpoint()).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert_eq!(error.to_string(), expected);
    tor.finish();
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    assert_eq!(controller.authenticate(&*password).unwrap_err().to_string(), expected);
    drop(controller);
    tor.finish();
}
