//! Measurements side by side.

use std::env;
use std::time::Instant;

/// A limit and the entrants that are measured against it, alternately, round by round.
pub(crate) struct Race<'a> {
    entrants: Vec<Entrant<'a>>,
}

struct Entrant<'a> {
    name: &'a str,
    /// The wanted ratio to the limit.
    goal: Option<f64>,
    /// Performs a number of operations, and returns the number.
    run: Box<dyn FnMut() -> usize + 'a>,
    /// Operations per second, round by round.
    rates: Vec<f64>,
}

impl<'a> Race<'a> {
    /// Creates a race with its limit. `run` returns the number of its operations.
    pub(crate) fn against(name: &'a str, run: impl FnMut() -> usize + 'a) -> Self {
        Self { entrants: Vec::new() }.with(name, None, run)
    }

    pub(crate) fn enter(self, name: &'a str, run: impl FnMut() -> usize + 'a) -> Self {
        self.with(name, None, run)
    }

    /// Adds an entrant with a goal.
    pub(crate) fn enter_with_goal(
        self,
        name: &'a str,
        goal: f64,
        run: impl FnMut() -> usize + 'a,
    ) -> Self {
        self.with(name, Some(goal), run)
    }

    /// Adds an entrant, with or without a goal.
    pub(crate) fn with(
        mut self,
        name: &'a str,
        goal: Option<f64>,
        run: impl FnMut() -> usize + 'a,
    ) -> Self {
        self.entrants.push(Entrant { name, goal, run: Box::new(run), rates: Vec::new() });
        self
    }

    /// Runs all rounds and prints the table: the median of the rates, and of the ratios of each
    /// round the median, the lowest and the highest.
    pub(crate) fn run(mut self, title: &str) {
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
            for entrant in order {
                let start = Instant::now();
                let done = (entrant.run)();
                entrant.rates.push(done as f64 / start.elapsed().as_secs_f64());
            }
        }
        println!("\n{title}");
        println!("  {:34} {:>12} {:>7}   {:>15}", "", "per second", "ratio", "low .. high");
        let limit = self.entrants[0].rates.clone();
        println!("  {:34} {:>12}", self.entrants[0].name, grouped(median(limit.clone())));
        for entrant in &self.entrants[1..] {
            let ratios: Vec<_> = entrant.rates.iter().zip(&limit).map(|(it, of)| it / of).collect();
            let low = ratios.iter().copied().fold(f64::MAX, f64::min);
            let high = ratios.iter().copied().fold(0.0, f64::max);
            let ratio = median(ratios);
            let verdict = entrant.goal.map_or_else(String::new, |goal| {
                format!("   goal {goal:.2}: {}", if ratio >= goal { "reached" } else { "MISSED" })
            });
            println!(
                "  {:34} {:>12} {ratio:>7.2}   {low:>6.2} .. {high:<5.2}{verdict}",
                entrant.name,
                grouped(median(entrant.rates.clone())),
            );
        }
    }
}

fn rounds() -> usize {
    env::var("TORCON_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(7)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Writes a number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
