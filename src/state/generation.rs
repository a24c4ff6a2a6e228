//! A generation: the tracker and the hooks of one connection.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::country::CountryCache;
use super::path::DocumentCache;
use super::relays::RelaySource;
use super::store::Store;
use super::tracker::Tracker;
use super::{Circuit, MissingPart, Shared, State, Stream, missing};
use crate::controller::{Controller, HookGuard};
use crate::error::Result;
use crate::link::CommandLock;
use crate::names::CircuitId;

/// The part of a state that belongs to one connection. Its circuits and streams keep it, so that
/// they never belong to another tor.
///
/// Lock order: see [`Shared`].
pub(crate) struct Generation {
    pub(crate) controller: Controller,
    pub(crate) store: Arc<Store>,
    pub(super) relays: RelaySource,
    pub(super) documents: DocumentCache,
    pub(super) countries: CountryCache,
    pub(super) missing: Vec<MissingPart>,
    /// Held across the `GETINFO` of a refresh.
    pub(super) refreshing: CommandLock<()>,
    _hooks: Vec<HookGuard>,
}

impl Generation {
    /// Subscribes to the events of a connection, and takes a snapshot.
    pub(super) fn new(
        controller: &Controller,
        store: Store,
        deadline: Instant,
    ) -> Result<Arc<Self>> {
        let store = Arc::new(store);
        let mut missing = Vec::new();
        // Subscribe before the snapshot, so that no change is missed.
        let hooks = missing::subscribe(controller, &store, &mut missing, deadline)?;
        let (answers, events_before) =
            missing::query_all(controller, &store, &mut missing, deadline)?;
        store.join(answers, events_before);
        Ok(Arc::new(Self {
            controller: controller.clone(),
            store,
            relays: RelaySource::default(),
            documents: DocumentCache::default(),
            countries: CountryCache::default(),
            missing,
            refreshing: CommandLock::default(),
            _hooks: hooks,
        }))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("controller", &self.controller).finish_non_exhaustive()
    }
}

/// The state and the generation that a circuit or stream belongs to.
#[derive(Clone)]
pub(super) struct Owner {
    shared: Arc<Shared>,
    pub(super) generation: Arc<Generation>,
}

impl Owner {
    pub(super) fn new(shared: Arc<Shared>, generation: Arc<Generation>) -> Self {
        Self { shared, generation }
    }

    pub(super) fn state(&self) -> State {
        State::from_shared(Arc::clone(&self.shared))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the circuits, sorted by identifier.
    pub(super) fn circuits(&self) -> Vec<Circuit> {
        let cells = |tracker: &Tracker| tracker.circuits().cloned().collect::<Vec<_>>();
        let cells = self.generation.store.read(cells);
        cells.into_iter().map(|cell| Circuit::new(self.clone(), cell)).collect()
    }

    /// Returns a circuit, if it has not ended.
    pub(super) fn into_circuit(self, id: &CircuitId) -> Option<Circuit> {
        let cell = self.generation.store.read(|tracker| tracker.circuit(id).cloned())?;
        Some(Circuit::new(self, cell))
    }

    /// Returns the streams that have not ended, sorted by identifier.
    pub(super) fn streams(&self) -> Vec<Stream> {
        let cells = |tracker: &Tracker| tracker.streams().cloned().collect::<Vec<_>>();
        let cells = self.generation.store.read(cells);
        cells.into_iter().map(|cell| Stream::new(self.clone(), cell)).collect()
    }
}
