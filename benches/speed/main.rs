//! The speed of torcon, relative to the sockets of the same machine.
//!
//! Each row of the table below is measured beside its limit: a loop on a raw socket that exchanges
//! the same bytes without parsing them. Both run alternately, round by round, so that other load of
//! the machine affects both, and the median of the rounds' ratios counts. Rates and times of
//! different machines or days cannot be compared; ratios can.
//!
//! - `cargo bench` measures every row except `build`, which takes minutes.
//! - `cargo bench -- events connect/tcp` measures rows by name, or by the part before the slash.
//! - `cargo bench -- --list` prints the names.
//!
//! `TORCON_BENCH_ROUNDS` sets the number of rounds, 15 by default; a busy machine needs more. With
//! one round the verdicts mean nothing, but a row that no longer works fails the bench.
//!
//! # Output
//!
//! Besides text for people, each figure is one line of six fields separated by tabs, which
//! `grep ^row | cut -f 2-` reads:
//!
//! ```text
//! row  events/circ_typed  ratio  0.312  >= 0.300  ok
//! ```
//!
//! The fields are the word `row`, the row, the figure with its unit, the value, the goal (`-` if the
//! figure only explains another one), and `ok`, `MISSED`, `FAILED`, `skipped` or `-`.
//!
//! # Counts
//!
//! These depend little on the load of the machine, so a row whose time is undecided has them, each
//! per operation:
//!
//! - *CPU*: processor time of the whole process, from `getrusage`.
//! - *allocations*: calls of the allocator by every thread of the process, a reallocation counting
//!   as one (`support/allocations.rs`). They are counted in an additional run.
//! - *context switches*: voluntary and involuntary ones of the whole process, from `getrusage`.
//! - *system calls*: lines of `strace -f`, if it is installed, with one and with three runs of the
//!   work; the difference leaves out the start.
//! - *memory*: resident and peak memory of the process, from `/proc/self/status`.
//!
//! Every row runs in a separate process, and its server in another one. Instructions are not
//! counted, since hardware counters are not available on every machine.
#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and any error may end it"
)]

mod build;
mod commands;
mod connect;
mod consensus;
mod events;
mod idle;
mod latency;
mod listeners;
mod round_trips;
mod services;
mod state;
mod stuck;

/// Raw sockets, servers, the comparison of rates, counts and their report.
mod support;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use support::{pinning, replay, report};

/// A row of the table.
struct Row {
    name: &'static str,
    run: fn(),
    /// Whether client and server share one core.
    one_core: bool,
    /// Whether the row runs only if it is named.
    on_demand: bool,
}

const fn row(name: &'static str, run: fn()) -> Row {
    Row { name, run, one_core: false, on_demand: false }
}

const fn one_core(name: &'static str, run: fn()) -> Row {
    Row { name, run, one_core: true, on_demand: false }
}

const ROWS: &[Row] = &[
    row("events/circ_typed", events::circ_typed),
    row("events/circ_text", events::circ_text),
    row("events/bw_typed", events::bw_typed),
    row("events/bw_text", events::bw_text),
    row("events/circ_queue", events::circ_queue),
    row("events/bw_queue", events::bw_queue),
    row("latency/event_to_closure", latency::event_to_closure),
    one_core("round_trips/unix_one_core", round_trips::unix),
    one_core("round_trips/tcp_one_core", round_trips::tcp),
    row("round_trips/unix_two_cores", round_trips::unix_two_cores),
    row("round_trips/real_tor", round_trips::real_tor),
    row("round_trips/threads_unix", round_trips::threads_unix),
    row("round_trips/threads_tcp", round_trips::threads_tcp),
    row("round_trips/queued", round_trips::queued),
    row("commands/get_info_one", commands::get_info_one),
    row("commands/set_conf", commands::set_conf),
    row("commands/signal", commands::signal),
    row("consensus/text", consensus::text),
    row("consensus/entries", consensus::entries),
    row("consensus/parse", consensus::parse),
    row("connect/tcp", connect::tcp),
    row("connect/unix", connect::unix),
    one_core("connect/one_core", connect::one_core),
    row("connect/real_tor", connect::real_tor),
    row("services/tcp", services::tcp),
    row("services/unix", services::unix),
    row("services/real_tcp", services::real_tcp),
    row("services/real_unix", services::real_unix),
    row("state/updates", state::updates),
    row("state/waiters", state::waiters),
    row("listeners/add_remove", listeners::add_remove),
    row("stuck/listener", stuck::listener),
    row("stuck/queue", stuck::queue),
    row("idle/controllers", idle::controllers),
    Row { name: "build", run: build::clean, one_core: false, on_demand: true },
];

fn main() -> ExitCode {
    // cargo adds the option `--bench`.
    let words: Vec<_> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--list"] => ROWS.iter().for_each(|row| println!("{}", row.name)),
        ["--replay"] => replay::serve(),
        ["--run", name] => run_here(ROWS.iter().find(|row| row.name == name).expect("is a row")),
        _ => return run_all(&words),
    }
    ExitCode::SUCCESS
}

/// Runs the rows of these names, all of them if there are none, and prints the summary.
fn run_all(names: &[&str]) -> ExitCode {
    let matches = |row: &Row, name: &str| {
        row.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| matches(row, name))) {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        eprintln!("no row is called {unknown:?}; the rows are\n  {}", known.join("\n  "));
        return ExitCode::FAILURE;
    }
    let wanted = |row: &&Row| match names {
        [] => !row.on_demand,
        _ => names.iter().any(|name| matches(row, name)),
    };
    let lines: Vec<_> = ROWS.iter().filter(wanted).flat_map(run_apart).collect();
    report::print_summary(&lines)
}

/// Runs a row in a separate process, and returns its figures.
fn run_apart(row: &Row) -> Vec<String> {
    println!("\n{}", row.name);
    let mut child = Command::new(env::current_exe().expect("this program has a path"))
        .args(["--run", row.name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be run");
    let mut figures = Vec::new();
    for line in BufReader::new(child.stdout.take().expect("is piped")).lines() {
        let line = line.expect("the figures are text");
        println!("{line}");
        if line.starts_with("row\t") {
            figures.push(line);
        }
    }
    let status = child.wait().expect("the process is a child");
    if !status.success() {
        let line = report::line(row.name, "-", "-", "-", report::FAILED);
        println!("{line}");
        figures.push(line);
    }
    figures
}

fn run_here(row: &'static Row) {
    report::begin(row.name);
    if row.one_core {
        pinning::to_one_core();
    }
    (row.run)();
}
