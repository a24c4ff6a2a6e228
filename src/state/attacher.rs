//! Who chooses the circuits of streams: attachers, and those who send a stream of their own through
//! a circuit.

mod attach_loop;
mod option;
mod registry;
mod reservation;
mod service;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::unbounded;

pub(super) use self::attach_loop::{check_purpose, is_onion};
pub(super) use self::reservation::{StreamOrigin, StreamReservation};
pub(super) use self::service::AttachGuard;

use self::attach_loop::Message;
use self::registry::AttacherId;
use self::service::no_thread;
use self::worker::Worker;
use super::{Circuit, State, StreamInfo};
use crate::error::Result;

/// How long tor waits for an attacher's choice, if nothing else is said.
const LIMIT: Duration = Duration::from_secs(10);

/// What an attacher says about a stream.
///
/// An attacher may also return a `Result` of this: an error is [`Failed`](Self::Failed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// The stream goes through this circuit. If tor does not take it for the stream, since it has
    /// ended, is not built, has one relay only or is not for
    /// [such streams](crate::error::CircuitProblem::Purpose), or if the stream goes to an onion
    /// service, to which tor makes circuits itself, the choice is left to tor, and a warning is
    /// logged.
    To(Circuit),
    /// tor chooses.
    Tor,
    /// The stream is closed; the application is told of a general failure.
    Close,
    /// The attacher of the next lower priority is asked; tor chooses if there is none.
    Pass,
    /// The attacher cannot say, for this reason, which is logged as a warning. tor chooses.
    Failed(Box<str>),
}

impl<E: fmt::Display> From<Result<Self, E>> for Attach {
    fn from(outcome: Result<Self, E>) -> Self {
        outcome.unwrap_or_else(|error| Self::Failed(error.to_string().into()))
    }
}

/// How an attacher is asked: its priority, and how long it may take.
///
/// [`State::set_attacher`] does for most.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use std::time::Duration;
///
/// use torcon::state::{Attach, AttacherOptions, State};
///
/// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let no_mail = AttacherOptions::new().priority(10).limit(Duration::from_secs(1));
/// let guard = no_mail.set(&state, |stream, _| match stream.target.port() {
///     Some(25) => Attach::Close,
///     _ => Attach::Pass,
/// })?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "PriorityAttacher")]
#[derive(Clone, Copy, Debug)]
#[must_use = "an attacher does nothing until it is set"]
pub struct AttacherOptions {
    priority: i32,
    limit: Duration,
}

impl AttacherOptions {
    /// Returns the options at their defaults.
    pub fn new() -> Self {
        Self { priority: 0, limit: LIMIT }
    }

    /// Sets the priority: the attacher of the highest one is asked first, and of two with the same
    /// one that which was set last. The default is 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets how long the attacher may take for one stream, from the moment when it is asked; also
    /// if it is busy with another until then. After that tor chooses. The default is 10 seconds.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets an attacher with these options; see [`State::set_attacher`].
    ///
    /// Blocks the current thread until tor has answered, for each command for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller, and not longer than 10
    /// seconds.
    ///
    /// # Errors
    ///
    /// Those of [`State::set_attacher`].
    pub fn set<F, R>(self, state: &State, mut attacher: F) -> Result<AttacherGuard>
    where
        F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
        R: Into<Attach>,
    {
        let engagement = AttachGuard::new(&state.inner)?;
        let active = Arc::new(AtomicBool::new(true));
        let (asks, inbox) = unbounded();
        let worker = Worker {
            inner: Arc::clone(&state.inner),
            asks: inbox,
            active: Arc::clone(&active),
            answers: engagement.messages.clone(),
        };
        let closure = move |stream: &StreamInfo, circuits: &[Circuit]| -> Attach {
            attacher(stream, circuits).into()
        };
        let id = {
            let mut roster = engagement.shared.roster.lock();
            roster.add(self.priority, self.limit, asks, Arc::clone(&active))
        };
        if let Err(error) = worker.start(id, Box::new(closure)) {
            let entry = engagement.shared.roster.lock().remove(id);
            drop(entry);
            return Err(no_thread(&error));
        }
        Ok(AttacherGuard { id, active, engagement })
    }
}

impl Default for AttacherOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Calls a closure for each new stream, to choose the circuit through which it goes.
    ///
    /// It is called with what is known of the stream and with the circuits that can take streams:
    /// those that are built, of more than one relay, and for general use or a controller's. It
    /// returns an [`Attach`], or a `Result` of one. It is asked about streams of applications and
    /// of requests to resolve names, not about those of tor itself nor about those of
    /// [`Circuit::connect_stream`]. When the exit does not take a stream it is asked again, up to
    /// three times in all. Of several attachers, that with the highest
    /// [priority](AttacherOptions::priority) is asked first.
    ///
    /// No stream is left hanging: tor chooses if the attacher takes longer than its
    /// [limit](AttacherOptions::limit), returns an error or a circuit that tor does not take, or
    /// panics; then it is removed.
    ///
    /// The closure runs on a thread of its own, `torcon-attach`, one stream at a time, and may do
    /// anything, such as building a circuit and waiting for it. A stream that it makes itself waits
    /// for it, unless that is made by [`Circuit::connect_stream`]. The commands are sent by another
    /// thread, `torcon-streams`, which all attachers of a connection share.
    ///
    /// While there is an attacher, the option `__LeaveStreamsUnattached` of tor is 1. It becomes
    /// what it was before when the last guard is dropped, and when this program closes the
    /// connection. If the connection ends in another way, as when the program is killed, tor keeps
    /// the option, and each new stream fails after two minutes unless a controller attaches it. If
    /// somebody else changes the option meanwhile, or has tor read its configuration again, this
    /// stands: the attacher is asked no more ([`AttacherGuard::is_active`]) until another is set,
    /// and nothing is restored. If another controller has set the option before, streams may be
    /// attached by it as well, and the option stays.
    ///
    /// Sends `SETEVENTS` with `CONF_CHANGED`, then `GETCONF __LeaveStreamsUnattached`, and
    /// `SETCONF __LeaveStreamsUnattached="1"` if it is not; for each stream one or more of
    /// `ATTACHSTREAM` and `CLOSESTREAM`.
    ///
    /// Blocks the current thread until tor has answered, for each command for at most the
    /// [time limit](crate::Controller::with_timeout) of the controller, and not longer than 10
    /// seconds.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`](crate::Controller::add_event_listener), of
    /// [`Controller::get_conf`](crate::Controller::get_conf) and of
    /// [`Controller::set_conf`](crate::Controller::set_conf).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::names::CircuitPurpose;
    /// use torcon::state::{Attach, State};
    ///
    /// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// // Web traffic goes through the circuits that controllers have built.
    /// let guard = state.set_attacher(|stream, circuits| {
    ///     let is_ours = |purpose: &CircuitPurpose| *purpose == CircuitPurpose::Controller;
    ///     let mut ours = circuits.iter().filter(|c| c.purpose().as_ref().is_some_and(is_ours));
    ///     match (stream.target.port(), ours.next()) {
    ///         (Some(80 | 443), Some(circuit)) => Attach::To(circuit.clone()),
    ///         _ => Attach::Tor,
    ///     }
    /// })?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "IStreamAttacher")]
    pub fn set_attacher<F, R>(&self, attacher: F) -> Result<AttacherGuard>
    where
        F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
        R: Into<Attach>,
    {
        AttacherOptions::new().set(self, attacher)
    }
}

/// An attacher, which is removed when this is dropped.
///
/// After that no call to it begins, and streams about which it was asked go to other attachers, or
/// to tor. When the last guard of a connection is dropped, tor attaches streams itself again; this
/// waits for tor's answers, but not longer than some seconds if tor does not answer. It may be
/// dropped anywhere, also inside the attacher. Until then it keeps the state and its connection
/// open.
#[must_use = "the attacher is removed when this is dropped"]
pub struct AttacherGuard {
    id: AttacherId,
    active: Arc<AtomicBool>,
    engagement: AttachGuard,
}

impl AttacherGuard {
    /// Returns whether the attacher is asked about new streams: it has not panicked, nobody has
    /// switched off that tor leaves streams to controllers, and the connection is open.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire) && self.engagement.is_in_force()
    }
}

impl Drop for AttacherGuard {
    fn drop(&mut self) {
        self.active.store(false, Ordering::Release);
        let entry = self.engagement.shared.roster.lock().remove(self.id);
        drop(entry);
        // Nobody takes it if everything has ended.
        let _ = self.engagement.messages.send(Message::Removed(self.id));
    }
}

impl fmt::Debug for AttacherGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttacherGuard").field("active", &self.is_active()).finish_non_exhaustive()
    }
}
