//! A signal from one thread to another, which tests use instead of sleeping.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::socket::DEADLINE;

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    sender: Sender<()>,
}

/// The waiting end.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    receiver: Receiver<()>,
}

/// Returns the two ends of a new signal; each `fire` ends one `wait`.
pub(crate) fn signal() -> (Trigger, Signal) {
    let (sender, receiver) = bounded(64);
    (Trigger { sender }, Signal { receiver })
}

impl Trigger {
    /// Signals. A dropped waiter, or 64 signals without a wait, are no failure.
    pub(crate) fn fire(&self) {
        self.sender.try_send(()).ok();
    }
}

impl Signal {
    /// Waits for the signal, and fails the test after the usual deadline.
    #[track_caller]
    pub(crate) fn wait(&self) {
        if let Err(problem) = self.wait_timeout(DEADLINE) {
            panic!("{problem}");
        }
    }

    /// Waits for the signal; the error has the reason of a failure.
    pub(crate) fn wait_timeout(&self, limit: Duration) -> Result<(), String> {
        self.receiver.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("the signal did not come within {limit:?}"),
            RecvTimeoutError::Disconnected => {
                "the signal cannot come any more: its trigger is gone".to_owned()
            }
        })
    }

    /// Returns whether the signal was sent, without waiting.
    pub(crate) fn has_fired(&self) -> bool {
        self.receiver.try_recv().is_ok()
    }
}
