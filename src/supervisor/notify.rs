//! The closures of a supervisor, and the thread `torcon-notify` that calls them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::status::SupervisorStatus;
use super::subscription::Sink;
use crate::clock::{self, deadline_after};
use crate::error::{Error, InvalidInput, Result};
use crate::event::{Event, EventText};
use crate::link::{
    self, Backlog, BacklogSender, EventBatch, Item, ListenerId, RawEvent, Received, backlog,
    drop_quietly,
};
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, Sender, TryRecvError, bounded};
use crate::sync::thread::{self, ThreadId};

/// The size of a queued call besides the text of its event: two allocations and the entry.
const OVERHEAD: usize = 128;

/// How many statuses wait for one closure. If it is slower, the newest replaces the one before it.
const STATUSES: usize = 32;

/// How long the end of a supervisor waits for a closure that is running.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A closure of the program.
pub(super) enum Callback {
    Typed(Box<dyn FnMut(&Event) + Send>),
    Text(Box<dyn FnMut(&EventText) + Send>),
    Lost(Box<dyn FnMut(u64) + Send>),
    Reconnected(Box<dyn FnMut(Duration) + Send>),
    Status(Box<dyn FnMut(&SupervisorStatus) + Send>),
}

pub(super) type Listener = link::Listener<Callback>;

/// A listener of the status, with the statuses that it has not got yet.
pub(super) struct StatusListener {
    pub(super) listener: Arc<Listener>,
    /// A leaf lock.
    pending: Mutex<VecDeque<SupervisorStatus>>,
}

impl StatusListener {
    pub(super) fn new(listener: Arc<Listener>) -> Arc<Self> {
        Arc::new(Self { listener, pending: Mutex::default() })
    }

    /// Keeps a status for the closure. Returns whether a call must be queued for it.
    pub(super) fn keep(&self, status: SupervisorStatus) -> bool {
        let mut pending = self.pending.lock();
        let has_room = pending.len() < STATUSES;
        if !has_room {
            pending.pop_back();
        }
        pending.push_back(status);
        has_room
    }
}

/// A call that waits for the thread.
enum Call {
    Event(Arc<Listener>, EventText),
    Reconnected(Arc<Listener>, Duration),
    Status(Arc<StatusListener>),
    /// The supervisor has ended: these listeners get no more calls.
    End(Vec<Arc<StatusListener>>),
}

impl Item for Call {
    type Part = Self;

    fn into_last(self) -> Self {
        self
    }
}

/// The number of events that each listener lost.
#[derive(Default)]
struct LostCalls(BTreeMap<ListenerId, (Arc<Listener>, u64)>);

impl LostCalls {
    fn add(&mut self, listener: &Arc<Listener>, count: u64) {
        let lost = self.0.entry(listener.id()).or_insert_with(|| (Arc::clone(listener), 0));
        lost.1 = lost.1.saturating_add(count);
    }
}

/// The queue of calls. The first closure starts the thread.
pub(super) struct Notifications {
    limit: usize,
    /// A reader thread holds it while it waits for room.
    queue: Mutex<Queue>,
    of_losses: Arc<Mutex<ListenersOfLosses>>,
}

/// The listeners of losses, in the order in which they were added. Its lock is a leaf.
#[derive(Default)]
struct ListenersOfLosses {
    listeners: Vec<Arc<Listener>>,
    /// Whether the supervisor has ended. No listener is added after that.
    has_ended: bool,
}

enum Queue {
    NotStarted,
    Running {
        calls: BacklogSender<Call, LostCalls>,
        /// Dropped when events are not delivered any more.
        delivering: Sender<()>,
        notifier: NotifyThread,
    },
    /// With the thread, if there was one.
    Ended(Option<NotifyThread>),
}

#[derive(Clone)]
struct NotifyThread {
    id: ThreadId,
    /// Disconnected when the thread has ended.
    running: Receiver<()>,
}

impl Notifications {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let queue = Mutex::new(Queue::NotStarted);
        Arc::new(Self { limit, queue, of_losses: Arc::default() })
    }

    /// Starts the thread, unless it runs or the supervisor has ended. `remove` is called with each
    /// listener that has panicked.
    pub(super) fn start(&self, remove: impl Fn(ListenerId) + Send + 'static) -> Result<()> {
        let mut queue = self.queue.lock();
        if !matches!(&*queue, Queue::NotStarted) {
            return Ok(());
        }
        let (calls, received) = backlog(self.limit);
        let (delivering, is_delivering) = bounded(0);
        let (ends, running) = bounded(0);
        let of_losses = Arc::clone(&self.of_losses);
        let caller = Caller { calls: received, is_delivering, of_losses, remove: Box::new(remove) };
        let thread = thread::Builder::new().name("torcon-notify".to_owned());
        let thread = thread.spawn(move || {
            let _ends: Sender<()> = ends;
            caller.run();
        });
        let thread = thread.map_err(|error| {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            InvalidInput::new("listener", problem)
        })?;
        let notifier = NotifyThread { id: thread.thread().id(), running };
        *queue = Queue::Running { calls, delivering, notifier };
        Ok(())
    }

    /// Adds a listener of losses. Returns it if the supervisor has ended, since nothing would remove
    /// it.
    pub(super) fn add_listener_of_losses(
        &self,
        listener: Arc<Listener>,
    ) -> Result<(), Arc<Listener>> {
        let mut of_losses = self.of_losses.lock();
        if of_losses.has_ended {
            return Err(listener);
        }
        of_losses.listeners.push(listener);
        Ok(())
    }

    /// Removes a listener of losses. Returns whether it was registered.
    pub(super) fn remove_listener_of_losses(&self, id: ListenerId) -> bool {
        let mut of_losses = self.of_losses.lock();
        let listeners = &mut of_losses.listeners;
        let index = listeners.iter().position(|listener| listener.id() == id);
        let removed = index.map(|index| listeners.remove(index));
        drop(of_losses);
        removed.is_some_and(|listener| {
            drop_quietly(listener.remove());
            true
        })
    }

    /// Queues a call with the next status of a listener.
    pub(super) fn status(&self, listener: Arc<StatusListener>) {
        // Dropped without the lock.
        let _rejected = match &mut *self.queue.lock() {
            // It takes no room and is never lost; the listener bounds their number.
            Queue::Running { calls, .. } => calls.send(Call::Status(listener), 0).err(),
            Queue::NotStarted | Queue::Ended(_) => None,
        };
    }

    /// Queues a marker. Returns `false` if the queue is full.
    fn reconnected(&self, listener: &Arc<Listener>, gap: Duration) -> bool {
        let Queue::Running { calls, .. } = &mut *self.queue.lock() else { return true };
        let call = || Call::Reconnected(Arc::clone(listener), gap);
        calls.fits_marker(OVERHEAD) && calls.send(call(), OVERHEAD).is_ok()
    }

    /// Queues an event, on a reader thread.
    fn event(&self, listener: &Arc<Listener>, event: &RawEvent<'_>) {
        let Queue::Running { calls, .. } = &mut *self.queue.lock() else { return };
        let size = event.wire().len() + OVERHEAD;
        if event.wait_for_room(calls, size) {
            drop(calls.send(Call::Event(Arc::clone(listener), event.text().clone()), size));
        } else {
            calls.lose(|lost| lost.add(listener, 1));
        }
    }

    /// Counts lost events, on a reader thread.
    fn lose(&self, listener: &Arc<Listener>, count: u64) {
        if let Queue::Running { calls, .. } = &mut *self.queue.lock() {
            calls.lose(|lost| lost.add(listener, count));
        }
    }

    /// Ends the thread when it has delivered the queued statuses: queued events are not delivered.
    /// It then removes the listeners of the status and of losses. Does not wait.
    pub(super) fn end(&self, listeners: Vec<Arc<StatusListener>>) {
        // The thread removes those that were added before.
        self.of_losses.lock().has_ended = true;
        let mut queue = self.queue.lock();
        match std::mem::replace(&mut *queue, Queue::Ended(None)) {
            Queue::Running { mut calls, delivering, notifier } => {
                let rejected = calls.send(Call::End(listeners), 0);
                *queue = Queue::Ended(Some(notifier));
                drop(queue);
                drop((calls, delivering, rejected));
            }
            Queue::NotStarted => {}
            ended @ Queue::Ended(_) => *queue = ended,
        }
    }

    /// Waits until the thread has ended, but not long, and not on that thread.
    pub(super) fn wait_ended(&self) {
        let notifier = match &*self.queue.lock() {
            Queue::Ended(Some(notifier)) => notifier.clone(),
            _ => return,
        };
        if notifier.id != thread::current().id() {
            let _ = clock::recv_until(&notifier.running, deadline_after(END_LIMIT));
        }
    }
}

/// The sink of a listener.
pub(super) struct ListenerSink {
    pub(super) listener: Arc<Listener>,
    pub(super) notifications: Arc<Notifications>,
}

impl Sink for ListenerSink {
    fn events(&self, batch: &EventBatch<'_>) {
        for event in batch.events() {
            self.notifications.event(&self.listener, &event);
        }
    }

    fn lose(&self, batch: &EventBatch<'_>) {
        self.notifications.lose(&self.listener, batch.len());
    }

    fn reconnected(&self, gap: Duration) -> bool {
        self.notifications.reconnected(&self.listener, gap)
    }

    fn end(&self, _reason: &Error) {}
}

/// The thread.
struct Caller {
    calls: Backlog<Call, LostCalls>,
    is_delivering: Receiver<()>,
    of_losses: Arc<Mutex<ListenersOfLosses>>,
    remove: Box<dyn Fn(ListenerId) + Send>,
}

impl Caller {
    fn run(self) {
        while let Ok(received) = self.calls.recv() {
            let delivers = self.is_delivering.try_recv() == Err(TryRecvError::Empty);
            match received {
                Received::Item(Call::Status(listener)) => drop(self.status(&listener)),
                Received::Item(Call::End(listeners)) => self.end(&listeners),
                _ if !delivers => {}
                Received::Item(Call::Event(listener, text)) => {
                    self.call(&listener, |callback| match callback {
                        Callback::Typed(callback) => callback(&Event::parse(text)),
                        Callback::Text(callback) => callback(&text),
                        Callback::Lost(_) | Callback::Reconnected(_) | Callback::Status(_) => {}
                    });
                }
                Received::Item(Call::Reconnected(listener, gap)) => {
                    self.call(&listener, |callback| match callback {
                        Callback::Typed(callback) => callback(&Event::reconnected(gap)),
                        Callback::Reconnected(callback) => callback(gap),
                        Callback::Text(_) | Callback::Lost(_) | Callback::Status(_) => {}
                    });
                }
                Received::Lost(lost) => self.lost(&lost),
            }
        }
    }

    /// Calls a listener with its next status. Returns whether there was one.
    fn status(&self, listener: &StatusListener) -> bool {
        let Some(status) = listener.pending.lock().pop_front() else { return false };
        self.call(&listener.listener, |callback| {
            if let Callback::Status(callback) = callback {
                callback(&status);
            }
        });
        true
    }

    fn lost(&self, lost: &LostCalls) {
        let counts = lost.0.values().map(|(_, count)| *count);
        let count = counts.fold(0, u64::saturating_add);
        log::warn!("{count} events were lost: the listeners of a supervisor are too slow");
        for (listener, count) in lost.0.values() {
            self.call(listener, |callback| {
                if let Callback::Typed(callback) = callback {
                    callback(&Event::lagged(*count));
                }
            });
        }
        let listeners = self.of_losses.lock().listeners.clone();
        for listener in listeners {
            self.call(&listener, |callback| {
                if let Callback::Lost(callback) = callback {
                    callback(count);
                }
            });
        }
    }

    fn end(&self, listeners: &[Arc<StatusListener>]) {
        for listener in listeners {
            // No call was queued for the last one if the listener was added during the end.
            while self.status(listener) {}
            drop_quietly(listener.listener.remove());
        }
        let of_losses = std::mem::take(&mut self.of_losses.lock().listeners);
        for listener in of_losses {
            drop_quietly(listener.remove());
        }
    }

    /// Calls a closure, unless it was removed. One that panics is removed.
    fn call(&self, listener: &Listener, call: impl FnOnce(&mut Callback)) {
        if let Err(panic) = listener.call(call) {
            (self.remove)(listener.id());
            log::error!("a listener of a supervisor panicked and was removed: {panic}");
        }
    }
}

#[cfg(test)]
mod tests;
