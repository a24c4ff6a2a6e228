//! The key of a client that tor has during the checks of a service.

use std::sync::Arc;

use crate::command::{Command as _, OnionClientAuthAdd, OnionClientAuthView};
use crate::controller::{CloseHookId, Controller};
use crate::error::{Disconnect, Error, Result};
use crate::link::{CommandGuard, CommandLock};
use crate::names::{ClientAuthKey, OnionAddress};

/// The key of a client that tor has during the checks of a service.
pub(in crate::onion) struct CheckKey {
    address: OnionAddress,
    /// Whether a supervisor removes the key over the next connection.
    is_supervised: bool,
    /// The key that tor has. Held across commands, before any lock of a controller.
    added: CommandLock<Option<AddedKey>>,
}

/// A key that was added to tor for checks.
struct AddedKey {
    controller: Controller,
    /// Removes the key before this program closes the connection.
    close_hook: CloseHookId,
    /// How many checks use the key.
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
}

impl CheckKey {
    pub(super) fn new(address: OnionAddress, is_supervised: bool) -> Arc<Self> {
        Arc::new(Self { address, is_supervised, added: CommandLock::default() })
    }

    /// Adds the key of a client to tor, unless tor has one. Returns `None` if this program has no
    /// key, and no guard if the key of tor is not that of a check.
    pub(super) fn lend(
        self: &Arc<Self>,
        controller: &Controller,
        key: Option<ClientAuthKey>,
    ) -> Result<Option<Option<LentKey<'_>>>> {
        let mut added = self.lock(controller)?;
        let lent = || Ok(Some(Some(LentKey { key: self, controller: controller.clone() })));
        match &mut *added {
            Some(key) if key.is_of(controller) => {
                key.users += 1;
                return lent();
            }
            // The key of a check whose connection has ended is replaced.
            Some(_) => {}
            None if !controller.execute(&OnionClientAuthView::of(self.address))?.is_empty() => {
                return Ok(Some(None));
            }
            None => {}
        }
        let Some(key) = key else { return Ok(None) };
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
        let command = OnionClientAuthAdd::new(self.address, key);
        let outcome = match controller.execute(&command) {
            Err(error @ (Error::Rejected(_) | Error::InvalidInput(_))) => {
                controller.cancel_close_hook(close_hook);
                return Err(error);
            }
            outcome => outcome,
        };
        *added = Some(AddedKey { controller: controller.clone(), close_hook, users: 1 });
        drop(added);
        let lent = lent();
        // tor may have the key although the reply is late: the guard removes it.
        outcome.and(lent)
    }

    /// Removes the key of a check whose connection ended, over another connection of that tor.
    pub(in crate::onion) fn take_back(&self, controller: &Controller) {
        let removed = self.lock(controller).and_then(|mut added| {
            match added.take_if(|key| !key.is_of(controller)) {
                Some(_) => self.remove(controller),
                None => Ok(()),
            }
        });
        self.report_removal(removed);
    }

    /// Removes the key before the program closes the connection.
    fn close(&self, controller: &Controller) {
        let added = self.lock(controller);
        // If the lock is not free in time, tor may be about to add the key.
        if let Ok(added) = &added {
            if !added.as_ref().is_some_and(|key| key.is_of(controller)) {
                return;
            }
        }
        // If it fails, the last check reports it or a supervisor removes the key.
        if let (Ok(()), Ok(mut added)) = (self.remove(controller), added) {
            *added = None;
        }
    }

    /// Ends the use of the key by one check.
    fn give_back(&self, controller: &Controller) -> Result<()> {
        let mut added = self.lock(controller)?;
        let Some(key) = added.as_mut().filter(|key| key.is_of(controller)) else {
            return Ok(());
        };
        key.users = key.users.saturating_sub(1);
        if key.users > 0 {
            return Ok(());
        }
        let outcome = self.remove(controller);
        // A close that began during the command waits for the lock.
        controller.cancel_close_hook(key.close_hook);
        if outcome.as_ref().is_err_and(Error::is_closed) && self.is_supervised {
            return Ok(());
        }
        *added = None;
        outcome
    }

    /// Waits, within the time limit of the controller, until no other thread adds or removes the key.
    fn lock(&self, controller: &Controller) -> Result<CommandGuard<'_, Option<AddedKey>>> {
        self.added.lock_within(OnionClientAuthAdd::KEYWORD, controller.timeout())
    }

    fn remove(&self, controller: &Controller) -> Result<()> {
        controller.remove_onion_client_auth(self.address).map(drop)
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
