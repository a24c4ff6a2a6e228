//! The tracker in its place: fed on the reader thread, read on every other.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Condvar, Mutex};

use super::change::{Change, Subject};
use super::listeners::Delivery;
use super::stream_info::StreamInfo;
use super::tracker::{Answers, Tracker};
use crate::error::{Disconnect, Error, Timeout, Wait};
use crate::event::{Event, EventKind};
use crate::link::{BacklogSender, EventHook, Queuing, RawEvent};
use crate::names::StreamStatus;

/// The kinds of event that a state is made of.
pub(super) const KINDS: &[EventKind] = &[
    EventKind::AddrMap,
    EventKind::Circ,
    EventKind::CircMinor,
    EventKind::Guard,
    EventKind::NetworkLiveness,
    EventKind::OrConn,
    EventKind::Signal,
    EventKind::StatusClient,
    EventKind::Stream,
];

/// What an update costs in the queue to the listeners, beside what the state holds anyway.
const UPDATE_SIZE: usize = 512;

/// What is known, with those who wait for a change of it.
///
/// The connection holds it as a tap, so it holds nothing of the connection.
pub(crate) struct Picture {
    /// A leaf lock, but for those of single circuits and streams. The reader takes it for every
    /// event, so nobody holds it for long, and nobody waits or calls a closure with it.
    folding: Mutex<Folding>,
    /// Signalled after each event and at the end; goes with `folding`.
    changed: Condvar,
}

struct Folding {
    tracker: Tracker,
    /// Used again for each event.
    changes: Vec<Change>,
    /// To the thread that calls listeners; `None` as long as there was none, and at the end.
    queue: Option<BacklogSender<Delivery>>,
    /// What its listeners listen to: one entry for each of them. Nothing else is queued.
    wanted: Vec<Subject>,
    /// Those who want to know of each stream that waits for its circuit.
    new_streams: Vec<Sender<Arc<StreamInfo>>>,
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

impl Picture {
    pub(super) fn new() -> Self {
        let folding = Folding {
            tracker: Tracker::new(),
            changes: Vec::new(),
            queue: None,
            wanted: Vec::new(),
            new_streams: Vec::new(),
            ended: None,
        };
        Self { folding: Mutex::new(folding), changed: Condvar::new() }
    }

    /// Takes the snapshot, which knows of so many events.
    pub(super) fn join(&self, answers: Answers, events_before: u64) {
        let mut folding = self.folding.lock();
        folding.change(|tracker, changes| tracker.join(answers, events_before, changes));
        self.changed.notify_all();
    }

    /// Looks at what is known now. The reader waits meanwhile.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Tracker) -> T) -> T {
        look(&self.folding.lock().tracker)
    }

    /// Waits until what is wanted is there, and returns it. `look` is called after each event, on
    /// the thread that waits; it must be quick, and the reader waits for it.
    ///
    /// The reader wakes who waits, so this works inside a listener.
    pub(crate) fn wait<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Tracker) -> Option<T>,
    ) -> Result<T, WaitEnd> {
        let mut folding = self.folding.lock();
        loop {
            if let Some(found) = look(&folding.tracker) {
                return Ok(found);
            }
            if let Some(reason) = &folding.ended {
                return Err(WaitEnd::Closed(reason.clone()));
            }
            // What wakes us in time may be something else, again and again.
            if Instant::now() >= deadline {
                return Err(WaitEnd::Timeout);
            }
            self.changed.wait_until(&mut folding, deadline);
        }
    }

    /// From now on, circuits that end can still be found by [`Tracker::begun`].
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

    /// Takes out the mappings whose time is over. Returns when the next one ends.
    pub(super) fn expire(&self, now: SystemTime) -> Option<SystemTime> {
        let mut folding = self.folding.lock();
        folding.change(|tracker, changes| tracker.expire(now, changes));
        folding.tracker.next_expiry()
    }

    /// Gives a listener to the thread that calls them, made from what is known at that moment, and
    /// from then on the changes that it wants. Returns whether there is such a thread.
    pub(super) fn add_listener(
        &self,
        subject: Subject,
        make: impl FnOnce(&Tracker) -> Delivery,
    ) -> bool {
        let mut folding = self.folding.lock();
        let Folding { tracker, queue, wanted, .. } = &mut *folding;
        let Some(queue) = queue else { return false };
        wanted.push(subject);
        // It costs nothing, so that it is never lost.
        !matches!(queue.send(make(tracker), 0, 0), Queuing::Closed(_))
    }

    /// Tells the thread that calls listeners that one is not wanted any more.
    pub(super) fn remove_listener(&self, removal: Delivery) {
        if let Some(queue) = &mut self.folding.lock().queue {
            queue.send(removal, 0, 0);
        }
    }

    /// One listener less wants such changes.
    pub(super) fn listener_is_gone(&self, subject: Subject) {
        let wanted = &mut self.folding.lock().wanted;
        if let Some(place) = wanted.iter().position(|other| *other == subject) {
            wanted.swap_remove(place);
        }
    }

    /// Begins to give changes to a thread that calls listeners, unless the connection has ended.
    pub(super) fn set_queue(&self, queue: BacklogSender<Delivery>) {
        let mut folding = self.folding.lock();
        if folding.ended.is_none() {
            folding.queue = Some(queue);
        }
    }

    /// Ends the thread that calls listeners when it has done what there is to do.
    pub(super) fn end_queue(&self) {
        let queue = self.folding.lock().queue.take();
        drop(queue);
    }
}

impl Folding {
    /// Changes what is known, and hands on what has changed.
    fn change(&mut self, change: impl FnOnce(&mut Tracker, &mut Vec<Change>)) {
        change(&mut self.tracker, &mut self.changes);
        for change in self.changes.drain(..) {
            let Some(queue) = &mut self.queue else { continue };
            if !self.wanted.contains(&change.subject()) {
                continue;
            }
            if let Queuing::Dropped { first: true, .. } =
                queue.send(Delivery::Change(change), UPDATE_SIZE, 1)
            {
                log::warn!("listeners of a state are too slow: updates are being dropped");
            }
        }
    }

    /// Takes an event.
    fn event(&mut self, number: u64, event: Event) {
        let waiting = match &event {
            Event::Stream(stream) if !self.new_streams.is_empty() => {
                is_waiting(&stream.status).then_some(stream.id)
            }
            _ => None,
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
    }
}

/// Whether a stream waits for its circuit when an event tells this of it.
fn is_waiting(status: &StreamStatus) -> bool {
    matches!(status, StreamStatus::New | StreamStatus::NewResolve | StreamStatus::ControllerWait)
}

impl EventHook for Picture {
    fn event(&self, event: &RawEvent<'_>) {
        let (number, event) = (event.number(), event.event().clone());
        self.folding.lock().event(number, event);
        self.changed.notify_all();
    }

    fn ended(&self, reason: &Disconnect) {
        let mut folding = self.folding.lock();
        folding.ended = Some(reason.clone());
        folding.new_streams.clear();
        let queue = folding.queue.take();
        drop(folding);
        drop(queue);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Picture, WaitEnd};
    use crate::error::Disconnect;
    use crate::link::{EventHook, RawEvent};
    use crate::names::{CircuitId, NetworkLiveness};
    use crate::state::tracker::{Answers, Tracker};

    /// Far more than anything takes here that ends at all.
    const LIMIT: Duration = Duration::from_secs(20);

    fn joined() -> Picture {
        let picture = Picture::new();
        let answers = Answers {
            circuits: Vec::new(),
            streams: Vec::new(),
            connections: Vec::new(),
            guards: Vec::new(),
            addresses: Vec::new(),
            bootstrap: "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"x\"".parse().unwrap(),
            liveness: NetworkLiveness::Up,
        };
        picture.join(answers, 0);
        picture
    }

    fn tell(picture: &Picture, lines: &[&str]) {
        let number = picture.read(Tracker::number);
        for (number, line) in (number..).zip(lines) {
            picture.event(&RawEvent::new(number, format!("650 {line}\r\n").as_bytes()));
        }
    }

    fn is_there(tracker: &Tracker) -> Option<CircuitId> {
        tracker.circuit(&CircuitId::from(3)).map(|cell| cell.id())
    }

    #[test]
    fn a_wait_ends_with_what_is_there_with_what_comes_at_its_limit_and_with_the_connection() {
        let picture = Arc::new(joined());
        let end = picture.wait(Instant::now() + Duration::from_millis(20), is_there);
        assert!(matches!(end, Err(WaitEnd::Timeout)), "{end:?}");
        let waiting = Arc::clone(&picture);
        let waiter = thread::Builder::new().name("waiter".to_owned()).spawn(move || {
            let first = waiting.wait(Instant::now() + LIMIT, is_there).unwrap();
            // It is there, however late it is.
            assert_eq!(waiting.wait(Instant::now(), is_there).unwrap(), first);
            waiting.wait(Instant::now() + LIMIT, |_| None::<()>)
        });
        tell(&picture, &["CIRC 2 LAUNCHED PURPOSE=GENERAL", "CIRC 3 LAUNCHED PURPOSE=GENERAL"]);
        picture.ended(&Disconnect::EndOfStream);
        let end = waiter.unwrap().join().unwrap();
        assert!(matches!(end, Err(WaitEnd::Closed(Disconnect::EndOfStream))), "{end:?}");
        assert!(picture.wait(Instant::now(), is_there).is_ok(), "it stays as it was");
    }

    #[test]
    fn every_stream_that_waits_for_its_circuit_is_told_in_order_with_what_is_known_of_it() {
        let picture = joined();
        tell(&picture, &["STREAM 1 NEW 0 a.example:80 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER"]);
        let streams = picture.on_new_stream();
        assert_eq!(picture.read(|tracker| tracker.streams().count()), 1);
        tell(
            &picture,
            &[
                "STREAM 2 NEWRESOLVE 0 b.example:0 PURPOSE=DNS_REQUEST",
                "STREAM 1 CONTROLLER_WAIT 0 a.example:80",
                "STREAM 2 SENTRESOLVE 7 b.example:0",
                "CIRC 3 LAUNCHED PURPOSE=GENERAL",
                "STREAM 3 NEW 0 c.example:80",
            ],
        );
        picture.ended(&Disconnect::Closed);
        let told: Vec<_> = streams.iter().collect();
        let texts: Vec<_> =
            told.iter().map(|info| format!("{} {}", info.id, info.status)).collect();
        assert_eq!(texts, ["2 NEWRESOLVE", "1 CONTROLLER_WAIT", "3 NEW"]);
        assert_eq!(told[1].source_addr.as_ref().unwrap().as_str(), "127.0.0.1:1");
        assert!(picture.on_new_stream().recv().is_err(), "the connection has ended");
    }
}
