//! Figures of rows, and the summary.

use std::fmt;
use std::process::ExitCode;
use std::sync::OnceLock;

pub(crate) const FAILED: &str = "FAILED";

/// The row that this process measures.
static ROW: OnceLock<&str> = OnceLock::new();

/// The wanted value of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn verdict(self, value: f64) -> &'static str {
        let reached = match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        };
        if reached { "ok" } else { "MISSED" }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(f, ">= {goal}"),
            Self::AtMost(goal) => write!(f, "<= {goal}"),
        }
    }
}

pub(crate) fn begin(row: &'static str) {
    ROW.set(row).expect("a process measures one row");
}

pub(crate) fn row() -> &'static str {
    ROW.get().expect("a row was begun")
}

/// Prints a figure of this row with its verdict.
pub(crate) fn figure(what: &str, value: f64, goal: impl Into<Option<Goal>>) {
    let goal = goal.into();
    let verdict = goal.map_or("-", |goal| goal.verdict(value));
    let goal = goal.map_or_else(|| "-".to_owned(), |goal| goal.to_string());
    println!("{}", line(row(), what, &number(value), &goal, verdict));
}

/// Prints that this row cannot be measured here.
pub(crate) fn skip(reason: &str) {
    println!("  skipped: {reason}");
    println!("{}", line(row(), "-", "-", "-", "skipped"));
}

pub(crate) fn line(row: &str, what: &str, value: &str, goal: &str, verdict: &str) -> String {
    format!("row\t{row}\t{what}\t{value}\t{goal}\t{verdict}")
}

/// Prints a table of all figures, and returns whether every row could be measured.
pub(crate) fn print_summary(lines: &[String]) -> ExitCode {
    println!("\n{:26} {:40} {:>9} {:>9}  verdict", "row", "figure", "value", "goal");
    for line in lines {
        let mut fields = line.split('\t').skip(1);
        let mut next = || fields.next().unwrap_or_default();
        println!("{:26} {:40} {:>9} {:>9}  {}", next(), next(), next(), next(), next());
    }
    let count = |verdict| lines.iter().filter(|line| line.ends_with(verdict)).count();
    let (ok, missed, failed) = (count("\tok"), count("\tMISSED"), count(FAILED));
    println!("\n{ok} ok, {missed} MISSED, {failed} FAILED");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a number with three digits behind the point, or fewer if it is large.
fn number(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
