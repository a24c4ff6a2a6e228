use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How much later than at its limit a call may return on a loaded machine.
const MARGIN: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_millis(100);

/// The calls that run, each with its limit.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    next: u64,
    running: BTreeMap<u64, Call>,
    /// The longest time by which a call exceeded its limit.
    latest: Duration,
}

#[derive(Clone)]
struct Call {
    thread: String,
    what: &'static str,
    begin: Instant,
    limit: Duration,
}

impl Watch {
    /// Makes a call that must return within `limit` and a margin.
    pub(crate) fn call<T>(
        &self,
        what: &'static str,
        limit: Duration,
        call: impl FnOnce() -> T,
    ) -> T {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let begin = Instant::now();
        let mut calls = self.0.lock();
        calls.next += 1;
        let number = calls.next;
        calls.running.insert(number, Call { thread: name, what, begin, limit });
        drop(calls);
        let result = call();
        let over = begin.elapsed().saturating_sub(limit);
        let mut calls = self.0.lock();
        calls.running.remove(&number);
        calls.latest = over.max(calls.latest);
        drop(calls);
        result
    }

    /// Returns the longest time by which a call has exceeded its limit.
    pub(crate) fn latest(&self) -> Duration {
        self.0.lock().latest
    }

    /// Panics as soon as a call exceeds its limit and the margin. Never returns otherwise.
    pub(crate) fn guard(&self) {
        loop {
            thread::sleep(INTERVAL);
            let running: Vec<_> = self.0.lock().running.values().cloned().collect();
            let late = running.iter().find(|call| call.begin.elapsed() > call.limit + MARGIN);
            if let Some(Call { thread, what, begin, limit }) = late {
                eprintln!("the calls that run:");
                for Call { thread, what, begin, limit } in &running {
                    eprintln!("    {thread}: {what}, {:.1?} of {limit:?}", begin.elapsed());
                }
                eprintln!("the threads, each with what it waits for:\n{}", threads());
                panic!("{what} of {thread} hangs: {:.1?} of {limit:?}", begin.elapsed());
            }
        }
    }
}

/// Returns the names of the threads of this process, and where in the kernel each waits.
fn threads() -> String {
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let mut lines: Vec<_> = tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let (name, place) = (read(path.join("comm")), read(path.join("wchan")));
            Some(format!("    {}: {place}\n", name.trim_end()))
        })
        .collect();
    lines.sort();
    lines.concat()
}
