//! The keys of clients that tor has during the checks of a service.

use std::sync::Arc;

use crate::command::{
    Command as _, OnionClientAuthAdd, OnionClientAuthRemove, OnionClientAuthView,
    OnionClientCredential,
};
use crate::controller::{CloseHookId, Controller, WeakController};
use crate::error::{Disconnect, Error, Result};
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

/// Whether a client's key is in tor for a check.
pub(super) enum Lent<'a> {
    /// Until this is dropped.
    Key(LentKey<'a>),
    /// tor has a key that is not that of a check, or the service has no clients.
    NotNeeded,
    /// Neither tor nor this program has one.
    NoKey,
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

    /// Adds the key of a client to tor, unless tor has one.
    pub(super) fn lend<'a>(
        self: &'a Arc<Self>,
        controller: &Controller,
        key: Option<ClientAuthKey>,
    ) -> Result<Lent<'a>> {
        // Dropped without the lock, also if a logger panics. Removes a key whose reply is late, too.
        let mut lent = None;
        let tor_has_one = self.add(controller, key, &mut lent)?;
        Ok(match lent {
            Some(lent) => Lent::Key(lent),
            None if tor_has_one => Lent::NotNeeded,
            None => Lent::NoKey,
        })
    }

    /// Adds the key of a client to tor. Returns whether tor has another one.
    fn add<'a>(
        self: &'a Arc<Self>,
        controller: &Controller,
        key: Option<ClientAuthKey>,
        lent: &mut Option<LentKey<'a>>,
    ) -> Result<bool> {
        let _exchange = self.exchange(controller)?;
        // tor forgets a key at any `SETCONF`, and another program may have replaced it.
        let present = controller.execute(&OnionClientAuthView::of(self.address))?;
        let of_checks: Option<Vec<_>> =
            present.iter().map(|found| self.key_of_check(found)).collect();
        let Some(of_checks) = of_checks else { return Ok(true) };
        let Some(key) = key else { return Ok(false) };
        let public = key.public();
        self.record(controller, &[public], 1);
        *lent = Some(LentKey { key: self, controller: controller.clone() });
        if controller.is_closing() {
            // A close that begins later waits for the exchange.
            return Err(Disconnect::Closed.into());
        }
        if !of_checks.contains(&public) {
            controller.execute(&OnionClientAuthAdd::new(self.address, key))?;
        }
        self.with_added(controller, |added| added.keys = vec![public]);
        Ok(false)
    }

    /// Records that the tor of `controller` may have keys from now on, for so many further checks, and
    /// makes a close of the connection remove them first.
    fn record(
        self: &Arc<Self>,
        controller: &Controller,
        keys: &[ClientAuthPublicKey],
        users: usize,
    ) {
        let known = self.with_added(controller, |added| {
            added.users += users;
            added.keys.extend_from_slice(keys);
            added.keys.sort_unstable();
            added.keys.dedup();
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
        added.push(AddedKeys { connection, endpoint, keys: keys.to_vec(), close_hook, users });
    }

    /// Removes the keys that checks left in the tor of `controller`, unless a check uses one.
    pub(in crate::onion) fn take_back(self: &Arc<Self>, controller: &Controller) {
        let removed = self.remove_unused(controller);
        if removed.as_ref().is_err_and(Error::is_timeout) {
            // The next check or the close of this connection tries again.
            let left: Vec<_> =
                self.added.lock().iter().flat_map(|added| added.keys.clone()).collect();
            self.record(controller, &left, 0);
        }
        self.report_removal(removed);
    }

    /// Removes the key before the program closes the connection.
    fn close(&self, controller: &Controller) {
        // If the lock is not free in time, goes on without it: tor's key is compared in any case.
        let exchange = self.exchange(controller);
        if self.with_added(controller, |_| ()).is_some() {
            self.report_removal(self.remove(controller, exchange.is_ok()));
        }
    }

    /// Ends the use of the key by one check.
    fn give_back(&self, controller: &Controller) -> Result<()> {
        let end = |added: &mut AddedKeys| added.users = added.users.saturating_sub(1);
        if self.with_added(controller, end).is_none() {
            return Ok(());
        }
        self.remove_unused(controller)
    }

    /// Removes the keys of checks from tor, unless a check over this connection uses one.
    fn remove_unused(&self, controller: &Controller) -> Result<()> {
        let is_used = || self.with_added(controller, |added| added.users > 0).unwrap_or_default();
        if is_used() || self.added.lock().is_empty() {
            return Ok(());
        }
        let _exchange = self.exchange(controller)?;
        // Another check may have begun meanwhile.
        if is_used() {
            return Ok(());
        }
        match self.remove(controller, true) {
            // A supervisor removes them over the next connection.
            Err(error) if error.is_closed() && self.is_supervised => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes the keys of checks from tor, which may have another one by now. Keeps them for a later
    /// attempt if tor does not answer, or if it may get one yet: if the exchange is not this thread's.
    fn remove(&self, controller: &Controller, is_exclusive: bool) -> Result<()> {
        let present = controller.execute(&OnionClientAuthView::of(self.address))?;
        let found = present.iter().find_map(|found| self.key_of_check(found));
        let outcome = match found {
            Some(_) => controller.execute(&OnionClientAuthRemove::new(self.address)).map(drop),
            None => Ok(()),
        };
        let is_open = outcome.as_ref().is_err_and(|error| error.is_timeout() || error.is_closed());
        if !is_open && (found.is_some() || is_exclusive) {
            self.forget(controller, found);
        }
        outcome
    }

    /// Forgets the keys that the tor of `controller` had. The tor of another endpoint may still have
    /// them, unless it is the same one: it had a removed key that was not added over this endpoint.
    fn forget(&self, controller: &Controller, removed: Option<ClientAuthPublicKey>) {
        let close_hook = self.with_added(controller, |added| added.close_hook);
        let is_here = |added: &AddedKeys| added.endpoint == *controller.endpoint();
        let mut added = self.added.lock();
        let was_added_here =
            |key: &_| added.iter().any(|added| is_here(added) && added.keys.contains(key));
        let elsewhere = removed.filter(|key| !was_added_here(key));
        let is_same_tor =
            |added: &AddedKeys| elsewhere.is_some_and(|key| added.keys.contains(&key));
        added.retain(|added| !is_here(added) && !is_same_tor(added));
        drop(added);
        if let Some(close_hook) = close_hook {
            controller.cancel_close_hook(close_hook);
        }
    }

    /// Returns a key of tor if it is as a check added it: not in a file.
    fn key_of_check(&self, found: &OnionClientCredential) -> Option<ClientAuthPublicKey> {
        let key = found.key.public();
        let is_of_check = |added: &AddedKeys| added.keys.contains(&key);
        (!found.permanent && self.added.lock().iter().any(is_of_check)).then_some(key)
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
