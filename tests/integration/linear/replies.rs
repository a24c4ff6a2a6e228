//! Replies, from the socket to the result.

use std::sync::Arc;

use parking_lot::Mutex;
use torcon::names::{CircuitPurpose, ListenerKind};
use torcon::{ConnectOptions, Controller, Error};

use super::{FIELDS, LINES, LISTS, Reach, Shape, check};
use crate::support::fake_tor::FakeTor;

/// A fake tor that sends the same reply to every command.
struct Answering {
    tor: FakeTor,
    controller: Controller,
    reply: Arc<Mutex<Vec<u8>>>,
}

impl Answering {
    fn start() -> Self {
        let reply = Arc::new(Mutex::new(Vec::new()));
        let given = Arc::clone(&reply);
        let tor = FakeTor::unix(move |script| {
            script.greet().unchecked("replies that are made to be slow");
            script.serve(move |_, out| out.extend_from_slice(&given.lock()));
        });
        let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
        Self { tor, controller, reply }
    }

    fn finish(self) {
        drop(self.controller);
        self.tor.finish();
    }

    /// Checks replies with the given beginning, shapes and end.
    #[track_caller]
    fn check(
        &self,
        name: &str,
        (start, end): (&str, &str),
        shapes: &[Shape],
        read: impl Fn(&Controller),
    ) {
        check(name, Reach::Short, shapes, |text| {
            *self.reply.lock() = [start, text, end].concat().into_bytes();
            read(&self.controller);
        });
    }
}

#[test]
fn replies_of_many_lines_are_parsed_in_linear_time() {
    let lines = [
        Shape::of("250-\r\n"),
        Shape::of("250-A\r\n"),
        Shape::of("250-A=\"\\\r\n"),
        Shape::of("552-No\r\n"),
        Shape::of("250+A=\r\n.\r\n"),
        Shape::Numbered { before: "250-K", after: "=\"v\"\r\n" },
    ];
    let answering = Answering::start();
    answering.check("a reply", ("", "250 OK\r\n"), &lines, |controller| {
        let shown = format!("{:?}", controller.command("X"));
        assert!(controller.is_alive() && !shown.is_empty(), "{shown}");
    });
    answering.finish();
}

/// Checks replies to a command. Each shape has its own connection, since a reply that is out of step
/// ends it. `read` returns whether the reply was parsed.
#[track_caller]
fn check_each(
    name: &str,
    ends: (&str, &str),
    shapes: &[Shape],
    read: impl Fn(&Controller) -> Result<(), Error>,
) {
    for shape in shapes {
        let answering = Answering::start();
        answering.check(name, ends, &[*shape], |controller| {
            let outcome = read(controller);
            // The connection is open, and the reply was parsed.
            assert!(controller.is_alive(), "{name}, {shape:?}: {outcome:?}");
            assert!(!matches!(outcome, Err(Error::Timeout(_))), "{name}, {shape:?}");
        });
        answering.finish();
    }
}

#[test]
fn replies_to_getconf_are_parsed_in_linear_time() {
    let lines = [
        Shape::of("250-Log\r\n"),
        Shape::of("250-Log=\r\n"),
        Shape::of("250-Log=\"\r\n"),
        Shape::of("250-Log=\"\\\r\n"),
        Shape::of("250-Log=\"\\001\"\r\n"),
        Shape::of("250-LOG=1\r\n"),
        Shape::Numbered { before: "250-Log", after: "=v\r\n" },
        Shape::Numbered { before: "250-Log=\"", after: "\"\r\n" },
    ];
    let get_conf = |controller: &Controller| controller.get_conf(["Log"]).map(drop);
    let get_conf_raw =
        |controller: &Controller| controller.get_conf_raw(["Log", "Lo", "Nickname"]).map(drop);
    check_each("GETCONF, lines", ("", "250 Log=1\r\n"), &lines, get_conf);
    check_each("GETCONF as it came, lines", ("", "250 Log=1\r\n"), &lines, get_conf_raw);
    let services = [
        Shape::of("250-HiddenServiceDir=/x\r\n"),
        Shape::Numbered { before: "250-HiddenServiceX", after: "=v\r\n" },
    ];
    let end = ("", "250 HiddenServiceDir=/y\r\n");
    check_each("GETCONF of services", end, &services, |controller| {
        controller.get_conf(["HiddenServiceOptions"]).map(drop)
    });
    let words = [Shape::of("a"), Shape::of("_"), Shape::of("Log"), Shape::of("__Loglines")];
    let end = ("250 Log", "=1\r\n");
    check_each("GETCONF, one name", end, &words, get_conf);
    check_each("GETCONF as it came, one name", end, &words, get_conf_raw);
    // The command did not contain this name.
    check_each("GETCONF as it came, another name", ("250 x", "=1\r\n"), &words, get_conf_raw);
    let values = [
        Shape::of("\\"),
        Shape::of("\\\\"),
        Shape::of("\\1"),
        Shape::of("\\\""),
        Shape::of("\""),
        Shape::of("=\""),
    ];
    check_each("GETCONF, one value", ("250 Log=\"", "\"\r\n"), &values, get_conf);
    let refusal = "552 Unrecognized configuration key \"";
    check_each("SETCONF, a refusal", (refusal, "\"\r\n"), &values, |controller| {
        controller.set_conf([("Log", "x")]).map(drop)
    });
}

#[test]
fn replies_to_getinfo_are_parsed_in_linear_time() {
    let values = [FIELDS, LISTS].concat();
    check_each("GETINFO, a line", ("250-a=", "\r\n250 OK\r\n"), &values, |controller| {
        let info = controller.get_info(["a"])?;
        assert!(info.get("a").is_some() && !format!("{info:?}").is_empty());
        Ok(())
    });
    let blocks = [Shape::of("\r\n"), Shape::of("..\r\n"), Shape::of("250 OK\r\n")];
    let end = ("250+a=\r\n", "\r\n.\r\n250 OK\r\n");
    check_each("GETINFO, a block", end, &blocks, |controller| {
        controller.get_info(["a"]).map(|info| assert!(info.get("a").is_some()))
    });
    let keys: Vec<String> = (0..20_000).map(|number| format!("k{number}")).collect();
    let refusals = [
        Shape::of("552-Unrecognized key \"k19999\"\r\n"),
        Shape::of("552-Unrecognized key \"k1\"\r\n"),
    ];
    let end = ("", "552 Unrecognized key \"k0\"\r\n");
    check_each("GETINFO, refusals", end, &refusals, |controller| {
        controller.get_info(&keys).map(drop)
    });
}

#[test]
fn replies_about_addresses_and_clients_are_parsed_in_linear_time() {
    let words = [Shape::of("a"), Shape::of("="), Shape::of("\""), Shape::of("\\")];
    let end = ("250 ", "=b.example\r\n");
    check_each("MAPADDRESS, one name", end, &words[..1], |controller| {
        let mapped = controller.map_address([("a.example", "b.example")])?;
        assert_eq!(mapped.len(), 1);
        Ok(())
    });
    check_each("MAPADDRESS, a refusal", ("451 ", "\r\n"), &words, |controller| {
        controller.map_address([("a.example", "b.example")]).map(drop)
    });
    let service = "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd";
    let key = "x25519:".to_owned() + &"A".repeat(43) + "=";
    let client = format!("250-CLIENT {service} {key}");
    let line: &'static str = format!("{client} Flags=Permanent ClientName=\"a\"\r\n").leak();
    let end = ("250-ONION_CLIENT_AUTH_VIEW\r\n", "250 OK\r\n");
    check_each("ONION_CLIENT_AUTH_VIEW", end, &[Shape::of(line)], |controller| {
        assert!(!controller.onion_client_auths()?.is_empty());
        Ok(())
    });
    let start = format!("250-ONION_CLIENT_AUTH_VIEW\r\n{client} ");
    let shapes = [FIELDS, LISTS].concat();
    let end = (&*start, "\r\n250 OK\r\n");
    check_each("ONION_CLIENT_AUTH_VIEW, fields", end, &shapes, |controller| {
        assert_eq!(controller.onion_client_auths()?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_configuration_text_is_parsed_in_linear_time() {
    let tor = FakeTor::unix(|script| {
        script.greet();
        // The reply follows the last line of the data.
        script.serve(|line, out| {
            if line == "." {
                out.extend_from_slice(b"250 OK\r\n");
            }
        });
    });
    let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
    let texts = [
        Shape::of("#\n"),
        Shape::of("\\\n"),
        Shape::of("/A b\n"),
        Shape::of("A \"x\"y\n"),
        Shape::of("A \"x\" #\n"),
        Shape::of("A\\\n#\n"),
        Shape::of("A b # c\n"),
        Shape::of("ContactInfo x\n"),
        Shape::of("HiddenServiceDir\n"),
        Shape::Repeated { start: "A ", unit: "\\" },
        Shape::Repeated { start: "A ", unit: "\\\n" },
        Shape::Repeated { start: "A \\\n", unit: "#x\n" },
        Shape::Repeated { start: "A \"", unit: "\\\"" },
        Shape::Repeated { start: "A \"", unit: "\\1" },
        Shape::Repeated { start: "A b", unit: " " },
        Shape::Repeated { start: "A b\n", unit: " " },
        Shape::Numbered { before: "Option", after: " \"v\"\n" },
    ];
    let shapes = [&texts[..], LINES, FIELDS].concat();
    check("LOADCONF", Reach::Short, &shapes, |text| {
        controller.load_conf(text).unwrap();
    });
    drop(controller);
    tor.finish();
}

#[test]
fn values_of_getinfo_are_parsed_in_linear_time() {
    let answering = Answering::start();
    let block = |key: &str| (format!("250+{key}=\r\n"), "\r\n.\r\n250 OK\r\n");
    let line = |key: &str| (format!("250-{key}="), "\r\n250 OK\r\n");
    let lines = [
        Shape::of("\r\n"),
        Shape::of("..\r\n"),
        Shape::of("A\r\n"),
        Shape::of("A=\"x\"y A=\"\r\n"),
        Shape::Numbered { before: "Option", after: " \"v\"\r\n" },
        Shape::Numbered { before: "", after: " BUILT\r\n" },
        Shape::Numbered { before: "a", after: " b NEVER\r\n" },
    ];
    let check = |key: &str, shapes: &[Shape], read: &dyn Fn(&Controller)| {
        let ((start, end), (start_of_line, end_of_line)) = (block(key), line(key));
        if shapes.len() == lines.len() {
            answering.check(key, (&start, end), shapes, read);
        } else {
            answering.check(key, (&start_of_line, end_of_line), shapes, read);
        }
    };
    check("config/defaults", &lines, &|controller| drop(controller.config_defaults()));
    check("config/names", &lines, &|controller| drop(controller.config_names()));
    check("circuit-status", &lines, &|controller| drop(controller.circuit_status()));
    check("entry-guards", &lines, &|controller| drop(controller.entry_guards()));
    check("address-mappings/all", &lines, &|controller| drop(controller.address_mappings()));
    check("onions/current", &lines, &|controller| drop(controller.onions()));
    check("info/names", &lines, &|controller| drop(controller.info_names()));
    let fields = [FIELDS, LISTS].concat();
    let socks = ListenerKind::Socks;
    check("net/listeners/socks", &fields, &|controller| drop(controller.listeners(&socks)));
    check("status/bootstrap-phase", &fields, &|controller| drop(controller.bootstrap_phase()));
    check("status/clients-seen", &fields, &|controller| drop(controller.clients_seen()));
    check("bw-event-cache", &fields, &|controller| drop(controller.bw_event_cache()));
    check("exit-policy/default", &fields, &|controller| drop(controller.default_exit_policy()));
    check("version", &fields, &|controller| drop(controller.full_version()));
    answering.finish();
}

#[test]
fn the_capabilities_of_tor_are_parsed_in_linear_time() {
    let answering = Answering::start();
    let shapes = [FIELDS, LISTS].concat();
    let start = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=";
    let end = "\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
    answering.check("PROTOCOLINFO METHODS", (start, end), &shapes, |controller| {
        assert!(controller.protocol_info().unwrap().auth_methods.len() <= 64);
    });
    let start = "250-PROTOCOLINFO 1\r\n250-VERSION ";
    answering.check("PROTOCOLINFO VERSION", (start, "\r\n250 OK\r\n"), &shapes, |controller| {
        let _ = controller.protocol_info();
    });
    let circuit = "1".parse().unwrap();
    answering.check("a refusal", ("552 ", "\r\n"), &shapes, |controller| {
        controller.set_circuit_purpose(circuit, CircuitPurpose::General).unwrap_err();
    });
    answering.finish();
}

#[test]
fn a_reply_with_forty_thousand_options_is_parsed_and_searched_at_once() {
    // 40,000 names took 32 seconds, since each was compared with all preceding ones.
    let answering = Answering::start();
    let lines: String = (0..40_000).map(|n| format!("Option{n} \"{n}\"\r\n")).collect();
    *answering.reply.lock() =
        format!("250+config/defaults=\r\n{lines}.\r\n250 OK\r\n").into_bytes();
    let start = std::time::Instant::now();
    let defaults = answering.controller.config_defaults().unwrap();
    assert_eq!(defaults.len(), 40_000);
    for n in 0..40_000 {
        let value = defaults.get(&format!("OPTION{n}")).and_then(|value| value.first());
        assert_eq!(value, Some(n.to_string().as_str()));
    }
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    answering.finish();
}
