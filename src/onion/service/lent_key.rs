//! The key of a client that tor has during the checks of a service.

use std::sync::Arc;

use crate::command::{
    Command as _, OnionClientAuthAdd, OnionClientAuthRemove, OnionClientAuthView,
    OnionClientCredential,
};
use crate::controller::{CloseHookId, Controller};
use crate::error::{Disconnect, Error, Result};
use crate::link::{CommandGuard, CommandLock};
use crate::names::{ClientAuthKey, OnionAddress};
use crate::sync::atomic::{AtomicBool, Ordering};

/// The key of a client that tor has during the checks of a service.
pub(in crate::onion) struct CheckKey {
    address: OnionAddress,
    /// Whether a supervisor removes the key over the next connection.
    is_supervised: bool,
    /// The key that tor may have. Held across commands, before any lock of a controller.
    added: CommandLock<Option<AddedKey>>,
    /// Whether tor may have a key of a check, for a close that does not get the lock.
    is_added: AtomicBool,
}

/// A key that was added to tor for checks.
struct AddedKey {
    controller: Controller,
    key: OnionClientAuthAdd,
    /// Removes the key before this program closes the connection.
    close_hook: CloseHookId,
    /// How many checks use the key; 0 if it could not be removed after them.
    users: usize,
}

/// The use of the key by one check. The last one removes the key from tor.
pub(super) struct LentKey<'a> {
    key: &'a CheckKey,
    controller: Controller,
}

impl AddedKey {
    fn is_of(&self, controller: &Controller) -> bool {
        self.controller.is_same_connection(controller)
    }

    /// Returns whether tor has this key as the check added it: not in a file.
    fn is(&self, found: &OnionClientCredential) -> bool {
        self.key.is(found) && !found.permanent
    }
}

impl CheckKey {
    pub(super) fn new(address: OnionAddress, is_supervised: bool) -> Arc<Self> {
        let added = CommandLock::default();
        Arc::new(Self { address, is_supervised, added, is_added: AtomicBool::new(false) })
    }

    /// Adds the key of a client to tor, unless tor has one. Returns `None` if this program has no
    /// key, and no guard if the key of tor is not that of a check.
    pub(super) fn lend(
        self: &Arc<Self>,
        controller: &Controller,
        key: Option<ClientAuthKey>,
    ) -> Result<Option<Option<LentKey<'_>>>> {
        let mut added = self.lock(controller)?;
        // tor forgets a key at any `SETCONF`, and another program may have replaced it.
        let present = controller.execute(&OnionClientAuthView::of(self.address))?;
        let is_lent = |found| added.as_ref().is_some_and(|lent| lent.is(found));
        if present.iter().any(|found| !is_lent(found)) {
            return Ok(Some(None));
        }
        let Some(key) = key else { return Ok(None) };
        let key = OnionClientAuthAdd::new(self.address, key);
        let has_key = present.iter().any(|found| key.is(found));
        // The hook of the checks that run on this connection is used again.
        let known = added.as_ref().filter(|lent| lent.is_of(controller));
        let known = known.map(|lent| (lent.close_hook, lent.users));
        let (close_hook, users) = match known {
            Some(known) => known,
            None => (self.add_close_hook(controller)?, 0),
        };
        let mut outcome = Ok(());
        if !has_key {
            self.is_added.store(true, Ordering::Release);
            outcome = controller.execute(&key).map(drop);
        }
        if let Err(Error::Rejected(_) | Error::InvalidInput(_)) = outcome {
            self.is_added.store(added.is_some(), Ordering::Release);
            if known.is_none() {
                controller.cancel_close_hook(close_hook);
            }
            return outcome.map(|()| None);
        }
        *added =
            Some(AddedKey { controller: controller.clone(), key, close_hook, users: users + 1 });
        drop(added);
        let lent = LentKey { key: self, controller: controller.clone() };
        // tor may have the key although the reply is late: the guard removes it.
        outcome.map(|()| Some(Some(lent)))
    }

    /// Makes a close of the connection remove the key first.
    fn add_close_hook(self: &Arc<Self>, controller: &Controller) -> Result<CloseHookId> {
        // The hook of a connection that stays open keeps nothing of the service.
        let added_key = Arc::downgrade(self);
        let close_hook = controller.before_close(move |controller| {
            if let Some(added_key) = added_key.upgrade() {
                added_key.close(controller);
            }
        });
        // A close that begins later waits for the lock.
        if controller.is_closing() {
            controller.cancel_close_hook(close_hook);
            return Err(Disconnect::Closed.into());
        }
        Ok(close_hook)
    }

    /// Removes the key of a check whose connection ended, over another connection of that tor.
    pub(in crate::onion) fn take_back(&self, controller: &Controller) {
        let removed = self.lock(controller).and_then(|mut added| match &*added {
            Some(lent) if !lent.is_of(controller) => self.remove(controller, &mut added),
            _ => Ok(()),
        });
        self.report_removal(removed);
    }

    /// Removes the key before the program closes the connection.
    fn close(&self, controller: &Controller) {
        match self.lock(controller) {
            Ok(mut added) => {
                if added.as_ref().is_some_and(|lent| lent.is_of(controller)) {
                    // If it fails, the last check reports it or a supervisor removes the key.
                    let _ = self.remove(controller, &mut added);
                }
            }
            // tor does not answer the command of another thread, and may be about to add the key.
            Err(_) if self.is_added.load(Ordering::Acquire) => {
                let _ = controller.execute(&OnionClientAuthRemove::new(self.address));
            }
            Err(_) => {}
        }
    }

    /// Ends the use of the key by one check.
    fn give_back(&self, controller: &Controller) -> Result<()> {
        let mut added = self.lock(controller)?;
        let Some(lent) = added.as_mut().filter(|lent| lent.is_of(controller)) else {
            return Ok(());
        };
        lent.users = lent.users.saturating_sub(1);
        if lent.users > 0 {
            return Ok(());
        }
        match self.remove(controller, &mut added) {
            Err(error) if error.is_closed() && self.is_supervised => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes the key from tor, unless tor has another one by now. Keeps it for a later attempt if
    /// tor does not answer.
    fn remove(&self, controller: &Controller, added: &mut Option<AddedKey>) -> Result<()> {
        let Some(lent) = &*added else { return Ok(()) };
        let is_lent = match controller.execute(&OnionClientAuthView::of(self.address)) {
            Ok(present) => present.iter().any(|found| lent.is(found)),
            // A filter refuses the query. Another connection may be that of another tor.
            Err(Error::Rejected(_)) => lent.is_of(controller),
            Err(error) => return Err(error),
        };
        let outcome = match is_lent {
            true => controller.execute(&OnionClientAuthRemove::new(self.address)).map(drop),
            false => Ok(()),
        };
        if !outcome.as_ref().is_err_and(|error| error.is_timeout() || error.is_closed()) {
            lent.controller.cancel_close_hook(lent.close_hook);
            *added = None;
            self.is_added.store(false, Ordering::Release);
        }
        outcome
    }

    /// Waits, within the time limit of the controller, until no other thread adds or removes the key.
    fn lock(&self, controller: &Controller) -> Result<CommandGuard<'_, Option<AddedKey>>> {
        self.added.lock_within(OnionClientAuthAdd::KEYWORD, controller.timeout())
    }

    fn report_removal(&self, removed: Result<()>) {
        if let Err(error) = removed {
            log::warn!("a client's key of {} could not be removed from tor: {error}", self.address);
        }
    }
}

impl Drop for LentKey<'_> {
    fn drop(&mut self) {
        self.key.report_removal(self.key.give_back(&self.controller));
    }
}

#[cfg(all(test, shuttle))]
#[path = "../../../tests/schedules/models/lent_key.rs"]
mod schedules;
