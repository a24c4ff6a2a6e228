//! Secrets in `Debug`, errors and logs: every secret is a marker, and no printed text may contain it.

use std::fmt::Debug;
use std::ops::ControlFlow;

use torcon::config::Config;
use torcon::event::{Event, EventText};
use torcon::{Controller, EventKind, State};

use super::{LIMIT, chain, connected};
use crate::support::log_capture::LogCapture;

const MARKER: &str = "MARKER7c1f";

/// Options with secret values, and one that only resembles them.
const OPTIONS: [&str; 8] = [
    "HashedControlPassword",
    "__HashedControlSessionPassword",
    "Socks5ProxyPassword",
    "HTTPProxyAuthenticator",
    "HTTPSProxyAuthenticator",
    "Bridge",
    "ServerTransportOptions",
    "hashedcontrolpassword",
];

const CIRCUIT: &str = "5 BUILT $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a PURPOSE=GENERAL \
                       SOCKS_USERNAME=\"MARKER7c1f\" SOCKS_PASSWORD=\"x \\\" MARKER7c1f\"";
const STREAM: &str = "9 SUCCEEDED 5 a.example:80 SOCKS_USERNAME=\"MARKER7c1f\" \
                      SOCKS_PASSWORD=\"MARKER7c1f\" CLIENT_PROTOCOL=SOCKS5";

/// Checks that neither form of `Debug` shows the marker.
#[track_caller]
fn hides<T: Debug>(value: &T) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains(MARKER), "{shown}");
    }
}

/// Checks an error, its text and the texts of its sources.
#[track_caller]
fn error_hides(error: &torcon::Error) {
    hides(error);
    assert!(!chain(error).contains(MARKER), "{}", chain(error));
}

/// Returns the value of a `GETINFO` key.
fn info(key: &str) -> String {
    match key {
        "config-text" => {
            let lines = OPTIONS.map(|option| format!("{option} {MARKER} x\r\n"));
            format!("250+config-text=\r\n{}Nickname shown\r\n.\r\n", lines.concat())
        }
        "circuit-status" => format!("250+circuit-status=\r\n{CIRCUIT}\r\n.\r\n"),
        "stream-status" => format!("250-stream-status={STREAM}\r\n"),
        "status/bootstrap-phase" => {
            format!("250-{key}=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n")
        }
        "network-liveness" => format!("250-{key}=up\r\n"),
        "config/names" => {
            let lines = OPTIONS.map(|option| format!("{option} String\r\n"));
            format!("250+{key}=\r\n{}.\r\n", lines.concat())
        }
        key => format!("250-{key}=\r\n"),
    }
}

fn answer(line: &str, out: &mut Vec<u8>) {
    let mut words = line.split(' ');
    let reply = match words.next().unwrap_or_default() {
        "GETINFO" => words.map(info).chain(["250 OK\r\n".to_owned()]).collect(),
        "GETCONF" => {
            let options: Vec<_> = words.collect();
            let last = options.len() - 1;
            let line = |(n, option)| {
                let separator = if n == last { ' ' } else { '-' };
                format!("250{separator}{option}={MARKER}\r\n")
            };
            options.iter().enumerate().map(line).collect()
        }
        "ADD_ONION" | "TAKEOWNERSHIP" => {
            format!("250-ServiceID=x\r\n250-PrivateKey=ED25519-V3:{MARKER}\r\n250 OK\r\n")
        }
        "DROPOWNERSHIP" => format!("250 {MARKER}\r\n"),
        "DROPGUARDS" => format!("250-{MARKER} x\r\n250 OK\r\n"),
        "SAVECONF" => format!("250-CLIENT a x25519:{MARKER}\r\n250 OK\r\n"),
        "DROPTIMEOUTS" => format!("513 Bad value Socks5ProxyPassword={MARKER}\r\n"),
        "CLIENT" => format!("250-CLIENT a x25519:{MARKER}\r\n250 OK\r\n"),
        _ => "250 OK\r\n".to_owned(),
    };
    out.extend_from_slice(reply.as_bytes());
}

fn use_commands(controller: &Controller) {
    for command in ["ADD_ONION NEW:BEST Port=80", "CLIENT", "GETCONF Bridge Socks5ProxyPassword"] {
        let reply = controller.command(command).unwrap();
        assert!(reply.lines().any(|line| line.text().contains(MARKER)), "{command}");
        hides(&reply);
        reply.lines().for_each(|line| hides(&line));
        let mut count = 0;
        let show = |line: torcon::Line<'_>| {
            hides(&line);
            count += 1;
            ControlFlow::Continue(())
        };
        controller.command_lines(command, show).unwrap();
        assert!(count > 0);
    }
    let conf = controller.get_conf(OPTIONS).unwrap();
    hides(&conf);
    for (option, value) in &conf {
        assert_eq!(value.first(), Some(MARKER), "{option}");
        hides(value);
    }
    let info = controller.get_info(["config-text", "circuit-status", "stream-status"]).unwrap();
    assert_eq!(info.get("config-text").unwrap().matches(MARKER).count(), OPTIONS.len());
    hides(&info);
    assert!(format!("{info:?}").contains("Nickname shown"), "{info:?}");
    let show = |line: torcon::Line<'_>| {
        hides(&line);
        ControlFlow::Continue(())
    };
    controller.get_info_incremental("config-text", show).unwrap();
    hides(&controller.circuit_status().unwrap());
    hides(&controller.stream_status().unwrap());
}

/// Commands that get the reply of another caller, or a refusal that repeats a secret.
const MISLED: [fn(&Controller) -> torcon::Result<()>; 5] = [
    Controller::take_ownership,
    Controller::drop_ownership,
    Controller::drop_guards,
    Controller::save_conf,
    Controller::drop_timeouts,
];

#[test]
fn no_secret_of_the_reply_to_another_command_shows_in_an_error() {
    let log = LogCapture::start();
    for call in MISLED {
        let (tor, controller) = connected(|script| {
            script.unchecked("replies out of step");
            script.serve(answer);
        });
        error_hides(&call(&controller).unwrap_err());
        drop(controller);
        tor.finish();
    }
    log.assert_holds_none_of(&[MARKER]);
}

#[test]
fn no_secret_of_a_reply_shows_in_debug_in_an_error_or_in_a_log() {
    let log = LogCapture::start();
    let (tor, controller) = connected(|script| {
        script.unchecked("a marker in the place of every secret");
        script.serve(answer);
    });
    use_commands(&controller);
    let config = Config::new(&controller);
    hides(&config.get("HashedControlPassword").unwrap());
    hides(&config);
    let state = State::new(&controller).unwrap();
    let circuit = state.circuits().into_iter().next().unwrap();
    assert_eq!(circuit.info().socks_username().as_ref().unwrap(), MARKER);
    hides(&circuit);
    hides(&circuit.info());
    let stream = state.streams().into_iter().next().unwrap();
    assert_eq!(stream.info().socks_password().as_ref().unwrap(), MARKER);
    hides(&stream);
    hides(&stream.info());
    hides(&state);
    drop((circuit, stream, state, config, controller));
    tor.finish();
    log.assert_holds_none_of(&[MARKER]);
}

#[test]
fn no_secret_of_an_event_shows_in_debug() {
    let changes = OPTIONS.map(|option| format!("{option}=\"{MARKER}\""));
    let texts = [
        format!("CONF_CHANGED\n{}\nNickname=shown", changes.join("\n")),
        format!("CIRC {CIRCUIT}"),
        format!("CIRC_MINOR {}", CIRCUIT.replace("BUILT", "PURPOSE_CHANGED")),
        format!("STREAM {STREAM}"),
        // Malformed events, and one of an unknown kind.
        format!("STREAM {}", STREAM.replace("SUCCEEDED 5", "?? ??")),
        format!("CIRC ?? SOCKS_PASSWORD={MARKER}"),
        format!("NEW_KIND PrivateKey={MARKER}"),
        format!("BW 1 2 SOCKS_PASSWORD={MARKER}"),
    ];
    for text in texts {
        let event = Event::parse(EventText::new(text.as_bytes()));
        assert!(event.to_string().contains(MARKER), "the text itself is kept: {text}");
        hides(&event);
        hides(&event.detached());
        match &event {
            Event::Malformed { reason, .. } => {
                hides(reason);
                assert!(!reason.to_string().contains(MARKER), "{reason}");
            }
            Event::ConfChanged(changed) => {
                changed.changes().for_each(|change| hides(&change));
                assert!(format!("{changed:?}").contains("shown"));
            }
            Event::Bw(bw) => bw.extra().for_each(|field| hides(&field)),
            Event::Stream(stream) => hides(&stream.socks_username()),
            _ => {}
        }
    }
}

#[test]
fn a_listener_that_prints_its_events_shows_no_secret() {
    let (tor, controller) = connected(|script| {
        script.expect("SETEVENTS STREAM").send("250 OK\r\n");
        script.send(format!("650 STREAM {STREAM}\r\n")).drain();
    });
    let queue = controller.events([EventKind::Stream]).unwrap();
    let event = queue.recv_timeout(LIMIT).unwrap();
    hides(&event);
    drop((queue, controller));
    tor.finish();
}
