//! Counts of an operation, which do not depend on the load of the machine.

use std::env;
use std::fs;
use std::process::{self, Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use super::race::Sample;
use super::{allocations, replay, report};

/// How often a process that strace counts performs the work.
const UNDER_STRACE: &str = "TORCON_BENCH_UNDER_STRACE";

/// Reports processor time, context switches, allocations and system calls per operation.
pub(crate) fn count(work: &mut dyn FnMut() -> Sample) {
    let before = Usage::of(UsageWho::RUSAGE_SELF);
    let done = work().done as f64;
    let after = Usage::of(UsageWho::RUSAGE_SELF);
    let per_operation = |count: f64| count / done;
    report::figure("µs of CPU", per_operation((after.cpu - before.cpu) * 1e6), None);
    report::figure("context switches", per_operation(after.switches - before.switches), None);
    let allocations = allocations::count(|| {
        work();
    });
    report::figure("allocations", per_operation(allocations as f64), None);
    if let (Some(first), Some(all)) = (system_calls(1), system_calls(3)) {
        report::figure("system calls", per_operation((all - first) / 2.0), None);
    }
}

/// Resources that processes have used so far.
pub(crate) struct Usage {
    /// Processor time in seconds.
    pub(crate) cpu: f64,
    /// Voluntary and involuntary context switches.
    pub(crate) switches: f64,
}

impl Usage {
    pub(crate) fn of(who: UsageWho) -> Self {
        let usage = getrusage(who).expect("the system counts");
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let switches = usage.voluntary_context_switches() + usage.involuntary_context_switches();
        let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
        Self { cpu, switches: switches as f64 }
    }
}

/// Returns how many system calls a process makes that performs the work `times` times; `None` without
/// strace, and where it may not trace.
fn system_calls(times: usize) -> Option<f64> {
    let log = tempfile::NamedTempFile::new().expect("there is room for a file");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log.path())
        .arg(env::current_exe().expect("this program has a path"))
        .args(["--run", report::row()])
        .env(UNDER_STRACE, times.to_string())
        .env(replay::RUNNING, replay::running())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    let text = fs::read_to_string(log.path()).ok()?;
    // A call that another thread interrupts has two lines.
    let calls = text.lines().filter(|line| !line.contains(" resumed>")).count();
    status.success().then_some(calls as f64)
}

/// In a process that strace counts: performs the work, and ends the process.
pub(crate) fn run_under_strace(work: &mut dyn FnMut() -> Sample) {
    if let Some(times) = env::var(UNDER_STRACE).ok().and_then(|times| times.parse().ok()) {
        for _ in 0..times {
            work();
        }
        process::exit(0);
    }
}
