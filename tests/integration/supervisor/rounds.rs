//! Ends of tor and of its connection at random moments, on the private network: after each of them a
//! second tor reaches the same onion services, and everything else is as the program set it.
//!
//! The long form: `TORCON_TEST_ROUNDS=200 TORCON_TEST_LIMIT=7200`.

/// A client that reaches services.
mod client;
/// A proxy whose connections can be cut.
mod cutting_proxy;
/// Listeners and queues, and the checks of the events that they received.
mod observers;
/// Random numbers that can be repeated.
mod random;
/// The same for a long time.
mod soak;
/// The tor of a supervisor, and the ways in which it ends.
mod subject;
/// Threads that use tor meanwhile.
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torcon::names::{ClientAuthKey, OnionAddress, OnionKey};
use torcon::onion::OnionListener;
use torcon::state::State;
use torcon::supervisor::SupervisorStatus;
use torcon::{Error, Supervisor, Tor};

use self::client::{Client, serve};
use self::observers::Observers;
use self::random::Random;
use self::subject::{Ending, Subject, Way};
use self::workers::Tally;
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::watchdog::eventually;
use crate::testnet::shared_network;

/// How long anything may take where eight programs share two processors.
const LIMIT: Duration = Duration::from_secs(90);
/// The supervised option that another controller changes.
const OPTION: &str = "MaxCircuitDirtiness";
const VALUE: &str = "1234";
const OTHER_VALUE: &str = "99";

/// Everything that a supervisor restores.
struct Supervised<'a> {
    supervisor: &'a Supervisor,
    state: State,
    observers: Observers,
    /// Detached, not detached, and with a directory.
    listeners: Vec<OnionListener>,
    client_auth: OnionAddress,
}

/// Adds the services: detached, not detached, and with a directory.
fn services(supervisor: &Supervisor) -> Vec<OnionListener> {
    let endpoint = || supervisor.onion_endpoint(80).timeout(LIMIT);
    let detached = endpoint().ephemeral().detach().check_interval(Duration::from_millis(200));
    let endpoints = [detached, endpoint().ephemeral(), endpoint().temporary_dir()];
    endpoints.into_iter().map(|endpoint| endpoint.listen().unwrap()).collect()
}

impl<'a> Supervised<'a> {
    fn set_up(supervisor: &'a Supervisor) -> Self {
        supervisor.set_conf([(OPTION, VALUE), ("NumEntryGuards", "2")]).unwrap();
        let client_auth = OnionKey::from_seed([77; 32]).address();
        let key = ClientAuthKey::from_bytes([5; 32]).unwrap();
        supervisor.add_onion_client_auth(client_auth, key).unwrap();
        supervisor.wait_tor(LIMIT).unwrap();
        let observers = Observers::add(supervisor);
        let state = supervisor.state().unwrap();
        let listeners = services(supervisor);
        Self { supervisor, state, observers, listeners, client_auth }
    }

    fn addresses(&self) -> Vec<OnionAddress> {
        self.listeners.iter().map(OnionListener::onion_address).collect()
    }

    /// Waits until everything is restored, and returns when that was so.
    #[track_caller]
    fn wait_restored(&self) {
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

/// The times from the return of tor until a second tor reached all services.
type Times = BTreeMap<(&'static str, String), Vec<Duration>>;

/// Lets threads end also if this one panics.
struct StopOnDrop<'a>(&'a AtomicBool, &'a [OnionListener]);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.iter().for_each(|listener| drop(listener.close()));
    }
}

/// Plays rounds with one tor.
fn play(way: Way, rounds: usize, client: &Client, random: &mut Random, times: &mut Times) {
    let subject = Subject::start(way);
    let services_before = subject.services();
    let supervisor = subject.supervisor();
    let supervised = Supervised::set_up(&supervisor);
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    let service = supervised.addresses().first().copied();
    thread::scope(|scope| {
        let _stop = StopOnDrop(&stop, &supervised.listeners);
        for (mark, listener) in (b'a'..).zip(&supervised.listeners) {
            scope.spawn(move || serve(listener, mark));
        }
        for number in 0..workers::OPTIONS.len() {
            let (supervisor, tally, stop) = (&supervisor, &tally, &stop);
            scope.spawn(move || tally.work(supervisor, number, stop));
        }
        scope.spawn(|| supervised.observers.emit_until(&supervisor, &stop));
        client.reach_all(&supervised.addresses(), LIMIT);
        for round in 1..=rounds {
            let ending = Ending::choose(way, random);
            thread::sleep(random.millis(0..500));
            let mut back = subject.carry_out(ending, &supervisor, service, random);
            let mut name = format!("{ending:?}");
            // A second end, while the supervisor restores.
            if random.below(4) == 0 {
                thread::sleep(random.millis(0..1500));
                let second = Ending::choose(way, random);
                if second != Ending::DelOnion {
                    back = subject.carry_out(second, &supervisor, service, random);
                    name = format!("{name}, {second:?}");
                }
            }
            supervised.wait_restored();
            let restored = back.elapsed();
            let failures = client.reach_all(&supervised.addresses(), 2 * LIMIT);
            let took = back.elapsed();
            println!(
                "{way:?} {round}: {name}: restored in {restored:.1?}, reached in {took:.1?} {failures:?}"
            );
            let kind = if ending.ends_connection() { "connection ended" } else { "went on" };
            times.entry((kind, format!("{way:?}"))).or_default().push(took);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let generations = observers::generation(&supervisor).unwrap();
    supervised.observers.check_order(generations);
    println!("    {generations} connections; {tally:#?}");
    drop(supervised);
    if subject.services().is_some() {
        eventually(LIMIT, "tor has no service more than before", || {
            subject.services() == services_before
        });
    }
    supervisor.stop();
    assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
}

/// Returns the holdings without threads that are about to end.
fn settled_holdings() -> Holdings {
    let mut before = Holdings::now();
    eventually(LIMIT, "the launches are over", || {
        before = Holdings::now();
        !before.threads.iter().any(|name| name == "torcon-launch")
    });
    before
}

fn rounds() -> usize {
    std::env::var("TORCON_TEST_ROUNDS").map_or(4, |text| text.parse().unwrap())
}

/// Takes about a minute: each round takes two to eight seconds until a second tor reaches the services.
#[test]
fn everything_is_restored_after_each_end_of_tor_or_of_its_connection() {
    exclusive(|| {
        let mut random = Random::from_environment();
        shared_network();
        let client = Client::join();
        let mut times = Times::new();
        let ways = [Way::Socket, Way::Launch, Way::Port, Way::Proxy];
        for (index, way) in ways.into_iter().enumerate() {
            let share = (rounds() + index) / ways.len();
            let before = settled_holdings();
            play(way, share, &client, &mut random, &mut times);
            before.assert_restored(LIMIT);
        }
        for (kind, mut took) in times {
            took.sort();
            let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
            println!("{kind:?}: {} rounds, median {median:.2?}, worst {worst:.2?}", took.len());
        }
    });
}
