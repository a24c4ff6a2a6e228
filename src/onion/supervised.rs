//! A service whose tor has a supervisor: it moves from the tor of one connection to that of the next
//! one, while its local listener stays open.

use std::sync::Arc;

use super::ephemeral::is_collision;
use super::monitor::is_passing;
use super::service::ServiceInner;
use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::names::OnionAddress;

/// A service that a supervisor moves to the tor of each new connection.
///
/// While the supervisor has no connection, no wait for the service ends. The methods can be called
/// on every thread; none runs code of the program except a logger.
pub(crate) trait SupervisedService: Send + Sync {
    fn address(&self) -> OnionAddress;

    /// Moves the service to the tor of `controller`, which is another connection than before.
    ///
    /// Returns `true` if that tor has the service. Its publication is then awaited and reported on
    /// another thread. Returns `false` if the program closed the service or the service has ended;
    /// its rest in tor is removed, and the supervisor forgets it.
    ///
    /// The call can be repeated with the same controller, after an error too. After a timeout, or
    /// if an earlier connection still uses the address, the thread `torcon-onion` tries again.
    ///
    /// Blocks the current thread until tor has answered, for at most about eight times the time limit
    /// of `controller`.
    fn restore(&self, controller: &Controller) -> Result<bool>;

    /// Ends every wait for the service with `reason`, and removes the service from tor if its
    /// connection still exists: the supervisor was stopped or has given up.
    fn end(&self, reason: &Error);

    /// Returns whether the service has ended, so that the supervisor can forget it.
    fn is_over(&self) -> bool;
}

impl SupervisedService for Arc<ServiceInner> {
    fn address(&self) -> OnionAddress {
        self.address
    }

    fn restore(&self, controller: &Controller) -> Result<bool> {
        let restored = self.move_to(controller);
        self.check_key.take_back(controller);
        // The handle may have been dropped while this thread held the service.
        self.end_if_abandoned();
        restored
    }

    fn end(&self, reason: &Error) {
        self.status().finish(reason.clone());
        self.end_quietly();
        // A service that could not be removed keeps its directory, since tor may still have it.
        let left = self.parts.try_lock().and_then(|mut parts| parts.take());
        drop(left);
    }

    fn is_over(&self) -> bool {
        let is_removed = self.parts.try_lock().is_some_and(|parts| parts.is_none());
        is_removed && self.status().ending().is_some()
    }
}

impl ServiceInner {
    fn move_to(self: &Arc<Self>, controller: &Controller) -> Result<bool> {
        let limit = controller.timeout();
        // Declared before the lock, so that the former connection is dropped after its release.
        let _former;
        let mut parts = self.parts.lock_within(limit)?;
        let is_same = self.controller().is_same_connection(controller);
        let Some(present) = &mut *parts else { return Ok(false) };
        // The program closes the service, or tor lost it and adding it again failed or was not
        // wanted. The supervisor forgets it, so nothing of it may stay in tor.
        if present.is_closing || self.status().ending().is_some() {
            present.registration.remove_later(controller, is_same)?;
            let removed = parts.take();
            drop(parts);
            drop(removed);
            return Ok(false);
        }
        // The monitor may have added it meanwhile.
        if is_same && self.status().is_restored() {
            return Ok(true);
        }
        // Subscribe before the service is added, so that no event is missed.
        let generation = self.publisher.subscribe(controller).inspect_err(|error| {
            self.status().disconnect(self.status().generation(), error.clone());
        })?;
        let is_over = || !self.status().is_current(generation);
        let outcome = present.restore(controller, is_over);
        if !outcome.as_ref().is_err_and(Error::is_closed) {
            _former = std::mem::replace(&mut *self.controller.lock(), controller.clone());
        }
        let is_lasting =
            |error: &Error| !is_passing(error) && !is_collision(error) || error.is_closed();
        if let Some(error) = outcome.as_ref().err().filter(|error| is_lasting(error)) {
            self.status().disconnect(generation, error.clone());
            return outcome.map(|()| false);
        }
        drop(parts);
        self.start_monitor(controller.clone(), generation, outcome.is_ok())?;
        if outcome.is_ok() {
            self.announce(generation);
        }
        outcome.map(|()| !self.is_over())
    }
}

#[cfg(test)]
mod tests;
