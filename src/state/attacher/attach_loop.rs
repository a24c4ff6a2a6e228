//! The thread that attaches the streams of one connection, `torcon-streams`.
//!
//! It owns the attachers, the reservations and the progress of each stream; other threads send it
//! messages. All messages have one queue and so the order of their causes: a reservation precedes
//! the report of its stream, and a stop follows every stream that tor has left to controllers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Attach;
use super::eligible::{check_circuit, is_of_tor, is_onion};
use super::leave_streams::LeaveStreams;
use super::reservation::StreamReservation;
use super::worker::ChoiceRequest;
use crate::clock::{self, deadline_after};
use crate::command::AttachStream;
use crate::controller::Controller;
use crate::error::{CircuitProblem, Error, Result};
use crate::names::{CircuitId, StreamId, StreamReason, StreamStatus, printable};
use crate::state::generation::Generation;
use crate::state::stream_info::{StreamCell, StreamInfo};
use crate::sync::Counter;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender};

/// How often attachers are asked about one stream before it is left to tor. A stream waits again
/// when its exit does not connect.
const MAX_ASKED: u32 = 3;

/// The longest wait for the reply to one command, while other streams wait.
const REPLY_LIMIT: Duration = Duration::from_secs(10);

/// A message to the thread.
pub(crate) enum Message {
    /// tor reported that a stream waits for a controller to attach it.
    Waiting(Arc<StreamInfo>),
    /// tor reported that a stream is closed.
    Closed(StreamId),
    /// The connection ended.
    Disconnected,
    Reserve(Arc<StreamReservation>),
    Release(Arc<StreamReservation>),
    AddAttacher(AttacherId, Attacher),
    RemoveAttacher(AttacherId),
    /// The choice of an attacher for a stream.
    Choice(StreamId, AttacherId, Attach),
    /// Leave the waiting streams to tor, drop the sender, and end.
    Stop(Sender<()>),
}

/// Identifies an attacher. The one with the highest identifier is asked first: the one with the
/// highest priority, or of several the last one that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttacherId {
    priority: i32,
    number: u64,
}

impl AttacherId {
    pub(super) fn new(priority: i32) -> Self {
        static NEXT: Counter = Counter::new();
        Self { priority, number: NEXT.next() }
    }
}

/// An attacher, as this thread uses it.
pub(crate) struct Attacher {
    pub(super) limit: Duration,
    pub(super) requests: Sender<ChoiceRequest>,
    /// The queue of this thread.
    pub(super) answers: Sender<Message>,
    /// Whether this thread still asks the attacher; shared with its requests.
    pub(super) active: Arc<AtomicBool>,
}

impl Drop for Attacher {
    fn drop(&mut self) {
        self.active.store(false, Ordering::Release);
    }
}

/// The progress of a stream that has waited and is not closed.
#[derive(Default)]
struct Progress {
    /// How often the stream has waited for a controller.
    waits: u32,
    /// tor accepted an `ATTACHSTREAM` since the last wait.
    is_attached: bool,
}

/// The state of the thread.
pub(super) struct AttachLoop {
    controller: Controller,
    /// Keeps the store, which sends the messages about streams.
    generation: Arc<Generation>,
    option: Arc<LeaveStreams>,
    messages: Receiver<Message>,
    attachers: BTreeMap<AttacherId, Attacher>,
    reservations: Vec<Arc<StreamReservation>>,
    streams: HashMap<StreamId, Progress>,
    /// The streams about which an attacher is being asked.
    requests: HashMap<StreamId, ChoiceRequest>,
}

impl AttachLoop {
    pub(super) fn new(
        generation: Arc<Generation>,
        option: Arc<LeaveStreams>,
        messages: Receiver<Message>,
    ) -> Self {
        let limit = generation.controller.timeout().min(REPLY_LIMIT);
        Self {
            controller: generation.controller.with_timeout(limit),
            generation,
            option,
            messages,
            attachers: BTreeMap::new(),
            reservations: Vec::new(),
            streams: HashMap::new(),
            requests: HashMap::new(),
        }
    }

    /// The body of the thread. It ends with [`Message::Stop`], or with the connection.
    pub(super) fn run(mut self) {
        loop {
            let outcome = match self.next() {
                Some(Message::Stop(done)) => {
                    self.stop();
                    drop(self);
                    drop(done);
                    return;
                }
                Some(Message::Disconnected) => return,
                Some(message) => self.handle(message),
                None => self.leave_late_streams(),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_closed() => return,
                Err(error) => log::warn!("a stream could not be attached: {error}"),
            }
        }
    }

    /// Waits for the next message. `None` if an attacher has been too slow.
    fn next(&self) -> Option<Message> {
        let Some(deadline) = self.requests.values().map(|request| request.deadline).min() else {
            return Some(self.messages.recv().unwrap_or(Message::Disconnected));
        };
        // Checked first: `recv_deadline` returns messages even after the deadline.
        if clock::has_passed(deadline) {
            return None;
        }
        match clock::recv_until(&self.messages, deadline) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::Disconnected),
        }
    }

    fn handle(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Waiting(stream) => return self.choose(&stream),
            Message::Closed(id) => {
                self.streams.remove(&id);
                self.requests.remove(&id);
            }
            Message::Reserve(reservation) => self.reservations.push(reservation),
            Message::Release(reservation) => {
                self.reservations.retain(|other| !Arc::ptr_eq(other, &reservation));
            }
            Message::AddAttacher(id, attacher) => {
                self.attachers.insert(id, attacher);
            }
            Message::RemoveAttacher(id) => return self.remove_attacher(id),
            Message::Choice(stream, attacher, choice) => {
                // Otherwise the attacher was too slow, or the stream is closed.
                if self.requests.get(&stream).is_some_and(|request| request.attacher == attacher) {
                    if let Some(request) = self.requests.remove(&stream) {
                        return self.carry_out(&request, choice);
                    }
                }
            }
            Message::Stop(_) | Message::Disconnected => {}
        }
        Ok(())
    }

    /// Handles a stream that waits: attaches it if it is reserved, asks the attachers, or leaves it
    /// to tor.
    fn choose(&mut self, stream: &Arc<StreamInfo>) -> Result<()> {
        let progress = self.streams.entry(stream.id()).or_default();
        progress.waits += 1;
        progress.is_attached = false;
        let waits = progress.waits;
        let reservation = self.reservations.iter().find(|reservation| reservation.is_of(stream));
        if let Some(reservation) = reservation.cloned() {
            return self.attach_reserved(stream, &reservation, waits > 1);
        }
        if self.attachers.is_empty() && self.option.was_on() {
            // The controller that switched the option on attaches it.
            return Ok(());
        }
        if is_of_tor(stream) || waits > MAX_ASKED {
            return self.leave(stream.id());
        }
        self.ask_next(stream, None)
    }

    /// Attaches a reserved stream to its circuit.
    fn attach_reserved(
        &mut self,
        stream: &Arc<StreamInfo>,
        reservation: &StreamReservation,
        was_attached: bool,
    ) -> Result<()> {
        // The event of a closed stream has the reason.
        if self.generation.store.read(|tracker| tracker.stream(&stream.id()).is_none()) {
            return Ok(());
        }
        if was_attached {
            // The exit did not connect, and the stream must not go through another circuit.
            let (reason, remote_reason) = (stream.reason(), stream.remote_reason());
            let code = remote_reason.clone().filter(|reason| reason.number().is_some());
            reservation.set_problem(CircuitProblem::Stream { reason, remote_reason });
            return self.close(stream.id(), code.unwrap_or(StreamReason::Misc));
        }
        // The purpose may have changed since the stream was reserved.
        let id = reservation.circuit;
        let circuit = self.generation.store.read(|tracker| tracker.circuit(&id).cloned());
        if let Some(Err(problem)) = circuit.map(|cell| check_circuit(&cell.info(), stream)) {
            reservation.set_problem(problem);
            return self.close(stream.id(), StreamReason::Misc);
        }
        match self.attach(stream.id(), id) {
            Err(Error::Rejected(rejection)) => {
                reservation.set_problem(CircuitProblem::NotAttached(rejection));
                self.close(stream.id(), StreamReason::Misc)
            }
            outcome => outcome,
        }
    }

    /// Asks the next attacher about a stream: the first of all, or the one after `last`. Leaves the
    /// stream to tor if no attacher remains.
    fn ask_next(&mut self, stream: &Arc<StreamInfo>, mut last: Option<AttacherId>) -> Result<()> {
        loop {
            let next = match last {
                None => self.attachers.last_key_value(),
                Some(last) => self.attachers.range(..last).next_back(),
            };
            let Some((id, attacher)) = next else { return self.leave(stream.id()) };
            let deadline = deadline_after(attacher.limit);
            let request = ChoiceRequest {
                stream: Arc::clone(stream),
                attacher: *id,
                deadline,
                generation: Arc::downgrade(&self.generation),
                active: Arc::clone(&attacher.active),
                answers: attacher.answers.clone(),
            };
            // Fails if the attacher has just panicked.
            if attacher.requests.send(request.clone()).is_ok() {
                self.requests.insert(stream.id(), request);
                return Ok(());
            }
            last = Some(*id);
        }
    }

    /// Carries out the choice of an attacher.
    fn carry_out(&mut self, request: &ChoiceRequest, choice: Attach) -> Result<()> {
        let ChoiceRequest { stream, attacher, .. } = request;
        let id = stream.id();
        match choice {
            Attach::To(circuit) => {
                let problem = if is_onion(&stream.target()) {
                    "tor builds the circuits to onion services itself".to_owned()
                } else if !self.controller.is_same_connection(circuit.controller()) {
                    "the circuit is of another tor".to_owned()
                } else if let Err(problem) = check_circuit(&circuit.info(), stream) {
                    problem.to_string()
                } else {
                    match self.attach(id, circuit.id()) {
                        Err(Error::Rejected(rejection)) => rejection.to_string(),
                        outcome => return outcome,
                    }
                };
                log::warn!("stream {id} is left to tor, not attached as chosen: {problem}");
                self.leave(id)
            }
            Attach::Tor => self.leave(id),
            Attach::Close => self.close(id, StreamReason::Misc),
            Attach::Pass => self.ask_next(stream, Some(*attacher)),
            Attach::Failed(text) => {
                // The message may contain text of the peer.
                let text = printable(&*text);
                log::warn!("stream {id} is left to tor, an attacher failed: {text}");
                self.leave(id)
            }
        }
    }

    /// Removes an attacher. The streams about which it was asked go to the next one.
    fn remove_attacher(&mut self, id: AttacherId) -> Result<()> {
        self.attachers.remove(&id);
        for request in self.take_requests(|request| request.attacher == id) {
            self.ask_next(&request.stream, Some(id))?;
        }
        Ok(())
    }

    /// Leaves the streams to tor whose attachers were too slow.
    fn leave_late_streams(&mut self) -> Result<()> {
        let now = clock::now();
        for request in self.take_requests(|request| request.deadline <= now) {
            let id = request.stream.id();
            log::warn!("stream {id} is left to tor: an attacher took too long");
            self.leave(id)?;
        }
        Ok(())
    }

    fn take_requests(&mut self, is_taken: impl Fn(&ChoiceRequest) -> bool) -> Vec<ChoiceRequest> {
        let requests = std::mem::take(&mut self.requests).into_iter();
        let (taken, kept): (HashMap<_, _>, HashMap<_, _>) =
            requests.partition(|(_, request)| is_taken(request));
        self.requests = kept;
        taken.into_values().collect()
    }

    /// Leaves every stream to tor that waits for this program.
    fn stop(&mut self) {
        let left: Vec<_> = if self.option.was_on() {
            // The controller that switched the option on attaches the others.
            self.requests.keys().copied().collect()
        } else {
            // An attached stream would be detached from its circuit.
            let unattached = self.streams.iter().filter(|(_, progress)| !progress.is_attached);
            let is_waiting =
                |cell: &Arc<StreamCell>| cell.info().status() == StreamStatus::ControllerWait;
            self.generation.store.read(|tracker| {
                let waits = |id: &StreamId| tracker.stream(id).is_some_and(is_waiting);
                unattached.map(|(id, _)| *id).filter(waits).collect()
            })
        };
        for id in left {
            if let Err(error) = self.leave(id) {
                log::warn!("stream {id} could not be left to tor: {error}");
                if error.is_closed() {
                    break;
                }
            }
        }
    }

    fn attach(&mut self, stream: StreamId, circuit: CircuitId) -> Result<()> {
        self.send(stream, AttachStream::new(stream, circuit))
    }

    /// Leaves a stream to tor, if it still waits.
    fn leave(&mut self, stream: StreamId) -> Result<()> {
        match self.send(stream, AttachStream::left_to_tor(stream)) {
            Err(Error::Rejected(_)) => Ok(()),
            outcome => outcome,
        }
    }

    fn send(&mut self, stream: StreamId, command: AttachStream) -> Result<()> {
        self.controller.attach_stream(command)?;
        if let Some(progress) = self.streams.get_mut(&stream) {
            progress.is_attached = true;
        }
        Ok(())
    }

    /// Closes a stream, if it is still open.
    fn close(&self, stream: StreamId, reason: StreamReason) -> Result<()> {
        match self.controller.close_stream(stream, reason) {
            Err(Error::Rejected(_)) => Ok(()),
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AttacherId;

    #[test]
    fn a_stream_is_left_to_tor_at_the_limit_of_its_attacher_and_no_tick_before() {
        use std::sync::Arc;
        use std::time::Duration;

        use super::{AttachLoop, Attacher, Generation, LeaveStreams, Message};
        use crate::clock::{ManualClock, TICK, deadline_after};
        use crate::state::store::Store;
        use crate::state::tests::fake_tor::{Contents, FakeTor};
        use crate::sync::atomic::AtomicBool;
        use crate::sync::channel::unbounded;

        const LIMIT: Duration = Duration::from_secs(60);
        let tor = FakeTor::start(&Contents {
            streams: &["5 CONTROLLER_WAIT 0 a.example:80 PURPOSE=USER"],
            leaves_streams: true,
            ..Contents::default()
        });
        let deadline = deadline_after(LIMIT);
        let generation = Generation::new(&tor.controller, Store::new(false), deadline).unwrap();
        let is_left_on = AtomicBool::new(false);
        let (option, _hook) =
            LeaveStreams::switch_on(&tor.controller, &is_left_on, deadline).unwrap();
        let id = "5".parse().unwrap();
        let stream = generation.store.read(|tracker| tracker.stream(&id).unwrap().info());
        let (sender, messages) = unbounded();
        let mut attach_loop = AttachLoop::new(generation, Arc::new(option), messages);
        let (requests, asked) = unbounded();
        let attacher =
            Attacher { limit: LIMIT, requests, answers: sender.clone(), active: Arc::default() };

        let clock = ManualClock::start();
        attach_loop.handle(Message::AddAttacher(AttacherId::new(0), attacher)).unwrap();
        attach_loop.handle(Message::Waiting(stream)).unwrap();
        assert_eq!(asked.try_iter().count(), 1);
        let mut next = || {
            // Messages that arrive all the time do not delay the limit.
            sender.send(Message::Closed("6".parse().unwrap())).unwrap();
            let message = attach_loop.next();
            attach_loop.leave_late_streams().unwrap();
            (message.is_some(), attach_loop.requests.len())
        };
        clock.advance(LIMIT - TICK);
        assert_eq!(next(), (true, 1));
        assert_eq!(tor.commands("ATTACHSTREAM"), Vec::<String>::new());
        clock.advance(TICK);
        assert_eq!(next(), (false, 0));
        assert_eq!(tor.commands("ATTACHSTREAM"), ["ATTACHSTREAM 5 0"]);
    }

    #[test]
    fn the_highest_priority_is_asked_first_and_among_equals_the_attacher_that_was_added_last() {
        let ids = [0, 5, -1, 0, 5].map(AttacherId::new);
        let mut order = ids;
        order.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(order, [ids[4], ids[1], ids[3], ids[0], ids[2]]);
    }
}
