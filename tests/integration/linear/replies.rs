//! Replies, from the socket to what a program gets.

use std::sync::Arc;

use parking_lot::Mutex;
use torcon::names::{CircuitPurpose, ListenerKind};
use torcon::{ConnectOptions, Controller};

use super::{FIELDS, LISTS, Reach, Shape, check};
use crate::support::fake_tor::FakeTor;

/// A fake tor that gives the same reply to every command.
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
            script.greet_null_auth();
            script.serve(move |_, out| out.extend_from_slice(&given.lock()));
        });
        let controller = ConnectOptions::new().connect(tor.endpoint()).unwrap();
        Self { tor, controller, reply }
    }

    /// Checks what is read from replies that are made of a beginning, a shape and an end.
    #[track_caller]
    fn check(
        &self,
        name: &str,
        (start, end): (&str, &str),
        shapes: &[Shape],
        ask: impl Fn(&Controller),
    ) {
        let reach = if name == "GETCONF" { Reach::Whole } else { Reach::Short };
        check(name, reach, shapes, |text| {
            *self.reply.lock() = [start, text, end].concat().into_bytes();
            ask(&self.controller);
        });
    }
}

/// Lines of replies to commands with values.
const REPLY_LINES: &[Shape] = &[
    Shape::of("250-\r\n"),
    Shape::of("250-A\r\n"),
    Shape::of("250-A=\"\r\n"),
    Shape::of("250-A=\"\\\r\n"),
    Shape::of("250-A=1\r\n"),
    Shape::of("552-No\r\n"),
    Shape::Numbered { before: "250-K", after: "=v\r\n" },
    Shape::Numbered { before: "250-K", after: "=\"v\"\r\n" },
];

#[test]
fn replies_of_many_lines_are_read_in_linear_time() {
    let answering = Answering::start();
    let end = ("", "250 OK\r\n");
    answering.check("a reply", end, REPLY_LINES, |controller| {
        let shown = format!("{:?}", controller.command("X"));
        assert!(!shown.is_empty());
    });
    answering.check("GETCONF", end, REPLY_LINES, |controller| {
        let _ = controller.get_conf(["K1", "A"]);
    });
    answering.check("GETINFO", end, REPLY_LINES, |controller| {
        let _ = controller.get_info(["A", "K0"]);
    });
    answering.check("MAPADDRESS", end, REPLY_LINES, |controller| {
        let _ = controller.map_address([("a.example", "b.example")]);
    });
    answering.check("ONION_CLIENT_AUTH_VIEW", end, REPLY_LINES, |controller| {
        let _ = controller.onion_client_auths();
    });
    drop(answering.controller);
    answering.tor.finish();
}

#[test]
fn values_of_getinfo_are_read_in_linear_time() {
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
    let ask = |key: &str, shapes: &[Shape], ask: &dyn Fn(&Controller)| {
        let ((start, end), (start_of_line, end_of_line)) = (block(key), line(key));
        if shapes.len() == lines.len() {
            answering.check(key, (&start, end), shapes, ask);
        } else {
            answering.check(key, (&start_of_line, end_of_line), shapes, ask);
        }
    };
    ask("config/defaults", &lines, &|controller| drop(controller.config_defaults()));
    ask("config/names", &lines, &|controller| drop(controller.config_names()));
    ask("circuit-status", &lines, &|controller| drop(controller.circuit_status()));
    ask("entry-guards", &lines, &|controller| drop(controller.entry_guards()));
    ask("address-mappings/all", &lines, &|controller| drop(controller.address_mappings()));
    ask("onions/current", &lines, &|controller| drop(controller.onions()));
    ask("info/names", &lines, &|controller| drop(controller.info_names()));
    let fields = [FIELDS, LISTS].concat();
    let socks = ListenerKind::Socks;
    ask("net/listeners/socks", &fields, &|controller| drop(controller.listeners(&socks)));
    ask("status/bootstrap-phase", &fields, &|controller| drop(controller.bootstrap_phase()));
    ask("status/clients-seen", &fields, &|controller| drop(controller.clients_seen()));
    ask("bw-event-cache", &fields, &|controller| drop(controller.bw_event_cache()));
    ask("exit-policy/default", &fields, &|controller| drop(controller.default_exit_policy()));
    ask("version", &fields, &|controller| drop(controller.full_version()));
    drop(answering.controller);
    answering.tor.finish();
}

#[test]
fn what_tor_offers_is_read_in_linear_time() {
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
    drop(answering.controller);
    answering.tor.finish();
}

#[test]
fn an_answer_for_forty_thousand_options_is_read_and_looked_up_at_once() {
    // 40,000 names took 32 seconds: each was compared with all before.
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
    drop(answering.controller);
    answering.tor.finish();
}
