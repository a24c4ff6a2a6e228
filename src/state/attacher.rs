//! Attachers, which choose the circuits of streams, and streams that are opened through a chosen
//! circuit.
//!
//! Both need the option `__LeaveStreamsUnattached`, with which tor leaves new streams to
//! controllers. Every [`AttachGuard`] keeps it on. Meanwhile the [attach loop](attach_loop) handles
//! each new stream: it attaches a reserved stream to its circuit, asks the attachers about the
//! streams of applications, and leaves all others to tor.

mod attach_loop;
mod eligible;
mod leave_streams;
mod registered;
mod reservation;
mod service;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::attach_loop::Message;
pub(super) use self::eligible::{check_purpose, is_onion};
pub(super) use self::registered::Attachers;
pub(super) use self::reservation::{StreamOrigin, StreamReservation};
pub(super) use self::service::{AttachGuard, hand_over};

use self::attach_loop::AttacherId;
use self::registered::RegisteredAttacher;
use self::service::no_thread;
use self::worker::Worker;
use super::{Circuit, State, StreamInfo};
use crate::clock::deadline_after;
use crate::error::Result;
use crate::sync::channel::unbounded;

/// The default time limit of an attacher for one stream.
const LIMIT: Duration = Duration::from_secs(10);

/// The choice of an attacher for a stream.
///
/// An attacher may also return a `Result` of this type; an error is [`Failed`](Self::Failed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// The stream is attached to this circuit.
    ///
    /// tor chooses instead, and a warning is logged, if it does not attach the stream: the circuit
    /// has ended, is not built, has only one relay or is for
    /// [another purpose](crate::error::CircuitProblem::Purpose), or the stream goes to an onion
    /// service, to which tor builds the circuits itself.
    To(Circuit),
    /// tor chooses the circuit.
    Tor,
    /// The stream is closed; the application gets a general SOCKS failure.
    Close,
    /// The attacher of the next lower priority is asked; tor chooses if there is none.
    Pass,
    /// The attacher has failed for this reason, which is logged as a warning. tor chooses the
    /// circuit.
    Failed(Box<str>),
}

impl<E: fmt::Display> From<Result<Self, E>> for Attach {
    fn from(outcome: Result<Self, E>) -> Self {
        outcome.unwrap_or_else(|error| Self::Failed(error.to_string().into()))
    }
}

/// The priority and the time limit of an attacher.
///
/// [`State::set_attacher`] sets one with the defaults.
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
/// let guard = no_mail.set(&state, |stream, _| match stream.target().port() {
///     Some(25) => Attach::Close,
///     _ => Attach::Pass,
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "an attacher does nothing until it is set"]
pub struct AttacherOptions {
    priority: i32,
    limit: Duration,
}

impl AttacherOptions {
    /// Returns the default options.
    pub fn new() -> Self {
        Self { priority: 0, limit: LIMIT }
    }

    /// Sets the priority. The attacher with the highest priority is asked first, and among equals
    /// the one that was set last. The default is 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the longest time for one stream, measured from the request to the attacher, which may
    /// be busy with another stream. After that tor chooses. The default is 10 seconds.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets an attacher with these options; see [`State::set_attacher`], also for the commands and
    /// the time limit.
    ///
    /// # Errors
    ///
    /// Those of [`State::set_attacher`].
    pub fn set<F, R>(self, state: &State, mut attacher: F) -> Result<AttacherGuard>
    where
        F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
        R: Into<Attach>,
    {
        let (requests, inbox) = unbounded();
        let id = AttacherId::new(self.priority);
        let registered = Arc::new(RegisteredAttacher::new(id, self.limit, requests));
        let worker = Worker {
            shared: Arc::downgrade(&state.shared),
            id,
            requests: inbox,
            is_set: Arc::clone(&registered.is_set),
        };
        let closure = move |stream: &StreamInfo, circuits: &[Circuit]| -> Attach {
            attacher(stream, circuits).into()
        };
        let guard = AttacherGuard { state: state.clone(), registered };
        // Registered first: if the state moves meanwhile, one of the two threads sets the attacher.
        state.shared.attachers.add(&guard.registered);
        let generation = state.shared.present();
        let limit = generation.controller.timeout();
        let set = guard.registered.set_on(&generation, deadline_after(limit), limit);
        if !guard.registered.is_set_on_any() {
            set?;
        }
        if !state.shared.is_supervised {
            guard.registered.set_on_no_other();
        }
        worker.start(Box::new(closure)).map_err(|error| no_thread(&error))?;
        Ok(guard)
    }
}

impl Default for AttacherOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Calls a closure for each new stream, to choose the circuit for it.
    ///
    /// The closure gets the stream as tor has reported it, and the circuits that can take streams:
    /// those that are built, have more than one relay, and are general circuits or a controller's.
    /// It returns an [`Attach`], or a `Result` of one. It is called for streams of applications and
    /// for requests to resolve names, but not for streams of tor itself nor for those of
    /// [`Circuit::connect_stream`]. When an exit does not connect, the closure is called again, up
    /// to three times in all. Of several attachers, the one with the highest
    /// [priority](AttacherOptions::priority) is called first.
    ///
    /// Every stream is attached in the end: tor chooses the circuit if the attacher exceeds its
    /// [limit](AttacherOptions::limit), returns an error or a circuit that tor does not accept, or
    /// panics, which also removes it.
    ///
    /// The closure runs on a separate thread, `torcon-attach`, for one stream at a time, and may do
    /// anything, such as building a circuit and waiting for it. A stream that it opens waits for
    /// the closure itself, except by [`Circuit::connect_stream`]. Another thread, `torcon-streams`,
    /// which all attachers of a connection share, sends the commands.
    ///
    /// While an attacher is set, tor's option `__LeaveStreamsUnattached` is 1. It is restored when
    /// the last guard is dropped, and when this program closes the connection. If the connection
    /// ends in another way, for example because the program is killed, tor keeps the option, and
    /// each new stream fails after two minutes unless a controller attaches it. If another
    /// controller changes the option meanwhile, or makes tor reload its configuration, that value
    /// stays: the attacher is no longer called ([`AttacherGuard::is_active`]) until another one is
    /// set, and nothing is restored. If the option was on before, the other controller may attach
    /// streams as well, and the option stays on.
    ///
    /// A supervisor sets the attachers of its state again on each connection, and restores the
    /// option there if the former connection ended before it was restored.
    ///
    /// Sends `SETEVENTS` with `CONF_CHANGED`, then `GETCONF __LeaveStreamsUnattached`, and `SETCONF
    /// __LeaveStreamsUnattached=1` if it is not; then `ATTACHSTREAM` or `CLOSESTREAM` for each
    /// stream. Blocks for at most the controller's [time limit](crate::Controller::with_timeout),
    /// and not longer than 10 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`](crate::Controller::add_event_listener), of
    /// [`Controller::get_conf`](crate::Controller::get_conf) and of
    /// [`Controller::set_conf`](crate::Controller::set_conf);
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if tor is older than 0.4.5.1 or no thread
    /// can be started.
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
    ///     let purpose = Some(CircuitPurpose::Controller);
    ///     let circuit = circuits.iter().find(|circuit| circuit.purpose() == purpose);
    ///     match (stream.target().port(), circuit) {
    ///         (Some(80 | 443), Some(circuit)) => Attach::To(circuit.clone()),
    ///         _ => Attach::Tor,
    ///     }
    /// })?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "add_attacher")]
    #[doc(alias = "IStreamAttacher")]
    pub fn set_attacher<F, R>(&self, attacher: F) -> Result<AttacherGuard>
    where
        F: FnMut(&StreamInfo, &[Circuit]) -> R + Send + 'static,
        R: Into<Attach>,
    {
        AttacherOptions::new().set(self, attacher)
    }
}

/// Keeps an attacher set, and removes it when dropped.
///
/// No call to the attacher begins after that. Its pending streams go to other attachers, or to tor.
/// The last guard of a connection restores the option of tor, and waits for at most two seconds
/// until tor has confirmed it. A guard can be dropped anywhere, even inside the attacher. It keeps
/// the state and the connection open.
///
/// # Examples
///
/// ```no_run
/// use torcon::state::{Attach, State};
///
/// let state = State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let guard = state.set_attacher(|_, _| Attach::Tor)?;
/// println!("the attacher is called: {}", guard.is_active());
/// // tor attaches all streams again.
/// drop(guard);
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the attacher is removed when this is dropped"]
pub struct AttacherGuard {
    /// Keeps the state and its connection open.
    state: State,
    registered: Arc<RegisteredAttacher>,
}

impl AttacherGuard {
    /// Returns whether the attacher is called for new streams: it has not panicked, tor still
    /// leaves streams to controllers, and the connection is open.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.registered.is_active()
    }
}

impl Drop for AttacherGuard {
    fn drop(&mut self) {
        self.state.shared.attachers.remove(&self.registered);
        self.registered.remove();
    }
}

impl fmt::Debug for AttacherGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttacherGuard").field("active", &self.is_active()).finish_non_exhaustive()
    }
}
