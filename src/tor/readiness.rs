//! Whether tor can be used, and as whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Tor;
use crate::controller::Seen;
use crate::error::{Disconnect, Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::deadline_after;
use crate::names::Signal;

/// What the reader thread has seen.
#[derive(Default)]
struct ReadinessNotifier {
    // A leaf lock.
    seen: Mutex<Observed>,
    changed: Condvar,
}

#[derive(Default)]
struct Observed {
    /// Something happened that may be what is waited for.
    happened: bool,
    ended: Option<Disconnect>,
}

impl ReadinessNotifier {
    fn note(&self, change: impl FnOnce(&mut Observed)) {
        change(&mut self.seen.lock());
        self.changed.notify_all();
    }

    /// Waits until something has happened, and forgets it.
    fn wait(&self, deadline: Instant, timeout: impl FnOnce() -> Timeout) -> Result<()> {
        let mut seen = self.seen.lock();
        loop {
            if std::mem::take(&mut seen.happened) {
                return Ok(());
            }
            if let Some(reason) = &seen.ended {
                return Err(reason.clone().into());
            }
            if Instant::now() >= deadline {
                return Err(timeout().into());
            }
            self.changed.wait_until(&mut seen, deadline);
        }
    }
}

impl Tor {
    /// Returns whether tor is at 100 % and has circuits now.
    ///
    /// Sends `GETINFO status/circuit-established`, and `GETINFO status/bootstrap-phase` if there
    /// are circuits. Blocks for at most the time limit of the [controller](Self::controller).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::get_info`](crate::Controller::get_info).
    pub fn is_ready(&self) -> Result<bool> {
        let established = "status/circuit-established";
        if self.controller.get_info_one(established)?.trim() != "1" {
            return Ok(false);
        }
        Ok(self.controller.bootstrap_phase()?.progress >= 100)
    }

    /// Waits until tor is at 100 % and has circuits. May be called in listeners of events.
    ///
    /// Subscribes to `STATUS_CLIENT` meanwhile, and asks as [`is_ready`](Self::is_ready) does.
    ///
    /// Blocks the current thread until then, for at most the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if tor is not ready in time,
    /// [`Error::Closed`](crate::Error::Closed) if it is gone, and those of
    /// [`is_ready`](Self::is_ready).
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        let deadline = deadline_after(limit);
        let board = Arc::new(ReadinessNotifier::default());
        let for_events = Arc::clone(&board);
        let tell = move |seen: Seen<'_>| match seen {
            Seen::Event(_) => for_events.note(|noted| noted.happened = true),
            Seen::Ended(reason) => for_events.note(|noted| noted.ended = Some(reason.clone())),
        };
        let _watch = self.controller.watch_events(&[EventKind::StatusClient], tell)?;
        while !self.is_ready()? {
            board.wait(deadline, || Timeout::new(Wait::Bootstrap, limit))?;
        }
        Ok(())
    }

    /// Asks tor for a new identity: streams that are made from then on use new circuits.
    ///
    /// tor does so at once, unless it has done so within the last ten seconds or so: then it waits
    /// until they are over. [`wait_new_identity`](Self::wait_new_identity) waits for it.
    ///
    /// Sends `SIGNAL NEWNYM`. Blocks for at most the time limit of the
    /// [controller](Self::controller).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::signal`](crate::Controller::signal).
    #[doc(alias = "is_newnym_available")]
    #[doc(alias = "NEWNYM")]
    pub fn new_identity(&self) -> Result<()> {
        self.controller.signal(Signal::Newnym)
    }

    /// Asks tor for a new identity, and waits until it has it. May be called in listeners of
    /// events.
    ///
    /// Subscribes to `SIGNAL` meanwhile and sends `SIGNAL NEWNYM`.
    ///
    /// Blocks the current thread until then, for at most the given time; tor may take ten seconds.
    /// A tor without any port for applications never gets there.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if it has none in time,
    /// [`Error::Closed`](crate::Error::Closed) if tor is gone, and those of
    /// [`new_identity`](Self::new_identity).
    pub fn wait_new_identity(&self, limit: Duration) -> Result<()> {
        let deadline = deadline_after(limit);
        let board = Arc::new(ReadinessNotifier::default());
        let for_events = Arc::clone(&board);
        let tell = move |seen: Seen<'_>| match seen {
            Seen::Event(Event::Signal(event)) if event.signal == Signal::Newnym => {
                for_events.note(|noted| noted.happened = true);
            }
            Seen::Event(_) => {}
            Seen::Ended(reason) => for_events.note(|noted| noted.ended = Some(reason.clone())),
        };
        let _watch = self.controller.watch_events(&[EventKind::Signal], tell)?;
        self.new_identity()?;
        board.wait(deadline, || Timeout::new(Wait::NewIdentity, limit))
    }
}
