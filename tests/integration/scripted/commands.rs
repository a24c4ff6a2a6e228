//! The bytes that each method sends, and its result for a reply. Filters in front of a control port
//! compare text, so neither the arguments nor their order may change.

use torcon::{Controller, Signal};

use super::{LIMIT, connected};

/// A method, the line that it sends, the answer, and what it returns.
type Case = (fn(&Controller) -> String, &'static str, &'static [&'static str], &'static str);

const OK: &[&str] = &["250 OK"];

const CASES: &[Case] = &[
    (
        |c| format!("{:?}", c.get_info(["b", "a"]).unwrap()),
        "GETINFO b a",
        &["250-b=1", "250-a=2", "250 OK"],
        r#"{"b": "1", "a": "2"}"#,
    ),
    (|c| c.get_info_one("a").unwrap(), "GETINFO a", &["250-a=x=y", "250 OK"], "x=y"),
    (
        |c| c.get_info_raw(["a"]).unwrap().lines().next().unwrap().text().into_owned(),
        "GETINFO a",
        &["250-a=1", "250 OK"],
        "a=1",
    ),
    (
        |c| format!("{:?}", c.get_conf(["Nickname"]).unwrap().get("nickname")),
        "GETCONF Nickname",
        &["250 Nickname=x"],
        "Some(Set(1 values))",
    ),
    (|c| c.get_conf_raw(["a"]).unwrap().text().into_owned(), "GETCONF a", &["250 Abc=1"], "Abc=1"),
    (
        |c| format!("{:?}", c.set_conf([("B", Some("x y")), ("A", None), ("B", Some(""))])),
        "SETCONF B=\"x y\" A B=\"\"",
        OK,
        "Ok(())",
    ),
    (
        |c| format!("{:?}", c.reset_conf([("B", None), ("A", Some("x"))])),
        "RESETCONF B A=x",
        OK,
        "Ok(())",
    ),
    (|c| format!("{:?}", c.save_conf()), "SAVECONF", OK, "Ok(())"),
    (|c| format!("{:?}", c.save_conf_forced()), "SAVECONF FORCE", OK, "Ok(())"),
    (|c| format!("{:?}", c.signal(Signal::Newnym)), "SIGNAL NEWNYM", OK, "Ok(())"),
    (|c| format!("{:?}", c.signal(Signal::from("RELOAD"))), "SIGNAL RELOAD", OK, "Ok(())"),
    (
        |c| c.protocol_info().unwrap().tor_version.to_string(),
        "PROTOCOLINFO 1",
        &["250-PROTOCOLINFO 1", "250-AUTH METHODS=NULL", "250-VERSION Tor=\"0.4.8.1\"", "250 OK"],
        "0.4.8.1",
    ),
    (|c| format!("{:?}", c.authenticate("a b")), "AUTHENTICATE 612062", OK, "Ok(())"),
    (|c| format!("{:?}", c.authenticate("")), "AUTHENTICATE", OK, "Ok(())"),
    (
        |c| format!("{:?}", c.use_feature(["VERBOSE_NAMES", "EXTENDED_EVENTS"])),
        "USEFEATURE VERBOSE_NAMES EXTENDED_EVENTS",
        OK,
        "Ok(())",
    ),
    (|c| format!("{:?}", c.drop_ownership()), "DROPOWNERSHIP", OK, "Ok(())"),
    (
        |c| format!("{:?}", c.valid_events().unwrap()),
        "GETINFO events/names",
        &["250-events/names=BW NEW", "250 OK"],
        r#"[Bw, Unrecognized("NEW")]"#,
    ),
    (
        |c| format!("{:?}", c.valid_signals().unwrap()),
        "GETINFO signal/names",
        &["250-signal/names=RELOAD NEW", "250 OK"],
        r#"[Reload, Unrecognized("NEW")]"#,
    ),
    (
        |c| format!("{:?}", c.info_names().unwrap()),
        "GETINFO info/names",
        &["250+info/names=", "a/b -- A -- B", "c", ".", "250 OK"],
        r#"[("a/b", "A -- B"), ("c", "")]"#,
    ),
    (
        |c| format!("{:?}", c.config_names().unwrap()),
        "GETINFO config/names",
        &["250+config/names=", "Log LineList", "New", ".", "250 OK"],
        r#"[("Log", "LineList"), ("New", "")]"#,
    ),
    (
        |c| c.bootstrap_phase().unwrap().progress.to_string(),
        "GETINFO status/bootstrap-phase",
        &[
            "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 TAG=conn SUMMARY=\"a b\"",
            "250 OK",
        ],
        "45",
    ),
    (|c| c.command("x  y ").unwrap().text().into_owned(), "x  y ", &["250 z"], "z"),
    (
        |c| c.queue_command("X").unwrap().wait().unwrap().code().to_string(),
        "X",
        &["250-a", "251 b"],
        "251",
    ),
    (|c| c.set_conf([("A", "x")]).unwrap_err().to_string(), "SETCONF A=x", &["552 no"], REFUSED),
    // Queried once, then cached.
    (|c| c.valid_events().unwrap().len().to_string(), "", &[], "2"),
    (|c| c.valid_signals().unwrap().len().to_string(), "", &[], "2"),
];

const REFUSED: &str = "tor refused SETCONF: 552 \"no\"";

#[test]
fn every_method_sends_only_its_documented_command() {
    // Part 7 of peers: works behind filtering proxies, without hidden commands.
    let (tor, controller) = connected(|script| {
        for (_, line, reply, _) in CASES {
            if !line.is_empty() {
                script.answer(line, reply);
            }
        }
        script.expect_end();
    });
    for (call, line, _, expected) in CASES {
        assert_eq!(call(&controller), *expected, "{line}");
    }
    drop(controller);
    tor.finish();
}

#[test]
fn a_configuration_is_sent_as_data() {
    let (tor, controller) = connected(|script| {
        script.expect("+LOADCONF").expect_data(&["Nickname x", "", "Log a"]);
        script.send("250 OK\r\n").expect_end();
    });
    controller.load_conf("Nickname x\n\nLog a\n").unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn ownership_is_taken_with_or_without_a_pid() {
    for (reply, pid) in [
        (&["250-process/pid=4711", "250 OK"][..], Some(4711)),
        (&["250-process/pid=?", "250 OK"], None),
        (&["510 Command filtered"], None),
    ] {
        let (tor, controller) = connected(move |script| {
            script.answer("TAKEOWNERSHIP", OK).answer("GETINFO process/pid", reply);
            script.answer("DROPOWNERSHIP", OK);
            script.answer("TAKEOWNERSHIP", &["510 Command filtered"]).expect_end();
        });
        controller.take_ownership().unwrap();
        assert_eq!(controller.owned_pid(), pid);
        controller.drop_ownership().unwrap();
        assert_eq!(controller.owned_pid(), None);
        assert!(controller.take_ownership().unwrap_err().is_filtered());
        drop(controller);
        tor.finish();
    }
}

#[test]
fn a_shutdown_is_answered_before_the_end() {
    let (tor, controller) = connected(|script| {
        script.answer("SIGNAL SHUTDOWN", OK).close();
    });
    controller.signal(Signal::Shutdown).unwrap();
    assert_eq!(controller.wait_closed(LIMIT).unwrap().to_string(), "tor closed the connection");
    tor.finish();
}
