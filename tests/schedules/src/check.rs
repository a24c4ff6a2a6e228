//! Runs a model by many schedules.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::time;

/// How many schedules of each kind a test runs, unless the environment names another number.
const SCHEDULES: usize = 200;

/// The stack of each thread of a model.
const STACK: usize = 256 << 10;

/// A schedule with more steps has no end.
const STEPS: usize = 200_000;

/// The number of preemptions, plus one, in a schedule by [`Scheduler::Pct`].
const DEPTH: usize = 4;

/// How the thread of the next step is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// At random.
    Random,
    /// By random priorities, which change at a few random steps.
    Pct,
}

/// The first schedules of a seed, the last of which failed once.
#[derive(Clone, Copy, Debug)]
pub struct Kept(pub Scheduler, pub u64, pub usize);

/// Runs a model by random schedules and by those of random priorities.
///
/// `TORCON_TEST_SCHEDULES` is the number of each, `TORCON_TEST_SEED` the seed;
/// `TORCON_TEST_SCHEDULE` is a schedule that failed, which is the only one that runs then.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    if let Ok(schedule) = env::var("TORCON_TEST_SCHEDULE") {
        let mut scheduler = ReplayScheduler::new_from_encoded(&schedule);
        // Otherwise a schedule that fails, and so ends early, is reported as incomplete.
        scheduler.set_allow_incomplete();
        let has_finished = Arc::new(AtomicBool::new(false));
        let finished = Arc::clone(&has_finished);
        Runner::new(scheduler, config()).run(move || {
            run(&*model);
            finished.store(true, Ordering::Relaxed);
        });
        let has_finished = has_finished.load(Ordering::Relaxed);
        assert!(has_finished, "the program has other steps than when the schedule was recorded");
        return;
    }
    let count = variable("TORCON_TEST_SCHEDULES").unwrap_or(SCHEDULES);
    let seed = variable("TORCON_TEST_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.subsec_nanos().into()
    });
    for scheduler in [Scheduler::Random, Scheduler::Pct] {
        explore(&model, Kept(scheduler, seed, count));
    }
}

/// Runs a model by schedules that failed once.
pub fn check_kept(model: impl Fn() + Send + Sync + 'static, kept: &[Kept]) {
    let model = Arc::new(model);
    kept.iter().for_each(|kept| explore(&model, *kept));
}

fn explore(model: &Arc<impl Fn() + Send + Sync + 'static>, kept: Kept) {
    let Kept(scheduler, seed, count) = kept;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = {
        let (model, runs) = (Arc::clone(model), Arc::clone(&runs));
        move || {
            runs.fetch_add(1, Ordering::Relaxed);
            run(&*model);
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| match scheduler {
        Scheduler::Random => {
            Runner::new(RandomScheduler::new_from_seed(seed, count), config()).run(counted)
        }
        Scheduler::Pct => {
            Runner::new(PctScheduler::new_from_seed(seed, DEPTH, count), config()).run(counted)
        }
    }));
    let runs = runs.load(Ordering::Relaxed);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    if let Err(panic) = outcome {
        eprintln!(
            "{name}: failed in schedule {runs}: Kept(Scheduler::{scheduler:?}, {seed}, {runs})"
        );
        resume_unwind(panic);
    }
    println!("{name}: {runs} schedules, {scheduler:?}, seed {seed}");
}

fn run(model: &(impl Fn() + ?Sized)) {
    time::reset();
    model();
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.silence_warnings = true;
    config
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

/// Returns `true` in one of `of` cases. The checker records the choice in the schedule.
pub fn chance(of: u32) -> bool {
    thread_rng().gen_ratio(1, of)
}

/// Returns a number below `below`, chosen by the checker.
pub fn choose(below: usize) -> usize {
    thread_rng().gen_range(0..below)
}
