//! The handle of one circuit.

use std::fmt;
use std::sync::Arc;

use super::change::{CircuitUpdate, existing_circuit};
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::listeners::{Callback, StateListenerId};
use super::{Inner, State};
use crate::error::Result;
use crate::names::CircuitId;

/// A circuit of tor.
///
/// Clones are cheap. A handle keeps the state and its connection open, and tells what is known
/// last also after the circuit is gone.
#[derive(Clone)]
pub struct Circuit {
    inner: Arc<Inner>,
    cell: Arc<CircuitCell>,
}

impl Circuit {
    pub(super) fn new(inner: Arc<Inner>, cell: Arc<CircuitCell>) -> Self {
        Self { inner, cell }
    }

    /// Returns which circuit it is.
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.cell.id()
    }

    /// Returns what is known of it now. Never waits.
    #[must_use]
    pub fn info(&self) -> Arc<CircuitInfo> {
        self.cell.info()
    }

    /// Returns the state that knows of this circuit.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_inner(Arc::clone(&self.inner))
    }

    /// Calls a closure for every change of this circuit; first with
    /// [`CircuitChange::Existing`](super::CircuitChange::Existing). It is removed when the circuit has ended.
    ///
    /// Everything else is as with [`State::on_circuit`].
    ///
    /// # Errors
    ///
    /// Those of [`State::on_circuit`].
    pub fn on_update<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&CircuitUpdate) + Send + 'static,
    {
        let callback = Callback::Circuit(Some(self.id()), Box::new(listener));
        let cell = Arc::clone(&self.cell);
        self.inner.registry.add(&self.inner, callback, |_| vec![existing_circuit(cell)])
    }
}

/// Two handles are equal if they are of the same circuit of the same tor.
impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl Eq for Circuit {}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuit({:?})", self.info().text())
    }
}
