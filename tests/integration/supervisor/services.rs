use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::signal::{Signal as SystemSignal, kill};
use parking_lot::Mutex;
use torcon::error::{Error, OnionProblem};
use torcon::names::ClientAuthKey;
use torcon::onion::{OnionListener, OnionProgress, Publication};
use torcon::supervisor::SupervisorStatus;
use torcon::{Supervisor, Tor};

use super::{options, pid, wait_up};
use crate::onion::network::{LIMIT, launcher, say, served, tor};
use crate::support::watchdog::eventually;

fn kill_tor(supervisor: &Supervisor) {
    let tor = supervisor.wait_tor(LIMIT).unwrap();
    kill(pid(&tor), SystemSignal::SIGKILL).unwrap();
    eventually(LIMIT, "the connection has ended", || !tor.controller().is_alive());
}

/// Waits for the connection after `former`, and returns its number. Everything is restored on it.
#[track_caller]
fn wait_next(supervisor: &Supervisor, former: u64) -> u64 {
    let SupervisorStatus::Up { generation, unrestored, .. } = wait_up(supervisor, former + 1)
    else {
        panic!("{}", supervisor.status())
    };
    assert!(unrestored.is_empty(), "{unrestored:?}");
    generation
}

fn add_key(client: &Tor, listener: &OnionListener, key: &ClientAuthKey) {
    client.add_onion_client_auth(listener.onion_address(), key).unwrap();
}

/// Counts the restored services and the publications after that, of one service.
#[derive(Clone, Default)]
struct Steps {
    restored: Arc<AtomicUsize>,
    published: Arc<AtomicUsize>,
}

impl Steps {
    fn count(&self, progress: &OnionProgress) {
        match progress {
            OnionProgress::Restored(_) => self.restored.fetch_add(1, Ordering::SeqCst),
            OnionProgress::Published(_) => self.published.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

#[test]
fn services_of_every_kind_are_reached_by_another_tor_after_their_tor_was_killed() {
    let supervisor = options().launch(launcher()).unwrap();
    let given = tempfile::tempdir().unwrap();
    let directory = given.path().join("service");
    let steps: [Steps; 4] = Default::default();
    let endpoint = |number: usize| {
        let steps = steps[number].clone();
        let endpoint = supervisor.onion_endpoint(80).timeout(LIMIT);
        endpoint.publication(Publication::All).on_progress(move |step| steps.count(step))
    };
    let listeners = [
        endpoint(0).listen().unwrap(),
        endpoint(1).hidden_service_dir(&directory).authorize_client("alice").listen().unwrap(),
        endpoint(2).ephemeral().listen().unwrap(),
        endpoint(3).ephemeral().authorize_client("alice").listen().unwrap(),
    ];
    let addresses: Vec<_> = listeners.iter().map(OnionListener::onion_address).collect();
    let temporary: PathBuf = listeners[0].hidden_service_dir().unwrap().to_owned();
    let mut generation = wait_next(&supervisor, 0);
    served(&listeners, || {
        for round in 1..=3 {
            kill_tor(&supervisor);
            let begin = Instant::now();
            if round == 2 {
                // The next tor learns of it.
                for listener in [&listeners[1], &listeners[3]] {
                    listener.authorize_client("bob").unwrap();
                }
            }
            for listener in &listeners {
                listener.wait_published(Publication::All, LIMIT).unwrap();
            }
            generation = wait_next(&supervisor, generation);
            println!("round {round}: published after {:.1?}", begin.elapsed());
            let client = tor();
            let name = if round == 1 { "alice" } else { "bob" };
            for (number, listener) in listeners.iter().enumerate() {
                let clients = listener.clients();
                if let Some(holder) = clients.iter().find(|client| client.name.as_str() == name) {
                    add_key(&client, listener, holder.key.as_ref().unwrap());
                }
                assert_eq!(listener.onion_address(), addresses[number]);
                assert_eq!(usize::from(say(&client, &addresses[number], "hello")), number);
                assert!(listener.controller().is_alive());
                let steps = &steps[number];
                eventually(LIMIT, "it is reported", || {
                    let counts = [&steps.restored, &steps.published];
                    counts.map(|count| count.load(Ordering::SeqCst)) == [round, round + 1]
                });
            }
            println!("round {round}: reached after {:.1?}", begin.elapsed());
        }
    });
    drop(listeners);
    assert!(directory.exists() && !temporary.exists());
    let tor = supervisor.tor().unwrap();
    assert!(tor.controller().onions().unwrap().is_empty());
    let lines = tor.controller().get_conf(["HiddenServiceOptions"]).unwrap();
    assert!(lines.lines().all(|(name, _)| name == "HiddenServiceOptions"));
}

#[test]
fn accept_goes_on_without_a_tor_and_ends_with_the_supervisor() {
    let supervisor = options().launch(launcher()).unwrap();
    let listener = supervisor.onion_endpoint(80).publication(Publication::None).listen().unwrap();
    let failure = Mutex::new(None);
    let accept = || *failure.lock() = Some(listener.accept().unwrap_err());
    std::thread::scope(|scope| {
        scope.spawn(accept);
        let mut generation = wait_next(&supervisor, 0);
        for _ in 0..3 {
            kill_tor(&supervisor);
            generation = wait_next(&supervisor, generation);
            assert!(failure.lock().is_none());
        }
        supervisor.stop();
    });
    let failure = failure.into_inner().unwrap();
    assert!(matches!(failure, Error::Supervisor(_)), "{failure}");
    let ended = listener.authorize_client("alice").unwrap_err();
    assert_eq!(ended.to_string(), failure.to_string());
    drop(supervisor);
    listener.close().unwrap();
}

#[test]
fn a_service_that_is_closed_without_a_tor_does_not_come_back() {
    let supervisor = options().launch(launcher()).unwrap();
    let endpoint = || supervisor.onion_endpoint(80).publication(Publication::None);
    let listeners = [endpoint().listen().unwrap(), endpoint().ephemeral().listen().unwrap()];
    let directory = listeners[0].hidden_service_dir().unwrap().to_owned();
    let generation = wait_next(&supervisor, 0);
    kill_tor(&supervisor);
    for listener in &listeners {
        listener.close().unwrap();
        let Error::Onion(error) = listener.accept().unwrap_err() else { panic!() };
        assert!(matches!(error.problem(), OnionProblem::Closed));
    }
    drop(listeners);
    wait_next(&supervisor, generation);
    let tor = supervisor.tor().unwrap();
    assert!(tor.controller().onions().unwrap().is_empty());
    let lines = tor.controller().get_conf(["HiddenServiceOptions"]).unwrap();
    assert!(lines.lines().all(|(name, _)| name == "HiddenServiceOptions"));
    assert!(!directory.exists());
}
