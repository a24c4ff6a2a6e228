//! The handle of one stream.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::{StreamUpdate, existing_stream};
use super::feed::Topic;
use super::generation::Owner;
use super::listeners::{Callback, StateListenerId};
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::Tracker;
use super::{Circuit, State};
use crate::clock::deadline_after;
use crate::command::CloseStream;
use crate::controller::Controller;
use crate::error::{Error, Result, Wait};
use crate::names::{StreamId, StreamReason, StreamStatus, Target};

/// A stream of tor.
///
/// Returned by [`State::streams`], [`State::stream`] and [`Circuit::streams`]. Clones are cheap. A
/// handle keeps its state and the connection open. After the end of the stream, or of the connection,
/// it has what tor reported last. Dropping it does not close the stream.
///
/// # Examples
///
/// ```no_run
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// for stream in state.streams() {
///     println!("{} {} {}", stream.id(), stream.status(), stream.target());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct Stream {
    owner: Owner,
    cell: Arc<StreamCell>,
}

impl Stream {
    pub(super) fn new(owner: Owner, cell: Arc<StreamCell>) -> Self {
        Self { owner, cell }
    }

    fn controller(&self) -> &Controller {
        &self.owner.generation.controller
    }

    /// Returns the identifier of the stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{}", stream.id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.cell.id()
    }

    /// Returns the stream as tor last reported it. Does not block.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{:?}", stream.info());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn info(&self) -> Arc<StreamInfo> {
        self.cell.info()
    }

    /// Returns the current status.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{}", stream.status());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.info().status()
    }

    /// Returns the target that tor's last event named.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{}", stream.target());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn target(&self) -> Target {
        self.info().target()
    }

    /// Returns the circuit that the stream is attached to; after its end, the last one. `None` if
    /// it has no circuit, or if that circuit has ended.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{:?}", stream.circuit().map(|circuit| circuit.path()));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn circuit(&self) -> Option<Circuit> {
        self.owner.clone().into_circuit(&self.info().circuit()?)
    }

    /// Returns the state that this handle belongs to.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     println!("{:?}", stream.state());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn state(&self) -> State {
        self.owner.state()
    }

    /// Waits until the stream is closed, and returns its last report, with the reasons.
    ///
    /// Blocks the current thread until the stream is closed, for at most `limit`.
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
    /// for stream in state.streams() {
    ///     println!("{:?}", stream.wait_closed(Duration::from_secs(600))?.reason());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_closed(&self, limit: Duration) -> Result<Arc<StreamInfo>> {
        self.wait_closed_before(deadline_after(limit), limit)
    }

    fn wait_closed_before(&self, deadline: Instant, limit: Duration) -> Result<Arc<StreamInfo>> {
        let find = |_: &Tracker, cell: &Arc<StreamCell>| {
            let info = cell.info();
            (info.status() == StreamStatus::Closed).then_some(info)
        };
        let closed = self.owner.generation.store.wait_stream(&self.cell, deadline, find);
        closed.map_err(|end| end.into_error(Wait::StreamClosed(self.id()), limit))
    }

    /// Closes the stream for a reason that has a [number](StreamReason::number).
    ///
    /// Sends `CLOSESTREAM id number`.
    ///
    /// Blocks the current thread until tor reports that the stream is closed, for at most the
    /// controller's [time limit](crate::Controller::with_timeout). tor does not report it before the
    /// application has read what has arrived for it.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::close_stream`](crate::Controller::close_stream), except that a stream
    /// that tor does not know any more counts as closed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::StreamReason;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     stream.close(StreamReason::Misc)?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close(&self, reason: StreamReason) -> Result<()> {
        let limit = self.controller().timeout();
        let deadline = deadline_after(limit);
        match self.controller().execute_before(&CloseStream::new(self.id(), reason), deadline) {
            // tor has closed the stream already, and its event has arrived or follows.
            Ok(_) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
        self.wait_closed_before(deadline, limit).map(drop)
    }

    /// Calls a closure for every change of this stream, beginning with
    /// [`StreamChange::Existing`](super::StreamChange::Existing).
    ///
    /// The last call reports that the stream was closed, or in a state of a supervisor that the
    /// connection ended. It is never lost; the closure is dropped after it. If the stream is closed
    /// already, it is the only call.
    ///
    /// See [`State::on_stream`] for the thread and the limits.
    ///
    /// # Errors
    ///
    /// Those of [`State::on_stream`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for stream in state.streams() {
    ///     stream.on_update(|update| println!("{}", update.info.status()))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn on_update<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&StreamUpdate) + Send + 'static,
    {
        let callback = Callback::Stream(Box::new(listener));
        let (topic, cell) = (Topic::Stream(self.id()), Arc::clone(&self.cell));
        self.owner.add_listener(topic, callback, || existing_stream(cell))
    }
}

/// Two handles are equal if they name the same stream on the same control connection, even if they
/// belong to different states of it.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.controller().is_same_connection(other.controller())
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.info().text())
    }
}
