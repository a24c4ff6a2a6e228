//! Signals, and the ownership of a tor that exits with the connection.

use std::time::Duration;

use super::Controller;
use super::wait::Waiter;
use crate::clock::deadline_after;
use crate::command::{DropOwnership, GetInfo, SendSignal, TakeOwnership};
use crate::error::{Result, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::names::Signal;

/// # Signals and ownership
impl Controller {
    /// Sends tor a signal. tor answers before it acts: after [`Signal::Shutdown`] or
    /// [`Signal::Halt`] the connection ends.
    ///
    /// Sends `SIGNAL name`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a [`Signal::Unrecognized`];
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::Signal;
    ///
    /// controller.signal(Signal::Newnym)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.execute(&SendSignal::new(signal))
    }

    /// Requests a new identity: streams that are opened from then on use new circuits, and tor forgets
    /// the addresses that it has resolved.
    ///
    /// tor has one new identity in ten seconds. It complies at once unless the last one is more
    /// recent: then it accepts the signal and delays it, and joins further ones.
    /// [`wait_new_identity`](Self::wait_new_identity) waits for it.
    ///
    /// Sends `SIGNAL NEWNYM`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.new_identity()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "is_newnym_available")]
    #[doc(alias = "NEWNYM")]
    pub fn new_identity(&self) -> Result<()> {
        self.signal(Signal::Newnym)
    }

    /// Requests a new identity, and waits until tor has it. Can be called inside a listener.
    ///
    /// Sends `SETEVENTS` with `SIGNAL`, then `SIGNAL NEWNYM`.
    ///
    /// Blocks the current thread until tor reports the signal, for at most `limit`. tor may
    /// [take ten seconds](Self::new_identity), so that a loop has at most six new identities in a
    /// minute. A tor without a port for applications never reports it.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Closed`](crate::Error::Closed); those of
    /// [`new_identity`](Self::new_identity).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for round in 1..=3 {
    ///     controller.wait_new_identity(Duration::from_secs(20))?;
    ///     println!("identity {round}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_newnym_wait")]
    pub fn wait_new_identity(&self, limit: Duration) -> Result<()> {
        let deadline = deadline_after(limit);
        let controller = self.with_timeout(limit);
        let waiter = Waiter::new(&controller, &[EventKind::Signal], deadline)?;
        controller.execute_before(&SendSignal::new(Signal::Newnym), deadline)?;
        let is_newnym = |_, event| match event {
            Event::Signal(event) if event.signal() == Signal::Newnym => Some(()),
            _ => None,
        };
        waiter.find(is_newnym, deadline, &Timeout::new(Wait::NewIdentity, limit))
    }

    /// Returns the signals that this tor accepts.
    ///
    /// Sends `GETINFO signal/names` on the first call. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.valid_signals()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn valid_signals(&self) -> Result<&[Signal]> {
        if let Some(signals) = self.inner.valid_signals.get() {
            return Ok(signals);
        }
        let names = self.get_info_one("signal/names")?;
        let signals = names.split_ascii_whitespace().map(Signal::from).collect();
        Ok(self.inner.valid_signals.get_or_init(|| signals))
    }

    /// Makes this connection the owner of tor: tor exits when the connection ends, for whatever
    /// reason.
    ///
    /// Sends `TAKEOWNERSHIP`, then `GETINFO process/pid` for [`owned_pid`](Self::owned_pid), whose
    /// failure is ignored. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// // From now on tor exits when this connection ends.
    /// controller.take_ownership()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn take_ownership(&self) -> Result<()> {
        let deadline = self.deadline();
        self.execute_before(&TakeOwnership::new(), deadline)?;
        let info = self.execute_before(&GetInfo::new(["process/pid"]), deadline).ok();
        let pid = info.and_then(|(info, _)| info.get("process/pid")?.parse().ok());
        *self.inner.owned.lock() = pid;
        Ok(())
    }

    /// Ends the ownership: tor outlives this connection.
    #[doc = sends!("DROPOWNERSHIP", execute)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.drop_ownership()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn drop_ownership(&self) -> Result<()> {
        self.execute(&DropOwnership::new())?;
        *self.inner.owned.lock() = None;
        Ok(())
    }

    /// Returns the pid of the tor that this connection owns; `None` if it owns none or its pid is
    /// not known.
    #[doc(alias = "is_owned")]
    #[must_use]
    pub fn owned_pid(&self) -> Option<u32> {
        *self.inner.owned.lock()
    }

    /// Takes the ownership of a tor that this program has spawned as `pid`.
    pub(crate) fn take_ownership_of(&self, pid: u32) -> Result<()> {
        self.execute(&TakeOwnership::new())?;
        *self.inner.owned.lock() = Some(pid);
        self.set_launched(pid);
        Ok(())
    }
}
