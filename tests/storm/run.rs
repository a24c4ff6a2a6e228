use std::panic;
use std::process;
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::arguments::Arguments;
use crate::figures::Figures;
use crate::support::leaks;
use crate::support::named_thread::named;
use crate::support::random::Random;
use crate::watch::Watch;

/// How much more memory the last third of the rounds may need than the second.
const GROWTH: u64 = 16 << 20;

/// A storm that runs.
pub(crate) struct Run {
    pub(crate) figures: Figures,
    pub(crate) watch: Arc<Watch>,
    name: &'static str,
    begin: Instant,
    time: Duration,
    seed: u64,
    /// The memory after each round.
    memory: Mutex<Vec<u64>>,
}

impl Run {
    /// Begins a storm. From now on each panic, on any thread and also one that torcon would
    /// catch, ends the process with a report.
    pub(crate) fn start(name: &'static str, arguments: &Arguments) -> Self {
        let (begin, seed) = (Instant::now(), arguments.seed);
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let took = begin.elapsed();
            println!("FAULT in the storm {name:?} after {took:.1?}; --only {name} --seed {seed}");
            usual(panic);
            process::exit(101);
        }));
        let watch = Arc::<Watch>::default();
        let guarded = Arc::clone(&watch);
        named("watch", move || guarded.guard());
        let (figures, memory) = (Figures::default(), Mutex::default());
        Self { figures, watch, name, begin, time: arguments.time, seed, memory }
    }

    /// Whether no further round shall begin.
    pub(crate) fn is_over(&self) -> bool {
        self.begin.elapsed() >= self.time
    }

    /// Returns the random numbers of a part of the storm.
    pub(crate) fn random(&self, part: u64) -> Random {
        Random::new(self.seed ^ part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Pauses, for as long as the storm chooses.
    pub(crate) fn pause(&self, time: Duration) {
        thread::sleep(time);
    }

    /// Counts a round, when nothing of it is left.
    pub(crate) fn end_round(&self) {
        self.figures.count("rounds");
        self.memory.lock().push(leaks::resident_memory());
    }

    /// Prints the figures, and requires that the memory did not grow with the number of rounds.
    pub(crate) fn finish(&self) {
        let memory = self.memory.lock().clone();
        // The first third is for the warm-up.
        let third = memory.len() / 3;
        let [middle, last] = [third, 2 * third].map(|from| average(&memory[from..][..third]));
        if third > 0 {
            self.figures.most("KiB of memory in the second third", u128::from(middle / 1024));
            self.figures.most("KiB of memory in the last third", u128::from(last / 1024));
        }
        let latest = self.watch.latest().as_millis();
        self.figures.most("milliseconds by which a call exceeded its limit, at most", latest);
        println!("{}: {:.1?}\n{}", self.name, self.begin.elapsed(), self.figures);
        assert!(last <= middle + GROWTH, "the memory grows: {memory:?}");
    }
}

/// Starts a thread with a name in a scope.
pub(crate) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: impl Into<String>,
    work: impl FnOnce() + Send + 'scope,
) {
    let builder = thread::Builder::new().name(name.into());
    builder.spawn_scoped(scope, work).expect("a thread can be started");
}

fn average(memory: &[u64]) -> u64 {
    memory.iter().sum::<u64>() / memory.len().max(1) as u64
}
