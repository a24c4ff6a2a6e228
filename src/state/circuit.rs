//! The handle of one circuit.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Path;
use super::change::{CircuitUpdate, existing_circuit};
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::feed::Topic;
use super::generation::Owner;
use super::listeners::{Callback, StateListenerId};
use super::tracker::Tracker;
use super::{State, Stream};
use crate::clock::{self, deadline_after};
use crate::command::{CloseCircuit, ExtendCircuit};
use crate::controller::Controller;
use crate::error::{CircuitEnd, CircuitError, CircuitProblem, Error, InvalidInput, Result, Wait};
use crate::link::CancelToken;
use crate::names::{BuildFlag, CircuitId, CircuitPurpose, CircuitStatus, RelaySpec};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A circuit of tor.
///
/// Returned by [`State::build_circuit`], [`State::circuits`] and [`State::circuit`]. Clones are
/// cheap. A handle keeps its state and the connection open. After the end of the circuit, or of the
/// connection, it has what tor reported last. Dropping it does not close the circuit.
///
/// The thread that reads the connection wakes the threads that wait for a circuit, so a listener
/// can wait too.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for circuit in state.circuits() {
///     println!("{} {} {:?}", circuit.id(), circuit.status(), circuit.path());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct Circuit {
    pub(super) owner: Owner,
    pub(super) cell: Arc<CircuitCell>,
    /// The relays that the circuit is being built along, if they are known.
    wanted: Option<Arc<[RelaySpec]>>,
}

impl Circuit {
    pub(super) fn new(owner: Owner, cell: Arc<CircuitCell>) -> Self {
        Self { owner, cell, wanted: None }
    }

    pub(super) fn along(
        owner: Owner,
        cell: Arc<CircuitCell>,
        wanted: Option<Arc<[RelaySpec]>>,
    ) -> Self {
        Self { owner, cell, wanted }
    }

    pub(super) fn controller(&self) -> &Controller {
        &self.owner.generation.controller
    }

    /// Returns the identifier of the circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{}", circuit.id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.cell.id()
    }

    /// Returns the circuit as tor last reported it. Does not block.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     let info = circuit.info();
    ///     println!("{} {:?}", info.status(), info.purpose());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn info(&self) -> Arc<CircuitInfo> {
        self.cell.info()
    }

    /// Returns the current status.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{}", circuit.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> CircuitStatus {
        self.info().status()
    }

    /// Returns the current hops, first the guard.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.path());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "update_path")]
    #[must_use]
    pub fn path(&self) -> Vec<RelaySpec> {
        self.info().path()
    }

    /// Returns the current purpose.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.purpose());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn purpose(&self) -> Option<CircuitPurpose> {
        self.info().purpose()
    }

    /// Returns the build flags; none if a controller launched the circuit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.build_flags());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn build_flags(&self) -> Vec<BuildFlag> {
        self.info().build_flags()
    }

    /// Returns when the circuit was launched, or was first used for its purpose, by tor's clock.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.time_created());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn time_created(&self) -> Option<SystemTime> {
        self.info().time_created()
    }

    /// Returns the circuit's age, measured with the local clock; zero if that is behind tor's
    /// clock.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{} is {:?} old", circuit.id(), circuit.age());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let created = self.time_created()?;
        Some(clock::system_now().duration_since(created).unwrap_or_default())
    }

    /// Returns the streams on the circuit, sorted by identifier.
    ///
    /// For a conflux pair, a stream is reported on the leg that tor's last `STREAM` event named.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{} has {} streams", circuit.id(), circuit.streams().len());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let id = Some(self.id());
        let mut streams = self.owner.streams();
        streams.retain(|stream| stream.info().circuit() == id);
        streams
    }

    /// Returns the state that this handle belongs to.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.state());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn state(&self) -> State {
        self.owner.state()
    }

    /// Waits until the circuit is built, and returns it.
    ///
    /// Blocks the current thread until the circuit is built or has ended, for at most `limit`.
    /// After a timeout, tor continues to build it.
    ///
    /// # Errors
    ///
    /// [`Error::Circuit`] with both reasons if the circuit failed or was closed; [`Error::Timeout`];
    /// [`Error::Closed`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::state::Path;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let circuit = state.build_circuit(Path::any())?.wait_built(Duration::from_secs(60))?;
    /// println!("{:?}", circuit.path());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "when_built")]
    #[doc(alias = "build_timeout_circuit")]
    pub fn wait_built(&self, limit: Duration) -> Result<Self> {
        self.wait_built_before(deadline_after(limit), limit)?;
        Ok(self.clone())
    }

    /// Waits until the circuit has ended, and returns its last report, with the reasons.
    ///
    /// Blocks the current thread until the circuit has ended, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Closed`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     println!("{:?}", circuit.wait_closed(Duration::from_secs(600))?.reason());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "when_closed")]
    pub fn wait_closed(&self, limit: Duration) -> Result<Arc<CircuitInfo>> {
        self.wait_closed_before(deadline_after(limit), limit)?;
        Ok(self.info())
    }

    /// Extends the circuit by the given relays, and returns it when it is built again.
    ///
    /// Sends `EXTENDCIRCUIT id path`.
    ///
    /// Blocks the current thread until the circuit is built again, for at most the controller's
    /// [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`extend_timeout`](Self::extend_timeout).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let circuit = state.build_circuit(["moria1", "tor26"])?;
    /// let longer = circuit.wait_built(Duration::from_secs(60))?.extend("dizum")?;
    /// println!("{:?}", longer.path());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn extend<P>(&self, path: P) -> Result<Self>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        self.extend_timeout(path, self.controller().timeout())
    }

    /// Extends the circuit by the given relays, with another time limit; see
    /// [`extend`](Self::extend).
    ///
    /// Blocks the current thread until the circuit is built again, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 if tor does not know a relay or the circuit;
    /// [`Error::InvalidInput`] if the path does not name relays; otherwise those of
    /// [`wait_built`](Self::wait_built).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     circuit.extend_timeout("dizum", Duration::from_secs(20))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn extend_timeout<P>(&self, path: P, limit: Duration) -> Result<Self>
    where
        P: TryInto<Path>,
        Error: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        let Some(more) = path.into_relays() else {
            let problem = "must name the relays by which a circuit is extended";
            return Err(InvalidInput::new("path", problem).into());
        };
        let before = self.info();
        let whole: Arc<[_]> = before.path().into_iter().chain(more.iter().cloned()).collect();
        let longer =
            Self::along(self.owner.clone(), Arc::clone(&self.cell), Some(Arc::clone(&whole)));
        let command = ExtendCircuit::of(self.id(), more.iter().cloned());
        let deadline = deadline_after(limit);
        match self.controller().with_timeout(limit).execute_before(&command, deadline) {
            Ok(_) => {}
            Err(Error::Rejected(_)) if self.info().is_over() => return Err(longer.ended()),
            Err(error) => return Err(error),
        }
        let length = whole.len();
        let is_longer = move |info: &CircuitInfo| info.is_built() && info.hops() >= length;
        longer.wait(Wait::Built(self.id()), deadline, limit, is_longer)?;
        Ok(longer)
    }

    /// Closes the circuit with its streams. Does nothing if it has ended.
    ///
    /// Sends `CLOSECIRCUIT id`.
    ///
    /// Blocks the current thread until tor reports that the circuit is closed, for at most the
    /// controller's [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::close_circuit`](crate::Controller::close_circuit), except that a
    /// circuit that tor does not know any more counts as closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     circuit.close()?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        if self.info().is_over() {
            return Ok(());
        }
        let limit = self.controller().timeout();
        let deadline = deadline_after(limit);
        match self.controller().execute_before(&CloseCircuit::new(self.id()), deadline) {
            // tor has closed the circuit already, and is about to report it.
            Ok(_) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
        self.wait_closed_before(deadline, limit)
    }

    /// Closes the circuit if it has no stream.
    ///
    /// The reply of tor does not show whether it closes the circuit;
    /// [`wait_closed`](Self::wait_closed) finds out.
    ///
    /// Sends `CLOSECIRCUIT id IfUnused`. Blocks for at most the controller's
    /// [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::close_circuit`](crate::Controller::close_circuit), except that a
    /// circuit that has ended is no error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     circuit.close_if_unused()?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close_if_unused(&self) -> Result<()> {
        match self.controller().close_circuit_if_unused(self.id()) {
            Err(Error::Rejected(_)) if self.info().is_over() => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) fn wait_built_before(&self, deadline: Instant, limit: Duration) -> Result<()> {
        self.wait(Wait::Built(self.id()), deadline, limit, CircuitInfo::is_built)
    }

    /// Waits as [`wait_built_before`](Self::wait_built_before) does, and returns at once if the token
    /// is canceled, which the caller must check.
    pub(super) fn wait_built_or_canceled(
        &self,
        deadline: Instant,
        limit: Duration,
        token: &CancelToken,
    ) -> Result<()> {
        let is_canceled = Arc::new(AtomicBool::new(false));
        let at_cancel = Arc::clone(&is_canceled);
        let (store, cell) = (Arc::clone(&self.owner.generation.store), Arc::clone(&self.cell));
        let _guard = token.on_cancel(move || {
            at_cancel.store(true, Ordering::Relaxed);
            store.check_circuit(&cell);
        });
        let is_over =
            move |info: &CircuitInfo| info.is_built() || is_canceled.load(Ordering::Relaxed);
        self.wait(Wait::Built(self.id()), deadline, limit, is_over)
    }

    fn wait_closed_before(&self, deadline: Instant, limit: Duration) -> Result<()> {
        self.wait(Wait::CircuitClosed(self.id()), deadline, limit, CircuitInfo::is_over)
    }

    /// Waits until tor reports the confirmed change of the purpose, or the end of the circuit.
    pub(super) fn wait_purpose(
        &self,
        purpose: &CircuitPurpose,
        deadline: Instant,
        limit: Duration,
    ) -> Result<()> {
        let purpose = purpose.clone();
        let is_reported =
            move |info: &CircuitInfo| info.is_over() || info.purpose().as_ref() == Some(&purpose);
        self.wait(Wait::Event, deadline, limit, is_reported)
    }

    /// Waits until the circuit is as wanted; fails if it ends otherwise. An error reports `limit`
    /// as the time limit.
    fn wait(
        &self,
        wait: Wait,
        deadline: Instant,
        limit: Duration,
        is_wanted: impl Fn(&CircuitInfo) -> bool + Send + 'static,
    ) -> Result<()> {
        let find = move |_: &Tracker, cell: &Arc<CircuitCell>| {
            let info = cell.info();
            let is_wanted = is_wanted(&info);
            (is_wanted || info.is_over()).then_some(is_wanted)
        };
        let found =
            self.owner.generation.store.wait_circuit(self.id(), Some(&self.cell), deadline, find);
        match found.map_err(|end| end.into_error(wait, limit))? {
            true => Ok(()),
            false => Err(self.ended()),
        }
    }

    /// Returns the error for a circuit that has ended.
    fn ended(&self) -> Error {
        CircuitError::new(self.id(), &format!("build circuit {}", self.id()), self.problem()).into()
    }

    /// Returns how the circuit ended.
    pub(super) fn problem(&self) -> CircuitProblem {
        let info = self.info();
        let next = self.wanted.as_ref().and_then(|wanted| wanted.get(info.hops()));
        let end = CircuitEnd {
            reason: info.reason(),
            remote_reason: info.remote_reason(),
            path: info.path(),
            next: next.cloned(),
        };
        match info.status() {
            CircuitStatus::Failed => CircuitProblem::Failed(end),
            _ => CircuitProblem::Closed(end),
        }
    }

    /// Calls a closure for every change of this circuit, beginning with
    /// [`CircuitChange::Existing`](super::CircuitChange::Existing).
    ///
    /// The last call reports that the circuit was closed or failed, or in a state of a supervisor
    /// that the connection ended. It is never lost; the closure is dropped after it. If the circuit
    /// has ended already, it is the only call.
    ///
    /// See [`State::on_circuit`] for the thread and the limits.
    ///
    /// # Errors
    ///
    /// Those of [`State::on_circuit`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     circuit.on_update(|update| println!("{}", update.info.status()))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn on_update<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&CircuitUpdate) + Send + 'static,
    {
        let callback = Callback::Circuit(Box::new(listener));
        let (topic, cell) = (Topic::Circuit(self.id()), Arc::clone(&self.cell));
        self.owner.add_listener(topic, callback, || existing_circuit(cell))
    }
}

/// Two handles are equal if they name the same circuit on the same control connection, even if they
/// belong to different states of it.
impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.controller().is_same_connection(other.controller())
    }
}

impl Eq for Circuit {}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Circuit({:?})", self.info().text())
    }
}
