//! The tracker in its place: fed on the reader thread, read on every other.

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::attacher::StreamReservation;
use super::cell::Cell;
use super::change::Change;
use super::circuit_info::{CircuitCell, CircuitInfo};
use super::feed::{Feed, Listener};
use super::refresh::{Part, Parts};
use super::stream_info::{StreamCell, StreamInfo};
use super::tracker::{Answers, Tracker};
use super::waiters::Waiters;
use crate::error::{Disconnect, Error, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{EventHook, RawEvent};
use crate::names::{CircuitId, StreamId, StreamStatus};

/// The kinds of event that a state is made of.
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

/// What is known, with those who wait for a change of it.
///
/// The connection holds it as a hook, so it holds nothing of the connection.
pub(crate) struct Store {
    /// Comes before the locks of the feed and of single circuits and streams. The reader takes it
    /// for every event, so nobody holds it for long, and nobody waits with it, or calls or drops a
    /// user's closure.
    folding: Mutex<StoreInner>,
}

struct StoreInner {
    tracker: Tracker,
    /// Used again for each event.
    changes: Vec<Change>,
    /// To the thread that calls listeners; `None` as long as there was none.
    feed: Option<Arc<Feed>>,
    circuit_waiters: Waiters<CircuitId, CircuitInfo>,
    stream_waiters: Waiters<StreamId, StreamInfo>,
    /// Those who want to know of each stream that waits for its circuit.
    new_streams: Vec<Sender<Arc<StreamInfo>>>,
    /// Streams that this program is about to open, each with who waits for it.
    expected: Vec<(Arc<StreamReservation>, Sender<Arc<StreamCell>>)>,
    /// Why nothing comes any more.
    ended: Option<Disconnect>,
}

/// Why a wait has ended without what it was for.
#[derive(Clone, Debug)]
pub(crate) enum WaitEnd {
    Timeout,
    Closed(Disconnect),
}

impl WaitEnd {
    /// Returns the error of a wait that was for this and had this limit.
    pub(super) fn into_error(self, wait: Wait, limit: Duration) -> Error {
        match self {
            Self::Timeout => Timeout::new(wait, limit).into(),
            Self::Closed(reason) => Error::Closed(reason),
        }
    }
}

impl Store {
    pub(super) fn new() -> Self {
        let folding = StoreInner {
            tracker: Tracker::new(),
            changes: Vec::new(),
            feed: None,
            circuit_waiters: Waiters::default(),
            stream_waiters: Waiters::default(),
            new_streams: Vec::new(),
            expected: Vec::new(),
            ended: None,
        };
        Self { folding: Mutex::new(folding) }
    }

    /// Takes the snapshot, which knows of so many events.
    pub(super) fn join(&self, answers: Answers, events_before: u64) {
        let mut folding = self.folding.lock();
        folding.change(|tracker, changes| tracker.join(answers, events_before, changes));
    }

    /// Looks at what is known now. The reader waits meanwhile.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Tracker) -> T) -> T {
        look(&self.folding.lock().tracker)
    }

    /// Waits until `look` finds something at a circuit, which need not be there yet, and returns
    /// it.
    ///
    /// `look` is called on this thread first, and then on the reader thread after each event of
    /// this circuit, so that only the event that matters wakes this thread. See
    /// [`Check`](super::waiters::Check) for what it must not hold.
    pub(crate) fn wait_circuit<T: Send + 'static>(
        &self,
        id: CircuitId,
        known: Option<&Arc<CircuitCell>>,
        deadline: Instant,
        look: impl FnMut(&Tracker, &Arc<CircuitCell>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd> {
        let known = |tracker: &Tracker| known.cloned().or_else(|| tracker.begun(id));
        self.wait(|folding| &mut folding.circuit_waiters, id, known, deadline, look)
    }

    /// Waits until `look` finds something at a stream; see [`wait_circuit`](Self::wait_circuit).
    pub(crate) fn wait_stream<T: Send + 'static>(
        &self,
        cell: &Arc<StreamCell>,
        deadline: Instant,
        look: impl FnMut(&Tracker, &Arc<StreamCell>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd> {
        let known = |_: &Tracker| Some(Arc::clone(cell));
        self.wait(|folding| &mut folding.stream_waiters, cell.id(), known, deadline, look)
    }

    fn wait<Id, Info, T>(
        &self,
        waiters: fn(&mut StoreInner) -> &mut Waiters<Id, Info>,
        id: Id,
        known: impl FnOnce(&Tracker) -> Option<Arc<Cell<Id, Info>>>,
        deadline: Instant,
        mut look: impl FnMut(&Tracker, &Arc<Cell<Id, Info>>) -> Option<T> + Send + 'static,
    ) -> Result<T, WaitEnd>
    where
        Id: Copy + Eq + Hash,
        T: Send + 'static,
    {
        let (sender, found) = bounded(1);
        let ticket = {
            let mut folding = self.folding.lock();
            let known = known(&folding.tracker);
            if let Some(value) = known.and_then(|cell| look(&folding.tracker, &cell)) {
                return Ok(value);
            }
            if let Some(reason) = &folding.ended {
                return Err(WaitEnd::Closed(reason.clone()));
            }
            let check = move |tracker: &Tracker, cell: &Arc<Cell<Id, Info>>| {
                look(tracker, cell).is_some_and(|value| {
                    // It has room for one, and there is only one.
                    let _ = sender.try_send(value);
                    true
                })
            };
            waiters(&mut folding).add(id, Box::new(check))
        };
        match found.recv_deadline(deadline) {
            Ok(value) => Ok(value),
            Err(RecvTimeoutError::Disconnected) => Err(self.wait_end()),
            Err(RecvTimeoutError::Timeout) => {
                waiters(&mut self.folding.lock()).remove(id, ticket);
                // It may have come just before.
                found.try_recv().map_err(|_| WaitEnd::Timeout)
            }
        }
    }

    fn wait_end(&self) -> WaitEnd {
        self.folding.lock().ended.clone().map_or(WaitEnd::Timeout, WaitEnd::Closed)
    }

    /// Keeps the circuits that end from now on, so that [`Tracker::begun`] finds them.
    pub(super) fn keep_ended(&self) {
        self.folding.lock().tracker.keep_ended();
    }

    /// Takes back one [`keep_ended`](Self::keep_ended).
    pub(super) fn forget_ended(&self) {
        let gone = self.folding.lock().tracker.forget_ended();
        // Freed without the lock.
        drop(gone);
    }

    /// Tells of every stream that waits for its circuit from now on: of each event `NEW`,
    /// `NEWRESOLVE` and `CONTROLLER_WAIT`, in their order.
    ///
    /// It ends when the connection does, or when the receiver is dropped.
    pub(crate) fn on_new_stream(&self) -> Receiver<Arc<StreamInfo>> {
        let (sender, receiver) = unbounded();
        let mut folding = self.folding.lock();
        if folding.ended.is_none() {
            folding.new_streams.push(sender);
        }
        receiver
    }

    /// Tells of the stream that is about to be opened for a claim, when tor reports it.
    ///
    /// [`forget_expected`](Self::forget_expected) ends this. The receiver ends with the
    /// connection.
    pub(super) fn expect_stream(
        &self,
        claim: &Arc<StreamReservation>,
    ) -> Receiver<Arc<StreamCell>> {
        let (sender, receiver) = bounded(1);
        let mut folding = self.folding.lock();
        if folding.ended.is_none() {
            folding.expected.push((Arc::clone(claim), sender));
        }
        receiver
    }

    pub(super) fn forget_expected(&self, claim: &Arc<StreamReservation>) {
        self.folding.lock().expected.retain(|(other, _)| !Arc::ptr_eq(other, claim));
    }

    /// Returns why a stream that was expected cannot come any more.
    pub(super) fn end_reason(&self) -> Option<Disconnect> {
        self.folding.lock().ended.clone()
    }

    /// Removes the mappings that have expired. Returns when the next one does.
    pub(super) fn expire(&self, now: SystemTime) -> Option<SystemTime> {
        let mut folding = self.folding.lock();
        folding.change(|tracker, changes| tracker.expire(now, changes));
        folding.tracker.next_expiry()
    }

    /// Begins to ask again for the parts of these that events alone cannot keep right. `None` if
    /// nothing has shown that one of them is wrong.
    pub(super) fn begin_refresh(&self, wanted: Parts) -> Option<Parts> {
        self.folding.lock().tracker.begin_refresh(wanted)
    }

    /// Takes the answers to a refresh, which know of so many events.
    pub(super) fn finish_refresh(&self, parts: Parts, answers: Answers, events_before: u64) {
        self.folding.lock().change(|tracker, changes| {
            tracker.finish_refresh(parts, answers, events_before, changes);
        });
    }

    /// Ends a refresh without answers; `again` says whether the next reader asks again.
    pub(super) fn abort_refresh(&self, parts: Parts, again: bool) {
        self.folding.lock().tracker.abort_refresh(parts, again);
    }

    /// Says which parts cannot be asked for.
    pub(super) fn set_unavailable(&self, part: Part) {
        self.folding.lock().tracker.set_unavailable(part);
    }

    /// Adds a listener, with what is there at that moment; it gets the changes from then on. Gives
    /// the listener back if the connection has ended: its drop may do anything.
    pub(super) fn add_listener(
        &self,
        feed: &Feed,
        listener: Box<Listener>,
        existing: impl FnOnce(&Tracker) -> Vec<Change>,
    ) -> Result<(), Box<Listener>> {
        let folding = self.folding.lock();
        if folding.ended.is_some() {
            return Err(listener);
        }
        let existing = existing(&folding.tracker);
        feed.add(listener, existing)
    }

    /// Begins to give changes to the thread that calls listeners, unless the connection has ended.
    pub(super) fn set_feed(&self, feed: &Arc<Feed>) {
        let mut folding = self.folding.lock();
        if folding.ended.is_some() {
            feed.end();
        } else {
            folding.feed = Some(Arc::clone(feed));
        }
    }
}

impl StoreInner {
    /// Changes what is known, and hands on what has changed.
    fn change(&mut self, change: impl FnOnce(&mut Tracker, &mut Vec<Change>)) {
        let Self { tracker, changes, feed, circuit_waiters, stream_waiters, .. } = self;
        change(tracker, changes);
        for change in changes.iter() {
            match change {
                Change::Circuit { cell, .. } => circuit_waiters.check(tracker, cell),
                Change::Stream { cell, .. } => stream_waiters.check(tracker, cell),
                Change::Address { .. } => {}
            }
        }
        match feed {
            Some(feed) => feed.push(changes.drain(..)),
            None => changes.clear(),
        }
    }

    /// Takes an event.
    fn event(&mut self, number: u64, event: Event) {
        let (waiting, is_new) = match &event {
            Event::Stream(stream) => {
                let waiting = !self.new_streams.is_empty() && is_waiting(&stream.status);
                let is_expected =
                    !self.expected.is_empty() && self.tracker.stream(&stream.id).is_none();
                (waiting.then_some(stream.id), is_expected.then_some(stream.id))
            }
            _ => (None, None),
        };
        if let Event::AddrMap(_) = &event {
            // Otherwise what nobody asks for would be kept for ever.
            self.change(|tracker, changes| tracker.expire(SystemTime::now(), changes));
        }
        self.change(|tracker, changes| tracker.event(number, event, changes));
        if let Some(cell) = waiting.and_then(|id| self.tracker.stream(&id)) {
            let info = cell.info();
            self.new_streams.retain(|sender| sender.send(Arc::clone(&info)).is_ok());
        }
        if let Some(cell) = is_new.and_then(|id| self.tracker.stream(&id)) {
            let info = cell.info();
            self.expected.retain(|(claim, found)| {
                let is_it = claim.origin.is_of(&info);
                if is_it {
                    let _ = found.try_send(Arc::clone(cell));
                }
                !is_it
            });
        }
    }
}

/// Whether a stream waits for its circuit when an event tells this of it.
fn is_waiting(status: &StreamStatus) -> bool {
    matches!(status, StreamStatus::New | StreamStatus::NewResolve | StreamStatus::ControllerWait)
}

impl EventHook for Store {
    fn event(&self, event: &RawEvent<'_>) {
        let (number, event) = (event.number(), event.event().clone());
        self.folding.lock().event(number, event);
    }

    fn ended(&self, reason: &Disconnect) {
        let mut folding = self.folding.lock();
        folding.ended = Some(reason.clone());
        folding.new_streams.clear();
        folding.expected.clear();
        // Their channels end, which wakes them.
        folding.circuit_waiters.clear();
        folding.stream_waiters.clear();
        let feed = folding.feed.take();
        drop(folding);
        if let Some(feed) = feed {
            feed.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Store, WaitEnd};
    use crate::error::Disconnect;
    use crate::link::{EventHook, RawEvent};
    use crate::names::CircuitId;
    use crate::state::circuit_info::CircuitCell;
    use crate::state::tracker::{Answers, Tracker};

    /// Far more than anything takes here that ends at all.
    const LIMIT: Duration = Duration::from_secs(20);

    fn joined() -> Store {
        let store = Store::new();
        store.join(Answers::default(), 0);
        store
    }

    fn tell(store: &Store, lines: &[&str]) {
        let number = store.read(Tracker::number);
        for (number, line) in (number..).zip(lines) {
            store.event(&RawEvent::new(number, format!("650 {line}\r\n").as_bytes()));
        }
    }

    fn wait_for(store: &Store, id: u32, deadline: Instant) -> Result<CircuitId, WaitEnd> {
        store.wait_circuit(CircuitId::from(id), None, deadline, |_, cell| Some(cell.id()))
    }

    #[test]
    fn a_wait_ends_with_what_is_there_with_what_comes_at_its_limit_and_with_the_connection() {
        let store = Arc::new(joined());
        let end = wait_for(&store, 3, Instant::now() + Duration::from_millis(20));
        assert!(matches!(end, Err(WaitEnd::Timeout)), "{end:?}");
        let waiting = Arc::clone(&store);
        let waiter = thread::Builder::new().name("waiter".to_owned()).spawn(move || {
            let first = wait_for(&waiting, 3, Instant::now() + LIMIT).unwrap();
            // It is there, however late it is.
            assert_eq!(wait_for(&waiting, 3, Instant::now()).unwrap(), first);
            wait_for(&waiting, 4, Instant::now() + LIMIT)
        });
        tell(&store, &["CIRC 2 LAUNCHED PURPOSE=GENERAL", "CIRC 3 LAUNCHED PURPOSE=GENERAL"]);
        store.ended(&Disconnect::EndOfStream);
        let end = waiter.unwrap().join().unwrap();
        assert!(matches!(end, Err(WaitEnd::Closed(Disconnect::EndOfStream))), "{end:?}");
        assert!(wait_for(&store, 3, Instant::now()).is_ok(), "it stays as it was");
    }

    #[test]
    fn a_wait_that_gave_up_leaves_nothing_and_an_event_of_another_circuit_looks_at_nothing() {
        let store = joined();
        let (seen, looks) = crossbeam_channel::unbounded();
        let never = move |_: &Tracker, cell: &Arc<CircuitCell>| {
            seen.send(cell.id()).unwrap();
            None::<()>
        };
        thread::scope(|scope| {
            let deadline = Instant::now() + Duration::from_millis(200);
            let shared = &store;
            let wait = move || shared.wait_circuit(CircuitId::from(3), None, deadline, never);
            let waiter = scope.spawn(wait);
            while store.folding.lock().circuit_waiters.is_empty() && !waiter.is_finished() {
                thread::yield_now();
            }
            tell(&store, &["CIRC 2 LAUNCHED PURPOSE=GENERAL", "CIRC 4 CLOSED PURPOSE=GENERAL"]);
            assert!(waiter.join().unwrap().is_err());
        });
        assert!(store.folding.lock().circuit_waiters.is_empty());
        assert_eq!(looks.iter().count(), 0);
    }

    #[test]
    fn every_stream_that_waits_for_its_circuit_is_told_in_order_with_what_is_known_of_it() {
        let store = joined();
        tell(&store, &["STREAM 1 NEW 0 a.example:80 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER"]);
        let streams = store.on_new_stream();
        assert_eq!(store.read(|tracker| tracker.streams().count()), 1);
        tell(
            &store,
            &[
                "STREAM 2 NEWRESOLVE 0 b.example:0 PURPOSE=DNS_REQUEST",
                "STREAM 1 CONTROLLER_WAIT 0 a.example:80",
                "STREAM 2 SENTRESOLVE 7 b.example:0",
                "CIRC 3 LAUNCHED PURPOSE=GENERAL",
                "STREAM 3 NEW 0 c.example:80",
            ],
        );
        store.ended(&Disconnect::Closed);
        let told: Vec<_> = streams.iter().collect();
        let texts: Vec<_> =
            told.iter().map(|info| format!("{} {}", info.id, info.status)).collect();
        assert_eq!(texts, ["2 NEWRESOLVE", "1 CONTROLLER_WAIT", "3 NEW"]);
        assert_eq!(told[1].source_addr.as_ref().unwrap().as_str(), "127.0.0.1:1");
        assert!(store.on_new_stream().recv().is_err(), "the connection has ended");
    }
}
