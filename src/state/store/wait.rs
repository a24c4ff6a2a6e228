//! Waits for a change of one circuit or stream.

use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::{Store, StoreInner};
use crate::clock;
use crate::link::WaitEnd;
use crate::names::CircuitId;
use crate::state::cell::Cell;
use crate::state::circuit_info::CircuitCell;
use crate::state::stream_info::StreamCell;
use crate::state::tracker::Tracker;
use crate::state::waiters::Waiters;
use crate::sync::channel::{RecvTimeoutError, bounded};

impl Store {
    /// Waits until `find` returns a value for a circuit, which may not be reported yet, and returns
    /// the value.
    ///
    /// `find` runs on this thread first, and then on the reader thread after each event of this
    /// circuit, so that only a matching event wakes this thread. See
    /// [`Check`](crate::state::waiters::Check) for what it must not hold.
    pub(crate) fn wait_circuit<T: Send + 'static>(
        &self,
        id: CircuitId,
        known: Option<&Arc<CircuitCell>>,
        deadline: Instant,
        find: impl FnMut(&Tracker, &Arc<CircuitCell>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd> {
        let known = |tracker: &Tracker| known.cloned().or_else(|| tracker.begun(id));
        self.wait(|inner| &mut inner.circuit_waiters, id, known, deadline, find)
    }

    /// Wakes the threads that wait for a circuit if something else than its events has changed.
    pub(in crate::state) fn check_circuit(&self, cell: &Arc<CircuitCell>) {
        self.with(|inner| inner.circuit_waiters.check(&inner.tracker, cell));
    }

    /// Waits until `find` returns a value for a stream; see [`wait_circuit`](Self::wait_circuit).
    pub(crate) fn wait_stream<T: Send + 'static>(
        &self,
        cell: &Arc<StreamCell>,
        deadline: Instant,
        find: impl FnMut(&Tracker, &Arc<StreamCell>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd> {
        let known = |_: &Tracker| Some(Arc::clone(cell));
        self.wait(|inner| &mut inner.stream_waiters, cell.id(), known, deadline, find)
    }

    fn wait<Id, Info, T>(
        &self,
        waiters: fn(&mut StoreInner) -> &mut Waiters<Id, Info>,
        id: Id,
        known: impl FnOnce(&Tracker) -> Option<Arc<Cell<Id, Info>>>,
        deadline: Instant,
        mut find: impl FnMut(&Tracker, &Arc<Cell<Id, Info>>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd>
    where
        Id: Copy + Eq + Hash,
        T: Send + 'static,
    {
        let (sender, found) = bounded(1);
        let ticket = self.with(|inner| {
            let known = known(&inner.tracker).filter(|cell| !cell.is_lost());
            if let Some(value) = known.as_ref().and_then(|cell| find(&inner.tracker, cell)) {
                return ControlFlow::Break(Ok(value));
            }
            if let Some(reason) = &inner.ended {
                return ControlFlow::Break(Err(WaitEnd::Closed(reason.clone())));
            }
            if let Some(cell) = known {
                cell.set_awaited(true);
            }
            let check = move |tracker: &Tracker, cell: &Arc<Cell<Id, Info>>| {
                find(tracker, cell).is_some_and(|value| {
                    // The channel has room for the only value.
                    let _ = sender.try_send(value);
                    true
                })
            };
            ControlFlow::Continue(waiters(inner).add(id, Box::new(check)))
        });
        let ticket = match ticket {
            ControlFlow::Continue(ticket) => ticket,
            ControlFlow::Break(outcome) => return outcome,
        };
        match clock::recv_until(&found, deadline) {
            Ok(value) => Ok(value),
            Err(RecvTimeoutError::Disconnected) => {
                Err(self.end_reason().map_or(WaitEnd::Timeout, WaitEnd::Closed))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.with(|inner| waiters(inner).remove(id, ticket));
                // The value may have arrived just before the removal.
                found.try_recv().map_err(|_| WaitEnd::Timeout)
            }
        }
    }

    /// Keeps the circuits that end from now on, so that [`Tracker::begun`] finds them.
    pub(in crate::state) fn keep_ended(&self) {
        self.with(|inner| inner.tracker.keep_ended());
    }

    /// Undoes one [`keep_ended`](Self::keep_ended).
    pub(in crate::state) fn forget_ended(&self) {
        let gone = self.with(|inner| inner.tracker.forget_ended());
        // Freed without the lock.
        drop(gone);
    }
}
