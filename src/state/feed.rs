//! Updates on their way from the reader thread to the thread that calls listeners.
//!
//! The reader never waits. Updates are queued up to a limit in bytes; beyond it each listener keeps
//! its newest update only, which counts the ones that it replaced. So every loss is reported by an
//! update that follows it, and the last update of a circuit or stream is never lost.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::change::{Change, CircuitChange, StreamChange};
use super::listeners::{Callback, StateListenerId};
use crate::names::{CircuitId, StreamId};

/// What an update costs beside what it tells: its place in the queue and allocations.
const OVERHEAD: usize = 256;

/// How often the thread looks before it waits. Among events that come one after another, waking it
/// for each of them would cost the reader more than everything else.
const LOOKS: u32 = 50;

/// What a listener listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Circuits,
    Circuit(CircuitId),
    Streams,
    Stream(StreamId),
    Addresses,
}

impl Topic {
    /// Whether nothing comes after this for a listener of one circuit or stream.
    pub(super) fn ends_with(self, change: &Change) -> bool {
        match (self, change) {
            (Self::Circuit(_), Change::Circuit { change, .. }) => {
                matches!(change, CircuitChange::Closed | CircuitChange::Failed)
            }
            (Self::Stream(_), Change::Stream { change, .. }) => *change == StreamChange::Closed,
            _ => false,
        }
    }
}

/// One listener. Only the thread that calls listeners has it, once it is added.
pub(super) struct Listener {
    pub(super) id: StateListenerId,
    pub(super) topic: Topic,
    pub(super) callback: Callback,
    pub(super) call_state: Arc<CallState>,
}

/// Decides between a call and a removal, each one atomic step, so that no call begins after a
/// removal has returned.
#[derive(Debug, Default)]
pub(super) struct CallState(AtomicU8);

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const REMOVED: u8 = 2;

impl CallState {
    /// Returns whether a call may begin.
    pub(super) fn begin(&self) -> bool {
        self.0.compare_exchange(IDLE, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends a call. Returns whether the listener may be called again.
    pub(super) fn end(&self) -> bool {
        self.0.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn remove(&self) {
        self.0.store(REMOVED, Ordering::Release);
    }
}

/// What the thread is given, in order.
pub(super) enum Delivery {
    Update(Update),
    /// A listener, and what was there when it was added.
    Add(Box<Listener>, Vec<Change>),
    Remove(StateListenerId),
}

/// One change for one listener.
pub(super) struct Update {
    pub(super) listener: StateListenerId,
    pub(super) change: Change,
    /// How many updates of this listener were lost just before this one.
    pub(super) lost: u64,
    size: usize,
}

/// What the thread is to do next.
pub(super) enum Next {
    /// Deliver the batch.
    Batch,
    /// Look at the clock.
    Late,
    /// Stop: there is nothing left, and nothing comes any more.
    End,
}

/// The queue of one state.
pub(super) struct Feed {
    /// A leaf lock.
    queue: Mutex<Queue>,
    /// Signalled when there is something to do; goes with `queue`.
    ready: Condvar,
    /// How many bytes wait, with those of the batch that the thread has taken.
    held: AtomicUsize,
    limit: usize,
}

#[derive(Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    /// The newest update of each listener for which there was no room, by its order among all.
    overflow: HashMap<StateListenerId, (u64, Update)>,
    next: u64,
    topics: Topics,
    registered: HashMap<StateListenerId, (Topic, Arc<CallState>)>,
    /// Nothing comes any more.
    ended: bool,
    /// The thread waits for `ready`.
    waiting: bool,
}

/// The listeners by what they listen to.
#[derive(Default)]
struct Topics {
    circuits: Vec<StateListenerId>,
    streams: Vec<StateListenerId>,
    addresses: Vec<StateListenerId>,
    circuit: HashMap<CircuitId, Vec<StateListenerId>>,
    stream: HashMap<StreamId, Vec<StateListenerId>>,
}

impl Topics {
    fn add(&mut self, topic: Topic, id: StateListenerId) {
        match topic {
            Topic::Circuits => self.circuits.push(id),
            Topic::Circuit(circuit) => self.circuit.entry(circuit).or_default().push(id),
            Topic::Streams => self.streams.push(id),
            Topic::Stream(stream) => self.stream.entry(stream).or_default().push(id),
            Topic::Addresses => self.addresses.push(id),
        }
    }

    fn remove(&mut self, topic: Topic, id: StateListenerId) {
        match topic {
            Topic::Circuits => self.circuits.retain(|other| *other != id),
            Topic::Streams => self.streams.retain(|other| *other != id),
            Topic::Addresses => self.addresses.retain(|other| *other != id),
            Topic::Circuit(circuit) => {
                if let Some(listeners) = self.circuit.get_mut(&circuit) {
                    listeners.retain(|other| *other != id);
                    if listeners.is_empty() {
                        self.circuit.remove(&circuit);
                    }
                }
            }
            Topic::Stream(stream) => {
                if let Some(listeners) = self.stream.get_mut(&stream) {
                    listeners.retain(|other| *other != id);
                    if listeners.is_empty() {
                        self.stream.remove(&stream);
                    }
                }
            }
        }
    }

    /// Returns the listeners of a change, those of everything and those of one circuit or stream.
    fn of(&self, change: &Change) -> (&[StateListenerId], &[StateListenerId]) {
        match change {
            Change::Circuit { cell, .. } => {
                (&self.circuits, self.circuit.get(&cell.id()).map_or(&[], Vec::as_slice))
            }
            Change::Stream { cell, .. } => {
                (&self.streams, self.stream.get(&cell.id()).map_or(&[], Vec::as_slice))
            }
            Change::Address { .. } => (&self.addresses, &[]),
        }
    }

    /// Forgets the listeners of a circuit or stream that has ended.
    fn forget_ended(&mut self, change: &Change) {
        match change {
            Change::Circuit { cell, .. } => drop(self.circuit.remove(&cell.id())),
            Change::Stream { cell, .. } => drop(self.stream.remove(&cell.id())),
            Change::Address { .. } => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.circuits.is_empty()
            && self.streams.is_empty()
            && self.addresses.is_empty()
            && self.circuit.is_empty()
            && self.stream.is_empty()
    }
}

impl Feed {
    /// Makes one that holds about so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        let queue = Mutex::default();
        Self { queue, ready: Condvar::new(), held: AtomicUsize::new(0), limit }
    }

    /// Queues changes for those who listen to them. Never waits.
    pub(super) fn push(&self, changes: impl Iterator<Item = Change>) {
        let mut queue = self.queue.lock();
        if queue.topics.is_empty() {
            drop(queue);
            return changes.for_each(drop);
        }
        for change in changes {
            self.push_one(&mut queue, &change);
        }
        let is_ready =
            queue.waiting && (!queue.deliveries.is_empty() || !queue.overflow.is_empty());
        drop(queue);
        if is_ready {
            self.ready.notify_one();
        }
    }

    fn push_one(&self, queue: &mut Queue, change: &Change) {
        let Queue { deliveries, overflow, next, topics, .. } = queue;
        let (of_all, of_one) = topics.of(change);
        if of_all.is_empty() && of_one.is_empty() {
            return;
        }
        let size = OVERHEAD + change.size();
        let has_room =
            |size: usize| self.held.load(Ordering::Relaxed).saturating_add(size) <= self.limit;
        for id in of_all.iter().chain(of_one) {
            let update = Update { listener: *id, change: change.clone(), lost: 0, size };
            if let Some((place, waiting)) = overflow.get_mut(id) {
                if !has_room(waiting.size + size) {
                    let lost = waiting.lost + 1;
                    (*place, *waiting) = (*next, Update { lost, ..update });
                    *next += 1;
                    continue;
                }
                if let Some((_, waiting)) = overflow.remove(id) {
                    self.held.fetch_add(waiting.size, Ordering::Relaxed);
                    deliveries.push_back(Delivery::Update(waiting));
                }
            } else if !has_room(size) {
                overflow.insert(*id, (*next, update));
                *next += 1;
                continue;
            }
            self.held.fetch_add(size, Ordering::Relaxed);
            deliveries.push_back(Delivery::Update(update));
        }
        let is_last = !of_one.is_empty()
            && match change {
                Change::Circuit { cell, .. } => Topic::Circuit(cell.id()).ends_with(change),
                Change::Stream { cell, .. } => Topic::Stream(cell.id()).ends_with(change),
                Change::Address { .. } => false,
            };
        if is_last {
            topics.forget_ended(change);
        }
    }

    /// Adds a listener, and what is there for it. Gives it back if nobody calls listeners any more.
    pub(super) fn add(
        &self,
        listener: Box<Listener>,
        existing: Vec<Change>,
    ) -> Result<(), Box<Listener>> {
        let mut queue = self.queue.lock();
        if queue.ended {
            return Err(listener);
        }
        let Listener { id, topic, .. } = *listener;
        queue.registered.insert(id, (topic, Arc::clone(&listener.call_state)));
        if !existing.iter().any(|change| topic.ends_with(change)) {
            queue.topics.add(topic, id);
        }
        queue.deliveries.push_back(Delivery::Add(listener, existing));
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Removes a listener: no call to it begins after this. Returns whether it was there.
    pub(super) fn remove(&self, id: StateListenerId) -> bool {
        let mut queue = self.queue.lock();
        let Some((topic, call_state)) = queue.registered.remove(&id) else { return false };
        call_state.remove();
        queue.topics.remove(topic, id);
        let waiting = queue.overflow.remove(&id);
        if !queue.ended {
            queue.deliveries.push_back(Delivery::Remove(id));
        }
        drop(queue);
        drop(waiting);
        self.ready.notify_one();
        true
    }

    /// Forgets a listener that has had its last update.
    pub(super) fn forget(&self, id: StateListenerId) {
        let mut queue = self.queue.lock();
        if let Some((topic, _)) = queue.registered.remove(&id) {
            queue.topics.remove(topic, id);
        }
        let waiting = queue.overflow.remove(&id);
        drop(queue);
        drop(waiting);
    }

    /// Notes that nothing comes any more. What has come is still delivered.
    pub(super) fn end(&self) {
        self.queue.lock().ended = true;
        self.ready.notify_one();
    }

    /// Ends the feed, and returns what was not delivered, to be dropped without a lock.
    pub(super) fn close(&self) -> VecDeque<Delivery> {
        let mut queue = self.queue.lock();
        queue.ended = true;
        queue.topics = Topics::default();
        queue.registered.clear();
        let overflow = mem::take(&mut queue.overflow);
        let deliveries = mem::take(&mut queue.deliveries);
        drop(queue);
        drop(overflow);
        deliveries
    }

    /// Waits for deliveries, and swaps them with an empty batch.
    pub(super) fn next(&self, batch: &mut VecDeque<Delivery>, deadline: Option<Instant>) -> Next {
        let mut queue = self.queue.lock();
        let mut looks = 0;
        loop {
            if !queue.deliveries.is_empty() {
                mem::swap(&mut queue.deliveries, batch);
                return Next::Batch;
            }
            if !queue.overflow.is_empty() {
                let mut waiting: Vec<_> =
                    queue.overflow.drain().map(|(_, waiting)| waiting).collect();
                drop(queue);
                waiting.sort_by_key(|(place, _)| *place);
                let sizes = waiting.iter().map(|(_, update)| update.size).sum();
                self.held.fetch_add(sizes, Ordering::Relaxed);
                batch.extend(waiting.into_iter().map(|(_, update)| Delivery::Update(update)));
                return Next::Batch;
            }
            if queue.ended {
                return Next::End;
            }
            if looks < LOOKS {
                looks += 1;
                MutexGuard::unlocked(&mut queue, thread::yield_now);
                continue;
            }
            queue.waiting = true;
            let is_late = match deadline {
                None => {
                    self.ready.wait(&mut queue);
                    false
                }
                Some(deadline) => self.ready.wait_until(&mut queue, deadline).timed_out(),
            };
            queue.waiting = false;
            if is_late {
                return Next::Late;
            }
        }
    }

    /// Makes room, once an update was delivered.
    pub(super) fn delivered(&self, update: &Update) {
        self.held.fetch_sub(update.size, Ordering::Relaxed);
    }

    /// Returns how many listeners there are.
    pub(super) fn len(&self) -> usize {
        self.queue.lock().registered.len()
    }

    /// Returns whether somebody listens to a subject.
    pub(super) fn has_address_listener(&self) -> bool {
        !self.queue.lock().topics.addresses.is_empty()
    }
}
