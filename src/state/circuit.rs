//! The handle of one circuit.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::build::Path;
use super::change::{CircuitUpdate, existing_circuit};
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::feed::Topic;
use super::listeners::{Callback, StateListenerId};
use super::tracker::Tracker;
use super::{Inner, State, Stream};
use crate::command::ExtendCircuit;
use crate::error::{CircuitEnd, CircuitError, CircuitProblem, Error, InvalidInput, Result, Wait};
use crate::link::deadline_after;
use crate::names::{BuildFlag, CircuitId, CircuitPurpose, CircuitStatus, RelaySpec};

/// A circuit of tor.
///
/// Made by [`State::build_circuit`], [`State::circuits`] and [`State::circuit`]. Clones are cheap.
/// A handle keeps the state and its connection open, and tells what is known last also after the
/// circuit is gone. Dropping it leaves the circuit as it is.
///
/// What waits for a circuit is woken by the thread that reads the connection, so it works inside
/// a listener too.
#[derive(Clone)]
pub struct Circuit {
    pub(super) inner: Arc<Inner>,
    pub(super) cell: Arc<CircuitCell>,
    /// The relays that it is to have in the end, if they are known.
    wanted: Option<Arc<[RelaySpec]>>,
}

impl Circuit {
    pub(super) fn new(inner: Arc<Inner>, cell: Arc<CircuitCell>) -> Self {
        Self { inner, cell, wanted: None }
    }

    pub(super) fn along(
        inner: Arc<Inner>,
        cell: Arc<CircuitCell>,
        wanted: Option<Arc<[RelaySpec]>>,
    ) -> Self {
        Self { inner, cell, wanted }
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

    /// Returns the state of the circuit now.
    #[must_use]
    pub fn status(&self) -> CircuitStatus {
        self.info().status.clone()
    }

    /// Returns the relays that are part of it by now, first the guard.
    #[must_use]
    pub fn path(&self) -> Vec<RelaySpec> {
        self.info().path.clone()
    }

    /// Returns what tor uses it for.
    #[must_use]
    pub fn purpose(&self) -> Option<CircuitPurpose> {
        self.info().purpose.clone()
    }

    /// Returns the demands that tor made when it began it; none if a controller began it.
    #[must_use]
    pub fn build_flags(&self) -> Vec<BuildFlag> {
        self.info().build_flags.clone()
    }

    /// Returns when it was begun, or was first used for its purpose, by the clock of tor.
    #[must_use]
    pub fn time_created(&self) -> Option<SystemTime> {
        self.info().time_created
    }

    /// Returns how long that is ago, by the clock of this machine; zero if that is behind the
    /// clock of tor.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let created = self.time_created()?;
        Some(SystemTime::now().duration_since(created).unwrap_or_default())
    }

    /// Returns the streams that are on it, by identifier.
    ///
    /// Of a pair of circuits that share their traffic, a stream is on the one of which tor spoke
    /// last.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let id = Some(self.id());
        let mut streams = self.state().streams();
        streams.retain(|stream| stream.info().circuit == id);
        streams
    }

    /// Returns the state that knows of this circuit.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_inner(Arc::clone(&self.inner))
    }

    /// Waits until the circuit is built, and returns it. At once if it is.
    ///
    /// Sends nothing.
    ///
    /// Blocks the current thread until then, for at most the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Circuit`] with both reasons if it failed or was closed, [`Error::Timeout`] if it is
    /// not built in time, and goes on being built; [`Error::Closed`] if the connection ended.
    #[doc(alias = "when_built")]
    #[doc(alias = "build_timeout_circuit")]
    pub fn wait_built(&self, limit: Duration) -> Result<Self> {
        self.wait(Wait::Built(self.id()), limit, CircuitInfo::is_built)?;
        Ok(self.clone())
    }

    /// Waits until the circuit is gone, and returns what is known of it last, with the reasons. At
    /// once if it is.
    ///
    /// Sends nothing.
    ///
    /// Blocks the current thread until then, for at most the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it is still there, [`Error::Closed`] if the connection ended.
    #[doc(alias = "when_closed")]
    pub fn wait_closed(&self, limit: Duration) -> Result<Arc<CircuitInfo>> {
        self.wait(Wait::CircuitClosed(self.id()), limit, CircuitInfo::is_over)?;
        Ok(self.info())
    }

    /// Makes the circuit longer by the given relays, and returns it when it is.
    ///
    /// Sends `EXTENDCIRCUIT id path`.
    ///
    /// Blocks the current thread until the circuit is built again, at most twice the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// Those of [`extend_timeout`](Self::extend_timeout).
    pub fn extend<P: Into<Path>>(&self, path: P) -> Result<Self> {
        self.extend_timeout(path, self.inner.controller.timeout())
    }

    /// Makes the circuit longer by the given relays, within `limit`; see
    /// [`extend`](Self::extend).
    ///
    /// Blocks the current thread until the circuit is built again, for at most `limit` after tor
    /// has answered, which takes at most the [time limit](crate::Controller::with_timeout) of the
    /// controller.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 if tor does not know a relay or the circuit;
    /// [`Error::InvalidInput`] if the path is left to tor or has no relay; otherwise those of
    /// [`wait_built`](Self::wait_built).
    pub fn extend_timeout<P: Into<Path>>(&self, path: P, limit: Duration) -> Result<Self> {
        let Some(more) = path.into().into_relays() else {
            let problem = "must name the relays by which a circuit is made longer";
            return Err(InvalidInput::new("path", problem).into());
        };
        let before = self.info();
        let whole: Arc<[_]> = before.path.iter().chain(more.iter()).cloned().collect();
        let longer =
            Self::along(Arc::clone(&self.inner), Arc::clone(&self.cell), Some(Arc::clone(&whole)));
        let command = ExtendCircuit::of(self.id(), more.iter().cloned());
        match self.inner.controller.extend_circuit(&command) {
            Ok(_) => {}
            Err(Error::Rejected(_)) if self.info().is_over() => return Err(longer.ended()),
            Err(error) => return Err(error),
        }
        let length = whole.len();
        let is_longer = move |info: &CircuitInfo| info.is_built() && info.path.len() >= length;
        longer.wait(Wait::Built(self.id()), limit, is_longer)?;
        Ok(longer)
    }

    /// Closes the circuit, and with it its streams; returns when it is closed. At once if it is.
    ///
    /// Sends `CLOSECIRCUIT id`.
    ///
    /// Blocks the current thread until tor tells that it is closed, at most twice the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if tor does not tell that it is closed; otherwise those of
    /// [`Controller::close_circuit`](crate::Controller::close_circuit).
    pub fn close(&self) -> Result<()> {
        if self.info().is_over() {
            return Ok(());
        }
        match self.inner.controller.close_circuit(self.id()) {
            // tor knows no circuit of this number: it is about to tell of the end.
            Ok(()) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
        self.wait_closed(self.inner.controller.timeout()).map(drop)
    }

    /// Closes the circuit if there is no stream on it. tor does not say which was the case:
    /// [`wait_closed`](Self::wait_closed) tells.
    ///
    /// Sends `CLOSECIRCUIT id IfUnused`. Blocks for at most the controller's
    /// [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::close_circuit`](crate::Controller::close_circuit), but not if the
    /// circuit is closed already.
    pub fn close_if_unused(&self) -> Result<()> {
        match self.inner.controller.close_circuit_if_unused(self.id()) {
            Err(Error::Rejected(_)) if self.info().is_over() => Ok(()),
            outcome => outcome,
        }
    }

    /// Has tor close a circuit that nobody waits for any more.
    pub(super) fn give_up(&self) {
        match self.inner.controller.close_circuit(self.id()) {
            Ok(()) | Err(Error::Rejected(_)) => {}
            Err(error) => log::warn!("circuit {} could not be closed: {error}", self.id()),
        }
    }

    /// Waits until tor has told of a change of the purpose that it has confirmed, or of the end.
    pub(super) fn wait_purpose(&self, purpose: &CircuitPurpose, limit: Duration) -> Result<()> {
        let purpose = purpose.clone();
        let is_told =
            move |info: &CircuitInfo| info.is_over() || info.purpose.as_ref() == Some(&purpose);
        self.wait(Wait::Event, limit, is_told)
    }

    /// Waits until what is known of the circuit is what is wanted; fails if the circuit is gone
    /// and that is not wanted.
    fn wait(
        &self,
        wait: Wait,
        limit: Duration,
        is_wanted: impl Fn(&CircuitInfo) -> bool + Send + 'static,
    ) -> Result<()> {
        let look = move |_: &Tracker, cell: &Arc<CircuitCell>| {
            let info = cell.info();
            let is_wanted = is_wanted(&info);
            (is_wanted || info.is_over()).then_some(is_wanted)
        };
        let deadline = deadline_after(limit);
        let found = self.inner.store.wait_circuit(self.id(), Some(&self.cell), deadline, look);
        match found.map_err(|end| end.into_error(wait, limit))? {
            true => Ok(()),
            false => Err(self.ended()),
        }
    }

    /// Tells how the circuit ended, as the reason why it could not be built.
    fn ended(&self) -> Error {
        CircuitError::new(self.id(), &format!("build circuit {}", self.id()), self.problem()).into()
    }

    /// Tells how the circuit ended.
    pub(super) fn problem(&self) -> CircuitProblem {
        let info = self.info();
        let next = self.wanted.as_ref().and_then(|wanted| wanted.get(info.path.len()));
        let end = CircuitEnd {
            reason: info.reason.clone(),
            remote_reason: info.remote_reason.clone(),
            path: info.path.clone(),
            next: next.cloned(),
        };
        match info.status {
            CircuitStatus::Failed => CircuitProblem::Failed(end),
            _ => CircuitProblem::Closed(end),
        }
    }

    /// Calls a closure for every change of this circuit; first with
    /// [`CircuitChange::Existing`](super::CircuitChange::Existing).
    ///
    /// The last call tells that the circuit is closed or failed; it is never lost. The closure is
    /// dropped after it. If the circuit has ended already, that is the only call.
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
        let callback = Callback::Circuit(Box::new(listener));
        let (topic, cell) = (Topic::Circuit(self.id()), Arc::clone(&self.cell));
        self.inner.registry.add(&self.inner, topic, callback, |_| vec![existing_circuit(cell)])
    }
}

/// Two handles are equal if they name the same circuit on the same control connection, also if
/// they come from different states of it.
impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.inner.controller.is_same_connection(&other.inner.controller)
    }
}

impl Eq for Circuit {}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuit({:?})", self.info().text())
    }
}
