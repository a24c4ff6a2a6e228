//! A value that one thread changes and others wait for, until the connection ends.

use std::time::{Duration, Instant};

use crate::clock;
use crate::error::{Disconnect, Error, Timeout, Wait};
use crate::sync::{Condvar, Mutex};

/// A value that wakes the waiting threads when it changes.
#[derive(Debug, Default)]
pub(crate) struct Notifier<T> {
    /// A leaf lock. The closures of the methods run under it.
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    value: T,
    ended: Option<Disconnect>,
}

/// Why a wait ended without a result.
#[derive(Clone, Debug)]
pub(crate) enum WaitEnd {
    Timeout,
    Closed(Disconnect),
}

impl WaitEnd {
    /// Returns the error of a wait for `wait` that had this limit.
    pub(crate) fn into_error(self, wait: Wait, limit: Duration) -> Error {
        match self {
            Self::Timeout => Timeout::new(wait, limit).into(),
            Self::Closed(reason) => Error::Closed(reason),
        }
    }
}

impl<T> Notifier<T> {
    /// Calls `read` with the value.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.state.lock().value)
    }

    /// Changes the value, and wakes every thread that waits.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.state.lock().value);
        self.changed.notify_all();
        result
    }

    /// Records the end of the connection, which ends every wait, now and later.
    pub(crate) fn end(&self, reason: &Disconnect) {
        self.state.lock().ended.get_or_insert_with(|| reason.clone());
        self.changed.notify_all();
    }

    /// Waits until `find` returns a result for the value. A result of the first call is returned
    /// without waiting, also after the end.
    pub(crate) fn wait<R>(
        &self,
        deadline: Instant,
        mut find: impl FnMut(&mut T) -> Option<R>,
    ) -> Result<R, WaitEnd> {
        let mut state = self.state.lock();
        loop {
            if let Some(found) = find(&mut state.value) {
                return Ok(found);
            }
            if let Some(reason) = &state.ended {
                return Err(WaitEnd::Closed(reason.clone()));
            }
            if clock::wait_until(&self.changed, &mut state, deadline) {
                return find(&mut state.value).ok_or(WaitEnd::Timeout);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Notifier, WaitEnd};
    use crate::clock::deadline_after;
    use crate::error::Disconnect;

    #[test]
    fn the_end_ends_every_wait_with_its_first_reason_but_a_value_that_was_found() {
        let limit = Duration::from_secs(30);
        let notifier = Notifier::<u8>::default();
        let wait = |wanted: u8| {
            notifier.wait(deadline_after(limit), |value| (*value == wanted).then_some(wanted))
        };
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(1));
            notifier.end(&Disconnect::Quit);
            let end = waiter.join().unwrap();
            assert!(matches!(end, Err(WaitEnd::Closed(Disconnect::Quit))), "{end:?}");
        });
        notifier.end(&Disconnect::Closed);
        assert!(matches!(wait(1), Err(WaitEnd::Closed(Disconnect::Quit))));
        notifier.update(|value| *value = 1);
        assert!(matches!(wait(1), Ok(1)) && notifier.read(|value| *value) == 1);
    }
}
