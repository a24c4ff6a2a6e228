//! Event hooks: observers that the reader thread calls before any listener.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Connection;
use super::backlog::BacklogSender;
use super::event_run::EventBatch;
use super::registry::{ListenerId, Registry};
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};

/// An observer of every event of its kinds, called on the reader thread in the order of the wire.
///
/// Replies and all other events wait while it runs, so it must be quick, must not send commands, and
/// must not block except in [`RawEvent::wait_for_room`] and [`EventBatch::queue`]. No lock is held
/// during the call. After its removal it may still get the remaining events of the current read.
pub(crate) trait EventHook: Send + Sync {
    /// Called for each event, and for a line without a status code, which may have been one.
    fn event(&self, event: &RawEvent<'_>);

    /// Returns whether other threads receive the events from this hook. [`batch`](Self::batch) of
    /// such a hook is called instead of [`event`](Self::event), after the other hooks, so that a
    /// `State` or a `Config` has applied an event before a thread receives it.
    fn feeds_other_threads(&self) -> bool {
        false
    }

    /// Called for consecutive events of one read.
    fn batch(&self, batch: &EventBatch<'_>) {
        batch.events().for_each(|event| self.event(&event));
    }

    /// Called once when the connection ends, on the thread that ends it, or at once if the hook is
    /// added later. The remaining events of the current read may follow.
    fn ended(&self, reason: &Disconnect);
}

/// An event in the reader's buffer. The first hook that needs the text or the typed event creates it
/// for all hooks.
pub(crate) struct RawEvent<'a> {
    /// The connection of an event that is being read; `None` for a stored event.
    connection: Option<&'a Connection>,
    number: u64,
    /// `None` for a stored event, whose kind was not looked up.
    kind: Option<&'a EventKind>,
    wire: &'a [u8],
    text: OnceCell<EventText>,
    event: OnceCell<Event>,
}

impl<'a> RawEvent<'a> {
    pub(crate) fn new(number: u64, wire: &'a [u8]) -> Self {
        let (text, event) = (OnceCell::new(), OnceCell::new());
        Self { connection: None, number, kind: None, wire, text, event }
    }

    /// Creates the event that the reader thread has just read.
    #[inline]
    pub(super) fn read(
        number: u64,
        kind: &'a EventKind,
        wire: &'a [u8],
        connection: &'a Connection,
    ) -> Self {
        Self { connection: Some(connection), kind: Some(kind), ..Self::new(number, wire) }
    }

    /// Blocks the reader thread until `queue` has room for `size` bytes, for a bounded time and only
    /// while no command is pending. Returns whether there is room.
    pub(crate) fn wait_for_room<T, L>(&self, queue: &mut BacklogSender<T, L>, size: usize) -> bool {
        match self.connection {
            Some(connection) => connection.wait_for_room(queue, size),
            None => queue.fits(size),
        }
    }

    /// Returns the number of events before this one on the connection.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the bytes from the wire, with status codes and line ends.
    pub(crate) fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Returns the text of an event of one line, in the reader's buffer.
    pub(crate) fn line(&self) -> Option<&'a [u8]> {
        EventText::one_line(self.wire)
    }

    /// Returns the text, which shares no memory with other events.
    pub(crate) fn text(&self) -> &EventText {
        self.text.get_or_init(|| EventText::copied(self.wire))
    }

    /// Returns the typed event.
    pub(crate) fn event(&self) -> &Event {
        self.event.get_or_init(|| match self.kind {
            Some(kind) => Event::of_kind(kind.clone(), self.text().clone()),
            None => Event::parse(self.text().clone()),
        })
    }
}

/// The hooks of one connection.
pub(super) type EventHooks = Registry<dyn EventHook>;

impl EventHooks {
    /// Adds a hook. After the end of the connection, calls [`EventHook::ended`] at once.
    pub(super) fn add_hook(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> ListenerId {
        let id = match hook.feeds_other_threads() {
            true => ListenerId::next_last(),
            false => ListenerId::next(),
        };
        if let Err((reason, hook)) = self.add(id, kinds, hook) {
            hook.ended(&reason);
        }
        id
    }

    /// Calls [`EventHook::ended`] of every hook, and drops them.
    pub(super) fn end_hooks(&self, reason: &Disconnect) {
        for hook in self.end(reason) {
            hook.ended(reason);
        }
    }
}
