//! The thread that tells tor where streams go.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, at, never, select};
use parking_lot::Mutex;

use super::Attach;
use super::option::LeaveStreams;
use super::registry::{AttacherId, AttacherRegistry};
use super::reservation::StreamReservation;
use super::worker::{Answer, Ask};
use crate::command::AttachStream;
use crate::controller::Controller;
use crate::error::{CircuitProblem, Error, Result};
use crate::link::deadline_after;
use crate::names::{
    CircuitId, CircuitPurpose, StreamId, StreamPurpose, StreamReason, StreamStatus, Target,
};
use crate::state::Inner;
use crate::state::circuit_info::CircuitInfo;
use crate::state::stream_info::StreamInfo;

/// How often attachers are asked about one stream, which comes back when its exit does not take
/// it, before it is left to tor.
const ASKED: u32 = 3;

/// When those that are gone are no longer counted.
const COUNTED: usize = 4096;

/// How long tor's answer to one command is waited for, while others wait for theirs.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What is said to the thread.
pub(super) enum Message {
    Answer(Answer),
    /// An attacher is gone: what it was asked is asked of others.
    Removed(AttacherId),
    /// Everything ends: the streams that wait are left to tor. The sender is dropped after that.
    Stop(Sender<()>),
}

/// What the thread shares with those who use it.
pub(super) struct Shared {
    /// A leaf lock.
    pub(super) roster: Mutex<AttacherRegistry>,
    pub(super) option: LeaveStreams,
}

/// What the thread holds.
pub(super) struct AttachLoop {
    pub(super) controller: Controller,
    /// Keeps the store true.
    pub(super) inner: Arc<Inner>,
    pub(super) shared: Arc<Shared>,
    pub(super) streams: Receiver<Arc<StreamInfo>>,
    pub(super) messages: Receiver<Message>,
    pub(super) waiting: HashMap<StreamId, Waiting>,
    /// How often attachers were asked about a stream.
    pub(super) times: HashMap<StreamId, u32>,
    /// What was known of a stream when it was given its way, of which tor tells later.
    pub(super) placed: HashMap<StreamId, Arc<StreamInfo>>,
}

/// A stream about which an attacher is being asked.
pub(super) struct Waiting {
    stream: Arc<StreamInfo>,
    asked: AttacherId,
    deadline: Instant,
    /// Those to be asked if it passes, in their order.
    behind: VecDeque<AttacherId>,
}

impl AttachLoop {
    /// The body of the thread. It ends when it is told to, or with the connection.
    pub(super) fn run(mut self) {
        self.controller = self.controller.with_timeout(self.controller.timeout().min(ANSWER_LIMIT));
        loop {
            let next = self.waiting.values().map(|waiting| waiting.deadline).min();
            let late = next.map_or_else(never, at);
            let outcome = select! {
                recv(self.streams) -> stream => match stream {
                    Ok(stream) => self.stream(&stream),
                    Err(_) => break,
                },
                recv(self.messages) -> message => match message {
                    Ok(Message::Answer(answer)) => self.answer(answer),
                    Ok(Message::Removed(id)) => self.removed(id),
                    Ok(Message::Stop(done)) => {
                        self.stop();
                        drop(done);
                        return;
                    }
                    Err(_) => break,
                },
                recv(late) -> _ => self.give_up_late(),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_closed() => break,
                Err(error) => log::warn!("a stream could not be attached: {error}"),
            }
        }
        let gone = self.shared.roster.lock().clear();
        drop(gone);
    }

    /// Takes a stream that may wait for its circuit.
    fn stream(&mut self, stream: &Arc<StreamInfo>) -> Result<()> {
        if stream.status != StreamStatus::ControllerWait {
            return Ok(());
        }
        let claim = self.shared.roster.lock().claim_of(stream);
        if let Some(claim) = claim {
            return self.claimed(stream, &claim);
        }
        let attachers: VecDeque<_> = {
            let roster = self.shared.roster.lock();
            roster.attachers().map(|entry| entry.id).collect()
        };
        if attachers.is_empty() && self.shared.option.was_on() {
            // Another controller attaches streams, and this one is none of ours.
            return Ok(());
        }
        if attachers.is_empty() || is_of_tor(stream) || self.count(stream.id) > ASKED {
            return self.leave(stream.id);
        }
        self.ask(stream, attachers)
    }

    /// Counts how often attachers are asked about a stream, with this time.
    fn count(&mut self, stream: StreamId) -> u32 {
        if self.times.len() >= COUNTED {
            let times = &mut self.times;
            self.inner.store.read(|tracker| times.retain(|id, _| tracker.stream(id).is_some()));
        }
        let times = self.times.entry(stream).or_default();
        *times += 1;
        *times
    }

    /// Attaches a stream of our own to its circuit.
    fn claimed(&mut self, stream: &Arc<StreamInfo>, claim: &Arc<StreamReservation>) -> Result<()> {
        // It has ended meanwhile.
        if self.inner.store.read(|tracker| tracker.stream(&stream.id).is_none()) {
            return Ok(());
        }
        if claim.set_attached() {
            // It was on the circuit, and its exit did not take it.
            let (reason, remote_reason) = (stream.reason.clone(), stream.remote_reason.clone());
            let code = remote_reason.clone().filter(|reason| reason.number().is_some());
            claim.set_problem(CircuitProblem::Stream { reason, remote_reason });
            return self.close(stream.id, code.unwrap_or(StreamReason::Misc));
        }
        // It was checked when the stream was asked for, and may be another by now.
        let circuit = self.inner.store.read(|tracker| tracker.circuit(&claim.circuit).cloned());
        if let Some(Err(problem)) = circuit.map(|cell| fits(&cell.info(), stream)) {
            claim.set_problem(problem);
            return self.close(stream.id, StreamReason::Misc);
        }
        match self.attach(stream.id, claim.circuit) {
            Err(Error::Rejected(rejection)) => {
                claim.set_problem(CircuitProblem::NotAttached(rejection));
                self.close(stream.id, StreamReason::Misc)
            }
            outcome => outcome,
        }
    }

    /// Asks the first attacher that is there about a stream, and leaves it to tor if there is none.
    fn ask(&mut self, stream: &Arc<StreamInfo>, mut behind: VecDeque<AttacherId>) -> Result<()> {
        while let Some(id) = behind.pop_front() {
            let entry = self.shared.roster.lock().attacher(id).cloned();
            let Some(entry) = entry else { continue };
            let deadline = deadline_after(entry.limit);
            let ask = Ask { stream: Arc::clone(stream), deadline };
            // It fails if the attacher has panicked just now.
            if entry.asks.send(ask).is_ok() {
                let stream = Arc::clone(stream);
                let waiting = Waiting { stream, asked: id, deadline, behind };
                self.waiting.insert(waiting.stream.id, waiting);
                return Ok(());
            }
        }
        self.leave(stream.id)
    }

    /// Does what an attacher says.
    fn answer(&mut self, answer: Answer) -> Result<()> {
        let Answer { stream: id, attacher, choice } = answer;
        // Otherwise it was too slow, or somebody else is being asked by now.
        if self.waiting.get(&id).is_none_or(|waiting| waiting.asked != attacher) {
            return Ok(());
        }
        let Some(waiting) = self.waiting.remove(&id) else { return Ok(()) };
        match choice {
            Attach::To(circuit) => {
                let problem = if is_onion(&waiting.stream.target) {
                    "tor makes the circuits to onion services itself".to_owned()
                } else if !self.controller.is_same_connection(circuit.state().controller()) {
                    "the circuit is of another tor".to_owned()
                } else if let Err(problem) = fits(&circuit.info(), &waiting.stream) {
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
            Attach::Pass => self.ask(&waiting.stream, waiting.behind),
            Attach::Failed(text) => {
                log::warn!("stream {id} is left to tor, an attacher failed: {text}");
                self.leave(id)
            }
        }
    }

    /// Asks somebody else what an attacher that is gone was asked.
    fn removed(&mut self, id: AttacherId) -> Result<()> {
        let asked = self.waiting.values().filter(|waiting| waiting.asked == id);
        let asked: Vec<_> = asked.map(|waiting| waiting.stream.id).collect();
        for stream in asked {
            if let Some(waiting) = self.waiting.remove(&stream) {
                self.ask(&waiting.stream, waiting.behind)?;
            }
        }
        Ok(())
    }

    /// Leaves the streams to tor whose attachers were too slow.
    fn give_up_late(&mut self) -> Result<()> {
        let now = Instant::now();
        let late: Vec<_> =
            self.waiting.values().filter(|waiting| waiting.deadline <= now).collect();
        let late: Vec<_> = late.into_iter().map(|waiting| waiting.stream.id).collect();
        for stream in late {
            log::warn!("stream {stream} is left to tor: an attacher took too long");
            self.waiting.remove(&stream);
            self.leave(stream)?;
        }
        Ok(())
    }

    /// Leaves everything to tor that waits for us.
    fn stop(&mut self) {
        let mut left: Vec<_> = self.waiting.drain().map(|(id, _)| id).collect();
        if !self.shared.option.was_on() {
            let is_waiting = |info: &StreamInfo| info.status == StreamStatus::ControllerWait;
            // tor would take a stream off the way that it was given just now.
            let is_placed = |id: &StreamId, info: &Arc<StreamInfo>| {
                self.placed.get(id).is_some_and(|then| Arc::ptr_eq(then, info))
            };
            left = self.inner.store.read(|tracker| {
                let streams = tracker.streams().map(|cell| (cell.id(), cell.info()));
                let waiting = streams.filter(|(id, info)| is_waiting(info) && !is_placed(id, info));
                waiting.map(|(id, _)| id).collect()
            });
        }
        for id in left {
            if let Err(error) = self.leave(id) {
                log::warn!("stream {id} could not be left to tor: {error}");
                if error.is_closed() {
                    break;
                }
            }
        }
        let gone = self.shared.roster.lock().clear();
        drop(gone);
    }

    fn attach(&mut self, stream: StreamId, circuit: CircuitId) -> Result<()> {
        self.place(stream, &AttachStream::new(stream, circuit))
    }

    /// Leaves a stream to tor, if it still waits.
    fn leave(&mut self, stream: StreamId) -> Result<()> {
        match self.place(stream, &AttachStream::left_to_tor(stream)) {
            Err(Error::Rejected(_)) => Ok(()),
            outcome => outcome,
        }
    }

    fn place(&mut self, stream: StreamId, command: &AttachStream) -> Result<()> {
        let known = |id: &StreamId| {
            self.inner.store.read(|tracker| tracker.stream(id).map(|cell| cell.info()))
        };
        let before = known(&stream);
        self.controller.attach_stream(*command)?;
        if self.placed.len() >= COUNTED {
            self.placed.retain(|id, then| known(id).is_some_and(|now| Arc::ptr_eq(&now, then)));
        }
        self.placed.extend(before.map(|info| (stream, info)));
        Ok(())
    }

    /// Closes a stream, if it is still there.
    fn close(&self, stream: StreamId, reason: StreamReason) -> Result<()> {
        match self.controller.close_stream(stream, reason) {
            Err(Error::Rejected(_)) => Ok(()),
            outcome => outcome,
        }
    }
}

/// Whether tor itself has made a stream: nobody else knows what it is for.
fn is_of_tor(stream: &StreamInfo) -> bool {
    let is_internal =
        stream.source_addr.as_ref().is_some_and(|source| source.host() == "(Tor_internal)");
    let is_directory = matches!(
        stream.purpose,
        Some(StreamPurpose::DirFetch | StreamPurpose::DirUpload | StreamPurpose::DirportTest)
    );
    is_internal || is_directory
}

/// Checks that tor can send a stream through a circuit of its purpose.
///
/// tor 0.4.9 aborts when a request to resolve a name is attached to a circuit of a controller. To
/// those of onion services and the like it takes streams, and sends them to no address.
fn fits(circuit: &CircuitInfo, stream: &StreamInfo) -> Result<(), CircuitProblem> {
    let resolves =
        stream.purpose == Some(StreamPurpose::DnsRequest) || stream.target.port() == Some(0);
    check_purpose(circuit.purpose.as_ref(), resolves)
}

/// Checks that circuits of a purpose take streams of applications, or requests to resolve names.
pub(crate) fn check_purpose(
    purpose: Option<&CircuitPurpose>,
    resolves: bool,
) -> Result<(), CircuitProblem> {
    match purpose {
        Some(CircuitPurpose::General | CircuitPurpose::ConfluxLinked) => Ok(()),
        Some(CircuitPurpose::Controller) if !resolves => Ok(()),
        purpose => Err(CircuitProblem::Purpose { purpose: purpose.cloned() }),
    }
}

/// Whether a stream goes to an onion service.
pub(crate) fn is_onion(target: &Target) -> bool {
    let host = target.host().as_bytes();
    host.len() > 6
        && host.get(host.len() - 6..).is_some_and(|end| end.eq_ignore_ascii_case(b".onion"))
}
