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
    /// How the events of these kinds begin on the wire; all of them have one line.
    beginnings: Vec<Box<[u8]>>,
    tell: Tell,
}

impl Tap for Watcher {
    fn event(&self, _number: u64, bytes: &[u8]) {
        if self.beginnings.iter().any(|beginning| bytes.starts_with(beginning)) {
            let text = EventText::from_wire(&bytes.into(), 0..bytes.len());
            (self.tell)(Seen::Event(Box::new(Event::parse(text))));
        }
    }

    fn ended(&self, reason: &Disconnect) {
        (self.tell)(Seen::Ended(reason.clone()));
    }
}

impl Controller {
    /// Tells of every event of some kinds, all of one line, until the watch is dropped.
    pub(crate) fn watch_events(&self, kinds: &[EventKind], tell: Tell) -> Result<Watch> {
        let beginning = |kind: &EventKind| format!("650 {kind} ").into_bytes().into();
        let beginnings = kinds.iter().map(beginning).collect();
        self.watch(kinds, Arc::new(Watcher { beginnings, tell }))
    }
}
