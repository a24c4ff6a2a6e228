use std::thread;
use std::time::{Duration, Instant};

use torcon::onion::Publication;

use super::subject::{Ending, Subject, Way};
use super::supervised::{StopOnDrop, Supervised};
use super::{LIMIT, observers, settled_holdings};
use crate::support::exclusive::exclusive;
use crate::support::leaks::resident_memory;
use crate::support::random::Random;
use crate::testnet::shared_network;

/// How much more memory than before a later part of the time may need.
const GROWTH: u64 = 2 << 20;

/// Ends the connection over and over for `time`. Returns the memory after each restoration.
fn wear(way: Way, time: Duration, random: &mut Random) -> Vec<u64> {
    let subject = Subject::start(way);
    let supervisor = subject.supervisor();
    let supervised = Supervised::set_up(&supervisor, Publication::Reachable);
    let stop = Default::default();
    let _stop = StopOnDrop(&stop, &supervised.listeners);
    let mut memory = Vec::new();
    let end = Instant::now() + time;
    let service = supervised.addresses().first().copied();
    while Instant::now() < end {
        let ending = match (way, random.below(10)) {
            (Way::Proxy, 1..) => Ending::Cut,
            (_, 1..5) => Ending::Terminate,
            _ => Ending::Kill,
        };
        subject.carry_out(ending, &supervisor, service, random);
        supervised.wait_restored();
        memory.push(resident_memory());
        thread::sleep(random.millis(0..100));
    }
    println!("{way:?}: {:?} connections in {time:?}", observers::generation(&supervisor));
    memory
}

fn average(memory: &[u64]) -> u64 {
    memory.iter().sum::<u64>() / memory.len().max(1) as u64
}

/// The long form: `TORCON_TEST_SECONDS=600 TORCON_TEST_LIMIT=7200`.
#[test]
fn memory_stays_the_same_over_many_connections() {
    exclusive(|| {
        let seconds = std::env::var("TORCON_TEST_SECONDS").map_or(6, |text| text.parse().unwrap());
        let mut random = Random::from_environment();
        shared_network();
        for way in [Way::Proxy, Way::Launch] {
            let before = settled_holdings();
            let memory = wear(way, Duration::from_secs(seconds) / 2, &mut random);
            before.assert_restored(LIMIT);
            // The first third is for the warm-up.
            let third = memory.len() / 3;
            let [_, middle, last] =
                [0, third, 2 * third].map(|from| average(&memory[from..][..third.max(1)]));
            println!("{way:?}: {memory:?}");
            println!("{way:?}: {middle} bytes in the second third, {last} in the last");
            assert!(last < middle + GROWTH, "{way:?}: {memory:?}");
        }
    });
}
