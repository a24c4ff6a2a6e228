use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::event::SignalEvent;
use torcon::names;
use torcon::onion::OnionListener;

use super::network::{LIMIT, say, served, tor};
use crate::support::watchdog::eventually;

/// A reload takes 3 to 10 seconds on a loaded machine: tor builds and publishes new introduction
/// points, and the client tries those of the old descriptor first.
const ALL_OF_THEM: Duration = Duration::from_secs(600);

/// A round takes about 5 seconds: each time tor builds new introduction circuits and publishes them.
/// The long form: `TORCON_TEST_ROUNDS=20`.
#[test]
fn services_are_reached_by_another_tor_after_each_reload() {
    let rounds = std::env::var("TORCON_TEST_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let (service, client) = (tor(), tor());
    let root = tempfile::tempdir().unwrap();
    let endpoint = || service.onion_endpoint(80).timeout(LIMIT);
    let ephemeral = endpoint().ephemeral().listen().unwrap();
    let filed = endpoint().hidden_service_dir(root.path().join("service")).listen().unwrap();
    let pid = service.controller().get_info_one("process/pid").unwrap().parse().unwrap();
    let listeners = [ephemeral, filed];
    let addresses = listeners.each_ref().map(OnionListener::onion_address);
    let reloads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reloads);
    let count = move |event: &SignalEvent| {
        counted.fetch_add(u32::from(event.signal() == names::Signal::Reload), Ordering::Relaxed);
    };
    service.controller().on(count).unwrap();
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    served(&listeners, || {
        for reload in 1..=rounds {
            let started = Instant::now();
            kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
            eventually(LIMIT, "tor has reloaded", || reloads.load(Ordering::Relaxed) == reload);
            for (number, address) in (0..).zip(&addresses) {
                assert_eq!(say(&client, address, "after a reload"), number);
            }
            slowest = slowest.max(started.elapsed());
            println!("reload {reload}: reached in {:?}", started.elapsed());
            assert!(begin.elapsed() < ALL_OF_THEM, "{reload} reloads in {:?}", begin.elapsed());
        }
    });
    println!("{rounds} reloads in {:?}, the slowest {slowest:?}", begin.elapsed());
    assert!(service.controller().is_alive());
}
