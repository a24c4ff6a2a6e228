//! Closures that the event thread calls.

use super::queue::EventQueue;
use crate::controller::Controller;
use crate::error::{InvalidInput, Result};
use crate::event::{Event, EventKind, EventKinds, EventText, TypedEvent, typed_callback};
use crate::link::{EventCallback, EventListener, ListenerId};

/// # Events
///
/// [`EventKind`] lists the kinds of event with their types.
impl Controller {
    /// Calls a closure for every event of one type, such as
    /// [`CircEvent`](crate::event::CircEvent).
    ///
    /// A type of several kinds, such as [`LogEvent`](crate::event::LogEvent), subscribes to all of
    /// them. The closure is called as one of
    /// [`add_event_listener`](Self::add_event_listener), but neither for malformed events nor for
    /// [`Event::Lagged`]: see [`on_lagged`](Self::on_lagged).
    #[doc = sends!("SETEVENTS", add_event_listener)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::event::CircEvent;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.on(|circ: &CircEvent| println!("{} {}", circ.id(), circ.status()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<E, F>(&self, listener: F) -> Result<ListenerId>
    where
        E: TypedEvent,
        F: FnMut(&E) + Send + 'static,
    {
        self.listen(E::KINDS, EventCallback::Typed(typed_callback(listener)))
    }

    /// Calls a closure for every event of one kind.
    ///
    /// Listeners run on the thread `torcon-events`, one at a time and in the order in which tor sent
    /// the events. A listener may do anything: send commands, wait, add and remove listeners, close
    /// the connection. It should hold a [`WeakController`](crate::WeakController) and not a
    /// `Controller`: the connection owns the listener, so the two would keep each other alive.
    ///
    /// While a listener runs, later events are queued. If the queue is full
    /// ([`event_limit`](crate::ConnectOptions::event_limit)), the newest are dropped, and each
    /// listener gets an [`Event::Lagged`] with the number of events that it lost, in their place. A
    /// listener that panics is removed, and the panic is logged.
    ///
    /// The first listener starts the thread, which ends with the connection.
    ///
    /// Sends `SETEVENTS` with the sorted names of all subscribed events, unless this one was
    /// subscribed already. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know the event; the former
    /// subscription stays active. [`Error::InvalidInput`](crate::Error::InvalidInput) if the kind is
    /// not a word, or if no thread can be started for the first listener; [`Error::Timeout`](crate::Error::Timeout);
    /// [`Error::Closed`](crate::Error::Closed).
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

    /// Calls a closure with the unparsed text of every event of one kind.
    ///
    /// The closure is called as one of [`add_event_listener`](Self::add_event_listener), but not
    /// for [`Event::Lagged`]: see [`on_lagged`](Self::on_lagged).
    #[doc = sends!("SETEVENTS", add_event_listener)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::EventKind;
    ///
    /// controller.add_text_listener(EventKind::Bw, |text| println!("{text}"))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_text_listener<F>(&self, kind: EventKind, listener: F) -> Result<ListenerId>
    where
        F: FnMut(&EventText) + Send + 'static,
    {
        self.listen(&[kind], EventCallback::Text(Box::new(listener)))
    }

    /// Returns a queue of the events of one kind, or of several, which any thread may take.
    #[doc = sends!("SETEVENTS", add_event_listener)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::EventKind;
    ///
    /// let events = controller.events([EventKind::Bw, EventKind::Circ])?;
    /// for event in events.iter().take(10) {
    ///     println!("{event}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "HandleEvents")]
    pub fn events<K, Form>(&self, kinds: K) -> Result<EventQueue>
    where
        K: EventKinds<Form>,
        Form: ?Sized,
    {
        EventQueue::new(self, &kinds.into_kinds())
    }

    /// Removes a listener. No call of it begins after this returns; one that is running may
    /// continue, also one that removes itself.
    ///
    /// Sends `SETEVENTS` with the events that are still subscribed, if this was the last listener of
    /// its kind. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such listener;
    /// [`Error::Timeout`](crate::Error::Timeout) or [`Error::Rejected`](crate::Error::Rejected) if
    /// `SETEVENTS` fails, in which case the listener is removed all the same.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::EventKind;
    ///
    /// let listener = controller.add_event_listener(EventKind::Bw, |event| println!("{event}"))?;
    /// controller.remove_event_listener(listener)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn remove_event_listener(&self, listener: ListenerId) -> Result<()> {
        match self.unlisten(listener) {
            Ok(false) => Err(InvalidInput::new("listener", "does not exist").into()),
            // A connection that has ended has no events.
            Err(error) if error.is_closed() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Calls a closure with the number of lost events, whenever listeners were too slow.
    ///
    /// Each event that any listener was subscribed to counts once. The closure runs on the thread
    /// `torcon-events`, in the place of the lost events. Listeners of [`on`](Self::on) and
    /// [`add_text_listener`](Self::add_text_listener) get no other report of a loss; the others get
    /// [`Event::Lagged`] with the number of events that they lost themselves.
    /// [`remove_event_listener`](Self::remove_event_listener) removes the closure. Sends nothing
    /// and does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed); [`Error::InvalidInput`](crate::Error::InvalidInput)
    /// if no thread can be started.
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
        if let Some(reason) = self.closed_reason() {
            return Err(reason.into());
        }
        let listener = EventListener::new(EventCallback::Lost(Box::new(closure)));
        let id = listener.id();
        self.inner.link.add_listener(&[], listener)?;
        Ok(id)
    }

    /// Returns the subscribed kinds of event, sorted.
    #[must_use]
    pub fn subscribed_events(&self) -> Vec<EventKind> {
        self.inner.subscription.kinds()
    }

    /// Returns the kinds of event that this tor can send. Later calls return the first reply.
    #[doc = sends!("GETINFO events/names")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.valid_events()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn valid_events(&self) -> Result<&[EventKind]> {
        if let Some(kinds) = self.inner.valid_events.get() {
            return Ok(kinds);
        }
        let names = self.get_info_one("events/names")?;
        let kinds = names.split_ascii_whitespace().map(EventKind::from).collect();
        Ok(self.inner.valid_events.get_or_init(|| kinds))
    }
}
