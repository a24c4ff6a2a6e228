//! Signals, and the ownership of a tor that exits with the connection.

use super::Controller;
use crate::command::{DropOwnership, GetInfo, SendSignal, TakeOwnership};
use crate::error::Result;
use crate::link::deadline_after;
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
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.execute(&SendSignal::new(signal))
    }

    /// Returns the signals that this tor accepts.
    ///
    /// Sends `GETINFO signal/names` on the first call. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
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
    pub fn take_ownership(&self) -> Result<()> {
        let deadline = deadline_after(self.timeout);
        self.execute_before(&TakeOwnership::new(), deadline)?;
        let info = self.execute_before(&GetInfo::new(["process/pid"]), deadline).ok();
        let pid = info.and_then(|(info, _)| info.get("process/pid")?.parse().ok());
        *self.inner.owned.lock() = pid;
        Ok(())
    }

    /// Ends the ownership: tor outlives this connection.
    #[doc = sends!("DROPOWNERSHIP", execute)]
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
