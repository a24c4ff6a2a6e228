//! Time limits of waits, and the clock of a model.
//!
//! A wait whose deadline has passed when it begins times out at any later step, which the checker
//! chooses. Of one whose deadline is less than [`set_short`] ahead, the checker first chooses whether
//! it times out so, or never. All other waits never time out, so a lost wake-up is a deadlock.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::check::chance;

/// The time that passes between two readings of the clock.
const TICK: Duration = Duration::from_micros(5);

thread_local! {
    static SHORT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// When a wait times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Never,
    /// At any step. The clock then shows this time.
    AnyStep(Instant),
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Returns the time of the model, which each reading advances: a program has to run the same way in
/// each replay of a schedule.
pub fn now() -> Instant {
    PASSED.set(PASSED.get() + TICK);
    start() + PASSED.get()
}

/// Advances the clock to an instant, unless it has passed.
pub(crate) fn reach(instant: Instant) {
    PASSED.set(PASSED.get().max(instant.saturating_duration_since(start())));
}

/// Sets the remaining time below which a wait may time out, for this schedule.
pub fn set_short(limit: Duration) {
    SHORT.set(limit);
}

pub(crate) fn reset() {
    SHORT.set(Duration::ZERO);
    PASSED.set(Duration::ZERO);
}

pub(crate) fn limit_of(deadline: Instant) -> Limit {
    let left = deadline.saturating_duration_since(now());
    match left.is_zero() || (left < SHORT.get() && chance(2)) {
        true => Limit::AnyStep(deadline),
        false => Limit::Never,
    }
}

pub(crate) fn limit_in(limit: Duration) -> Limit {
    limit_of(now() + limit.min(Duration::from_secs(10 * 365 * 24 * 3600)))
}
