//! `GETINFO`, whole and line by line, compared with the raw values.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use torcon::names::Signal;
use torcon::{ConnectOptions, Disconnect, Error, EventKind};

use super::{controller, reader, refusal};
use crate::support::leaks::{peak_growth, peak_memory};
use crate::support::real_tor::{RealTor, shared};
use crate::support::watchdog::within;

/// Keys with constant values, of every shape: one word, empty, with blanks, with equals signs,
/// quoted, lists of one and of many lines.
const STEADY: [&str; 24] = [
    "version",
    "process/pid",
    "process/uid",
    "config-file",
    "config-defaults-file",
    "config-text",
    "config/names",
    "config/defaults",
    "info/names",
    "events/names",
    "signal/names",
    "features/names",
    "status/bootstrap-phase",
    "status/clients-seen",
    "status/version/current",
    "net/listeners/control",
    "net/listeners/socks",
    "exit-policy/default",
    "ip-to-country/1.2.3.4",
    "circuit-status",
    "stream-status",
    "entry-guards",
    "consensus/valid-after",
    "ns/id/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];

// Row `get_info(*keys)`.
#[test]
fn every_form_of_value_equals_the_raw_value() {
    let controller = reader();
    let mut raw = shared().raw();
    let info = controller.get_info(STEADY).unwrap();
    assert_eq!(info.len(), STEADY.len());
    let keys: Vec<_> = info.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, STEADY, "in the order of the question");
    for key in STEADY {
        let expected = raw.get_info(key);
        assert_eq!(info.get(key).unwrap(), expected, "{key}");
        assert_eq!(controller.get_info_one(key).unwrap(), expected, "{key}");
        let mut lines = Vec::new();
        controller
            .get_info_incremental(key, |line| {
                lines.push(line.text().into_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(lines.join("\n"), expected, "{key}");
    }
    assert!(info.get("status/clients-seen").unwrap().contains("IPVersions=v4=0,v6=0"));
    assert!(info.get("config/names").unwrap().lines().count() > 300);
    assert_eq!(info.get("net/listeners/socks").unwrap(), "");
    assert_eq!(info.get("uptime"), None, "the key was not queried");
}

// Row `get_info(*keys)`: one round trip, and repeated keys.
#[test]
fn a_key_may_be_queried_twice() {
    let controller = reader();
    let info = controller.get_info(["process/pid", "config/names", "process/pid"]).unwrap();
    let pid = shared().pid().to_string();
    let values: Vec<_> = info.iter().map(|(_, value)| value.into_owned()).collect();
    assert_eq!(values, [pid.clone(), shared().raw().get_info("config/names"), pid]);
}

// Row `how to know the keys`; rows `valid_events`, `valid_signals`: exact names.
#[test]
fn the_valid_names_are_those_of_tor() {
    let controller = reader();
    let mut raw = shared().raw();
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();

    let events: Vec<_> =
        controller.valid_events().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(events, words(raw.get_info("events/names")));
    assert!(controller.valid_events().unwrap().iter().all(EventKind::is_recognized));
    assert!(!controller.valid_events().unwrap().contains(&EventKind::TbEmpty));

    let signals: Vec<_> =
        controller.valid_signals().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(signals, words(raw.get_info("signal/names")));
    assert!(controller.valid_signals().unwrap().iter().all(Signal::is_recognized));

    let lines: Vec<_> = controller
        .info_names()
        .unwrap()
        .into_iter()
        .map(|(name, text)| format!("{name} -- {text}"))
        .collect();
    assert_eq!(lines.join("\n"), raw.get_info("info/names"));
    assert!(lines.len() > 100);

    let names = controller.config_names().unwrap();
    let lines: Vec<_> = names.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(lines.join("\n"), raw.get_info("config/names"));
    assert!(names.contains(&("SocksPort".into(), "Dependent".into())));
    assert!(names.contains(&("ContactInfo".into(), "String".into())));
    assert!(names.iter().all(|(name, kind)| !name.is_empty() && !kind.is_empty()));
}

// Every key that tor lists is either answered or refused, and the connection stays open.
#[test]
fn every_key_that_tor_names_is_answered_or_refused() {
    let controller = reader();
    let mut raw = shared().raw();
    let names = controller.info_names().unwrap();
    let (mut answered, mut refused) = (0, 0);
    for (name, _) in &names {
        // Patterns are queried unchanged: tor refuses or answers them.
        let key: String = name.chars().filter(|letter| !letter.is_whitespace()).collect();
        match controller.get_info_one(&key) {
            Ok(_) => answered += 1,
            Err(Error::InvalidInput(problem)) => {
                assert_eq!(problem.problem(), "makes some versions of tor abort", "{key}");
            }
            Err(error) => {
                let theirs = raw.ask(&format!("GETINFO {key}"));
                let Error::Rejected(rejection) = &error else { panic!("{key}: {error:?}") };
                assert_eq!(theirs, [format!("{} {}", rejection.code(), rejection.text())]);
                refused += 1;
            }
        }
    }
    assert!(answered > 60 && refused > 10, "{answered} answered, {refused} refused");
    assert!(controller.is_alive());
}

// Row `get_info(*keys)`: errors keep code and text (peers 28, 29).
#[test]
fn one_unknown_key_fails_the_query_and_each_is_named() {
    let controller = reader();
    assert_eq!(
        refusal(controller.get_info(["version", "Version"])),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"Version\\\"\"",
        "keys are case-sensitive"
    );
    let error = controller.get_info(["nope", "version", "caf\u{e9}"]).unwrap_err();
    assert_eq!(error.status_code(), Some(552));
    let Error::Rejected(rejection) = error else { panic!("{error:?}") };
    let lines: Vec<_> = rejection.lines().iter().map(|line| line.text()).collect();
    assert_eq!(lines, ["Unrecognized key \"nope\"", "Unrecognized key \"caf\u{e9}\""]);
    assert_eq!(
        refusal(controller.get_info_one("address")),
        "tor refused GETINFO: 551 \"Address unknown\""
    );
    assert_eq!(
        refusal(controller.get_info_incremental("nope", |_| panic!("no line is expected"))),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"nope\\\"\""
    );
    assert_eq!(refusal(controller.get_info([""; 0])), "invalid argument \"keys\": none is given");
    assert!(controller.is_alive());
}

// Row `get_info_raw`.
#[test]
fn a_raw_reply_has_codes_lines_and_data() {
    let reply = reader().get_info_raw(["version", "signal/names", "config/names"]).unwrap();
    assert!(reply.is_success());
    let lines: Vec<_> = reply.lines().map(|line| (line.code(), line.text().into_owned())).collect();
    let mut raw = shared().raw();
    let expected = [
        (250, format!("version={}", raw.get_info("version"))),
        (250, format!("signal/names={}", raw.get_info("signal/names"))),
        (250, "config/names=".to_owned()),
        (250, "OK".to_owned()),
    ];
    assert_eq!(lines, expected);
    let data = reply.lines().nth(2).unwrap().data().unwrap();
    assert_eq!(String::from_utf8_lossy(data), raw.get_info("config/names"));
    assert_eq!(
        refusal(reader().get_info_raw(["nope"])),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"nope\\\"\""
    );
}

// Row `get_info_incremental(key, line_cb)`: stopping early.
#[test]
fn the_closure_may_break() {
    let controller = reader();
    let mut raw = shared().raw();
    let first = raw.get_info("config/names").lines().next().unwrap().to_owned();
    for _ in 0..20 {
        let mut lines = Vec::new();
        controller
            .get_info_incremental("config/names", |line| {
                lines.push(line.text().into_owned());
                ControlFlow::Break(())
            })
            .unwrap();
        assert_eq!(lines, [first.as_str()]);
        // The rest of the reply is discarded.
        assert_eq!(controller.get_info_one("process/pid").unwrap(), shared().pid().to_string());
    }
}

#[test]
fn a_closure_that_takes_lines_may_send_commands() {
    let controller = reader();
    let pid = shared().pid().to_string();
    let mut asked = 0;
    within(Duration::from_secs(60), "commands between the lines", move || {
        let inner = controller.clone();
        controller
            .command_lines(&format!("GETINFO{}", " config/names".repeat(100)), |_| {
                if asked < 50 {
                    assert_eq!(inner.get_info_one("process/pid").unwrap(), pid);
                    asked += 1;
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(asked, 50);
    });
}

/// The number of times that the long replies repeat a list of some 12,000 bytes.
const REPEATED: usize = 2000;

// Row `get_info(*keys)`: large. Peers 9: limits broke long replies elsewhere.
#[test]
fn a_reply_of_24_megabytes_is_complete() {
    let controller = reader();
    let list = shared().raw().get_info("config/names");
    let info = controller.get_info(std::iter::repeat_n("config/names", REPEATED)).unwrap();
    assert_eq!(info.len(), REPEATED);
    assert!(info.iter().all(|(_, value)| value == list));

    // Row "limits", settable: the same reply with a limit ends the connection with that reason.
    let options = ConnectOptions::new().reply_limit(1 << 20);
    let limited = options.connect(shared().endpoint()).unwrap();
    assert_eq!(
        refusal(limited.get_info(std::iter::repeat_n("config/names", REPEATED))),
        "the control connection is closed: a reply from tor exceeds the limit of 1048576 bytes"
    );
    assert!(matches!(limited.closed_reason(), Some(Disconnect::ReplyTooLong { limit: 1_048_576 })));
    // Line by line there is no limit.
    let limited = options.connect(shared().endpoint()).unwrap();
    let mut bytes = 0;
    let command = format!("GETINFO{}", " config/names".repeat(200));
    limited
        .command_lines(&command, |line| {
            bytes += line.bytes().len() + 2;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(bytes > 2 << 20);
}

// Row `get_info_incremental`: any size in little memory, and events go to their listeners
// (peers 7).
#[test]
fn a_reply_of_48_megabytes_line_by_line_takes_little_memory_while_events_arrive() {
    crate::support::exclusive::exclusive(|| {
        let tor = RealTor::builder().without_cookie().start();
        let controller = controller(&tor);
        let list = controller.get_info_one("config/names").unwrap();
        let events = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&events);
        controller
            .add_text_listener(EventKind::Debug, move |_| {
                counting.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        // Another connection causes events.
        let chatter = super::controller(&tor);
        let before = peak_memory();
        let (mut bytes, mut count) = (0, 0);
        let mut expected = list.lines().cycle();
        controller
            .command_lines(&format!("GETINFO{}", " config/names".repeat(2 * REPEATED)), |line| {
                if line.bytes() != b"config/names=" {
                    assert_eq!(line.text(), expected.next().unwrap());
                    count += 1;
                } else if count % (100 * list.lines().count()) == 0 {
                    chatter.signal(Signal::Heartbeat).unwrap();
                }
                bytes += line.bytes().len() + 2;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(count, 2 * REPEATED * list.lines().count());
        assert!(bytes > 45_000_000, "{bytes}");
        let grown = peak_growth(before);
        assert!(grown < 24 << 20, "memory grew by {grown} bytes");
        assert!(events.load(Ordering::Relaxed) > 0);
        assert_eq!(controller.get_info_one("process/pid").unwrap(), tor.pid().to_string());
    });
}

// Row `line receiver`: very long lines.
#[test]
fn a_line_of_nine_hundred_thousand_bytes_is_sent_and_received() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let long = "0123456789".repeat(90_000);
    controller.set_conf([("ContactInfo", &long)]).unwrap();
    let conf = controller.get_conf(["ContactInfo"]).unwrap();
    assert_eq!(conf.get("ContactInfo").unwrap().first(), Some(long.as_str()));

    let short = ConnectOptions::new().line_limit(100_000).connect(tor.endpoint()).unwrap();
    assert_eq!(
        refusal(short.get_conf(["ContactInfo"])),
        "the control connection is closed: a line from tor exceeds the limit of 100000 bytes"
    );
    // tor accepts commands of at most 1,048,575 bytes; it would close the connection.
    let too_long = "x".repeat(1_048_560);
    assert_eq!(
        refusal(controller.set_conf([("ContactInfo", &too_long)])),
        "invalid argument \"command\": has 1048582 bytes, and tor accepts at most 1048575"
    );
    let rest = "SETCONF ContactInfo=\r\n".len();
    let fits = "x".repeat(1_048_575 - rest);
    controller.set_conf([("ContactInfo", &fits)]).unwrap();
    assert_eq!(
        refusal(controller.set_conf([("ContactInfo", &format!("{fits}x"))])),
        "invalid argument \"command\": has 1048576 bytes, and tor accepts at most 1048575"
    );
    assert!(controller.is_alive());
}

#[test]
fn the_bootstrap_progress_can_be_queried() {
    let phase = reader().bootstrap_phase().unwrap();
    assert_eq!((phase.progress, phase.tag.as_str(), phase.is_done()), (0, "starting", false));
    assert_eq!(phase.summary, "Starting");
}
