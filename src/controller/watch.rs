//! Events for rows above, on the reader thread: what they wait for comes even inside a listener.

use std::sync::Arc;

use super::{Controller, Watch};
use crate::error::{Disconnect, Result};
use crate::event::{Event, EventKind, EventText};
use crate::link::Tap;

/// What a watch is told.
pub(crate) enum Seen {
    Event(Box<Event>),
    /// The connection has ended; nothing comes any more.
    Ended(Disconnect),
}

/// Called on the reader thread: it must be quick, must not wait and must not send commands.
pub(crate) type Tell = Box<dyn Fn(Seen) + Send + Sync>;

struct Watcher {
    tell: Tell,
}

impl Tap for Watcher {
    fn event(&self, _number: u64, bytes: &[u8]) {
        (self.tell)(Seen::Event(Box::new(Event::parse(EventText::copied(bytes)))));
    }

    fn ended(&self, reason: &Disconnect) {
        (self.tell)(Seen::Ended(reason.clone()));
    }
}

impl Controller {
    /// Tells of every event of some kinds until the watch is dropped.
    pub(crate) fn watch_events(&self, kinds: &[EventKind], tell: Tell) -> Result<Watch> {
        self.watch(kinds, Arc::new(Watcher { tell }))
    }
}
