//! Who listens to what, and what tor is told about it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, ReentrantMutex, ReentrantMutexGuard};

use crate::command::{Command, SetEvents};
use crate::controller::{Controller, EventQueue};
use crate::error::{Disconnect, Error, InvalidInput, Result, Timeout, Wait};
use crate::event::{Event, EventKind, EventText, TypedEvent};
use crate::link::{EventCallback, EventHook, EventListener, ListenerId, deadline_after};

/// How often `SETEVENTS` is sent before its outcome is left open, which the next change settles.
const ATTEMPTS: usize = 3;

/// What tor has been told to send.
#[derive(Debug)]
pub(in crate::controller) struct Subscriptions {
    /// Held across a whole `SETEVENTS`. What a command logs may call back, so that one thread may
    /// take it several times.
    updating: ReentrantMutex<()>,
    /// A leaf lock.
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    /// What tor sends; `None` if a `SETEVENTS` went wrong in a way that leaves this open.
    in_force: Option<BTreeSet<EventKind>>,
    /// How many `SETEVENTS` were begun.
    updates: u64,
}

impl Subscriptions {
    pub(in crate::controller) fn new() -> Self {
        let told = Told { in_force: Some(BTreeSet::new()), updates: 0 };
        Self { updating: ReentrantMutex::new(()), told: Mutex::new(told) }
    }

    /// Waits until nobody else changes the subscriptions. `limit` is what an error says about the
    /// deadline.
    fn lock(
        &self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<ReentrantMutexGuard<'_, ()>, Timeout> {
        let guard = self.updating.try_lock_until(deadline);
        guard.ok_or_else(|| Timeout::new(Wait::Reply("SETEVENTS".into()), limit))
    }

    /// Begins a `SETEVENTS` and returns its number, unless this is in force already.
    fn begin(&self, wanted: &BTreeSet<EventKind>) -> Option<u64> {
        let mut told = self.told.lock();
        if told.in_force.as_ref() == Some(wanted) {
            return None;
        }
        told.updates += 1;
        Some(told.updates)
    }

    /// Notes what a `SETEVENTS` has brought into force, and returns whether that is certain: a
    /// logger may have sent another one on the same thread, before this one or after it.
    fn finish(&self, update: u64, kinds: Option<BTreeSet<EventKind>>) -> bool {
        let mut told = self.told.lock();
        let is_certain = told.updates == update || told.in_force == kinds;
        told.in_force = kinds.filter(|_| is_certain);
        is_certain
    }
}

/// A hook with its subscription; both end when this is dropped, without waiting for tor.
pub(crate) struct HookGuard {
    controller: Controller,
    id: ListenerId,
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        self.controller.inner.link.remove_hook(self.id);
        self.controller.unsubscribe();
    }
}

impl Controller {
    /// Calls a closure for every event of one kind.
    ///
    /// Closures run on the thread `torcon-events`, one at a time and in the order of the wire. A
    /// closure may do anything: send commands, wait, add and remove listeners, close the
    /// connection. While it runs, later events wait for it; if too many wait, the newest are
    /// dropped, and every listener is told by [`Event::Lagged`] how many it has lost: before its
    /// next event, or as soon as it has had all that came before. If it panics, the panic is logged
    /// and the listener removed. A closure should hold a [`WeakController`](crate::WeakController)
    /// and not a `Controller`: the connection owns the closure, so the two would keep each other
    /// alive.
    ///
    /// Sends `SETEVENTS` with the sorted names of all events that are wanted, if this one was not
    /// yet.
    ///
    /// Blocks the current thread until tor has confirmed the subscription, for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if tor does not know the event; what was wanted
    /// before stays in force. [`Error::InvalidInput`] if the kind is no
    /// name, [`Error::Timeout`], [`Error::Closed`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::EventKind;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let id = controller.add_event_listener(EventKind::Bw, |event| println!("{event}"))?;
    /// controller.remove_event_listener(id)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_event_listener<F>(&self, kind: EventKind, listener: F) -> Result<ListenerId>
    where
        F: FnMut(&Event) + Send + 'static,
    {
        self.listen(&[kind], EventCallback::Typed(Box::new(listener)))
    }

    /// Calls a closure with the text of every event of one kind, which is not read any further.
    ///
    /// Everything else is as with [`add_event_listener`](Self::add_event_listener), except that a
    /// text cannot tell of events that were lost: [`on_lagged`](Self::on_lagged) does.
    ///
    /// Blocks the current thread until tor has confirmed the subscription, for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    pub fn add_text_listener<F>(&self, kind: EventKind, listener: F) -> Result<ListenerId>
    where
        F: FnMut(&EventText) + Send + 'static,
    {
        self.listen(&[kind], EventCallback::Text(Box::new(listener)))
    }

    /// Calls a closure with every event of one type, such as
    /// [`CircEvent`](crate::event::CircEvent).
    ///
    /// Everything else is as with [`add_event_listener`](Self::add_event_listener), except that
    /// such a listener sees neither events that cannot be read nor [`Event::Lagged`];
    /// [`on_lagged`](Self::on_lagged) tells of events that were lost. A type that
    /// stands for several kinds, as [`LogEvent`](crate::event::LogEvent) does, subscribes to all
    /// of them.
    ///
    /// Blocks the current thread until tor has confirmed the subscription, for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::event::CircEvent;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.on(|circ: &CircEvent| println!("{} {}", circ.id, circ.status))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<E, F>(&self, mut listener: F) -> Result<ListenerId>
    where
        E: TypedEvent,
        F: FnMut(&E) + Send + 'static,
    {
        let callback = move |event: &Event| {
            if let Some(event) = E::from_event(event) {
                listener(event);
            }
        };
        self.listen(E::KINDS, EventCallback::Typed(Box::new(callback)))
    }

    /// Calls a closure whenever events were lost because the listeners of this connection were too
    /// slow, with the number of events.
    ///
    /// The number counts each event once that any listener had subscribed to. The closure runs on
    /// the thread `torcon-events`, at the place of the missing events: after the events before them
    /// were delivered, and before the next event, or before the end if none follows. Together with
    /// it, listeners of [`add_event_listener`](Self::add_event_listener) and queues get
    /// [`Event::Lagged`] with the number of the events that they have lost themselves; listeners of
    /// [`on`](Self::on) and [`add_text_listener`](Self::add_text_listener) learn it only here.
    /// [`remove_event_listener`](Self::remove_event_listener) removes the closure.
    ///
    /// Sends nothing and does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.on_lagged(|lost| eprintln!("{lost} events were lost"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_lagged<F>(&self, closure: F) -> Result<ListenerId>
    where
        F: FnMut(u64) + Send + 'static,
    {
        let listener = EventListener::new(EventCallback::Lost(Box::new(closure)));
        let id = listener.id();
        self.add_listener(&[], listener)?;
        Ok(id)
    }

    /// Returns a queue of the events of some kinds, to be taken on any thread.
    ///
    /// Sends `SETEVENTS` as [`add_event_listener`](Self::add_event_listener) does.
    ///
    /// Blocks the current thread until tor has confirmed the subscription, for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    pub fn events(&self, kinds: impl IntoIterator<Item = EventKind>) -> Result<EventQueue> {
        let kinds: Vec<_> = kinds.into_iter().collect();
        EventQueue::new(self, &kinds)
    }

    /// Removes a listener. After this has returned no call to it begins; one that is running may
    /// still be going on, and it may be the one that removes itself.
    ///
    /// Sends `SETEVENTS` with the events that are still wanted, if this was the last listener of
    /// its kind.
    ///
    /// Blocks the current thread until tor has confirmed that, if it had to be told, for at most
    /// the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there is no such listener;
    /// [`Error::Timeout`] or [`Error::Rejected`] if
    /// tor could not be told, in which case the listener is removed all the same.
    pub fn remove_event_listener(&self, listener: ListenerId) -> Result<()> {
        // Before anything that can fail; the closure is dropped before anything that can wait.
        let was_there = self.inner.link.remove_listener(listener).is_some();
        let deadline = deadline_after(self.timeout());
        let _updating = self.inner.subscriptions.lock(deadline, self.timeout())?;
        match self.update(deadline) {
            // Nothing comes from a connection that has ended.
            Err(error) if error.is_closed() => Ok(()),
            Ok(()) if !was_there => Err(InvalidInput::new("listener", "is not there").into()),
            outcome => outcome,
        }
    }

    /// Returns the kinds of event that tor has been asked for, sorted.
    #[must_use]
    pub fn subscribed_events(&self) -> Vec<EventKind> {
        self.inner.subscriptions.told.lock().in_force.iter().flatten().cloned().collect()
    }

    /// Calls a closure once when the connection has ended, with the reason; at once, on this
    /// thread, if it has ended already.
    ///
    /// Otherwise it is called on the thread `torcon-events`, after every event has been delivered.
    /// [`Disconnect::is_clean`] tells whether this program wanted the end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.on_disconnect(|reason| eprintln!("tor is gone: {reason}"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "add_status_listener")]
    pub fn on_disconnect<F>(&self, closure: F)
    where
        F: FnOnce(&Disconnect) + Send + 'static,
    {
        self.inner.link.on_disconnect(Box::new(closure));
    }

    /// Subscribes to some kinds of event for a hook, which sees them on the reader thread: so that
    /// what follows from them can be waited for even inside a listener. The event thread does not
    /// hear of them.
    pub(crate) fn hook(&self, kinds: &[EventKind], hook: Arc<dyn EventHook>) -> Result<HookGuard> {
        self.hook_before(kinds, hook, deadline_after(self.timeout()))
    }

    /// Subscribes for a hook as one step of a call, which has one time limit for all of them.
    pub(crate) fn hook_before(
        &self,
        kinds: &[EventKind],
        hook: Arc<dyn EventHook>,
        deadline: Instant,
    ) -> Result<HookGuard> {
        if kinds.is_empty() {
            return Err(InvalidInput::new("kinds", "none is given").into());
        }
        // It lives longer than the lock.
        let _refused;
        let _updating = self.inner.subscriptions.lock(deadline, self.timeout())?;
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        // First the hook, then the subscription, so that no event is missed.
        let id = self.inner.link.add_hook(kinds, hook);
        if let Err(error) = self.update(deadline) {
            _refused = self.inner.link.remove_hook(id);
            return Err(error);
        }
        Ok(HookGuard { controller: self.clone(), id })
    }

    /// Adds a listener, and tells tor what it needs to know for it.
    fn listen(&self, kinds: &[EventKind], callback: EventCallback) -> Result<ListenerId> {
        if kinds.is_empty() {
            return Err(InvalidInput::new("kinds", "none is given").into());
        }
        // Both live longer than the lock: a closure that is refused is dropped without it.
        let listener = EventListener::new(callback);
        let _refused;
        let deadline = deadline_after(self.timeout());
        let _updating = self.inner.subscriptions.lock(deadline, self.timeout())?;
        // First the listener, then the subscription, so that no event is missed.
        self.add_listener(kinds, Arc::clone(&listener))?;
        if let Err(error) = self.update(deadline) {
            _refused = self.inner.link.remove_listener(listener.id());
            return Err(error);
        }
        Ok(listener.id())
    }

    fn add_listener(&self, kinds: &[EventKind], listener: Arc<EventListener>) -> Result<()> {
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        Ok(self.inner.link.add_listener(kinds, listener)?)
    }

    /// Sends `SETEVENTS` if what is wanted is not what is in force.
    fn update(&self, deadline: Instant) -> Result<()> {
        let subscriptions = &self.inner.subscriptions;
        // Once, unless a logger does the same meanwhile, and perhaps each time.
        for _ in 0..ATTEMPTS {
            let wanted = self.inner.link.wanted_events();
            let Some(update) = subscriptions.begin(&wanted) else { return Ok(()) };
            let command = SetEvents::new(wanted.iter().map(EventKind::as_str));
            match self.execute_before(&command, deadline) {
                Ok(_) => {
                    if subscriptions.finish(update, Some(wanted)) {
                        return Ok(());
                    }
                }
                Err(error) => {
                    // tor keeps the old set if it refuses; nothing was sent if the input was
                    // invalid.
                    let unchanged =
                        error.status_code().is_some() || matches!(error, Error::InvalidInput(_));
                    if !unchanged {
                        subscriptions.finish(update, None);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tells tor what is not wanted any more, without waiting for anything.
    fn unsubscribe(&self) {
        let subscriptions = &self.inner.subscriptions;
        let Some(_updating) = subscriptions.updating.try_lock() else {
            // Whoever holds the lock, or takes it next, leaves out what is not there any more.
            return;
        };
        let wanted = self.inner.link.wanted_events();
        let Some(update) = subscriptions.begin(&wanted) else { return };
        let command = SetEvents::new(wanted.iter().map(EventKind::as_str));
        let Ok(request) = command.request() else { return };
        let sent = self.inner.link.submit(&request, deadline_after(Duration::ZERO), Duration::ZERO);
        subscriptions.finish(update, sent.is_ok().then_some(wanted));
    }
}
