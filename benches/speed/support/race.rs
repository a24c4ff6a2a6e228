//! Measurements side by side.

use std::env;
use std::time::{Duration, Instant};

use super::counts;
use super::report::{self, Goal};

/// A number of operations and the time that they took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) done: usize,
    pub(crate) took: Duration,
}

impl Sample {
    fn rate(self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }
}

/// Measures `work`, which does `done` operations.
pub(crate) fn timed(done: usize, work: impl FnOnce()) -> Sample {
    let start = Instant::now();
    work();
    Sample { done, took: start.elapsed() }
}

/// A limit and the entrants that are measured against it, alternately, round by round. The last
/// entrant is the one that the row is about.
pub(crate) struct Race<'a> {
    entrants: Vec<Entrant<'a>>,
    counted: bool,
}

struct Entrant<'a> {
    name: &'a str,
    run: Box<dyn FnMut() -> Sample + 'a>,
    /// Operations per second, round by round.
    rates: Vec<f64>,
}

/// The medians of an entrant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    /// The rate by that of the limit in the same round.
    pub(crate) ratio: f64,
}

impl<'a> Race<'a> {
    /// Creates a race with its limit.
    pub(crate) fn against(name: &'a str, run: impl FnMut() -> Sample + 'a) -> Self {
        Self { entrants: Vec::new(), counted: false }.enter(name, run)
    }

    pub(crate) fn enter(mut self, name: &'a str, run: impl FnMut() -> Sample + 'a) -> Self {
        self.entrants.push(Entrant { name, run: Box::new(run), rates: Vec::new() });
        self
    }

    /// Counts what the last entrant costs besides time.
    pub(crate) fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Runs all rounds, reports the ratio of the last entrant, and returns its medians.
    pub(crate) fn run(mut self, goal: impl Into<Option<Goal>>) -> Outcome {
        let last = self.entrants.last_mut().expect("a race has entrants");
        // Only returns if this process is not one that strace counts.
        counts::run_under_strace(&mut || (last.run)());
        self.run_rounds();
        let outcome = self.print_medians();
        report::figure("ratio", outcome.ratio, goal);
        if self.counted {
            let last = self.entrants.last_mut().expect("a race has entrants");
            counts::count(&mut || (last.run)());
        }
        outcome
    }

    /// Runs all rounds and prints them; nothing is reported.
    pub(crate) fn print(mut self) {
        self.run_rounds();
        self.print_medians();
    }

    fn run_rounds(&mut self) {
        for entrant in &mut self.entrants {
            // The first round does not count, since it allocates memory and starts threads.
            (entrant.run)();
        }
        for round in 0..rounds() {
            // The order alternates from round to round.
            let mut order: Vec<_> = self.entrants.iter_mut().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            order.into_iter().for_each(|entrant| entrant.rates.push((entrant.run)().rate()));
        }
    }

    /// Prints the median of the rates, and of the ratios of each round the median, the lowest and
    /// the highest. Returns the medians of the last entrant.
    fn print_medians(&self) -> Outcome {
        println!("  {:38} {:>12} {:>7}   {:>15}", "", "per second", "ratio", "low .. high");
        let limit = &self.entrants[0];
        let per_second = median(limit.rates.clone());
        println!("  {:38} {:>12}", limit.name, grouped(per_second));
        let mut outcome = Outcome { per_second, ratio: 1.0 };
        for entrant in &self.entrants[1..] {
            let mut ratios: Vec<_> =
                entrant.rates.iter().zip(&limit.rates).map(|(it, of)| it / of).collect();
            ratios.sort_by(f64::total_cmp);
            let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
            outcome = Outcome { per_second: median(entrant.rates.clone()), ratio: median(ratios) };
            println!(
                "  {:38} {:>12} {:>7.2}   {low:>6.2} .. {high:<5.2}",
                entrant.name,
                grouped(outcome.per_second),
                outcome.ratio,
            );
        }
        outcome
    }
}

pub(crate) fn rounds() -> usize {
    env::var("TORCON_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15).max(1)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Writes a number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
