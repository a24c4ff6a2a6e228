//! The handle of one stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::change::{StreamUpdate, existing_stream};
use super::feed::Topic;
use super::listeners::{Callback, StateListenerId};
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::Tracker;
use super::{Circuit, Inner, State};
use crate::error::{Error, Result, Wait};
use crate::link::deadline_after;
use crate::names::{StreamId, StreamReason, StreamStatus, Target};

/// A stream of tor.
///
/// Returned by [`State::streams`], [`State::stream`] and [`Circuit::streams`]. Clones are cheap. A
/// handle keeps the state and its connection open, and tells what is known last also after the
/// stream is gone. Dropping it leaves the stream as it is.
#[derive(Clone)]
pub struct Stream {
    inner: Arc<Inner>,
    cell: Arc<StreamCell>,
}

impl Stream {
    pub(super) fn new(inner: Arc<Inner>, cell: Arc<StreamCell>) -> Self {
        Self { inner, cell }
    }

    /// Returns which stream it is.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.cell.id()
    }

    /// Returns what is known of it now. Never waits.
    #[must_use]
    pub fn info(&self) -> Arc<StreamInfo> {
        self.cell.info()
    }

    /// Returns the state of the stream now.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.info().status.clone()
    }

    /// Returns where it goes, by the last event.
    #[must_use]
    pub fn target(&self) -> Target {
        self.info().target.clone()
    }

    /// Returns the circuit that it is on, or was on last if it has ended; `None` if there is none,
    /// or if the circuit is gone.
    #[must_use]
    pub fn circuit(&self) -> Option<Circuit> {
        self.state().circuit(&self.info().circuit?)
    }

    /// Returns the state that knows of this stream.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_inner(Arc::clone(&self.inner))
    }

    /// Waits until the stream is closed, and returns what is known of it last, with the reasons. At
    /// once if it is.
    ///
    /// Sends nothing.
    ///
    /// Blocks the current thread until then, for at most the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it is still there, [`Error::Closed`] if the connection ended.
    pub fn wait_closed(&self, limit: Duration) -> Result<Arc<StreamInfo>> {
        let look = |_: &Tracker, cell: &Arc<StreamCell>| {
            let info = cell.info();
            (info.status == StreamStatus::Closed).then_some(info)
        };
        let closed = self.inner.store.wait_stream(&self.cell, deadline_after(limit), look);
        closed.map_err(|end| end.into_error(Wait::StreamClosed(self.id()), limit))
    }

    /// Closes the stream for a reason that has a [number](StreamReason::number), and returns when
    /// it is closed; at once if it is.
    ///
    /// Sends `CLOSESTREAM id number`.
    ///
    /// Blocks the current thread until tor tells that it is closed, at most twice the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if tor does not tell that it is closed, as while the application does
    /// not read what has come for it; [`Error::InvalidInput`] if the reason has no number;
    /// otherwise those of [`Controller::close_stream`](crate::Controller::close_stream).
    pub fn close(&self, reason: StreamReason) -> Result<()> {
        match self.inner.controller.close_stream(self.id(), reason) {
            // tor knows no stream of this number: it has told of the end, or is about to.
            Ok(()) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
        self.wait_closed(self.inner.controller.timeout()).map(drop)
    }

    /// Calls a closure for every change of this stream; first with
    /// [`StreamChange::Existing`](super::StreamChange::Existing).
    ///
    /// The last call tells that the stream is closed; it is never lost. The closure is dropped
    /// after it. If the stream is closed already, that is the only call.
    ///
    /// Everything else is as with [`State::on_stream`].
    ///
    /// # Errors
    ///
    /// Those of [`State::on_stream`].
    pub fn on_update<F>(&self, listener: F) -> Result<StateListenerId>
    where
        F: FnMut(&StreamUpdate) + Send + 'static,
    {
        let callback = Callback::Stream(Box::new(listener));
        let (topic, cell) = (Topic::Stream(self.id()), Arc::clone(&self.cell));
        self.inner.registry.add(&self.inner, topic, callback, |_| vec![existing_stream(cell)])
    }
}

/// Two handles are equal if they name the same stream on the same control connection, also if they
/// come from different states of it.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.inner.controller.is_same_connection(&other.inner.controller)
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.info().text())
    }
}
