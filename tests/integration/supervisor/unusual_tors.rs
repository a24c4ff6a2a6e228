//! A supervisor whose tor is busy, silent or behind a filter.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;
use torcon::ConnectOptions;
use torcon::onion::Publication;
use torcon::supervisor::SupervisorOptions;

use super::{LIMIT, connected_to, cut, unrestored, wait_up};
use crate::support::exclusive::exclusive;
use crate::support::filter::{EventRule, Filter, Profile, allow};
use crate::support::log_capture::LogClosure;
use crate::support::named_thread::named;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::within;

/// A proxy that ends the connections of its clients, but not those to tor.
struct HalfOpenProxy {
    path: PathBuf,
    clients: Arc<Mutex<Vec<UnixStream>>>,
    _directory: TempDir,
}

impl HalfOpenProxy {
    fn before(tor: &RealTor) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let clients = Arc::new(Mutex::new(Vec::<UnixStream>::new()));
        let (kept, target) = (Arc::clone(&clients), tor.socket_path());
        named("half-open-proxy", move || {
            let mut left = Vec::new();
            for client in listener.incoming() {
                let (client, tor) = (client.unwrap(), UnixStream::connect(&target).unwrap());
                for (from, to) in [(&client, &tor), (&tor, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    named("half-open-copy", move || io::copy(&mut &from, &mut &to));
                }
                kept.lock().push(client);
                left.push(tor);
            }
        });
        Self { path, clients, _directory: directory }
    }

    fn cut(&self) {
        for client in self.clients.lock().drain(..) {
            client.shutdown(Shutdown::Both).ok();
        }
    }
}

#[test]
fn many_services_of_a_connection_that_tor_keeps_do_not_delay_the_next_one() {
    let tor = RealTor::start();
    let proxy = HalfOpenProxy::before(&tor);
    let endpoint = format!("unix:{}", proxy.path.display());
    let supervisor = SupervisorOptions::new()
        .check_interval(Duration::from_secs(1))
        .connect([endpoint.as_str()], ConnectOptions::new())
        .unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    let _listeners: Vec<_> = (0..12)
        .map(|_| {
            let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
            endpoint.ephemeral().listen().unwrap()
        })
        .collect();
    let begin = Instant::now();
    proxy.cut();
    wait_up(&supervisor, 2);
    let elapsed = begin.elapsed();
    assert!(elapsed < Duration::from_secs(15), "up after {elapsed:?}");
}

#[test]
fn a_supervisor_of_a_tor_that_does_not_answer_ends_in_time() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    let _listeners: Vec<_> = (0..25)
        .map(|number| {
            let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
            let directory = tor.directory().join(format!("service-{number}"));
            endpoint.hidden_service_dir(directory).listen().unwrap()
        })
        .collect();
    tor.stop();
    let begin = Instant::now();
    supervisor.stop();
    let elapsed = begin.elapsed();
    tor.cont();
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
}

#[test]
fn a_logger_can_ask_for_the_state() {
    exclusive(|| {
        let tor = RealTor::start();
        let supervisor = Arc::new(connected_to(&tor));
        let own = Arc::downgrade(&supervisor);
        let _logger = LogClosure::start(move |_| {
            if let Some(supervisor) = own.upgrade() {
                let _ = supervisor.state();
            }
        });
        let asking = Arc::clone(&supervisor);
        within(Duration::from_secs(30), "the state", move || drop(asking.state().unwrap()));
    });
}

#[test]
fn an_option_is_set_again_at_once_behind_a_filter_that_has_no_signal_events() {
    const PROFILE: Profile = Profile {
        name: "no-signal",
        commands: &[allow("SETCONF", "<**>"), allow("GETINFO", "<**>"), allow("GETCONF", "<**>")],
        confs: &["contactinfo"],
        events: &[("CONF_CHANGED", EventRule::Pass)],
    };
    let tor = RealTor::start();
    let filter = Filter::before(tor.address(), tor.cookie_path(), &PROFILE);
    let supervisor = SupervisorOptions::new()
        .check_interval(LIMIT)
        .connect([filter.endpoint().as_str()], ConnectOptions::new())
        .unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    supervisor.set_conf([("ContactInfo", "somebody")]).unwrap();
    let value = || tor.raw().get_conf("ContactInfo").concat();
    assert!(value().ends_with("=somebody"));
    assert_eq!(tor.raw().ask("SETCONF ContactInfo=other"), ["250 OK"]);
    let end = Instant::now() + Duration::from_secs(8);
    while !value().ends_with("=somebody") {
        assert!(Instant::now() < end, "{}; the filter passed {:?}", value(), filter.passed());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_service_that_could_not_be_restored_is_tried_again_while_tor_reports_signals() {
    let tor = RealTor::start();
    let supervisor = connected_to(&tor);
    supervisor.set_conf([("ContactInfo", "somebody")]).unwrap();
    let directory = tor.directory().join("service");
    let endpoint = supervisor.onion_endpoint(80).publication(Publication::None);
    let _listener = endpoint.hidden_service_dir(&directory).listen().unwrap();
    let aside = directory.with_extension("aside");
    let open = cut(&tor, &supervisor);
    fs::rename(&directory, &aside).unwrap();
    open();
    assert_eq!(unrestored(&supervisor, 2), 1);
    fs::rename(&aside, &directory).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let mut raw = tor.raw();
    while unrestored(&supervisor, 2) > 0 {
        assert!(Instant::now() < end, "not tried again: {}", supervisor.status());

        assert_eq!(raw.ask("SIGNAL DUMP"), ["250 OK"]);
        thread::sleep(Duration::from_millis(300));
    }
}
