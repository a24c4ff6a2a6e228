//! The key of a client that tor has during the checks of a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ServiceInner;
use crate::command::{OnionClientAuthAdd, OnionClientAuthView};
use crate::controller::{CloseHookId, Controller};
use crate::error::{Disconnect, Error, Result};
use crate::names::ClientAuthKey;

/// A key that was added to tor for checks.
pub(in crate::onion) struct AddedKey {
    controller: Controller,
    /// Removes the key before this program closes the connection.
    close_hook: CloseHookId,
    /// Whether the close hook has removed the key.
    is_removed: Arc<AtomicBool>,
    /// How many checks use the key.
    users: usize,
}

/// The use of the key by one check. The last one removes the key from tor.
pub(super) struct LentKey<'a> {
    service: &'a ServiceInner,
    controller: Controller,
}

impl ServiceInner {
    /// Adds the key of a client to tor, unless tor has one. Returns `None` if this program has no
    /// key, and no guard if the key of tor is not that of a check.
    pub(super) fn lend_key(
        &self,
        controller: &Controller,
        key: Option<ClientAuthKey>,
    ) -> Result<Option<Option<LentKey<'_>>>> {
        let mut added = self.added_key.lock_within(controller.timeout())?;
        let lent = || Ok(Some(Some(LentKey { service: self, controller: controller.clone() })));
        match &mut *added {
            Some(key) if key.controller.is_same_connection(controller) => {
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
        let (address, is_removed) = (self.address, Arc::new(AtomicBool::new(false)));
        let removed = Arc::clone(&is_removed);
        let close_hook = controller.before_close(move |controller| {
            let outcome = controller.remove_onion_client_auth(address);
            removed.store(outcome.is_ok(), Ordering::Release);
        });
        if controller.is_closing() {
            controller.cancel_close_hook(close_hook);
            return Err(Disconnect::Closed.into());
        }
        let command = OnionClientAuthAdd::new(address, key);
        let outcome = match controller.execute(&command) {
            Err(error @ (Error::Rejected(_) | Error::InvalidInput(_))) => {
                controller.cancel_close_hook(close_hook);
                return Err(error);
            }
            outcome => outcome,
        };
        let controller = controller.clone();
        *added = Some(AddedKey { controller, close_hook, is_removed, users: 1 });
        drop(added);
        let lent = lent();
        // tor may have the key although the reply is late: the guard removes it.
        outcome.and(lent)
    }

    /// Removes the key of a check whose connection ended, over another connection of that tor.
    pub(in crate::onion) fn take_back_key(&self, controller: &Controller) {
        let is_other = |added: &mut AddedKey| !added.controller.is_same_connection(controller);
        let removed = self.added_key.lock_within(controller.timeout());
        let removed = removed.and_then(|mut added| match added.take_if(is_other) {
            Some(key) if !key.is_removed.load(Ordering::Acquire) => {
                controller.remove_onion_client_auth(self.address).map(drop)
            }
            _ => Ok(()),
        });
        self.report_removal(removed);
    }

    /// Ends the use of the key by one check.
    fn return_key(&self, controller: &Controller) -> Result<()> {
        let limit = controller.timeout();
        let mut added = self.added_key.lock_within(limit)?;
        let is_it = |key: &&mut AddedKey| key.controller.is_same_connection(controller);
        let Some(key) = added.as_mut().filter(is_it) else { return Ok(()) };
        key.users = key.users.saturating_sub(1);
        if key.users > 0 {
            return Ok(());
        }
        controller.cancel_close_hook(key.close_hook);
        let outcome = match key.is_removed.load(Ordering::Acquire) {
            true => Ok(()),
            false => controller.remove_onion_client_auth(self.address).map(drop),
        };
        // A supervisor removes it over the next connection.
        if outcome.as_ref().is_err_and(Error::is_closed) && self.status().is_supervised() {
            return Ok(());
        }
        *added = None;
        outcome
    }

    fn report_removal(&self, removed: Result<()>) {
        if let Err(error) = removed {
            log::warn!("a client's key of {} could not be removed from tor: {error}", self.address);
        }
    }
}

impl Drop for LentKey<'_> {
    fn drop(&mut self) {
        self.service.report_removal(self.service.return_key(&self.controller));
    }
}
