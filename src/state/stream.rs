//! The handle of one stream.

use std::fmt;
use std::sync::Arc;

use super::change::{StreamUpdate, existing_stream};
use super::listeners::{Callback, StateListenerId};
use super::stream_info::{StreamCell, StreamInfo};
use super::{Inner, State};
use crate::error::Result;
use crate::names::StreamId;

/// A stream of tor.
///
/// Clones are cheap. A handle keeps the state and its connection open, and tells what is known
/// last also after the stream is gone.
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

    /// Returns the state that knows of this stream.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_inner(Arc::clone(&self.inner))
    }

    /// Calls a closure for every change of this stream; first with [`StreamChange::Existing`](super::StreamChange::Existing). It
    /// is removed when the stream has ended.
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
        let callback = Callback::Stream(Some(self.id()), Box::new(listener));
        let cell = Arc::clone(&self.cell);
        self.inner.registry.add(&self.inner, callback, |_| vec![existing_stream(cell)])
    }
}

/// Two handles are equal if they are of the same stream of the same tor.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.info().text())
    }
}
