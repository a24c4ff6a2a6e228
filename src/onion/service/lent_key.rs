//! The keys of clients that tor has during the checks of a service.

use std::mem;
use std::sync::Arc;

use crate::command::{
    Command as _, OnionClientAuthAdd, OnionClientAuthRemove, OnionClientAuthView,
    OnionClientCredential,
};
use crate::controller::{CloseHookId, Controller, WeakController};
use crate::error::{Disconnect, Result};
use crate::link::{CommandGuard, CommandLock, Endpoint};
use crate::names::{ClientAuthKey, ClientAuthPublicKey, OnionAddress};
use crate::sync::Mutex;

/// How many connections are known whose tor may have a key of a check. More than one only if keys
/// could not be removed before their connections ended.
const MOST_CONNECTIONS: usize = 16;

/// The keys of clients that tor has during the checks of a service.
pub(in crate::onion) struct CheckKey {
    address: OnionAddress,
    /// Whether a supervisor removes the key over the next connection.
    is_supervised: bool,
    /// Held while the commands of one check are exchanged, before any lock of a controller.
    exchange: CommandLock<()>,
    /// The keys that tors may have, the newest last. A leaf lock.
    added: Mutex<Vec<AddedKeys>>,
}

/// The keys that the tor of a connection may have for checks: one, or more until tor has answered
/// whether it replaced a key.
struct AddedKeys {
    /// The connection, which has a close hook with these keys.
    connection: WeakController,
    endpoint: Endpoint,
    keys: Vec<ClientAuthPublicKey>,
    /// Removes the keys before this program closes the connection.
    close_hook: CloseHookId,
    /// How many checks use a key; 0 if it could not be removed after them.
    users: usize,
}

/// The use of the key by one check. The last one removes the key from tor.
pub(super) struct LentKey<'a> {
    key: &'a CheckKey,
    controller: Controller,
}

impl CheckKey {
    pub(super) fn new(address: OnionAddress, is_supervised: bool) -> Arc<Self> {
        let exchange = CommandLock::default();
        Arc::new(Self { address, is_supervised, exchange, added: Mutex::default() })
    }

    /// Adds the key of a client to tor, unless tor has one. Returns `None` if this program has no
    /// key, and no guard if the key of tor is not that of a check.
    pub(super) fn lend(
        self: &Arc<Self>,
        controller: &Controller,
        key: Option<ClientAuthKey>,
    ) -> Result<Option<Option<LentKey<'_>>>> {
        let exchange = self.exchange(controller)?;
        // tor forgets a key at any `SETCONF`, and another program may have replaced it.
        let present = controller.execute(&OnionClientAuthView::of(self.address))?;
        if present.iter().any(|found| !self.is_of_check(found)) {
            return Ok(Some(None));
        }
        let Some(key) = key else { return Ok(None) };
        let public = key.public();
        self.record(controller, public);
        let lent = LentKey { key: self, controller: controller.clone() };
        let outcome = if controller.is_closing() {
            // A close that begins later waits for the exchange.
            Err(Disconnect::Closed.into())
        } else if present.iter().any(|found| found.key.public() == public) {
            Ok(())
        } else {
            controller.execute(&OnionClientAuthAdd::new(self.address, key)).map(drop)
        };
        if outcome.is_ok() {
            self.with_added(controller, |added| added.keys = vec![public]);
        }
        drop(exchange);
        // The guard also removes a key whose reply is late.
        outcome.map(|()| Some(Some(lent)))
    }

    /// Records that a check uses a key which the tor of `controller` may have from now on, and that a
    /// close of the connection removes first.
    fn record(self: &Arc<Self>, controller: &Controller, key: ClientAuthPublicKey) {
        let known = self.with_added(controller, |added| {
            added.users += 1;
            if !added.keys.contains(&key) {
                added.keys.push(key);
            }
        });
        if known.is_some() {
            return;
        }
        let check_key = Arc::clone(self);
        let close_hook = controller.before_close(move |controller| check_key.close(controller));
        let (connection, endpoint) = (controller.downgrade(), controller.endpoint().clone());
        let mut added = self.added.lock();
        if added.len() == MOST_CONNECTIONS {
            added.remove(0);
        }
        added.push(AddedKeys { connection, endpoint, keys: vec![key], close_hook, users: 1 });
    }

    /// Removes the keys of checks whose connections ended, over another connection of their tor.
    pub(in crate::onion) fn take_back(&self, controller: &Controller) {
        self.report_removal(self.remove_unused(controller));
    }

    /// Removes the key before the program closes the connection.
    fn close(&self, controller: &Controller) {
        // While tor does not answer another thread, only the key can tell what may be removed.
        let _exchange = self.exchange(controller);
        if self.with_added(controller, |_| ()).is_some() {
            // If it fails, the last check reports it or a supervisor removes the key.
            let _ = self.remove(controller);
        }
    }

    /// Ends the use of the key by one check.
    fn give_back(&self, controller: &Controller) -> Result<()> {
        if self
            .with_added(controller, |added| {
                added.users = added.users.saturating_sub(1);
            })
            .is_none()
        {
            return Ok(());
        }
        match self.remove_unused(controller) {
            Err(error) if error.is_closed() && self.is_supervised => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes the keys of checks from tor, unless a check over this connection uses one.
    fn remove_unused(&self, controller: &Controller) -> Result<()> {
        let is_used = || self.with_added(controller, |added| added.users > 0).unwrap_or_default();
        if is_used() || self.added.lock().is_empty() {
            return Ok(());
        }
        let _exchange = self.exchange(controller)?;
        // Another check may have begun meanwhile.
        match is_used() {
            true => Ok(()),
            false => self.remove(controller),
        }
    }

    /// Removes the keys of checks from tor, which may have another one by now. Keeps them for a later
    /// attempt if tor does not answer.
    fn remove(&self, controller: &Controller) -> Result<()> {
        let present = controller.execute(&OnionClientAuthView::of(self.address))?;
        let outcome = match present.iter().any(|found| self.is_of_check(found)) {
            true => controller.execute(&OnionClientAuthRemove::new(self.address)).map(drop),
            false => Ok(()),
        };
        if !outcome.as_ref().is_err_and(|error| error.is_timeout() || error.is_closed()) {
            self.forget(controller);
        }
        outcome
    }

    /// Forgets the keys that the tor of `controller` had. The tor of another endpoint may still have
    /// them.
    fn forget(&self, controller: &Controller) {
        let mut added = self.added.lock();
        let (ended, left) = mem::take(&mut *added)
            .into_iter()
            .partition::<Vec<_>, _>(|added| added.endpoint == *controller.endpoint());
        *added = left;
        drop(added);
        for ended in ended.iter().filter(|ended| ended.connection.is_of(controller)) {
            controller.cancel_close_hook(ended.close_hook);
        }
    }

    /// Returns whether a key of tor is as a check added it: not in a file.
    fn is_of_check(&self, found: &OnionClientCredential) -> bool {
        let key = found.key.public();
        !found.permanent && self.added.lock().iter().any(|added| added.keys.contains(&key))
    }

    /// Calls a closure with the keys of a connection, if its tor may have any.
    fn with_added<T>(
        &self,
        controller: &Controller,
        work: impl FnOnce(&mut AddedKeys) -> T,
    ) -> Option<T> {
        let mut added = self.added.lock();
        added.iter_mut().find(|added| added.connection.is_of(controller)).map(work)
    }

    /// Waits, within the time limit of the controller, until no other thread adds or removes a key.
    fn exchange(&self, controller: &Controller) -> Result<CommandGuard<'_, ()>> {
        self.exchange.lock_within(OnionClientAuthAdd::KEYWORD, controller.timeout())
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
