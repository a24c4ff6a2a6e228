//! The events of the reader: calls the hooks, and collects runs of events for the queues.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::Connection;
use super::backlog::BacklogSender;
use super::chunk::{KindSet, Mark};
use super::dispatcher::{Delivery, LostEvents};
use super::event_run::EventRun;
use super::hook::{EventHook, RawEvent};
use super::registry::{KindTable, Members, keyword};
use crate::error::Disconnect;
use crate::event::EventKind;
use crate::wire::Frame;

/// The part of the reader that passes on events.
pub(super) struct EventReader {
    connection: Arc<Connection>,
    /// The queue of the event thread.
    queue: BacklogSender<Delivery, LostEvents>,
    /// The number of events so far.
    count: u64,
    /// The range of consecutive events in the frame that were not queued yet, their marks, and the
    /// number of events before them.
    run: Range<usize>,
    marks: Vec<Mark>,
    first: u64,
    /// The number of these events up to the last one that a queue wants.
    wanted: usize,
    /// The observers of each kind, for the events of one read.
    kinds: KindTable<Observers>,
}

/// The observers of one kind of event.
struct Observers {
    /// The hooks; those that feed other threads are the last ones.
    hooks: Option<Members<dyn EventHook>>,
    /// The number of hooks that feed no other thread.
    immediate: usize,
    has_listeners: bool,
}

impl Observers {
    fn of(connection: &Connection, kind: &EventKind) -> Self {
        let hooks = connection.hooks.members(kind);
        let all = hooks.as_deref().unwrap_or_default();
        let immediate = all.iter().take_while(|hook| !hook.feeds_other_threads()).count();
        Self { immediate, has_listeners: connection.dispatcher.listeners.has_key(kind), hooks }
    }

    #[inline]
    fn immediate_hooks(&self) -> &[Arc<dyn EventHook>] {
        self.hooks.as_deref().and_then(|hooks| hooks.get(..self.immediate)).unwrap_or_default()
    }

    #[inline]
    fn feeding_hooks(&self) -> &[Arc<dyn EventHook>] {
        self.hooks.as_deref().and_then(|hooks| hooks.get(self.immediate..)).unwrap_or_default()
    }
}

impl EventReader {
    pub(super) fn new(
        connection: Arc<Connection>,
        queue: BacklogSender<Delivery, LostEvents>,
    ) -> Self {
        Self {
            connection,
            queue,
            count: 0,
            run: 0..0,
            marks: Vec::new(),
            first: 0,
            wanted: 0,
            kinds: KindTable::default(),
        }
    }

    /// Returns the number of events so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Calls the hooks for an event, and adds it to the run if a queue wants it.
    #[inline]
    pub(super) fn event(&mut self, frame: &Frame, range: &Range<usize>) {
        let number = self.count;
        self.count += 1;
        if !self.connection.hooks.any() && !self.connection.dispatcher.listeners.any() {
            return;
        }
        let wire = frame.bytes(range);
        let kind = match self.kinds.find(wire) {
            Some(kind) => kind,
            None => self.add_kind(frame, wire),
        };
        let Some(observers) = self.kinds.value(kind) else { return };
        let hooks = observers.immediate_hooks();
        if let (false, Some(kind)) = (hooks.is_empty(), self.kinds.kinds().get(kind)) {
            let event = RawEvent::read(number, kind, wire, &self.connection);
            for hook in hooks {
                hook.event(&event);
            }
        }
        let is_wanted = observers.has_listeners || !observers.feeding_hooks().is_empty();
        if self.marks.is_empty() || self.run.end != range.start {
            self.flush(frame);
            self.run = range.start..range.start;
            self.first = number;
            if !is_wanted {
                return;
            }
        }
        // An unwanted event between two wanted ones is part of the run.
        self.run.end = range.end;
        self.marks.push(Mark {
            end: range.end - self.run.start,
            // A read has less events.
            offset: u32::try_from(number - self.first).unwrap_or(u32::MAX),
            kind: u16::try_from(kind).unwrap_or(u16::MAX),
        });
        if is_wanted {
            self.wanted = self.marks.len();
        }
    }

    #[cold]
    fn add_kind(&mut self, frame: &Frame, wire: &[u8]) -> usize {
        if self.kinds.kinds().len() >= KindSet::MAX {
            self.flush(frame);
            self.kinds.clear();
        }
        let kind = EventKind::from_bytes(keyword(wire));
        let observers = Observers::of(&self.connection, &kind);
        self.kinds.add(kind, observers)
    }

    /// Drops a line without a status code, and reports it to the hooks and the event thread: a
    /// filtering proxy may have replaced an event by it.
    pub(super) fn stray_line(
        &mut self,
        frame: &Frame,
        range: &Range<usize>,
    ) -> Result<(), Disconnect> {
        self.flush(frame);
        let (bytes, number) = (frame.bytes(range), self.count);
        let connection = &self.connection;
        connection.router.lock().stray_line(bytes)?;
        self.count += 1;
        let kinds = [EventKind::from_bytes(b"")];
        let marks = [Mark { end: bytes.len(), offset: 0, kind: 0 }];
        let mut wanted = KindSet::default();
        wanted.insert(0);
        let run = EventRun::new(connection, bytes, &marks, &kinds, number);
        let Some(batch) = run.batch(wanted) else { return Ok(()) };
        for (_, hook) in connection.hooks.all() {
            hook.batch(&batch);
        }
        // The event thread logs the line. Without a thread it stays in the queue.
        let _ = connection.start_event_thread();
        batch.queue(&mut self.queue, Delivery, LostEvents::add);
        Ok(())
    }

    /// Queues the run of events for the hooks that feed other threads, and for the event thread.
    pub(super) fn flush(&mut self, frame: &Frame) {
        self.marks.truncate(self.wanted);
        if let Some(last) = self.marks.last() {
            let bytes = frame.bytes(&(self.run.start..self.run.start + last.end));
            let kinds = self.kinds.kinds();
            let run = EventRun::new(&self.connection, bytes, &self.marks, kinds, self.first);
            let mut listened = KindSet::default();
            // By the address of the hook, since a hook gets the events of all its kinds together.
            let mut feeding = BTreeMap::new();
            for (kind, observers) in (0..).zip(self.kinds.values()) {
                if observers.has_listeners {
                    listened.insert(kind);
                }
                for hook in observers.feeding_hooks() {
                    let address = Arc::as_ptr(hook).cast::<()>().addr();
                    let (_, wanted) = feeding.entry(address).or_insert((hook, KindSet::default()));
                    wanted.insert(kind);
                }
            }
            for (hook, wanted) in feeding.into_values() {
                if let Some(batch) = run.batch(wanted) {
                    hook.batch(&batch);
                }
            }
            if let Some(batch) = run.batch(listened) {
                batch.queue(&mut self.queue, Delivery, LostEvents::add);
            }
        }
        self.marks.clear();
        self.wanted = 0;
    }

    /// Ends a read. Otherwise a removed hook would live until tor sends again.
    pub(super) fn end_read(&mut self, frame: &Frame) {
        self.flush(frame);
        self.kinds.clear();
    }
}
