use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torcon::names::{ClientAuthKey, OnionAddress, OnionKey};
use torcon::onion::{OnionListener, Publication};
use torcon::state::State;
use torcon::supervisor::SupervisorStatus;
use torcon::{Error, Supervisor, Tor};

use super::observers::Observers;
use super::{LIMIT, OPTION, VALUE};

/// Everything that a supervisor restores.
pub(super) struct Supervised<'a> {
    supervisor: &'a Supervisor,
    state: State,
    pub(super) observers: Observers,
    /// Detached, not detached, and with a directory.
    pub(super) listeners: Vec<OnionListener>,
    client_auth: OnionAddress,
}

/// Adds the services: detached, not detached, and with a directory.
fn services(supervisor: &Supervisor, publication: Publication) -> Vec<OnionListener> {
    let endpoint = || supervisor.onion_endpoint(80).publication(publication).timeout(LIMIT);
    let detached = endpoint().ephemeral().detach().check_interval(Duration::from_millis(200));
    let endpoints = [detached, endpoint().ephemeral(), endpoint().temporary_dir()];
    endpoints.into_iter().map(|endpoint| endpoint.listen().unwrap()).collect()
}

impl<'a> Supervised<'a> {
    pub(super) fn set_up(supervisor: &'a Supervisor, publication: Publication) -> Self {
        supervisor.set_conf([(OPTION, VALUE), ("NumEntryGuards", "2")]).unwrap();
        let client_auth = OnionKey::from_seed([77; 32]).address();
        let key = ClientAuthKey::from_bytes([5; 32]).unwrap();
        supervisor.add_onion_client_auth(client_auth, key).unwrap();
        supervisor.wait_tor(LIMIT).unwrap();
        let observers = Observers::add(supervisor);
        let state = supervisor.state().unwrap();
        let listeners = services(supervisor, publication);
        Self { supervisor, state, observers, listeners, client_auth }
    }

    pub(super) fn addresses(&self) -> Vec<OnionAddress> {
        self.listeners.iter().map(OnionListener::onion_address).collect()
    }

    /// Waits until everything is restored, and returns when that was so.
    #[track_caller]
    pub(super) fn wait_restored(&self) {
        let status = self.supervisor.wait_status(
            LIMIT,
            |status| matches!(status, SupervisorStatus::Up { unrestored, .. } if unrestored.is_empty()),
        );
        assert!(status.is_ok(), "{}: {status:?}", self.supervisor.status());
        for (option, value) in [(OPTION, VALUE), ("NumEntryGuards", "2")] {
            self.eventually(option, |tor| {
                let values = tor.controller().get_conf([option])?;
                Ok(values.get(option).is_some_and(|found| found.first() == Some(value)))
            });
        }
        self.eventually("the client authorization key", |tor| {
            let keys = tor.controller().onion_client_auths()?;
            Ok(keys.iter().any(|key| key.service == self.client_auth))
        });
        self.eventually("the services", |tor| {
            let [detached, ephemeral, filed] = &*self.listeners else { return Ok(true) };
            let configured = tor.controller().get_conf(["HiddenServiceOptions"])?;
            let directory = filed.hidden_service_dir().unwrap().to_str().unwrap();
            Ok(tor.controller().detached_onions()?.contains(&detached.onion_address())
                && tor.controller().onions()?.contains(&ephemeral.onion_address())
                && format!("{configured:?}").contains(directory))
        });
        self.eventually("the circuits of the state", |tor| {
            let circuits = tor.controller().circuit_status()?;
            let tors: BTreeSet<_> =
                circuits.iter().map(|circuit| circuit.id().to_string()).collect();
            let ours: BTreeSet<_> =
                self.state.circuits().iter().map(|circuit| circuit.id().to_string()).collect();
            Ok(tors == ours)
        });
        self.observers.check_delivery(self.supervisor);
    }

    #[track_caller]
    fn eventually(&self, what: &str, holds: impl Fn(&Tor) -> Result<bool, Error>) {
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.supervisor.repeat_with_tor(LIMIT, &holds);
            if matches!(found, Ok(true)) {
                return;
            }
            let status = self.supervisor.status();
            assert!(Instant::now() < end, "{what} is not restored: {found:?}; {status}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Lets threads end also if this one panics.
pub(super) struct StopOnDrop<'a>(pub(super) &'a AtomicBool, pub(super) &'a [OnionListener]);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.iter().for_each(|listener| drop(listener.close()));
    }
}
