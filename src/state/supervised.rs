//! A state that a supervisor moves from one connection to the next.
//!
//! Everything that belongs to one connection is a [`Generation`]; the listeners with their thread
//! belong to [`Shared`] and stay. At the end of a connection, the reader thread empties the
//! generation and queues its loss for the listeners. [`State::move_to`] exchanges the generation
//! and queues its contents, under the lock of the listeners, so that a listener that is added
//! meanwhile gets them once.

use std::sync::Arc;
use std::time::Instant;

use super::attacher::hand_over;
use super::generation::Generation;
use super::store::Store;
use super::{Shared, State};
use crate::clock;
use crate::controller::Controller;
use crate::error::{Disconnect, Error, Result};
use crate::link::EventHook;

impl State {
    /// Makes a state that [`move_to`](Self::move_to) moves to the next connection. At the end of a
    /// connection it becomes empty, and keeps its listeners.
    ///
    /// Sends what [`new`](Self::new) does, and has its errors.
    pub(crate) fn supervised(controller: &Controller, deadline: Instant) -> Result<Self> {
        let generation = Generation::new(controller, Store::new(true), deadline)?;
        Ok(Self::from_shared(Shared::new(generation, true)))
    }

    /// Moves the state to another connection; does nothing if it has moved there already. Listeners
    /// get the remaining losses, then everything that exists. Then the attachers are set again.
    /// After an error the call can be repeated: a failed snapshot leaves the state as it was, and
    /// an attacher that cannot be set does not affect the others.
    ///
    /// Sends what [`new`](Self::new) does, and what [`set_attacher`](Self::set_attacher) does if
    /// there is an attacher; each has the time limit of the controller. Has the errors of both;
    /// [`Error::Closed`] also if the new connection has ended meanwhile, or after
    /// [`end`](Self::end).
    pub(crate) fn move_to(&self, controller: &Controller) -> Result<()> {
        if !self.shared.present().controller.is_same_connection(controller) {
            self.change_generation(controller)?;
        }
        self.set_attachers_again()
    }

    fn change_generation(&self, controller: &Controller) -> Result<()> {
        let deadline = controller.deadline();
        let next = Generation::new(controller, Store::new(true), deadline)?;
        hand_over(&self.shared.present().controller, controller, deadline);
        let former = self.shared.exchange(&next)?;
        // Dropped without the lock.
        drop(former);
        Ok(())
    }

    /// Ends the listeners after their queued updates, the last of which report the loss of
    /// everything, and the attachers with their connection. The state stays empty, and no listener
    /// can be added.
    pub(crate) fn end(&self, reason: &Disconnect) {
        self.shared.attachers.end();
        let mut service = self.shared.listeners.lock();
        self.shared.present().store.ended(reason);
        service.end_for(reason);
    }
}

impl Shared {
    /// Makes a generation the present one, and returns the former.
    fn exchange(&self, next: &Arc<Generation>) -> Result<Arc<Generation>> {
        let service = self.listeners.lock();
        if let Some(reason) = service.end_reason().or_else(|| next.store.end_reason()) {
            return Err(Error::Closed(reason));
        }
        let former = std::mem::replace(&mut *self.generation.lock(), Arc::clone(next));
        // Does nothing if the connection has ended, as usual.
        former.store.ended(&former.controller.closed_reason().unwrap_or(Disconnect::Closed));
        if let Some(feed) = service.feed() {
            feed.change_generation(Arc::clone(&former), Arc::downgrade(next));
            next.store.go_on_with_feed(feed, clock::system_now());
        }
        Ok(former)
    }
}

#[cfg(test)]
mod tests;
