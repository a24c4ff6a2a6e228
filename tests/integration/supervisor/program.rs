use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::unbounded;
use nix::sys::signal::{Signal as SystemSignal, kill};
use parking_lot::Mutex;
use torcon::error::{Error, SupervisorProblem};
use torcon::onion::{OnionListener, Publication};
use torcon::{EventKind, Signal, Supervisor, Tor};

use super::{LIMIT, pid, supervised, value, wait_up};
use crate::support::watchdog::eventually;

const WORKERS: usize = 4;

fn is_stopped(error: &Error) -> bool {
    matches!(error, Error::Supervisor(error) if matches!(error.problem(), SupervisorProblem::Stopped))
}

/// Queries tor until the supervisor is stopped. Each reply is that of the query.
fn work(supervisor: &Supervisor, number: usize, count: &AtomicUsize) {
    let (key, is_version) =
        if number % 2 == 0 { ("version", true) } else { ("process/pid", false) };
    loop {
        match supervisor.repeat_with_tor(LIMIT, |tor| tor.controller().get_info_one(key)) {
            Ok(text) => assert_eq!(text.starts_with("0."), is_version, "{key}: {text}"),
            Err(Error::Supervisor(error))
                if matches!(error.problem(), SupervisorProblem::Stopped) =>
            {
                return;
            }
            // The connection of the last call was closed by stop().
            Err(error) if error.is_closed() => {}
            Err(error) => panic!("{key}: {error:?}"),
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn has_service(tor: &Tor, listener: &OnionListener) -> bool {
    match listener.hidden_service_dir() {
        Some(directory) => {
            let lines = tor.controller().get_conf(["HiddenServiceOptions"]).unwrap();
            format!("{lines:?}").contains(directory.to_str().unwrap())
        }
        None => tor.controller().onions().unwrap().contains(&listener.onion_address()),
    }
}

#[test]
fn a_program_with_a_status_line_services_and_workers_outlives_its_tors_until_it_stops() {
    let supervisor = supervised();
    let line = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&line);
    supervisor.on_status(move |status| *shown.lock() = status.to_string()).unwrap();
    supervisor.set_conf([("MaxCircuitDirtiness", "300")]).unwrap();
    let (sender, events) = unbounded();
    let listener = move |event: &torcon::Event| drop(sender.send(event.to_string()));
    supervisor.add_event_listener(EventKind::Signal, listener).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let endpoint = |port| supervisor.onion_endpoint(port).publication(Publication::None);
    let with_directory = endpoint(81).hidden_service_dir(directory.path().join("service"));
    let services = [endpoint(80).ephemeral().listen().unwrap(), with_directory.listen().unwrap()];
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (supervisor, count) = (&supervisor, &count);
            scope.spawn(move || work(supervisor, number, count));
        }
        let accepts: Vec<_> =
            services.iter().map(|service| scope.spawn(|| service.accept().unwrap_err())).collect();
        let mut connection = 1;
        for step in 0..3 {
            let tor = supervisor.wait_tor(LIMIT).unwrap();
            match step {
                0 => kill(pid(&tor), SystemSignal::SIGKILL).unwrap(),
                1 => tor.controller().signal(Signal::Reload).unwrap(),
                _ => tor.controller().close(),
            }
            drop(tor);
            connection += u64::from(step != 1);
            wait_up(&supervisor, connection);
            let tor = supervisor.wait_tor(LIMIT).unwrap();
            eventually(LIMIT, "everything is restored", || {
                value(&tor, "MaxCircuitDirtiness") == ["300"]
                    && services.iter().all(|service| has_service(&tor, service))
            });
            let before = count.load(Ordering::Relaxed);
            eventually(LIMIT, "the workers go on", || {
                count.load(Ordering::Relaxed) > before + WORKERS
            });
        }
        supervisor.stop();
        for accept in accepts {
            let error = accept.join().unwrap();
            assert!(is_stopped(&error), "{error:?}");
        }
    });
    assert_eq!(*line.lock(), "stopped");
    let events: Vec<_> = events.try_iter().collect();
    let markers = events.iter().filter(|event| event.starts_with("(connected again"));
    assert_eq!(markers.count(), 2, "{events:?}");
}
