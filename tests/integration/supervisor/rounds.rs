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
/// The same for a long time.
mod soak;
/// The tor of a supervisor, and the ways in which it ends.
mod subject;
/// Everything that a supervisor restores, and the check that it has.
mod supervised;
/// Threads that use tor meanwhile.
mod workers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use torcon::onion::Publication;
use torcon::supervisor::SupervisorStatus;

use self::client::{Client, serve};
use self::subject::{Ending, Subject, Way};
use self::supervised::{StopOnDrop, Supervised};
use self::workers::Tally;
use crate::support::exclusive::exclusive;
use crate::support::leaks::Holdings;
use crate::support::random::Random;
use crate::support::watchdog::eventually;
use crate::testnet::shared_network;

/// How long anything may take where eight programs share two processors.
const LIMIT: Duration = Duration::from_secs(90);
/// The supervised option that another controller changes.
const OPTION: &str = "MaxCircuitDirtiness";
const VALUE: &str = "1234";
const OTHER_VALUE: &str = "99";

/// The times from the return of tor until a second tor reached all services.
type Times = BTreeMap<(&'static str, String), Vec<Duration>>;

/// Plays rounds with one tor.
fn play(way: Way, rounds: usize, client: &Client, random: &mut Random, times: &mut Times) {
    let subject = Subject::start(way);
    let services_before = subject.services();
    let supervisor = subject.supervisor();
    let supervised = Supervised::set_up(&supervisor, Publication::Reachable);
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
