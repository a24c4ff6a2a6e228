use std::net::IpAddr;
use std::time::Duration;

use torcon::error::{HsDirFailure, OnionProblem};
use torcon::names::{Fingerprint, OnionAddress};
use torcon::{Controller, Error, Event, EventKind};

use super::{LIMIT, answer, closed, connected, join, next, start};
use crate::support::fake_tor::FakeTor;
use crate::support::script::Script;
use crate::support::script::Steps as _;
use crate::support::signal::signal;

const SERVICE: &str = "po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd";
const OTHER: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
const ID: &str = "a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
/// The place of a directory in the ring of directories.
const INDEX: &str = "3C0A5A659413B92BD4D4440A6F2626135176B98508E8A44EAFF873A6C7038978";
const A: &str = "$C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r";
const B: &str = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r";

/// The event that a request to resolve begins.
fn begun(stream: u32, name: &str) -> String {
    format!(
        "650 STREAM {stream} NEWRESOLVE 0 {name}:0 PURPOSE=DNS_REQUEST CLIENT_PROTOCOL=UNKNOWN \
         NYM_EPOCH=0 SESSION_GROUP=-3"
    )
}

/// The event that answers it.
fn resolved(stream: u32, name: &str, to: &str) -> String {
    let error = if to == "<error>" { "error=yes " } else { "" };
    format!(
        "650 ADDRMAP {name} {to} \"2026-11-23 09:27:58\" {error}EXPIRES=\"2026-11-23 09:27:58\" \
         CACHED=\"NO\" STREAMID={stream}"
    )
}

fn ended(stream: u32, name: &str, reason: &str) -> String {
    format!("650 STREAM {stream} CLOSED 3 {name}:0 REASON={reason} CLIENT_PROTOCOL=UNKNOWN")
}

/// Plays a tor that accepts the subscription and one request, and then sends these lines.
fn resolving(command: &'static str, lines: Vec<String>) -> (FakeTor, Controller) {
    connected(move |script| {
        script.answer("SETEVENTS ADDRMAP STREAM", &["250 OK"]);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        script.answer(command, &lines);
        script.serve(answer);
    })
}

#[track_caller]
fn resolve(lines: Vec<String>) -> Result<IpAddr, Error> {
    let (tor, controller) = resolving("RESOLVE a.example", lines);
    let outcome = controller.resolve("a.example", LIMIT);
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
    outcome
}

fn ok() -> String {
    "250 OK".to_owned()
}

#[test]
fn only_the_answer_for_the_stream_of_the_request_is_used() {
    let address = resolve(vec![
        // An earlier request for the same name.
        begun(1, "a.example"),
        ok(),
        resolved(1, "a.example", "10.0.0.1"),
        ended(1, "a.example", "DONE"),
        // One for another name, and a stream that is no request.
        begun(2, "b.example"),
        "650 STREAM 3 NEW 0 a.example:80 PURPOSE=USER".to_owned(),
        resolved(2, "a.example", "10.0.0.2"),
        begun(4, "a.example"),
        // A later one for the same name, which is answered first.
        begun(5, "a.example"),
        resolved(5, "a.example", "10.0.0.5"),
        "650 ADDRMAP a.example 10.0.0.6 NEVER CACHED=\"YES\"".to_owned(),
        "650 ADDRMAP a.example <error> \"x\" error=yes STREAMID=7".to_owned(),
        ended(5, "a.example", "DONE"),
        resolved(4, "a.example", "10.0.0.4"),
    ]);
    assert_eq!(address.unwrap().to_string(), "10.0.0.4");
}

#[test]
fn a_mapped_name_is_answered_by_its_target() {
    let address = resolve(vec![
        ok(),
        begun(4, "a.example"),
        "650 STREAM 4 REMAP 0 b.example:0 SOURCE=CACHE".to_owned(),
        "650 STREAM 4 SENTRESOLVE 3 b.example:0".to_owned(),
        resolved(4, "b.example", "[2001:db8::1]"),
    ]);
    assert_eq!(address.unwrap().to_string(), "2001:db8::1");
}

#[test]
fn addrmap_events_without_a_stream_are_understood() {
    let unsigned = |name: &str, to: &str| resolved(0, name, to).replace(" STREAMID=0", "");
    let address = resolve(vec![
        ok(),
        begun(4, "a.example"),
        unsigned("x.example", "10.0.0.1"),
        "650 STREAM 4 SENTRESOLVE 3 a.example:0".to_owned(),
        // This event reports a cached mapping, and not the answer to a request.
        "650 ADDRMAP a.example 10.0.0.6 \"2026-11-23 09:27:58\" CACHED=\"YES\"".to_owned(),
        unsigned("A.EXAMPLE", "10.0.0.4"),
        "650 ADDRMAP a.example 10.0.0.7 NEVER".to_owned(),
        unsigned("y.example", "10.0.0.3"),
        ended(4, "10.0.0.4", "DONE"),
    ]);
    assert_eq!(address.unwrap().to_string(), "10.0.0.4");
}

#[test]
fn a_failed_resolution_is_an_error_with_the_reason_of_tor() {
    for (lines, message) in [
        (
            vec![ok(), begun(4, "a.example"), resolved(4, "a.example", "<error>")],
            "cannot resolve a.example: tor answered error=yes",
        ),
        (
            // tor had no stream for it, and names the name itself.
            vec![
                ok(),
                "650 ADDRMAP a.example a.example \"2026-11-23 09:27:58\" internal \
                 EXPIRES=\"2026-11-23 09:27:58\" CACHED=\"NO\""
                    .to_owned(),
            ],
            "cannot resolve a.example: tor answered internal",
        ),
        (
            vec![ok(), begun(4, "a.example"), ended(4, "a.example", "TIMEOUT")],
            "cannot resolve a.example: tor closed the request: TIMEOUT",
        ),
        (
            vec![ok(), begun(4, "a.example"), resolved(4, "a.example", "b.example")],
            "cannot read the answer to RESOLVE: expected an address, got \"b.example\"",
        ),
        (
            vec!["512 Bad arguments to RESOLVE: Cannot parse keyword argument(s)".to_owned()],
            "tor refused RESOLVE: 512 \"Bad arguments to RESOLVE: Cannot parse keyword \
             argument(s)\"",
        ),
    ] {
        assert_eq!(resolve(lines).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_address_is_resolved_to_a_name() {
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    let name = "2001:db8::1";
    let lines = vec![ok(), begun(4, name), resolved(4, name, "host.example")];
    let (tor, controller) = resolving("RESOLVE mode=reverse 2001:db8::1", lines);
    let host = controller.resolve_reverse(address, LIMIT).unwrap();
    assert_eq!(host, "host.example");
    drop(controller);
    tor.finish();
}

#[test]
fn a_name_that_tor_would_truncate_is_refused() {
    let (tor, controller) = connected(|script| {
        script.expect_end();
    });
    let error = controller.resolve(&"a".repeat(256), LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"name\": is longer than 255 bytes");
    drop(controller);
    tor.finish();
}

/// Takes requests for names `n<number>.example`, and resolves them to `10.0.0.<number>`.
fn serve_names(script: &mut Script) {
    let mut streams = 0;
    script.serve(|line, out| {
        answer(line, out);
        if let Some(name) = line.strip_prefix("RESOLVE ") {
            streams += 1;
            let number = name.trim_start_matches('n').trim_end_matches(".example");
            for event in [
                begun(streams, name),
                resolved(streams, name, &format!("10.0.0.{number}")),
                ended(streams, name, "DONE"),
            ] {
                out.extend(format!("{event}\r\n").bytes());
            }
        }
    });
}

#[test]
fn concurrent_calls_get_their_own_answers() {
    let (tor, controller) = connected(serve_names);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let controller = &controller;
            scope.spawn(move || {
                for round in 0..20 {
                    let host = (number + round) % 3;
                    let name = format!("n{host}.example");
                    let address = controller.resolve(&name, LIMIT).unwrap();
                    assert_eq!(address.to_string(), format!("10.0.0.{host}"));
                }
            });
        }
    });
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
}

#[test]
fn the_next_request_starts_when_the_one_before_has_its_stream() {
    let (go, may_go) = signal();
    let (tor, controller) = connected(move |script| {
        script.answer("SETEVENTS ADDRMAP STREAM", &["250 OK"]);
        script.expect("RESOLVE a.example").send("250 OK\r\n");
        script.wait_for(&may_go);
        script.send(format!("{}\r\n", begun(1, "a.example")));
        // Before the first has its answer.
        let first = begun(2, "a.example");
        script.answer("RESOLVE a.example", &["250 OK", &first]);
        let answers = [2, 1].map(|n| resolved(n, "a.example", &format!("10.0.0.{n}")));
        script.send_lines(&[&answers[0], &answers[1]]);
        script.serve(answer);
    });
    let ask = || {
        let controller = controller.clone();
        start(move || controller.resolve("a.example", LIMIT).unwrap().to_string())
    };
    let both = [ask(), ask()];
    go.fire();
    let mut answers = both.map(join);
    answers.sort();
    assert_eq!(answers, ["10.0.0.1", "10.0.0.2"]);
    drop(controller);
    tor.finish();
}

#[test]
fn an_unanswered_request_ends_with_its_limit_or_the_connection() {
    let (end, ended) = signal();
    let (tor, controller) = connected(move |script| {
        let begun = begun(4, "a.example");
        script.answer("SETEVENTS ADDRMAP STREAM", &["250 OK"]);
        script.answer("RESOLVE a.example", &["250 OK", &begun]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS ADDRMAP STREAM", &["250 OK"]);
        script.answer("RESOLVE a.example", &["250 OK"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer("SETEVENTS ADDRMAP STREAM", &["250 OK"]);
        script.answer("RESOLVE a.example", &["250 OK", &begun]);
        script.wait_for(&ended).close();
    });
    let short = Duration::from_secs(1);
    for _ in 0..2 {
        let error = controller.resolve("a.example", short).unwrap_err();
        assert_eq!(
            error.to_string(),
            "timed out after 1s waiting for tor to resolve a name or an address"
        );
    }
    let waiting = controller.clone();
    let thread = start(move || waiting.resolve("a.example", LIMIT));
    end.fire();
    assert_eq!(closed(join(thread)), "tor closed the connection");
    drop(controller);
    tor.finish();
}

#[test]
fn a_listener_can_resolve_a_name_and_fetch_a_descriptor() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS BW", &["250 OK", "650 BW 1 2"]);
        let lines = [begun(4, "a.example"), resolved(4, "a.example", "10.0.0.4")];
        script.answer("SETEVENTS ADDRMAP BW STREAM", &["250 OK"]);
        script.answer("RESOLVE a.example", &["250 OK", &lines[0], &lines[1]]);
        script.answer("SETEVENTS BW", &["250 OK"]);
        script.answer("SETEVENTS BW HS_DESC HS_DESC_CONTENT", &["250 OK"]);
        let events = [asked(SERVICE, A), received(SERVICE, A)].concat();
        script.expect(&format!("HSFETCH {SERVICE}")).send(format!("250 OK\r\n{events}"));
        script.serve(answer);
    });
    let weak = controller.downgrade();
    let (send, receive) = crossbeam_channel::unbounded();
    let listener = move |_: &Event| {
        let controller: Controller = weak.upgrade().unwrap();
        let address = controller.resolve("a.example", LIMIT).unwrap();
        let descriptor = controller.fetch_onion_descriptor(service(), LIMIT).unwrap();
        let hsdir = descriptor.hsdir().unwrap().to_string();
        send.send((address.to_string(), hsdir)).unwrap();
    };
    controller.add_event_listener(EventKind::Bw, listener).unwrap();
    assert_eq!(next(&receive), ("10.0.0.4".to_owned(), A.to_owned()));
    drop(controller);
    tor.finish();
}

fn service() -> OnionAddress {
    SERVICE.parse().unwrap()
}

/// A directory is queried.
fn asked(service: &str, hsdir: &str) -> String {
    format!("650 HS_DESC REQUESTED {service} NO_AUTH {hsdir} {ID} HSDIR_INDEX={INDEX}\r\n")
}

/// A directory refuses.
fn failed(service: &str, hsdir: &str, reason: &str) -> String {
    format!(
        "650 HS_DESC FAILED {service} NO_AUTH {hsdir} {ID} REASON={reason}\r\n\
         650+HS_DESC_CONTENT {service} {ID} {hsdir}\r\n\r\n.\r\n650 OK\r\n"
    )
}

/// A directory returns a descriptor.
fn received(service: &str, hsdir: &str) -> String {
    format!(
        "650 HS_DESC RECEIVED {service} NO_AUTH {hsdir} {ID}\r\n\
         650+HS_DESC_CONTENT {service} {ID} {hsdir}\r\nhs-descriptor 3\r\nsignature {hsdir}\r\n\
         ..\r\n.\r\n650 OK\r\n"
    )
}

/// The events before the answer to the next command, and those behind it.
type Stage = (String, String);

/// Plays a tor that accepts a fetch. The events of each stage surround the answer to the next
/// `GETINFO`: consequences of earlier events precede it.
fn fetching(servers: &str, begin: &str, stages: Vec<Stage>) -> (FakeTor, Controller) {
    let command = format!("HSFETCH {SERVICE}{servers}");
    let begin = format!("250 OK\r\n{begin}");
    connected(move |script| {
        script.answer("SETEVENTS HS_DESC HS_DESC_CONTENT", &["250 OK"]);
        // This version of tor would abort on a relay outside its consensus.
        for server in command.split(" SERVER=$").skip(1) {
            let key = format!("250+ns/id/{server}=");
            let entry = "r name AAAA BBBB 2026-01-01 00:00:00 192.0.2.1 9001 0";
            script.answer(&format!("GETINFO ns/id/{server}"), &[&key, entry, ".", "250 OK"]);
        }
        script.expect(&command).send(begin);
        for (before, after) in stages {
            script.expect("GETINFO version");
            script.send(format!("{before}250-version=0.4.9.11\r\n250 OK\r\n{after}"));
        }
        script.serve(answer);
    })
}

#[track_caller]
fn fetch(begin: &str, stages: Vec<Stage>) -> Result<String, Error> {
    let (tor, controller) = fetching("", begin, stages);
    let outcome = controller.fetch_onion_descriptor(service(), LIMIT);
    assert!(controller.subscribed_events().is_empty());
    drop(controller);
    tor.finish();
    outcome.map(|descriptor| descriptor.to_string())
}

fn text(hsdir: &str) -> String {
    format!("hs-descriptor 3\nsignature {hsdir}\n.")
}

fn none() -> String {
    String::new()
}

fn failures(error: &Error) -> Vec<String> {
    let Error::Onion(error) = error else { panic!("{error:?}") };
    match error.problem() {
        OnionProblem::NotFetched { failures, .. } => {
            failures.iter().map(HsDirFailure::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_descriptor_for_the_fetch_is_used() {
    let events = [
        asked(SERVICE, A),
        // Events of another service, and of a directory that was not queried again.
        asked(OTHER, A),
        received(OTHER, A),
        received(SERVICE, B),
        // An upload of the same service, and its result.
        format!("650 HS_DESC UPLOAD {SERVICE} UNKNOWN {B} {ID} HSDIR_INDEX={INDEX}\r\n"),
        format!("650 HS_DESC FAILED {SERVICE} NO_AUTH {A} {ID} REASON=UPLOAD_REJECTED\r\n"),
        // Lines that cannot be read.
        "650 HS_DESC x\r\n650+HS_DESC_CONTENT x\r\n.\r\n650 OK\r\n".to_owned(),
        // Another descriptor of the same directory.
        received(SERVICE, A).replace(ID, "LFjky7ywjd1ZKZJLzHqu6SMGiWcm3YotLSETfmXkERI"),
        failed(SERVICE, A, "NOT_FOUND").replace(ID, "LFjky7ywjd1ZKZJLzHqu6SMGiWcm3YotLSETfmXkERI"),
    ];
    let answer = received(SERVICE, A);
    let fetched = fetch(&events.concat(), vec![(none(), answer.clone())]);
    assert_eq!(fetched.unwrap(), text(A));
    let fetched = fetch(&events.concat(), vec![(answer, none())]);
    assert_eq!(fetched.unwrap(), text(A));
}

#[test]
fn an_earlier_fetch_of_the_same_service_is_ignored() {
    let (tor, controller) = connected(|script| {
        script.answer("SETEVENTS HS_DESC HS_DESC_CONTENT", &["250 OK"]);
        script.expect(&format!("HSFETCH {SERVICE}"));
        script.send(asked(SERVICE, A) + "250 OK\r\n" + &received(SERVICE, A));
        script.serve(answer);
    });
    let error = controller.fetch_onion_descriptor(service(), LIMIT).unwrap_err();
    assert!(failures(&error).is_empty(), "{error}");
    drop(controller);
    tor.finish();
}

#[test]
fn directories_are_queried_one_after_another_until_one_has_it() {
    let fetched = fetch(
        &asked(SERVICE, A),
        vec![
            (none(), failed(SERVICE, A, "QUERY_REJECTED")),
            (asked(SERVICE, B), failed(SERVICE, B, "NOT_FOUND")),
            // The first once more.
            (asked(SERVICE, A), received(SERVICE, A)),
        ],
    );
    assert_eq!(fetched.unwrap(), text(A));
    let all = [
        asked(SERVICE, A),
        failed(SERVICE, A, "UNEXPECTED"),
        asked(SERVICE, B),
        received(SERVICE, B),
    ];
    assert_eq!(fetch(&all.concat(), vec![]).unwrap(), text(B));
}

#[test]
fn a_fetch_fails_when_every_directory_has_failed_with_each_reason() {
    let stages = vec![
        (none(), failed(SERVICE, A, "NOT_FOUND")),
        (asked(SERVICE, B), failed(SERVICE, B, "BAD_DESC")),
        (none(), none()),
    ];
    let error = fetch(&asked(SERVICE, A), stages).unwrap_err();
    let begin = format!("no directory delivered the descriptor of {SERVICE}.onion");
    assert_eq!(error.to_string(), format!("{begin}: 1 NOT_FOUND, 1 BAD_DESC"));
    let expected = [format!("{A}: failed, NOT_FOUND"), format!("{B}: failed, BAD_DESC")];
    assert_eq!(failures(&error), expected);
    for reason in ["QUERY_NO_HSDIR", "QUERY_RATE_LIMITED"] {
        let refused = format!("650 HS_DESC FAILED {SERVICE} NO_AUTH UNKNOWN REASON={reason}\r\n");
        let error = fetch(&refused, vec![]).unwrap_err();
        assert_eq!(failures(&error), [format!("no directory, {reason}")]);
    }
    // Without a network tor sends no event.
    assert_eq!(fetch("", vec![]).unwrap_err().to_string(), format!("{begin}: none was tried"));
}

#[test]
fn only_the_given_directories_count() {
    let [a, b] = [A, B].map(|hsdir| {
        let digits = hsdir.trim_start_matches('$').split('~').next().unwrap();
        digits.parse::<Fingerprint>().unwrap()
    });
    let c = "$06827E770326B548864E1E86AF12EF174E1E9A8D~relay0";
    // tor queries both at once, and when one has failed, others, and the second once more.
    let begin = [
        asked(SERVICE, A),
        asked(SERVICE, B),
        failed(SERVICE, A, "NOT_FOUND"),
        asked(SERVICE, c),
        asked(SERVICE, B),
        received(SERVICE, c),
    ];
    let servers = format!(" SERVER=${a} SERVER=${b}");
    for (last, outcome) in [
        (received(SERVICE, B), Ok(text(B))),
        (
            failed(SERVICE, B, "NOT_FOUND"),
            Err([A, B].map(|hsdir| format!("{hsdir}: failed, NOT_FOUND")).to_vec()),
        ),
    ] {
        let stages = vec![(none(), last)];
        let (tor, controller) = fetching(&servers, &begin.concat(), stages);
        let fetched = controller.fetch_onion_descriptor_from(service(), [a, b], LIMIT);
        let found = fetched.map(|it| it.to_string()).map_err(|error| failures(&error));
        assert_eq!(found, outcome);
        let error = controller
            .fetch_onion_descriptor_from(service(), Vec::<Fingerprint>::new(), LIMIT)
            .unwrap_err();
        assert_eq!(error.to_string(), "invalid argument \"servers\": none is given");
        drop(controller);
        tor.finish();
    }
}

#[test]
fn a_fetch_ends_with_its_limit_the_connection_or_the_command() {
    let (end, ended) = signal();
    let (tor, controller) = connected(move |script| {
        let begin = "250 OK\r\n".to_owned() + &asked(SERVICE, A);
        let version = ["250-version=0.4.9.11", "250 OK"];
        let subscription = "SETEVENTS HS_DESC HS_DESC_CONTENT";
        let command = format!("HSFETCH {SERVICE}");
        script.answer(subscription, &["250 OK"]).expect(&command).send(&begin);
        script.answer("GETINFO version", &version).answer("SETEVENTS", &["250 OK"]);
        // A filter refuses the query, so the result is unknown.
        script.answer(subscription, &["250 OK"]).answer(&command, &["250 OK"]);
        script.answer("GETINFO version", &["510 Command filtered"]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer(subscription, &["250 OK"]).answer(&command, &["513 Invalid argument \"x\""]);
        script.answer("SETEVENTS", &["250 OK"]);
        script.answer(subscription, &["250 OK"]).expect(&command).send(&begin);
        script.answer("GETINFO version", &version).wait_for(&ended).close();
    });
    let fetch = |limit| controller.fetch_onion_descriptor(service(), limit).unwrap_err();
    let short = Duration::from_secs(1);
    for _ in 0..2 {
        assert_eq!(
            fetch(short).to_string(),
            "timed out after 1s waiting for the descriptor of an onion service"
        );
    }
    assert_eq!(fetch(LIMIT).status_code(), Some(513));
    let waiting = controller.clone();
    let thread = start(move || waiting.fetch_onion_descriptor(service(), LIMIT));
    end.fire();
    assert_eq!(closed(join(thread)), "tor closed the connection");
    drop(controller);
    tor.finish();
}
