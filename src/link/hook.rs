//! Hooks: rows above see events on the reader thread, before any listener.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;
use super::backlog::{BacklogSender, Loss};
use super::registry::{ListenerId, Members, Registry};
use crate::error::Disconnect;
use crate::event::{Event, EventKind, EventText};

/// Sees every event of its kinds, on the reader thread and in the order of the wire.
///
/// It must be quick, must not send commands, and must not block except in
/// [`RawEvent::wait_for_room`]: everyone waits for the reader. It is called without any lock. After
/// its removal it may still see the rest of the events that the reader has at hand.
pub(crate) trait EventHook: Send + Sync {
    /// An event of one of the kinds came, or a line without a status code, which may have been
    /// one.
    fn event(&self, event: &RawEvent<'_>);

    /// Whether other threads take the events from this hook. Such hooks are called after the
    /// others, so that a `State` or a `Config` knows of an event before a thread gets it.
    fn hands_over(&self) -> bool {
        false
    }

    /// The connection ended: called once, on whatever thread ended it, also if the hook was added
    /// later. The reader may still tell of the events that it has at hand.
    fn ended(&self, reason: &Disconnect);
}

/// An event as it stands in the reader's buffer. Text and typed event are made when the first hook
/// asks for them, for all hooks together.
pub(crate) struct RawEvent<'a> {
    /// The connection it comes from; `None` if it was kept.
    shared: Option<&'a Shared>,
    number: u64,
    wire: &'a [u8],
    text: OnceCell<EventText>,
    event: OnceCell<Event>,
}

impl<'a> RawEvent<'a> {
    pub(crate) fn new(number: u64, wire: &'a [u8]) -> Self {
        Self { shared: None, number, wire, text: OnceCell::new(), event: OnceCell::new() }
    }

    /// Makes an event that the reader thread has just read.
    pub(super) fn read(number: u64, wire: &'a [u8], shared: &'a Shared) -> Self {
        Self { shared: Some(shared), ..Self::new(number, wire) }
    }

    /// Waits until `queue` has room for `size` bytes, for a bounded time and only while no caller
    /// waits for a reply. Returns whether it has room.
    pub(crate) fn wait_for_room<T, L: Loss>(
        &self,
        queue: &mut BacklogSender<T, L>,
        size: usize,
    ) -> bool {
        match self.shared {
            Some(shared) => shared.wait_for_room(queue, size),
            None => queue.fits(size),
        }
    }

    /// Returns how many events came before this one on the connection.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the bytes of the wire, with status codes and line ends.
    pub(crate) fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Returns the text, which keeps nothing else alive.
    pub(crate) fn text(&self) -> &EventText {
        self.text.get_or_init(|| EventText::copied(self.wire))
    }

    /// Returns the typed event.
    pub(crate) fn event(&self) -> &Event {
        self.event.get_or_init(|| Event::parse(self.text().clone()))
    }
}

/// The hooks of one connection.
#[derive(Default)]
pub(super) struct EventHooks {
    hooks: Registry<dyn EventHook>,
}

impl EventHooks {
    /// Adds a hook; one that is added after the end is told the end at once.
    pub(super) fn add(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> ListenerId {
        let id = match hook.hands_over() {
            true => ListenerId::next_behind(),
            false => ListenerId::next(),
        };
        if let Err((reason, hook)) = self.hooks.add(id, kinds, hook) {
            hook.ended(&reason);
        }
        id
    }

    /// Removes a hook, and returns it.
    pub(super) fn remove(&self, id: ListenerId) -> Option<Arc<dyn EventHook>> {
        self.hooks.remove(id)
    }

    /// Returns whether there is a hook.
    pub(super) fn any(&self) -> bool {
        self.hooks.any()
    }

    /// Returns the hooks for a kind.
    pub(super) fn of(&self, kind: &EventKind) -> Option<Members<dyn EventHook>> {
        self.hooks.members(kind)
    }

    /// Returns all hooks.
    pub(super) fn all(&self) -> Vec<Arc<dyn EventHook>> {
        self.hooks.all().into_iter().map(|(_, hook)| hook).collect()
    }

    /// Returns the kinds that hooks want.
    pub(super) fn kinds(&self) -> BTreeSet<EventKind> {
        self.hooks.kinds()
    }

    /// Tells every hook the end, and lets go of them.
    pub(super) fn end(&self, reason: &Disconnect) {
        for hook in self.hooks.end(reason) {
            hook.ended(reason);
        }
    }
}

/// Returns the word behind the status code of an event.
pub(super) fn keyword(wire: &[u8]) -> &[u8] {
    let text = wire.get(4..).unwrap_or_default();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
