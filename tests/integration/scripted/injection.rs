//! Command injection: arguments with line breaks are refused, and nothing is written.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use torcon::command::{
    ExtendCircuit, GetConf, GetInfo, MapAddress, PostDescriptor, RedirectStream, ResetConf,
    Resolve, SetConf, SetEvents, UseFeature,
};
use torcon::info::MappingOrigin;
use torcon::names::{
    CircuitId, CircuitPurpose, ConsensusFlavor, ListenerKind, RouterPurpose, StreamId,
};
use torcon::{ConnectOptions, Controller, Endpoint, Error, EventKind, Request, Signal};

use super::{connected, served};
use crate::support::fake_tor::FakeTor;
use crate::support::greeting::Greeting as _;

/// Bytes that end a command or hide the rest of it.
const BREAKS: [(&str, &str); 5] = [
    ("a\nSIGNAL HALT", "contains a line feed"),
    ("a\r\nSIGNAL HALT", "contains a carriage return"),
    ("a\rb", "contains a carriage return"),
    ("a\0b", "contains NUL"),
    ("\n", "contains a line feed"),
];

/// Values that are not a single word.
const NO_TOKENS: [(&str, &str); 5] = [
    ("a b", "contains a blank"),
    ("a\tb", "contains a blank"),
    (" ", "contains a blank"),
    ("a\x07", "contains a control character"),
    ("", "is empty"),
];

/// The problem of every invalid option name.
const NO_OPTION: &str = "is not a name of letters, digits and underscores";

/// A function under test, called with an invalid argument.
type Call = fn(&Controller, &str) -> Result<(), Error>;

fn keep_reading(_: torcon::Line<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Every public function with a word as argument: its name, the name of the argument, and the call.
const TOKENS: &[(&str, &str, Call)] = &[
    ("get_info", "key", |c, bad| c.get_info(["version", bad]).map(drop)),
    ("get_info_one", "key", |c, bad| c.get_info_one(bad).map(drop)),
    ("get_info_raw", "key", |c, bad| c.get_info_raw([bad]).map(drop)),
    ("get_info_incremental", "key", |c, bad| c.get_info_incremental(bad, keep_reading)),
    ("use_feature", "feature", |c, bad| c.use_feature(["VERBOSE_NAMES", bad])),
    ("add_event_listener", "event", |c, bad| {
        c.add_event_listener(EventKind::from(bad), |_| {}).map(drop)
    }),
    ("add_text_listener", "event", |c, bad| {
        c.add_text_listener(EventKind::from(bad), |_| {}).map(drop)
    }),
    ("events", "event", |c, bad| c.events([EventKind::Bw, EventKind::from(bad)]).map(drop)),
    ("execute(GetInfo)", "key", |c, bad| c.execute(&GetInfo::new([bad])).map(drop)),
    ("execute(UseFeature)", "feature", |c, bad| c.execute(&UseFeature::new([bad]))),
    ("execute(SetEvents)", "event", |c, bad| c.execute(&SetEvents::new([bad]))),
    ("execute(SetEvents), second", "event", |c, bad| c.execute(&SetEvents::new(["BW", bad]))),
    ("wait_for", "event", |c, bad| {
        c.wait_for(EventKind::from(bad), |_| true, Duration::ZERO).map(drop)
    }),
    ("execute_and_wait", "event", |c, bad| {
        let kind = EventKind::from(bad);
        c.execute_and_wait(&GetInfo::new(["x"]), kind, |_, _| true, Duration::ZERO).map(drop)
    }),
    ("map_address", "from", |c, bad| c.map_address([("a", "b"), (bad, "b")]).map(drop)),
    ("map_address, second", "to", |c, bad| c.map_address([("a", bad)]).map(drop)),
    ("execute(MapAddress)", "from", |c, bad| {
        c.execute(&MapAddress::new([("a", "b")]).remove(bad)).map(drop)
    }),
    ("execute(Resolve)", "name", |c, bad| c.execute(&Resolve::new(["a", bad]))),
    ("resolve", "name", |c, bad| c.resolve(bad, Duration::ZERO).map(drop)),
    ("execute(Resolve)", "name", |c, bad| c.execute(&Resolve::new([bad]))),
    ("redirect_stream", "address", |c, bad| {
        c.redirect_stream(&RedirectStream::new(StreamId::from(1), bad))
    }),
    ("extend_circuit", "purpose", |c, bad| {
        c.extend_circuit(&ExtendCircuit::new().purpose(CircuitPurpose::from(bad))).map(drop)
    }),
    ("post_descriptor", "purpose", |c, bad| {
        let post = PostDescriptor::new("x").purpose(RouterPurpose::from(bad));
        c.post_descriptor(&post).map(drop)
    }),
    ("set_circuit_purpose", "purpose", |c, bad| {
        c.set_circuit_purpose(CircuitId::from(1), CircuitPurpose::from(bad))
    }),
];

/// Every public function with the name of an option as argument.
const OPTIONS: &[(&str, Call)] = &[
    ("get_conf", |c, bad| c.get_conf([bad]).map(drop)),
    ("get_conf, second", |c, bad| c.get_conf(["SocksPort", bad]).map(drop)),
    ("get_conf_raw", |c, bad| c.get_conf_raw([bad]).map(drop)),
    ("set_conf", |c, bad| c.set_conf([(bad, "x")])),
    ("set_conf, cleared", |c, bad| c.set_conf([("Nickname", None), (bad, None::<&str>)])),
    ("reset_conf", |c, bad| c.reset_conf([(bad, None::<&str>)])),
    ("execute(GetConf)", |c, bad| c.execute(&GetConf::new([bad])).map(drop)),
    ("execute(ResetConf)", |c, bad| c.execute(&ResetConf::new([(bad, "x")]))),
];

/// Every public function with a quoted value as argument.
const VALUES: &[(&str, Call)] = &[
    ("set_conf", |c, bad| c.set_conf([("ContactInfo", bad)])),
    ("reset_conf", |c, bad| c.reset_conf([("Nickname", "x"), ("ContactInfo", bad)])),
    ("execute(SetConf)", |c, bad| c.execute(&SetConf::new([("ContactInfo", bad)]))),
    ("execute(ResetConf)", |c, bad| c.execute(&ResetConf::new([("ContactInfo", bad)]))),
];

/// Every public function with a whole command as argument.
const COMMANDS: &[(&str, Call)] = &[
    ("command", |c, bad| c.command(bad).map(drop)),
    ("queue_command", |c, bad| c.queue_command(bad).map(drop)),
    ("command_lines", |c, bad| c.command_lines(bad, keep_reading)),
    ("Request::from_line", |_, bad| Ok(Request::from_line(bad).map(drop)?)),
];

#[track_caller]
fn check(outcome: Result<(), Error>, function: &str, argument: &str, problem: &str, bad: &str) {
    match outcome {
        Err(Error::InvalidInput(error)) => {
            assert_eq!(error.argument(), argument, "{function} with {bad:?}");
            assert_eq!(error.problem(), problem, "{function} with {bad:?}");
        }
        other => panic!("{function} with {bad:?} gave {other:?}"),
    }
}

#[test]
fn every_argument_of_every_function_is_checked_and_nothing_is_written() {
    // A line feed in a value began a second command in txtorcon, `stem`, tor-interface and torut. It
    // ends a command even inside quotes.
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    for (bad, problem) in BREAKS {
        for (function, argument, call) in TOKENS {
            check(call(&controller, bad), function, argument, problem, bad);
        }
        for (function, call) in OPTIONS {
            check(call(&controller, bad), function, "option", NO_OPTION, bad);
        }
        for (function, call) in VALUES {
            check(call(&controller, bad), function, "value", problem, bad);
        }
        for (function, call) in COMMANDS {
            let bad = format!("GETINFO {bad}");
            check(call(&controller, &bad), function, "command", problem, &bad);
        }
        let purpose = RouterPurpose::from(bad);
        let outcome = controller.relay_statuses_of_purpose(&purpose).map(drop);
        check(outcome, "relay_statuses_of_purpose", "key", problem, bad);
        let kind = ListenerKind::from(bad);
        check(controller.listeners(&kind).map(drop), "listeners", "key", problem, bad);
        let outcome = controller.address_mappings_from(&MappingOrigin::from(bad)).map(drop);
        check(outcome, "address_mappings_from", "key", problem, bad);
        let flavor = ConsensusFlavor::from(bad);
        let outcome = controller.consensus(&flavor).map(drop);
        check(outcome, "consensus", "key", problem, bad);
        let outcome = controller.consensus_download(&flavor).map(drop);
        check(outcome, "consensus_download", "key", problem, bad);
        let signal = Signal::from(bad);
        let problem = "is not a signal of tor";
        check(controller.signal(signal), "signal", "signal", problem, bad);
    }
    for (bad, problem) in NO_TOKENS {
        for (function, argument, call) in TOKENS {
            check(call(&controller, bad), function, argument, problem, bad);
        }
        for (function, call) in OPTIONS {
            check(call(&controller, bad), function, "option", NO_OPTION, bad);
        }
        let signal = Signal::from(bad);
        let problem = "is not a signal of tor";
        check(controller.signal(signal), "signal", "signal", problem, bad);
    }
    for (bad, problem) in [
        ("", "is empty"),
        (" GETINFO version", "begins with a blank"),
        ("\tGETINFO version", "begins with a blank"),
        ("+LOADCONF", "begins with \"+\": commands with data have methods"),
        ("\"GETINFO\" version", "does not begin with a keyword"),
        ("GET\u{e9} version", "does not begin with a keyword"),
        ("GET-INFO version", "does not begin with a keyword"),
    ] {
        for (function, call) in COMMANDS {
            check(call(&controller, bad), function, "command", problem, bad);
        }
    }
    for (text, problem) in [("a\0b", "contains NUL"), ("", "is empty")] {
        check(controller.load_conf(text), "load_conf", "text", problem, text);
    }
    let none: [(&str, &str); 0] = [];
    check(controller.set_conf(none), "set_conf", "options", "none is given", "nothing");
    check(controller.reset_conf(none), "reset_conf", "options", "none is given", "nothing");
    let outcome = controller.get_conf([""; 0]).map(drop);
    check(outcome, "get_conf", "options", "none is given", "nothing");
    drop(controller);
    tor.finish();
}

#[test]
fn no_function_with_a_text_argument_is_missing_from_the_tables() {
    // Functions with durations, numbers, closures, bytes for hexadecimal digits or data, addresses,
    // keys, identifiers, or results of other functions as arguments.
    const OTHERS: &str = "add_onion add_onion_client_auth address_mappings_from \
                          attach_stream authenticate bridge_download cancel_token certificate_download \
                          cancel_token certificate_download_for_key certificate_signing_keys \
                          close_circuit close_circuit_if_unused close_stream command_timeout \
                          connect connect_first connect_stream cookie_file consensus consensus_download \
                          country del_onion descriptor_annotations descriptor_download \
                          event_limit execute extra_info fetch_onion_descriptor \
                          fetch_onion_descriptor_from for_each_microdescriptor \
                          for_each_relay_status for_each_server_descriptor \
                          hs_client_descriptor hs_fetch hs_post hs_service_descriptor line_limit \
                          listeners load_conf microdescriptor microdescriptor_by_name on \
                          onion_client_auth onion_endpoint wait_new_identity \
                          on_disconnect on_lagged password password_with plain_cookie_file recv_deadline recv_timeout \
                          relay_status relay_status_by_name relay_statuses_of_purpose \
                          remove_event_listener remove_onion_client_auth \
                          reply_buffer_limit reply_limit \
                          resolve_reverse served_descriptors_of \
                          server_descriptor server_descriptor_by_digest \
                          server_descriptor_by_name signal socks_port timeout timeout_iter wait_closed \
                          wait_timeout with_timeout";
    let tables = TOKENS.iter().map(|row| row.0).chain(OPTIONS.iter().map(|row| row.0));
    let tables = tables.chain(VALUES.iter().map(|row| row.0));
    let covered: Vec<_> = tables.chain(COMMANDS.iter().map(|row| row.0)).collect();
    let mut functions = 0;
    for (path, text) in crate::support::source::library_sources() {
        if !path.contains("controller") {
            continue;
        }
        for line in text.lines().map(str::trim_start) {
            let Some(function) = line.strip_prefix("pub fn ") else { continue };
            let (name, arguments) = function.split_once('(').unwrap();
            let name = name.split('<').next().unwrap();
            let is_exclusive = ["&self)", "self)", "mut self)", ")"]
                .iter()
                .any(|none| arguments.starts_with(none));
            let is_covered = covered.iter().any(|row| row.split([',', '(']).next() == Some(name));
            functions += 1;
            assert!(
                is_exclusive || is_covered || OTHERS.split(' ').any(|other| other == name),
                "{path}: nothing says what {name} does with bad arguments"
            );
        }
    }
    assert!(functions > 50, "only {functions} functions were found");
}

#[test]
fn every_control_character_is_refused_in_a_word() {
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    for byte in (0..=b' ').chain([0x7f]) {
        let bad = format!("a{}b", char::from(byte));
        for (function, argument, call) in TOKENS {
            match call(&controller, &bad) {
                Err(Error::InvalidInput(error)) => assert_eq!(error.argument(), *argument),
                other => panic!("{function} with {bad:?} gave {other:?}"),
            }
        }
    }
    drop(controller);
    tor.finish();
}

#[test]
fn endpoints_are_checked_before_connecting() {
    let check = |outcome: Result<Controller, Error>, bad: &str| match outcome {
        Err(Error::InvalidInput(error)) => assert_eq!(error.argument(), "endpoint", "{bad:?}"),
        other => panic!("{bad:?} gave {other:?}"),
    };
    for (bad, _) in BREAKS.into_iter().chain(NO_TOKENS) {
        let options = ConnectOptions::new();
        check(torcon::connect(format!("{bad}:9051")), bad);
        check(torcon::connect(Endpoint::tcp(bad, 9051)), bad);
        check(options.connect_first(&[Endpoint::tcp(bad, 9051)]), bad);
    }
    // A path can contain blanks and line breaks, but not NUL.
    check(torcon::connect("unix:/a\0b"), "unix");
    check(torcon::connect(PathBuf::from("/a\0b")), "a path");
    check(torcon::connect(Endpoint::unix("/a\0b")), "a path");
    let directory = tempfile::tempdir().unwrap();
    let error = torcon::connect(directory.path().join("line\nbreak")).unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}

#[test]
fn a_value_cannot_leave_its_quotes() {
    // set_conf("ContactInfo", "x\" Nickname=\"evil") set the nickname (Stem).
    let (tor, controller) = connected(|script| {
        script.expect(r#"SETCONF ContactInfo="x\" Nickname=\"evil""#).send("250 OK\r\n");
        script.expect(r#"SETCONF ContactInfo=a\ Nickname=\"b"#).send("250 OK\r\n");
        // In torut a digit behind a short octal escape became part of it.
        script.expect(r#"RESETCONF ContactInfo="\0011\177 %41\303\251""#).send("250 OK\r\n");
        script.expect_end();
    });
    controller.set_conf([("ContactInfo", "x\" Nickname=\"evil")]).unwrap();
    controller.set_conf([("ContactInfo", "a\\"), ("Nickname", "\\\"b")]).unwrap();
    controller.reset_conf([("ContactInfo", "\u{1}1\u{7f} %41\u{e9}")]).unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn a_data_block_cannot_end_early() {
    // In Stem the lines behind a lone dot ran as commands, in `stem` every line did.
    let (tor, controller) = connected(|script| {
        let lines = ["Nickname a", "..", "SIGNAL HALT", "...", "..x", "", "..\r", "+LOADCONF"];
        script.expect("+LOADCONF").expect_data(&lines).send("250 OK\r\n");
        script.expect("+LOADCONF").expect_data(&[".."]).send("250 OK\r\n").expect_end();
    });
    let text = "Nickname a\n.\nSIGNAL HALT\r\n..\n.x\r\n\n.\r\r\n+LOADCONF\n";
    controller.load_conf(text).unwrap();
    controller.load_conf(".").unwrap();
    drop(controller);
    tor.finish();
}

#[test]
fn a_value_from_a_peer_cannot_become_a_command() {
    // A key from a hostile peer contained CRLF and was sent unquoted.
    let (tor, controller) = connected(|script| {
        let lines = ["250+a=", "x", "SIGNAL HALT", ".", "250 OK"];
        script.answer("GETINFO a", &lines);
        script.answer("GETCONF ContactInfo", &[r#"250 ContactInfo="x\r\nSIGNAL HALT""#]);
        script.expect_end();
    });
    let value = controller.get_info_one("a").unwrap();
    assert_eq!(value, "x\nSIGNAL HALT");
    let conf = controller.get_conf(["ContactInfo"]).unwrap();
    for (function, call) in VALUES {
        check(call(&controller, &value), function, "value", "contains a line feed", &value);
    }
    let outcome = controller.set_conf(conf.lines());
    check(outcome, "set_conf", "value", "contains a carriage return", "what was read");
    let outcome = controller.get_info_one(&value).map(drop);
    check(outcome, "get_info_one", "key", "contains a line feed", &value);
    drop(controller);
    tor.finish();
}

#[test]
fn a_command_that_tor_never_answers_answers_twice_or_aborts_at_is_refused_in_every_form() {
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    for (command, argument) in [
        ("SETCIRCUITPURPOSE", "SETCIRCUITPURPOSE"),
        ("setcircuitpurpose ", "SETCIRCUITPURPOSE"),
        ("ADD_ONION NEW:BEST ClientAuth=bob Port=80", "ADD_ONION"),
        ("add_onion\tNEW:BEST clientauth=bob Port=80", "ADD_ONION"),
        ("HSPOST", "HSPOST"),
        (
            "ONION_CLIENT_AUTH_ADD id x25519:AAAA ClientName=12345678901234567",
            "ONION_CLIENT_AUTH_ADD",
        ),
        ("GETINFO downloads/desc/descs", "GETINFO"),
        ("CLOSESTREAM 1 0", "CLOSESTREAM"),
        ("GETINFO x\rb", "command"),
        ("PROTOCOLINFO\n", "command"),
    ] {
        for (function, call) in &COMMANDS[..3] {
            match call(&controller, command) {
                Err(Error::InvalidInput(error)) => assert_eq!(error.argument(), argument),
                other => panic!("{function}({command:?}) gave {other:?}"),
            }
        }
    }
    let too_long = format!("GETINFO {}", "x".repeat(1 << 20));
    for (function, call) in &COMMANDS[..3] {
        let problem = "has 1048586 bytes, and tor accepts at most 1048575";
        check(call(&controller, &too_long), function, "command", problem, "a long one");
    }
    drop(controller);
    tor.finish();
}

#[test]
fn a_refused_argument_does_not_change_the_connection() {
    let (tor, controller) = served();
    for _ in 0..3 {
        controller.get_info_one("a\nb").unwrap_err();
        assert_eq!(controller.get_info_one("a").unwrap(), super::value("a"));
    }
    drop(controller);
    assert_eq!(tor.lines().len(), 5);
    tor.finish();
}

#[test]
fn passwords_are_bytes_and_cannot_become_a_command() {
    let tor = FakeTor::unix(|script| {
        script.greet_password(b"x\r\nSIGNAL HALT\0\"").expect_end();
    });
    let options = ConnectOptions::new().password("x\r\nSIGNAL HALT\0\"");
    drop(options.connect(tor.endpoint()).unwrap());
    tor.finish();
}
