//! The shared tracker: the reader thread applies events to it, all other threads read it.

mod wait;

use std::sync::Arc;
use std::time::SystemTime;

use super::attacher::{Message, StreamReservation};
use super::change::{Change, StreamChange};
use super::circuit_info::CircuitInfo;
use super::feed::{Feed, Topic};
use super::line::Line;
use super::listeners::Listener;
use super::refresh::{Part, Parts};
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::{Answers, Tracker};
use super::waiters::Waiters;
use crate::clock;
use crate::error::Disconnect;
use crate::event::{Event, EventKind};
use crate::link::{EventHook, RawEvent};
use crate::names::{CircuitId, StreamId};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sync::{Mutex, MutexGuard};

/// The kinds of event that a state applies.
pub(super) const KINDS: &[EventKind] = &[
    EventKind::AddrMap,
    EventKind::Circ,
    EventKind::CircMinor,
    EventKind::ConfChanged,
    EventKind::Guard,
    EventKind::NetworkLiveness,
    EventKind::OrConn,
    EventKind::Signal,
    EventKind::StatusClient,
    EventKind::Stream,
];

/// The tracker of a state, with everything that is notified of its changes.
///
/// The connection holds it as a hook, so it holds nothing of the connection.
pub(crate) struct Store {
    /// Locked before the feed and single circuits and streams. The reader thread takes it for every
    /// event, so no thread waits, or calls or drops a closure of the program, while it holds it.
    inner: Mutex<StoreInner>,
}

struct StoreInner {
    tracker: Tracker,
    /// Reused for each event.
    changes: Vec<Change>,
    /// The queue of the thread that calls listeners; `None` until there is a listener.
    feed: Option<Arc<Feed>>,
    circuit_waiters: Waiters<CircuitId, CircuitInfo>,
    stream_waiters: Waiters<StreamId, StreamInfo>,
    /// The attach loops, which handle streams that wait.
    attach_loops: Vec<Sender<Message>>,
    /// The streams that this program is about to open, each with the channel of its caller.
    expected: Vec<Expected>,
    /// Why the connection ended.
    ended: Option<Disconnect>,
    /// Whether everything is lost at the end of the connection, while the feed continues.
    is_supervised: bool,
}

type Expected = (Arc<StreamReservation>, Sender<Arc<StreamCell>>);

impl Store {
    /// Makes an empty store that waits for its snapshot. At the end of the connection, the store of
    /// a supervised state reports everything as lost; another one stays as it was.
    pub(super) fn new(is_supervised: bool) -> Self {
        let inner = StoreInner {
            tracker: Tracker::new(),
            changes: Vec::new(),
            feed: None,
            circuit_waiters: Waiters::default(),
            stream_waiters: Waiters::default(),
            attach_loops: Vec::new(),
            expected: Vec::new(),
            ended: None,
            is_supervised,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Runs a closure under the lock, on any thread but the reader thread. A reader thread that
    /// waits for the lock gets it next: threads that take it without a pause would starve it
    /// otherwise.
    fn with<T>(&self, run: impl FnOnce(&mut StoreInner) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = run(&mut inner);
        MutexGuard::unlock_fair(inner);
        result
    }

    /// Takes the answers of the snapshot, which reflect so many events.
    pub(super) fn join(&self, answers: Answers, events_before: u64) {
        self.with(|inner| {
            inner.change(|tracker, changes| tracker.join(answers, events_before, changes));
        });
    }

    /// Reads the tracker. The reader thread waits meanwhile.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Tracker) -> T) -> T {
        self.with(|inner| read(&inner.tracker))
    }

    /// From now on, notifies an attach loop of each stream that waits, of each closed stream, and
    /// of the end of the connection, until its receiver is dropped.
    pub(super) fn add_attach_loop(&self, messages: Sender<Message>) {
        self.with(|inner| match inner.ended {
            Some(_) => drop(messages.send(Message::Disconnected)),
            None => inner.attach_loops.push(messages),
        });
    }

    /// Returns a channel that receives the stream of a reservation when tor reports it, and that
    /// ends with the connection. [`forget_expected`](Self::forget_expected) undoes this.
    pub(super) fn expect_stream(
        &self,
        reservation: &Arc<StreamReservation>,
    ) -> Receiver<Arc<StreamCell>> {
        let (sender, receiver) = bounded(1);
        self.with(|inner| {
            if inner.ended.is_none() {
                inner.expected.push((Arc::clone(reservation), sender));
            }
        });
        receiver
    }

    pub(super) fn forget_expected(&self, reservation: &Arc<StreamReservation>) {
        self.with(|inner| inner.expected.retain(|(other, _)| !Arc::ptr_eq(other, reservation)));
    }

    /// Returns why the connection ended, once the store knows it.
    pub(super) fn end_reason(&self) -> Option<Disconnect> {
        self.with(|inner| inner.ended.clone())
    }

    /// Removes the mappings that have expired. Returns when the next one does.
    pub(super) fn expire(&self, now: SystemTime) -> Option<SystemTime> {
        self.with(|inner| {
            inner.change(|tracker, changes| tracker.expire(now, changes));
            inner.tracker.next_expiry()
        })
    }

    /// Begins a refresh of the stale ones of some parts, and returns these; `None` if none is
    /// stale.
    pub(super) fn begin_refresh(&self, wanted: Parts) -> Option<Parts> {
        self.with(|inner| inner.tracker.begin_refresh(wanted))
    }

    /// Takes the answers of a refresh, which reflect so many events.
    pub(super) fn finish_refresh(&self, answers: Answers, events_before: u64) {
        self.with(|inner| {
            inner.change(|tracker, changes| {
                tracker.finish_refresh(answers, events_before, changes);
            });
        });
    }

    /// Ends a refresh without answers. The parts stay stale if `again`.
    pub(super) fn abort_refresh(&self, again: bool) {
        self.with(|inner| inner.tracker.abort_refresh(again));
    }

    /// Records that tor refuses the key of a part.
    pub(super) fn set_unavailable(&self, part: Part) {
        self.with(|inner| inner.tracker.set_unavailable(part));
    }

    /// Adds a listener with its first changes; it gets all later ones. Returns `false` after the
    /// end of the connection, except for all circuits, streams or mappings of a supervised state.
    pub(super) fn add_listener(
        &self,
        feed: &Feed,
        topic: Topic,
        listener: &Arc<Listener>,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> bool {
        self.with(|inner| {
            let goes_on = inner.ended.is_none() || inner.is_supervised && !topic.is_single();
            goes_on && feed.add(topic, listener, existing(&inner.tracker))
        })
    }

    /// From now on, gives changes to the thread that calls listeners, unless the connection has
    /// ended.
    pub(super) fn set_feed(&self, feed: &Arc<Feed>) {
        self.with(|inner| match inner.ended {
            None => inner.feed = Some(Arc::clone(feed)),
            Some(_) if inner.is_supervised => {}
            Some(_) => feed.end(),
        });
    }

    /// As [`set_feed`](Self::set_feed), for a feed that has listeners already. They first get
    /// everything that exists.
    pub(super) fn go_on_with_feed(&self, feed: &Arc<Feed>, now: SystemTime) {
        self.with(|inner| {
            if inner.ended.is_none() {
                let tracker = &inner.tracker;
                feed.push(tracker.existing_circuits().into_iter());
                feed.push(tracker.existing_streams().into_iter());
                feed.push(tracker.existing_addresses(now).into_iter());
                inner.feed = Some(Arc::clone(feed));
            }
        });
    }
}

impl StoreInner {
    /// Changes the tracker, and notifies the waiters, the attach loops and the feed.
    fn change(&mut self, change: impl FnOnce(&mut Tracker, &mut Vec<Change>)) {
        let Self {
            tracker,
            changes,
            feed,
            circuit_waiters,
            stream_waiters,
            attach_loops,
            expected,
            ..
        } = self;
        let has_listener = feed.as_ref().is_some_and(|feed| feed.has_listener());
        tracker.set_observed(has_listener || !attach_loops.is_empty() || !expected.is_empty());
        change(tracker, changes);
        for change in changes.iter() {
            match change {
                Change::Circuit { cell, .. } => circuit_waiters.check(tracker, cell),
                Change::Stream { cell, info, change } => {
                    stream_waiters.check(tracker, cell);
                    match change {
                        StreamChange::New => found_stream(expected, cell, info),
                        StreamChange::Waiting => {
                            notify(attach_loops, || Message::Waiting(Arc::clone(info)));
                        }
                        StreamChange::Closed => notify(attach_loops, || Message::Closed(cell.id())),
                        _ => {}
                    }
                }
                Change::Address { .. } => {}
            }
        }
        match feed {
            Some(feed) => feed.push(changes.drain(..)),
            None => changes.clear(),
        }
    }

    /// Removes everything, and reports it as lost. Returns the removed contents, which must be
    /// dropped without the lock.
    fn lose(&mut self) -> (Tracker, Option<Arc<Feed>>) {
        let mut changes = Vec::new();
        let tracker = self.tracker.lose(&mut changes);
        let feed = self.feed.take();
        if let Some(feed) = &feed {
            feed.push(changes.into_iter());
        }
        (tracker, feed)
    }
}

/// Sends a message to every attach loop that has not ended.
fn notify(attach_loops: &mut Vec<Sender<Message>>, message: impl Fn() -> Message) {
    attach_loops.retain(|messages| messages.send(message()).is_ok());
}

/// Sends a new stream to the caller that expects it.
fn found_stream(expected: &mut Vec<Expected>, cell: &Arc<StreamCell>, info: &StreamInfo) {
    expected.retain(|(reservation, found)| {
        let is_it = reservation.is_of(info);
        if is_it {
            // The caller may have given up.
            let _ = found.try_send(Arc::clone(cell));
        }
        !is_it
    });
}

impl EventHook for Store {
    fn event(&self, event: &RawEvent<'_>) {
        let number = event.number();
        let line = event.line().and_then(Line::read);
        // Before the lock, since it allocates.
        let other = line.is_none().then(|| event.event().clone());
        let mut inner = self.inner.lock();
        if inner.is_supervised && inner.ended.is_some() {
            return;
        }
        if let Some(line) = line {
            inner.change(|tracker, changes| tracker.line(number, &line, changes));
        }
        let Some(event) = other else { return };
        if let Event::AddrMap(_) = &event {
            // Expired mappings would never be removed if no thread reads the state.
            inner.change(|tracker, changes| tracker.expire(clock::system_now(), changes));
        }
        inner.change(|tracker, changes| tracker.event(number, event, changes));
    }

    fn ended(&self, reason: &Disconnect) {
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return;
        }
        inner.ended = Some(reason.clone());
        for messages in inner.attach_loops.drain(..) {
            let _ = messages.send(Message::Disconnected);
        }
        inner.expected.clear();
        // The channels end, which wakes the waiters.
        inner.circuit_waiters.clear();
        inner.stream_waiters.clear();
        if inner.is_supervised {
            let lost = inner.lose();
            drop(inner);
            return drop(lost);
        }
        let feed = inner.feed.take();
        drop(inner);
        if let Some(feed) = feed {
            feed.end();
        }
    }
}

#[cfg(test)]
mod tests;
