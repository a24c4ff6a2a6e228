use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use torcon::names::PortTarget;
use torcon::onion::{OnionEndpoint, OnionListener, Publication};
use torcon::{CancelToken, Error};

use crate::LIMIT;
use crate::callers::PATIENT;
use crate::run::{Run, spawn};
use crate::support::leaks;
use crate::support::random::Random;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// The ends of tor and its reloads while services are added and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Reload,
    /// Another controller removes every service with a directory.
    Reset,
    Stop,
    Kill,
    Terminate,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::None,
    Trouble::Reload,
    Trouble::Reset,
    Trouble::Stop,
    Trouble::Kill,
    Trouble::Terminate,
];

/// Onion services of every kind that are added, reached and closed by several threads, while tor
/// ends, reloads or loses them. Then tor has none, and no directory is left.
pub(crate) fn storm(run: &Run) {
    let tor = RealTor::start();
    let mut random = run.random(0);
    while !run.is_over() {
        let trouble = TROUBLES[random.below(TROUBLES.len())];
        let ends = matches!(trouble, Trouble::Kill | Trouble::Terminate);
        let (is_over, detached) = (AtomicBool::new(false), Mutex::default());
        thread::scope(|scope| {
            let (tor, is_over, detached) = (&tor, &is_over, &detached);
            for number in 0..4 {
                let mut random = Random::new(random.next());
                let work = move || {
                    while !is_over.load(Ordering::SeqCst) {
                        serve(run, tor, ends, number, detached, &mut random);
                    }
                };
                spawn(scope, format!("services {number}"), work);
            }
            run.pause(random.millis(0..300));
            make(tor, trouble, &mut random);
            run.pause(random.millis(0..100));
            is_over.store(true, Ordering::SeqCst);
        });
        run.figures.count(&format!("troubles: {trouble:?}"));
        if ends {
            tor.wait(LIMIT);
            tor.start_again();
        }
        let mut raw = tor.raw();
        assert_eq!(
            raw.get_conf("HiddenServiceOptions"),
            ["250 HiddenServiceOptions"],
            "{trouble:?}"
        );
        assert_eq!(raw.get_info("onions/current"), "", "{trouble:?}");
        // A detached one stays until it is deleted.
        let found = raw.get_info("onions/detached");
        let found: BTreeSet<_> = found.lines().map(str::to_owned).collect();
        let expected = if ends { BTreeSet::new() } else { detached.into_inner() };
        assert_eq!(found, expected, "{trouble:?}");
        for service in found {
            assert_eq!(raw.ask(&format!("DEL_ONION {service}")), ["250 OK"]);
        }
        eventually(LIMIT, "the threads of the services have ended", || {
            leaks::threads("torcon-").is_empty()
        });
        run.end_round();
    }
}

fn make(tor: &RealTor, trouble: Trouble, random: &mut Random) {
    match trouble {
        Trouble::None => {}
        Trouble::Reload => tor.hang_up(),
        Trouble::Reset => drop(tor.raw().ask("RESETCONF HiddenServiceOptions")),
        Trouble::Stop => {
            tor.stop();
            thread::sleep(random.millis(1..200));
            tor.cont();
        }
        Trouble::Kill => tor.kill(),
        Trouble::Terminate => tor.terminate(),
    }
}

/// Adds a service, reaches it, and closes it. Only if tor `ends`, this may fail.
fn serve(
    run: &Run,
    tor: &RealTor,
    ends: bool,
    thread: usize,
    detached: &Mutex<BTreeSet<String>>,
    random: &mut Random,
) {
    let token = CancelToken::new();
    let endpoint = OnionEndpoint::system_tor(tor.endpoint(), 80)
        .publication(Publication::None)
        .check_interval(Duration::from_millis(50))
        .cancel_token(&token);
    let kinds = ["ephemeral", "detached", "temporary directory", "kept directory"];
    let kind = random.below(kinds.len());
    let endpoint = match kind {
        0 => endpoint.ephemeral(),
        1 => endpoint.ephemeral().detach(),
        2 => endpoint.temporary_dir(),
        _ => endpoint.hidden_service_dir(tor.directory().join(format!("service-{thread}"))),
    };
    let failed = |what: &str, error: Error| {
        let is_usual = matches!(
            &error,
            Error::Closed(_) | Error::Connect(_) | Error::Auth(_) | Error::Onion(_)
        );
        assert!(ends && is_usual, "{what}: {error:?}");
        run.figures.count(&format!("failures while tor ends: {what}"));
    };
    let listener = match run.watch.call("listen", PATIENT * 2, || endpoint.listen()) {
        Ok(listener) => listener,
        Err(error) => return failed("listen", error),
    };
    run.figures.count(&format!("services: {}", kinds[kind]));
    if kind == 1 {
        detached.lock().insert(listener.onion_address().service_id().to_owned());
    }
    if let Err(error) = reach(run, &listener) {
        failed("accept", error);
    }
    thread::scope(|scope| {
        let accepting = scope.spawn(|| {
            run.watch.call("an accept that the end ends", PATIENT, || listener.accept().map(drop))
        });
        thread::sleep(random.millis(0..40));
        if random.below(2) == 0 {
            token.cancel();
            run.figures.count("cancels");
        }
        let closed = run.watch.call("close of a service", PATIENT, || listener.close());
        if let Err(error) = closed {
            failed("close", error);
        }
        let error = accepting.join().unwrap().expect_err("no client connects");
        let is_usual = matches!(&error, Error::Closed(_) | Error::Onion(_) | Error::Canceled(_));
        assert!(is_usual, "{error:?}");
    });
    run.watch.call("drop of a service", PATIENT, || drop(listener));
}

/// Connects to the local listener, and requires that the bytes arrive.
fn reach(run: &Run, listener: &OnionListener) -> Result<(), Error> {
    let PortTarget::Tcp(address) = listener.local_addr() else {
        let path = listener.local_addr().to_string();
        let path = path.strip_prefix("unix:").expect("it is a socket").trim_matches('"');
        let client = std::os::unix::net::UnixStream::connect(path).expect("the listener is open");
        return exchange(run, listener, client);
    };
    exchange(run, listener, TcpStream::connect(address).expect("the listener is open"))
}

fn exchange(run: &Run, listener: &OnionListener, mut client: impl Write) -> Result<(), Error> {
    client.write_all(b"storm").expect("the listener is open");
    let mut stream = run.watch.call("accept", PATIENT, || listener.accept_timeout(PATIENT))?;
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).expect("the client has written");
    assert_eq!(&bytes, b"storm");
    run.figures.count("clients");
    Ok(())
}
