//! Who listens to what, and what tor is told about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Controller, EventQueue};
use crate::command::{Command, SetEvents};
use crate::error::{Disconnect, InvalidInput, Result};
use crate::event::{Event, EventKind, EventText, TypedEvent};
use crate::link::{Callback, Delivery, Link, ListenerId, Tap, deadline_after, lock_within};

/// What tor has been told, and what it would have to be told.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    listeners: BTreeMap<ListenerId, Vec<EventKind>>,
    /// What taps see; each is wanted as long as its watch lives.
    watches: Vec<(Weak<()>, Vec<EventKind>)>,
    /// What tor sends; `None` if a `SETEVENTS` went wrong in a way that leaves this open.
    in_force: Option<BTreeSet<EventKind>>,
}

impl Subscriptions {
    pub(super) fn new() -> Self {
        Self { in_force: Some(BTreeSet::new()), ..Self::default() }
    }

    /// Forgets listeners that the event thread has removed because they panicked, and watches that
    /// have ended, and returns what the others want.
    fn wanted(&mut self, link: &Link) -> BTreeSet<EventKind> {
        self.listeners.retain(|id, _| link.has_listener(*id));
        self.watches.retain(|(watch, _)| watch.strong_count() > 0);
        let watched = self.watches.iter().map(|(_, kinds)| kinds);
        self.listeners.values().chain(watched).flatten().cloned().collect()
    }
}

/// A tap with its subscription; both end when this is dropped, without waiting for tor.
pub(crate) struct Watch {
    controller: Controller,
    /// Keeps the subscription; `None` only while this is dropped.
    subscription: Option<Arc<()>>,
    tap: Arc<dyn Tap>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.controller.inner.link.remove_tap(&self.tap);
        self.subscription = None;
        self.controller.unsubscribe(None);
    }
}

impl Controller {
    /// Calls a closure for every event of one kind.
    ///
    /// Closures run on the thread `torcon-events`, one at a time and in the order of the wire. A
    /// closure may do anything: send commands, wait, add and remove listeners, close the
    /// connection. While it runs, later events wait for it; if too many wait, the newest are
    /// dropped and every listener is told by [`Event::Lagged`]. If it panics, the panic is logged
    /// and the listener removed. A closure should hold a [`WeakController`](crate::WeakController)
    /// and not a `Controller`: the connection owns the closure, so the two would keep each other
    /// alive.
    ///
    /// Sends `SETEVENTS` with the sorted names of all events that are wanted, if this one was not
    /// yet; see [`with_timeout`](Self::with_timeout) for how long it waits.
    ///
    /// Blocks the current thread until tor has confirmed the subscription.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know the event; what was wanted
    /// before stays in force. [`Error::InvalidInput`](crate::Error::InvalidInput) if the kind is no
    /// name, [`Error::Timeout`](crate::Error::Timeout), [`Error::Closed`](crate::Error::Closed).
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
        self.listen(&[kind], Callback::Typed(Box::new(listener)))
    }

    /// Calls a closure with the text of every event of one kind, which is not read any further.
    ///
    /// Everything else is as with [`add_event_listener`](Self::add_event_listener), but that such
    /// a listener is not told of events that were dropped.
    ///
    /// Blocks the current thread until tor has confirmed the subscription.
    ///
    /// # Errors
    ///
    /// Those of [`add_event_listener`](Self::add_event_listener).
    pub fn add_text_listener<F>(&self, kind: EventKind, mut listener: F) -> Result<ListenerId>
    where
        F: FnMut(&EventText) + Send + 'static,
    {
        let callback = move |delivery: Delivery<'_>| match delivery {
            Delivery::Text(text) => listener(text),
            Delivery::Lost(_) => {}
        };
        self.listen(&[kind], Callback::Text(Box::new(callback)))
    }

    /// Calls a closure with every event of one type, such as
    /// [`CircEvent`](crate::event::CircEvent).
    ///
    /// Everything else is as with [`add_event_listener`](Self::add_event_listener), but that such
    /// a listener sees neither events that cannot be read nor [`Event::Lagged`]. A type that
    /// stands for several kinds, as [`LogEvent`](crate::event::LogEvent) does, subscribes to all
    /// of them.
    ///
    /// Blocks the current thread until tor has confirmed the subscription.
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
        self.listen(E::KINDS, Callback::Typed(Box::new(callback)))
    }

    /// Returns a queue of the events of some kinds, to be taken on any thread.
    ///
    /// Sends `SETEVENTS` as [`add_event_listener`](Self::add_event_listener) does.
    ///
    /// Blocks the current thread until tor has confirmed the subscription.
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
    /// Blocks the current thread until tor has confirmed that, if it had to be told.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such listener;
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Rejected`](crate::Error::Rejected) if
    /// tor could not be told, in which case the listener is removed all the same.
    pub fn remove_event_listener(&self, listener: ListenerId) -> Result<()> {
        let limit = self.timeout();
        // Before anything that can fail.
        let was_there = self.inner.link.remove_listener(listener);
        let mut subscriptions = lock_within(&self.inner.subscriptions, "SETEVENTS", limit)?;
        if subscriptions.listeners.remove(&listener).is_none() && !was_there {
            if self.is_alive() {
                return Err(InvalidInput::new("listener", "is not there").into());
            }
            return Ok(());
        }
        match self.update(&mut subscriptions) {
            // Nothing comes from a connection that has ended.
            Err(error) if error.is_closed() => Ok(()),
            outcome => outcome,
        }
    }

    /// Returns the kinds of event that tor has been asked for, sorted.
    #[must_use]
    pub fn subscribed_events(&self) -> Vec<EventKind> {
        let subscriptions = self.inner.subscriptions.lock();
        subscriptions.in_force.iter().flatten().cloned().collect()
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
    pub fn on_disconnect<F>(&self, closure: F)
    where
        F: FnOnce(&Disconnect) + Send + 'static,
    {
        self.inner.link.on_disconnect(Box::new(closure));
    }

    /// Subscribes to some kinds of event for a tap, which sees them on the reader thread: so that
    /// what follows from them can be waited for even inside a listener. The event thread does not
    /// hear of them.
    pub(crate) fn watch(&self, kinds: &[EventKind], tap: Arc<dyn Tap>) -> Result<Watch> {
        let limit = self.timeout();
        let mut subscriptions = lock_within(&self.inner.subscriptions, "SETEVENTS", limit)?;
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        // First the tap, then the subscription, so that no event is missed.
        self.inner.link.add_tap(kinds, Arc::clone(&tap));
        let subscription = Arc::new(());
        subscriptions.watches.push((Arc::downgrade(&subscription), kinds.to_vec()));
        if let Err(error) = self.update(&mut subscriptions) {
            self.inner.link.remove_tap(&tap);
            return Err(error);
        }
        Ok(Watch { controller: self.clone(), subscription: Some(subscription), tap })
    }

    /// Adds a listener, and tells tor what it needs to know for it.
    pub(super) fn listen(&self, kinds: &[EventKind], callback: Callback) -> Result<ListenerId> {
        if kinds.is_empty() {
            return Err(InvalidInput::new("kinds", "none is given").into());
        }
        let limit = self.timeout();
        let mut subscriptions = lock_within(&self.inner.subscriptions, "SETEVENTS", limit)?;
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        // First the listener, then the subscription, so that no event is missed.
        let id = self.inner.link.add_listener(kinds, callback);
        subscriptions.listeners.insert(id, kinds.to_vec());
        self.update(&mut subscriptions).inspect_err(|_| {
            subscriptions.listeners.remove(&id);
            self.inner.link.remove_listener(id);
        })?;
        Ok(id)
    }

    /// Sends `SETEVENTS` if what is wanted is not what is in force.
    fn update(&self, subscriptions: &mut Subscriptions) -> Result<()> {
        let wanted = subscriptions.wanted(&self.inner.link);
        if subscriptions.in_force.as_ref() == Some(&wanted) {
            return Ok(());
        }
        match self.execute(&SetEvents::new(wanted.iter().map(EventKind::as_str))) {
            Ok(()) => {
                subscriptions.in_force = Some(wanted);
                Ok(())
            }
            Err(error) => {
                // tor keeps the old set if it refuses; nothing was sent if the input was invalid.
                let unchanged = error.status_code().is_some()
                    || matches!(error, crate::error::Error::InvalidInput(_));
                if !unchanged {
                    subscriptions.in_force = None;
                }
                Err(error)
            }
        }
    }

    /// Removes a listener and tells tor, without waiting for anything: for use in drop.
    pub(super) fn leave(&self, id: ListenerId) {
        self.inner.link.remove_listener(id);
        self.unsubscribe(Some(id));
    }

    /// Tells tor what is not wanted any more, without waiting for anything.
    fn unsubscribe(&self, left: Option<ListenerId>) {
        let Some(mut subscriptions) = self.inner.subscriptions.try_lock() else {
            // Whoever holds the lock, or takes it next, leaves out what is not there any more.
            return;
        };
        if let Some(id) = left {
            subscriptions.listeners.remove(&id);
        }
        let wanted = subscriptions.wanted(&self.inner.link);
        if subscriptions.in_force.as_ref() == Some(&wanted) {
            return;
        }
        let command = SetEvents::new(wanted.iter().map(EventKind::as_str));
        let Ok(request) = command.request() else { return };
        let sent = self.inner.link.submit(&request, deadline_after(Duration::ZERO), Duration::ZERO);
        subscriptions.in_force = sent.is_ok().then_some(wanted);
    }
}
