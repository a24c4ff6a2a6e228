//! Replies of every form.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use torcon::command::ConfValue;
use torcon::{ConnectOptions, Controller, Error, EventKind};

use super::{chain, closed, connected, served, value};
use crate::support::fake_tor::FakeTor;
use crate::support::script::Steps as _;

/// Connects to a fake tor that sends one reply, sends `command`, and checks that the next command gets
/// its own reply.
#[track_caller]
fn ask(command: &'static str, reply: &'static [u8]) -> Result<torcon::Reply, Error> {
    let (tor, controller) = connected(move |script| {
        script.unchecked("status codes of every class");
        script.expect(command).send(reply);
        script.answer("GETINFO after", &["250-after=right", "250 OK"]).expect_end();
    });
    let outcome = controller.command(command);
    assert_eq!(controller.get_info_one("after").unwrap(), "right", "{command}");
    drop(controller);
    tor.finish();
    outcome
}

#[test]
fn mixed_status_codes_form_one_reply() {
    // MAPADDRESS mixes codes, which left txtorcon waiting.
    let mixed = b"512-syntax error: invalid address '@@@'\r\n250 127.226.47.3=example.com\r\n";
    let error = ask("MAPADDRESS @@@=a 0.0.0.0=example.com", mixed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tor refused MAPADDRESS: 512 \"syntax error: invalid address '@@@'\""
    );
    let Error::Rejected(rejection) = &error else { panic!("{error:?}") };
    let lines: Vec<_> = rejection.lines().iter().map(|l| (l.code(), l.text())).collect();
    assert_eq!(lines[1], (250, "127.226.47.3=example.com".into()));
}

#[test]
fn refusals_of_several_lines_and_of_every_class_keep_every_line_and_code() {
    // Other libraries never delivered 4xx replies, or lost lines of refusals; Stem raised one exception
    // for 510, 512 and 551.
    let reply = b"552-Unrecognized key \"a\"\r\n552-Unrecognized key \"b\"\r\n552 done\r\n";
    let error = ask("GETINFO a b", reply).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tor refused GETINFO: 552 \"Unrecognized key \\\"a\\\"\" and 2 more"
    );
    for (reply, code) in [
        (&b"451 Resource exhausted\r\n"[..], 451),
        (b"510 Unrecognized command \"X\"\r\n", 510),
        (b"512 Bad arguments to X: Need at least 1 argument(s)\r\n", 512),
        (b"551 Unable to write configuration to disk.\r\n", 551),
        (b"650 BW 1 2\r\n650-CONF_CHANGED\r\n650 OK\r\n553 no\r\n", 553),
    ] {
        assert_eq!(ask("X", reply).unwrap_err().status_code(), Some(code));
    }
    let filtered = ask("X", b"510 Command filtered\r\n").unwrap_err();
    assert!(filtered.is_filtered(), "{filtered:?}");
}

#[test]
fn successes_other_than_250_are_successes() {
    // Stem raised errors for ONION_CLIENT_AUTH's 251 and 252.
    for (reply, code) in [
        (&b"251 Client for onion existed and replaced\r\n"[..], 251),
        (b"252 Registered client and decrypted desc\r\n", 252),
    ] {
        assert_eq!(ask("ONION_CLIENT_AUTH_ADD x", reply).unwrap().code(), code);
    }
}

#[test]
fn data_may_look_like_replies_or_events() {
    // Other libraries parsed such lines as replies, kept the dot-stuffing, or deleted OK.
    let reply = b"250+config-text=\r\n100 BUILT ..\r\n250 x\r\n250 OK\r\n650 BW 1 2\r\n..\r\n\
                  ..a.example b\r\nOK\r\n\r\nHTTP/1.0\r\n.\r\n250-version=1\r\n250 OK\r\n";
    let reply = ask("GETINFO config-text version", reply).unwrap();
    let lines: Vec<_> = reply.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0].data().unwrap(),
        b"100 BUILT ..\n250 x\n250 OK\n650 BW 1 2\n.\n.a.example b\nOK\n\nHTTP/1.0"
    );
    assert_eq!(lines[1].text(), "version=1");
}

#[test]
fn an_event_before_or_inside_a_reply_shifts_no_reply() {
    // One event in front of the reply to SETCONF shifted every later reply (torut).
    let events = [
        "650 BW 1 2",
        "650-CONF_CHANGED\r\n650-Nickname=250 OK\r\n650 OK",
        "650+NS\r\nr a b\r\n250 OK\r\n.\r\n650 OK",
        "650 NOTICE 250 OK",
    ];
    for event in events {
        let (tor, controller) = connected(move |script| {
            script.expect("SETEVENTS BW CONF_CHANGED NOTICE NS").send("250 OK\r\n");
            script.expect("SETCONF Nickname=x").send(format!("{event}\r\n250 OK\r\n"));
            script.expect("GETINFO a b");
            script.send(format!("{event}\r\n250-a=1\r\n{event}\r\n250+b=\r\n2\r\n.\r\n"));
            script.send(format!("{event}\r\n250 OK\r\n{event}\r\n"));
            script.drain();
        });
        let kinds = [EventKind::Bw, EventKind::ConfChanged, EventKind::Ns, EventKind::Notice];
        let queue = controller.events(kinds).unwrap();
        controller.set_conf([("Nickname", "x")]).unwrap();
        let info = controller.get_info(["a", "b"]).unwrap();
        assert_eq!(format!("{info:?}"), r#"{"a": "1", "b": "2"}"#, "{event}");
        let first = queue.recv().unwrap();
        for _ in 0..4 {
            assert_eq!(queue.recv().unwrap(), first);
        }
        drop(queue);
        drop(controller);
        tor.finish();
    }
}

#[test]
fn bytes_that_are_not_utf8_do_not_stop_the_connection() {
    // One such byte stopped txtorcon, torut and tor-interface.
    let reply = ask("GETINFO config-file", b"250-config-file=/t/caf\xe9\xff\x00\r\n250 OK\r\n");
    assert_eq!(reply.unwrap().lines().next().unwrap().bytes(), b"config-file=/t/caf\xe9\xff\x00");
    let error = ask("GETINFO caf", b"551 caf\xe9\r\n").unwrap_err();
    assert_eq!(error.to_string(), "tor refused GETINFO: 551 \"caf\\xe9\"");

    let (tor, controller) = connected(|script| {
        script.unchecked("bytes of no encoding");
        script.expect("SETEVENTS NOTICE STREAM").send("250 OK\r\n");
        script.send(b"650 NOTICE \xff\xfe\r\n650 STREAM 1 NEW 0 \xff:80\r\n650 NOTICE x\r\n");
        script.drain();
    });
    let queue = controller.events([EventKind::Notice, EventKind::Stream]).unwrap();
    assert_eq!(queue.recv().unwrap().text().unwrap().as_bytes(), b"NOTICE \xff\xfe");
    assert_eq!(queue.recv().unwrap().kind(), Some(EventKind::Stream));
    assert_eq!(queue.recv().unwrap().to_string(), "NOTICE x");
    drop((queue, controller));
    tor.finish();
}

#[test]
fn long_lines_and_long_replies_are_complete() {
    // Limits of 16 KiB to 1 MiB broke ns/all and NEWCONSENSUS.
    let (tor, controller) = connected(|script| {
        script.expect("GETINFO ns/all").send("250+ns/all=\r\n");
        script.flood(format!("r {}\r\n", "x".repeat(97)), 200_000).send(".\r\n250 OK\r\n");
        script.expect("GETINFO line").send("250-line=");
        script.flood("y", 4 << 20).send("\r\n250 OK\r\n").drain();
    });
    let info = controller.get_info(["ns/all"]).unwrap();
    assert_eq!(info.bytes("ns/all").unwrap().len(), 100 * 200_000 - 1);
    assert_eq!(controller.get_info_one("line").unwrap().len(), 4 << 20);
    drop(controller);
    tor.finish();
}

#[test]
fn a_round_trip_is_not_delayed_by_nagle() {
    // Two writes for each command cost 50 ms with Nagle, so 300 commands would take 15 s every time. A
    // loaded machine is slow only now and then.
    let tor = FakeTor::tcp(|script| {
        script.greet().serve(super::answer);
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    let round = |_| {
        let start = Instant::now();
        for n in 0..300 {
            let key = format!("key/{n}");
            assert_eq!(controller.get_info_one(&key).unwrap(), value(&key));
        }
        start.elapsed()
    };
    let quick = (0..5).map(round).find(|took| *took < Duration::from_secs(5));
    assert!(quick.is_some(), "300 round trips took more than five seconds, five times");
    drop(controller);
    tor.finish();
}

#[test]
fn a_steady_stream_of_events_starves_no_command() {
    // tor-interface read replies only between events.
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS BW").send("250 OK\r\n");
        for _ in 0..20 {
            script.flood("650 BW 1 2\r\n", 10_000).expect("GETINFO a");
            script.flood("650 BW 1 2\r\n", 10_000).send("250-a=1\r\n250 OK\r\n");
        }
        script.drain();
    });
    controller.add_event_listener(EventKind::Bw, |_| {}).unwrap();
    for _ in 0..20 {
        assert_eq!(controller.get_info_one("a").unwrap(), "1");
    }
    drop(controller);
    tor.finish();
}

#[test]
fn an_option_without_value_does_not_merge_with_others() {
    // txtorcon appended a bare key to the preceding value.
    let (tor, controller) = connected(|script| {
        script.answer("GETCONF SocksPort MyFamily", &["250-SocksPort=9050", "250 MyFamily"]);
        script.answer("GETCONF MyFamily SocksPort", &["250-MyFamily", "250 SocksPort=9050"]);
        let lines = ["250-Log=a b", "250-Log=", "250-ContactInfo=", "250 Nickname"];
        script.answer("GETCONF Log ContactInfo Nickname", &lines);
        script.drain();
    });
    let set = |values: &[&str]| ConfValue::Set(values.iter().map(|v| (*v).to_owned()).collect());
    for options in [["SocksPort", "MyFamily"], ["MyFamily", "SocksPort"]] {
        let conf = controller.get_conf(options).unwrap();
        assert_eq!(conf.get("SocksPort"), Some(&set(&["9050"])));
        assert_eq!(conf.get("MyFamily"), Some(&ConfValue::Default));
    }
    let conf = controller.get_conf(["Log", "ContactInfo", "Nickname"]).unwrap();
    assert_eq!(conf.get("Log"), Some(&set(&["a b", ""])));
    assert_eq!(conf.get("ContactInfo"), Some(&set(&[""])));
    assert_eq!(conf.get("Nickname"), Some(&ConfValue::Default));
    drop(controller);
    tor.finish();
}

#[test]
fn a_value_that_was_read_can_be_set_again() {
    // Other libraries returned quoted values undecoded, so setting them again changed them.
    let (tor, controller) = connected(|script| {
        let quoted = r#"250 ContactInfo="say \"hi\" # caf\303\251\tx\\y\n.""#;
        script.answer("GETCONF ContactInfo", &[quoted]);
        script.answer("GETCONF ContactInfo", &[r#"250 ContactInfo=plain "x" \ y"#]);
        script.expect(r#"SETCONF ContactInfo="plain \"x\" \\ y""#).send("250 OK\r\n");
        script.drain();
    });
    let conf = controller.get_conf(["ContactInfo"]).unwrap();
    assert_eq!(conf.get("ContactInfo").unwrap().first(), Some("say \"hi\" # caf\u{e9}\tx\\y\n."));
    let conf = controller.get_conf(["ContactInfo"]).unwrap();
    controller.set_conf(conf.lines()).unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn getinfo_keeps_the_case_of_keys_and_needs_at_least_one() {
    // Keys are case-sensitive, one unknown key fails all, and tor answers `250 OK` to no key.
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO Version", &["552 Unrecognized key \"Version\""]);
        script.answer("GETINFO version nope", &["552 Unrecognized key \"nope\""]);
        script.answer("GETINFO a a", &["250-a=1", "250-a=1", "250 OK"]);
        script.expect_end();
    });
    assert_eq!(controller.get_info_one("Version").unwrap_err().status_code(), Some(552));
    let error = controller.get_info(["version", "nope"]).unwrap_err();
    assert_eq!(error.to_string(), r#"tor refused GETINFO: 552 "Unrecognized key \"nope\"""#);
    assert_eq!(controller.get_info(["a", "a"]).unwrap().len(), 2);
    let error = controller.get_info([""; 0]).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"keys\": none is given");
    drop(controller);
    tor.finish();
}

#[test]
fn a_reply_to_another_command_ends_the_connection() {
    type Call = fn(&Controller) -> Result<(), Error>;

    // No reply may go to the wrong caller, whichever method sends the command.
    let calls: [(&str, Call); 4] = [
        ("get_info_one", |controller| controller.get_info_one("version").map(drop)),
        ("command", |controller| controller.command("GETINFO version").map(drop)),
        ("queue_command", |controller| {
            controller.queue_command("GETINFO version")?.wait().map(drop)
        }),
        ("command_lines", |controller| {
            controller.command_lines("GETINFO version", |_| ControlFlow::Continue(()))
        }),
    ];
    let replies = [
        "250-traffic/read=1\r\n250 OK\r\n",
        "250 OK\r\n",
        "250+b=\r\n.\r\n250 OK\r\n",
        "552 Unrecognized key \"traffic/read\"\r\n",
    ];
    for ((method, call), reply) in calls.iter().flat_map(|call| replies.map(|reply| (call, reply)))
    {
        let (tor, controller) = connected(move |script| {
            script.expect("GETINFO version").send(reply).expect_end();
        });
        let error = call(&controller).unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{method} {reply}: {error:?}");
        assert!(chain(&error).starts_with("cannot read the reply to GETINFO: "), "{error}");
        assert_eq!(
            closed(controller.get_info_one("version")),
            "replies are out of step with commands: a reply belongs to another command",
            "{method} {reply}"
        );
        tor.finish();
    }
}

#[test]
fn a_reply_without_a_command_ends_the_connection() {
    // A command that is answered twice.
    let (tor, controller) = connected(|script| {
        script.answer("GETINFO a", &["250-a=1", "250 OK", "250-a=1", "250 OK"]).expect_end();
    });
    assert_eq!(controller.get_info_one("a").unwrap(), "1");
    let reason = controller.wait_closed(super::LIMIT).unwrap();
    assert_eq!(
        reason.to_string(),
        "replies are out of step with commands: a reply arrived without a command"
    );
    tor.finish();
}

#[test]
fn a_hundred_commands_of_one_thread_may_be_pending() {
    let (tor, controller) = connected(|script| {
        let commands: Vec<_> = (0..100).map(|n| format!("GETINFO key/{n}")).collect();
        // No reply is sent before all commands have arrived.
        for command in &commands {
            script.expect(command);
        }
        let mut out = Vec::new();
        commands.iter().for_each(|command| super::answer(command, &mut out));
        script.send(out).drain();
    });
    let pending: Vec<_> =
        (0..100).map(|n| controller.queue_command(&format!("GETINFO key/{n}")).unwrap()).collect();
    // The replies can be received in any order.
    for (n, pending) in pending.into_iter().enumerate().rev() {
        let key = format!("key/{n}");
        let line = pending.wait().unwrap().lines().next().unwrap().text().into_owned();
        assert_eq!(line, format!("{key}={}", value(&key)));
    }
    drop(controller);
    tor.finish();
}

#[test]
fn dropped_tickets_shift_no_reply() {
    let (tor, controller) = served();
    let mut kept = Vec::new();
    for n in 0..100 {
        let pending = controller.queue_command(&format!("ECHO {n}/x")).unwrap();
        if n % 3 == 0 {
            kept.push((n, pending));
        }
    }
    for (n, pending) in kept {
        assert_eq!(pending.wait().unwrap().text(), format!("{n}/x"));
    }
    drop(controller);
    tor.finish();
}

#[test]
fn try_wait_never_blocks_and_returns_the_reply_once() {
    let (go_on, test_says) = crate::support::signal::signal();
    let (tor, controller) = connected(move |script| {
        script.expect("ECHO a").wait_for(&test_says).send("250 a\r\n");
        script.answer("ECHO b", &["552 no"]).drain();
    });
    let pending = controller.queue_command("ECHO a").unwrap();
    assert!(pending.try_wait().is_none());
    go_on.fire();
    // This reply follows the other.
    let refused = controller.queue_command("ECHO b").unwrap();
    assert_eq!(refused.wait().unwrap_err().status_code(), Some(552));
    assert_eq!(pending.try_wait().unwrap().unwrap().text(), "a");
    // The connection is open, so the error must not be that of its end.
    assert!(pending.try_wait().is_none(), "the reply was given once already");
    let error = pending.wait().unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"reply\": was received already");
    assert!(controller.is_alive());
    drop(controller);
    tor.finish();
}

#[test]
fn a_pending_reply_does_not_keep_the_connection_open() {
    let (tor, controller) = super::connected_with(&ConnectOptions::new(), |script| {
        script.expect("ECHO a").expect_end();
    });
    let pending = controller.queue_command("ECHO a").unwrap();
    drop(controller);
    assert_eq!(closed(pending.wait()), "this program closed the connection");
    tor.finish();
}
