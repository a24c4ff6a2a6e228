//! Listeners and queues of events that outlive connections.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Supervisor;
use super::notify::{Callback, Listener, ListenerSink};
use super::parts::SubscriptionEntry;
use super::shared::{Shared, stopped};
use super::status::SupervisorStatus;
use super::subscription::{Sink, Subscription};
use crate::clock::deadline_after;
use crate::controller::EventQueue;
use crate::error::{InvalidInput, Result};
use crate::event::{Event, EventKind, EventKinds, EventText, TypedEvent, typed_callback};
use crate::link::{ListenerId, drop_quietly};

/// The time limit of the commands of a supervisor.
const LIMIT: Duration = Duration::from_secs(60);

/// # Events
///
/// The closures of a supervisor run on the thread `torcon-notify`, one at a time and in order, also
/// across connections. A closure may do anything, such as send commands and wait, but holds a
/// [`Weak`] and not an `Arc` of the supervisor. Meanwhile later events are queued, up to
/// [`event_limit`](crate::ConnectOptions::event_limit) bytes for all listeners; beyond that they
/// are dropped, and [`Event::Lagged`] and [`on_lagged`](Self::on_lagged) report their number.
/// [`Event::Reconnected`] has room for 64 KiB more, since a full queue of events is no reason to
/// lose it. A closure that panics is removed, and the panic is logged.
///
/// No event is delivered twice. Events that tor sends between two connections are not received. In
/// their place, listeners of kinds and queues get [`Event::Reconnected`]; listeners of types and of
/// texts do not, and [`on_reconnected`](Self::on_reconnected) reports it instead.
impl Supervisor {
    /// Calls a closure for every event of one type, such as
    /// [`CircEvent`](crate::event::CircEvent), on this and every later connection.
    ///
    /// Sends `SETEVENTS` if there is a connection, and on every later one. Blocks for at most 60
    /// seconds.
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use torcon::event::CircEvent;
    ///
    /// supervisor.on(|circ: &CircEvent| println!("circuit {} {}", circ.id(), circ.status()))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn on<E, F>(&self, listener: F) -> Result<ListenerId>
    where
        E: TypedEvent,
        F: FnMut(&E) + Send + 'static,
    {
        self.listen(E::KINDS, Callback::Typed(typed_callback(listener)))
    }

    /// Calls a closure for every event of one kind, and with [`Event::Reconnected`] for every later
    /// connection.
    ///
    /// Sends `SETEVENTS` if there is a connection, and on every later one. Blocks for at most 60
    /// seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know the event;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the kind is not a word;
    /// [`Error::Timeout`](crate::Error::Timeout); [`Error::Supervisor`](crate::Error::Supervisor) if
    /// the supervisor has ended. Without a connection the kind is not checked: if the next tor
    /// refuses it, the status reports that.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use torcon::{Event, EventKind};
    ///
    /// supervisor.add_event_listener(EventKind::Stream, |event| match event {
    ///     Event::Stream(stream) => println!("stream {} {}", stream.id(), stream.status()),
    ///     Event::Reconnected { gap, .. } => println!("no events of {gap:?}"),
    ///     other => eprintln!("{other}"),
    /// })?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_event_listener<F>(&self, kind: EventKind, listener: F) -> Result<ListenerId>
    where
        F: FnMut(&Event) + Send + 'static,
    {
        self.listen(&[kind], Callback::Typed(Box::new(listener)))
    }

    /// Calls a closure with the unparsed text of every event of one kind, on this and every later
    /// connection.
    ///
    /// Sends `SETEVENTS` if there is a connection, and on every later one. Blocks for at most 60
    /// seconds.
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use torcon::EventKind;
    ///
    /// supervisor.add_text_listener(EventKind::Bw, |text| println!("{text}"))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_text_listener<F>(&self, kind: EventKind, listener: F) -> Result<ListenerId>
    where
        F: FnMut(&EventText) + Send + 'static,
    {
        self.listen(&[kind], Callback::Text(Box::new(listener)))
    }

    /// Calls a closure for every connection after the next or present one, with the time from the
    /// end of the former connection: events of that time were not received.
    ///
    /// It is called in the order of the events: after those of the former connection, before those
    /// of the new one. [`Event::Reconnected`] is the same for listeners of kinds and for queues. Sends
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Supervisor`](crate::Error::Supervisor) if the supervisor has ended;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if no thread can be started.
    pub fn on_reconnected<F>(&self, closure: F) -> Result<ListenerId>
    where
        F: FnMut(Duration) + Send + 'static,
    {
        self.listen(&[], Callback::Reconnected(Box::new(closure)))
    }

    /// Calls a closure with the number of events that listeners lost, since they were too slow.
    /// Sends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`on_reconnected`](Self::on_reconnected).
    pub fn on_lagged<F>(&self, closure: F) -> Result<ListenerId>
    where
        F: FnMut(u64) + Send + 'static,
    {
        let listener = self.new_listener(Callback::Lost(Box::new(closure)))?;
        let id = listener.id();
        match self.shared.notifications.add_listener_of_losses(listener) {
            Ok(()) => Ok(id),
            Err(listener) => {
                drop_quietly(listener);
                Err(self.shared.ending().unwrap_or_else(stopped))
            }
        }
    }

    /// Calls a closure with the present status, and with each later one. If it is too slow, more than
    /// 32 statuses are not queued for it: the newest replaces the one before it. Sends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`on_reconnected`](Self::on_reconnected).
    pub fn on_status<F>(&self, closure: F) -> Result<ListenerId>
    where
        F: FnMut(&SupervisorStatus) + Send + 'static,
    {
        let listener = self.new_listener(Callback::Status(Box::new(closure)))?;
        let id = listener.id();
        match self.shared.add_status_listener(listener) {
            Ok(()) => Ok(id),
            Err((listener, reason)) => {
                drop_quietly(listener);
                Err(reason)
            }
        }
    }

    /// Returns a queue of the events of one kind, or of several, of this and every later connection.
    ///
    /// Sends `SETEVENTS` if there is a connection, and on every later one. Blocks for at most 60
    /// seconds.
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use std::time::Duration;
    ///
    /// use torcon::EventKind;
    ///
    /// let events = supervisor.events([EventKind::Circ, EventKind::Stream])?;
    /// println!("{}", events.recv_timeout(Duration::from_secs(60))?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn events<K, Form>(&self, kinds: K) -> Result<EventQueue>
    where
        K: EventKinds<Form>,
        Form: ?Sized,
    {
        let kinds = kinds.into_kinds().into_boxed_slice();
        if kinds.is_empty() {
            return Err(InvalidInput::new("kinds", "none is given").into());
        }
        self.check_running()?;
        let mut added = None;
        let queue = EventQueue::lasting(self.shared.event_limit, LIMIT, |sink| {
            let sink: Arc<dyn Sink> = sink.clone();
            let subscription = Subscription::new(kinds, sink);
            added = Some(Arc::clone(&subscription));
            let shared = Arc::downgrade(&self.shared);
            Box::new(QueueGuard { shared, subscription })
        });
        match added {
            // A failure drops the queue, and so the subscription.
            Some(subscription) => self.subscribe(&subscription, None).map(|()| queue),
            None => Ok(queue),
        }
    }

    /// Removes a listener of events, of losses, of connections or of the status. No call of it
    /// begins after this returns; one that is running may continue.
    ///
    /// Sends `SETEVENTS` if this was the last listener of its kind, without waiting for the reply.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such listener.
    pub fn remove_event_listener(&self, id: ListenerId) -> Result<()> {
        match self.shared.remove_listener(id) {
            true => Ok(()),
            false => Err(InvalidInput::new("listener", "does not exist").into()),
        }
    }

    fn new_listener(&self, callback: Callback) -> Result<Arc<Listener>> {
        let listener = Listener::new(callback);
        let shared = Arc::downgrade(&self.shared);
        let remove = move |id| {
            if let Some(shared) = shared.upgrade() {
                shared.remove_listener(id);
            }
        };
        match self.check_running().and_then(|()| self.shared.notifications.start(remove)) {
            Ok(()) => Ok(listener),
            Err(error) => {
                drop_quietly(listener);
                Err(error)
            }
        }
    }

    fn listen(&self, kinds: &[EventKind], callback: Callback) -> Result<ListenerId> {
        let listener = self.new_listener(callback)?;
        let id = listener.id();
        let notifications = Arc::clone(&self.shared.notifications);
        let sink = ListenerSink { listener: Arc::clone(&listener), notifications };
        self.subscribe(&Subscription::new(kinds.into(), Arc::new(sink)), Some(listener))?;
        Ok(id)
    }

    /// Adds a subscription, and makes it on the present connection. A refusal removes it.
    fn subscribe(
        &self,
        subscription: &Arc<Subscription>,
        listener: Option<Arc<Listener>>,
    ) -> Result<()> {
        let entry = SubscriptionEntry { subscription: Arc::clone(subscription), listener };
        let added = self.shared.subscriptions.lock().add(entry);
        if let Err((entry, reason)) = added {
            entry.end();
            return Err(reason);
        }
        let Some((controller, generation)) = self.shared.connected() else { return Ok(()) };
        match subscription.connect(&controller, generation, deadline_after(LIMIT)) {
            // The next connection has it.
            Err(error) if error.is_closed() => Ok(()),
            Err(error) => {
                self.shared
                    .remove_subscription(|entry| Arc::ptr_eq(&entry.subscription, subscription));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Ends the subscription of a queue that is dropped.
struct QueueGuard {
    shared: Weak<Shared>,
    subscription: Arc<Subscription>,
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        match self.shared.upgrade() {
            Some(shared) => {
                let is_it = |entry: &SubscriptionEntry| {
                    Arc::ptr_eq(&entry.subscription, &self.subscription)
                };
                shared.remove_subscription(is_it);
            }
            None => self.subscription.end(),
        }
    }
}
