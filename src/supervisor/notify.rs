//! The closures of a supervisor, and the thread `torcon-notify` that calls them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use parking_lot::Mutex;

use super::status::SupervisorStatus;
use super::subscription::Sink;
use crate::error::{Error, InvalidInput, Result};
use crate::event::{Event, EventText};
use crate::link::{self, Backlog, BacklogSender, Loss, RawEvent, Received, backlog, drop_quietly};

/// The size of a queued call besides the text of its event: two allocations and the entry.
const OVERHEAD: usize = 128;

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

/// A call that waits for the thread.
enum Call {
    Event(Arc<Listener>, EventText),
    Reconnected(Arc<Listener>, Duration),
    Status(Arc<Listener>, SupervisorStatus),
}

impl Call {
    fn run(self) {
        match self {
            Self::Event(listener, text) => call(&listener, |callback| match callback {
                Callback::Typed(callback) => callback(&Event::parse(text)),
                Callback::Text(callback) => callback(&text),
                Callback::Lost(_) | Callback::Reconnected(_) | Callback::Status(_) => {}
            }),
            Self::Reconnected(listener, gap) => call(&listener, |callback| match callback {
                Callback::Typed(callback) => callback(&Event::reconnected(gap)),
                Callback::Reconnected(callback) => callback(gap),
                Callback::Text(_) | Callback::Lost(_) | Callback::Status(_) => {}
            }),
            Self::Status(listener, status) => call(&listener, |callback| {
                if let Callback::Status(callback) = callback {
                    callback(&status);
                }
            }),
        }
    }
}

/// The number of events that each listener lost.
#[derive(Default)]
struct LostCalls(Vec<(Arc<Listener>, u64)>);

impl Loss for LostCalls {
    fn add(&mut self, other: Self) {
        for (listener, count) in other.0 {
            match self.0.iter_mut().find(|(known, _)| known.id() == listener.id()) {
                Some((_, known)) => known.add(count),
                None => self.0.push((listener, count)),
            }
        }
    }
}

/// The queue of calls. The first closure starts the thread.
pub(super) struct Notifications {
    limit: usize,
    /// A reader thread holds it while it waits for room.
    queue: Mutex<Queue>,
    /// The listeners of losses. A leaf lock.
    of_losses: Arc<Mutex<Vec<Arc<Listener>>>>,
}

enum Queue {
    NotStarted,
    Running {
        calls: BacklogSender<Call, LostCalls>,
        /// Dropped when events are not delivered any more.
        delivering: Sender<()>,
        /// Ends with the thread.
        running: Receiver<()>,
        thread: thread::ThreadId,
    },
    Ended,
}

impl Notifications {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let queue = Mutex::new(Queue::NotStarted);
        Arc::new(Self { limit, queue, of_losses: Arc::default() })
    }

    /// Starts the thread, unless it runs or the supervisor has ended.
    pub(super) fn start(&self) -> Result<()> {
        let mut queue = self.queue.lock();
        if !matches!(&*queue, Queue::NotStarted) {
            return Ok(());
        }
        let (calls, received) = backlog(self.limit);
        let (delivering, is_delivering) = bounded(0);
        let (ends, running) = bounded(0);
        let caller = Caller { calls: received, is_delivering, of_losses: self.of_losses.clone() };
        let thread = thread::Builder::new().name("torcon-notify".to_owned());
        let thread = thread.spawn(move || {
            let _ends: Sender<()> = ends;
            caller.run();
        });
        let thread = thread.map_err(|error| {
            let problem = format!("cannot be called, since no thread can be started: {error}");
            InvalidInput::new("listener", problem)
        })?;
        let thread = thread.thread().id();
        *queue = Queue::Running { calls, delivering, running, thread };
        Ok(())
    }

    pub(super) fn add_listener_of_losses(&self, listener: Arc<Listener>) {
        self.of_losses.lock().push(listener);
    }

    /// Removes a listener of losses. Returns whether it was there.
    pub(super) fn remove_listener_of_losses(&self, id: link::ListenerId) -> bool {
        let mut listeners = self.of_losses.lock();
        let index = listeners.iter().position(|listener| listener.id() == id);
        let removed = index.map(|index| listeners.swap_remove(index));
        drop(listeners);
        removed.is_some_and(|listener| {
            drop_quietly(listener.remove());
            true
        })
    }

    pub(super) fn status(&self, listener: &Arc<Listener>, status: SupervisorStatus) {
        self.send(Call::Status(Arc::clone(listener), status));
    }

    pub(super) fn reconnected(&self, listener: &Arc<Listener>, gap: Duration) {
        self.send(Call::Reconnected(Arc::clone(listener), gap));
    }

    /// Queues a call that takes no room and so is never lost.
    fn send(&self, call: Call) {
        if let Queue::Running { calls, .. } = &mut *self.queue.lock() {
            calls.send(call, 0, LostCalls::default());
        }
    }

    /// Queues an event, on a reader thread.
    fn event(&self, listener: &Arc<Listener>, event: &RawEvent<'_>) {
        let Queue::Running { calls, .. } = &mut *self.queue.lock() else { return };
        let size = event.wire().len() + OVERHEAD;
        let loss = LostCalls(vec![(Arc::clone(listener), 1)]);
        if event.wait_for_room(calls, size) {
            calls.send(Call::Event(Arc::clone(listener), event.text().clone()), size, loss);
        } else {
            calls.lose(loss);
        }
    }

    /// Ends the thread: queued statuses are delivered, queued events are not. Waits for a closure
    /// that is running, but not long.
    pub(super) fn end(&self) {
        let queue = std::mem::replace(&mut *self.queue.lock(), Queue::Ended);
        if let Queue::Running { calls, delivering, running, thread } = queue {
            drop((calls, delivering));
            if thread != thread::current().id() {
                let _ = running.recv_timeout(END_LIMIT);
            }
        }
    }
}

/// The sink of a listener.
pub(super) struct ListenerSink {
    pub(super) listener: Arc<Listener>,
    pub(super) notifications: Arc<Notifications>,
}

impl Sink for ListenerSink {
    fn event(&self, event: &RawEvent<'_>) {
        self.notifications.event(&self.listener, event);
    }

    fn reconnected(&self, gap: Duration) {
        self.notifications.reconnected(&self.listener, gap);
    }

    fn end(&self, _reason: &Error) {}
}

/// The thread.
struct Caller {
    calls: Backlog<Call, LostCalls>,
    is_delivering: Receiver<()>,
    of_losses: Arc<Mutex<Vec<Arc<Listener>>>>,
}

impl Caller {
    fn run(self) {
        while let Ok(received) = self.calls.recv() {
            let delivers = self.is_delivering.try_recv() == Err(TryRecvError::Empty);
            match received {
                Received::Item(item) if delivers || matches!(item, Call::Status(..)) => item.run(),
                Received::Lost(lost) if delivers => self.report(&lost),
                _ => {}
            }
        }
    }

    fn report(&self, lost: &LostCalls) {
        let count = lost.0.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        log::warn!("{count} events were lost: the listeners of a supervisor are too slow");
        for (listener, count) in &lost.0 {
            call(listener, |callback| {
                if let Callback::Typed(callback) = callback {
                    callback(&Event::lagged(*count));
                }
            });
        }
        let listeners = self.of_losses.lock().clone();
        for listener in listeners {
            call(&listener, |callback| {
                if let Callback::Lost(callback) = callback {
                    callback(count);
                }
            });
        }
    }
}

/// Calls a closure, unless it was removed. One that panics is removed.
fn call(listener: &Listener, call: impl FnOnce(&mut Callback)) {
    if let Err(panic) = listener.call(call) {
        log::error!("a listener of a supervisor panicked and was removed: {panic}");
    }
}
