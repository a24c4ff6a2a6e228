//! Storms: tors and connections that end in every way, while many threads use them.
//!
//! Each storm runs in its own process until its time is over, and then prints its figures. The
//! first property that does not hold ends the program with a report. The replies that the callers ask
//! for repeat what was asked, and events have numbers, so that one that reaches a wrong caller, or
//! is lost, is seen.
//!
//! ```sh
//! cargo test --release --all-features --test storm -- --seconds 600 --only ends --seed 7
//! ```
//!
//! `--seconds` is the time of all storms together, which share it equally, and `--seed` repeats the
//! random choices, though not what the threads make of them. A word selects the storms whose names
//! contain it, as with other tests.
#![forbid(unsafe_code)]
#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that panics has done its work"
)]

/// The arguments of the command line.
mod arguments;
/// Threads that send commands of every kind on one connection.
mod callers;
/// Storm: connections and tors that end in every way.
mod ends;
/// Storm: floods of events, each of which is received or counted as lost.
mod events;
/// The outcome of a storm.
mod figures;
/// Storm: tors that are launched and ended at any moment.
mod launches;
/// Listeners, queues and closures of one connection.
mod observers;
/// A relay between a client and tor, which splits, delays and cuts.
mod relay;
/// Storm: a tor that is stopped again and again, on a connection that lasts.
mod replies;
/// The time, the seed and the figures of a storm.
mod run;
/// Storm: onion services that are added and closed while tor ends.
mod services;
/// Storm: a supervisor whose tors and connections end.
mod supervisor;
/// Tools that the integration tests use too.
#[allow(dead_code, reason = "the storms use a part")]
mod support;
/// The limits of the calls that run.
mod watch;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use self::arguments::Arguments;
use self::run::Run;
use self::support::exclusive::is_exclusive;
use self::support::leaks::{self, Holdings};

/// How long a thread, a process or a directory may need to be gone.
const LIMIT: Duration = Duration::from_secs(60);
/// How much longer than its time a storm may take: its last round, and the end of its tors.
const OVERTIME: Duration = Duration::from_secs(180);

type Storm = fn(&Run);

/// The storms, by name.
const STORMS: [(&str, Storm); 6] = [
    ("replies", replies::storm),
    ("ends", ends::storm),
    ("events", events::storm),
    ("supervisor", supervisor::storm),
    ("launches", launches::storm),
    ("services", services::storm),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    let is_chosen = |(name, _): &&(&str, Storm)| arguments.chooses(name);
    let storms: Vec<_> = STORMS.iter().filter(is_chosen).collect();
    if arguments.lists {
        storms.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let (true, [(name, storm)]) = (is_exclusive(), &*storms) {
        play(name, *storm, &arguments);
        return ExitCode::SUCCESS;
    }
    let share = arguments.time / u32::try_from(storms.len()).unwrap().max(1);
    println!("\nrunning {} storms with --seed {}", storms.len(), arguments.seed);
    let failed: Vec<_> = storms
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !play_alone(name, share, arguments.seed))
        .collect();
    if failed.is_empty() {
        println!("test result: ok. {} storms passed\n", storms.len());
        return ExitCode::SUCCESS;
    }
    println!("test result: FAILED. These storms failed: {}\n", failed.join(", "));
    ExitCode::FAILURE
}

/// Runs a storm in this process, which has no other task.
fn play(name: &'static str, storm: Storm, arguments: &Arguments) {
    let run = Run::start(name, arguments);
    let before = Holdings::now();
    storm(&run);
    let rest = Instant::now();
    before.assert_restored(LIMIT);
    run.figures.most("milliseconds until all threads were gone", rest.elapsed().as_millis());
    run.figures.most("KiB of memory at the end", u128::from(leaks::resident_memory() / 1024));
    run.figures.most("KiB of memory at most", u128::from(leaks::peak_memory() / 1024));
    run.finish();
}

/// Runs a storm in its own process, with an empty temporary directory. Returns whether it
/// passed.
fn play_alone(name: &str, time: Duration, seed: u64) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut child = Command::new(std::env::current_exe().expect("the program has a path"))
        .args(["--only", name, "--seed", &seed.to_string()])
        .args(["--milliseconds", &time.as_millis().to_string()])
        .env(support::exclusive::MARK, "1")
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let end = Instant::now() + time + OVERTIME;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if Instant::now() >= end {
            println!("FAULT: the storm {name:?} did not end within {:?}", time + OVERTIME);
            child.kill().ok();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let left = std::fs::read_dir(directory.path()).expect("the directory can be read").count();
    if status.success() && left > 0 {
        println!("FAULT: the storm {name:?} left {left} files");
    }
    status.success() && left == 0
}
