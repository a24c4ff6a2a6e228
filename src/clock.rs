//! The time: the only place where the crate reads a clock or pauses a thread.
//!
//! **Invariant**: no other module calls `Instant::now`, `SystemTime::now` or `thread::sleep`. Whether
//! a deadline has passed is what [`has_passed`] says, also after a wait that has timed out. So unit
//! tests reach each side of a limit without a pause: see `ManualClock`.

use std::time::{Duration, Instant};

use crate::sync::channel::{Receiver, RecvTimeoutError};
use crate::sync::{Condvar, MutexGuard};

use self::system::now as system_instant;
#[cfg(not(test))]
pub(crate) use self::system::{now, sleep, system_now};
#[cfg(test)]
pub(crate) use self::tests::{ManualClock, TICK, now, sleep, system_now};

/// Limits longer than this count as this.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The clocks of the operating system.
mod system {
    #[cfg(not(all(test, shuttle)))]
    use std::time::Instant;
    use std::time::{Duration, SystemTime};

    /// The clock of a model of threads.
    #[cfg(all(test, shuttle))]
    pub(crate) use schedules::time::now;

    /// Returns the present instant.
    #[cfg(not(all(test, shuttle)))]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Returns the present time of day.
    pub(crate) fn system_now() -> SystemTime {
        SystemTime::now()
    }

    /// Blocks the current thread for `length`.
    pub(crate) fn sleep(length: Duration) {
        std::thread::sleep(length);
    }
}

/// Returns the instant after `limit`. A limit of more than ten years counts as ten years, so that the
/// addition cannot overflow.
pub(crate) fn deadline_after(limit: Duration) -> Instant {
    now() + limit.min(LONGEST)
}

/// Returns whether a deadline is now or earlier.
pub(crate) fn has_passed(deadline: Instant) -> bool {
    deadline <= now()
}

/// Returns how long it is until a deadline: zero if it has passed.
pub(crate) fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}

/// Returns how long ago an instant was: zero if it lies in the future.
pub(crate) fn elapsed_since(begin: Instant) -> Duration {
    now().saturating_duration_since(begin)
}

/// Waits until a condition variable is notified or the deadline has passed. Returns whether it has
/// passed. Like every such wait it may return early.
pub(crate) fn wait_until<T>(
    changed: &Condvar,
    guard: &mut MutexGuard<'_, T>,
    deadline: Instant,
) -> bool {
    changed.wait_until(guard, deadline).timed_out() && has_passed(deadline)
}

/// Waits while a condition holds, until the deadline has passed.
pub(crate) fn wait_while_until<T>(
    changed: &Condvar,
    guard: &mut MutexGuard<'_, T>,
    mut holds: impl FnMut(&mut T) -> bool,
    deadline: Instant,
) {
    while holds(guard) && !wait_until(changed, guard, deadline) {}
}

/// Returns how long a wait of the operating system may last. Behind it, [`has_passed`] says whether
/// the deadline has passed.
pub(crate) fn wait_length(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(system_instant())
}

/// Waits until a message arrives or the deadline has passed.
pub(crate) fn recv_until<T>(
    receiver: &Receiver<T>,
    deadline: Instant,
) -> Result<T, RecvTimeoutError> {
    loop {
        match receiver.recv_deadline(deadline) {
            Err(RecvTimeoutError::Timeout) if !has_passed(deadline) => {}
            received => return received,
        }
    }
}

#[cfg(test)]
mod tests;
