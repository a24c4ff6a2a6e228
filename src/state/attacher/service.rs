//! The one place of a connection from where streams are attached, while anybody wants to.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;

use super::attach_loop::{AttachLoop, Message, Shared};
use super::option::LeaveStreams;
use super::registry::AttacherRegistry;
use super::reservation::StreamReservation;
use crate::controller::{CloseHookId, Controller, HookGuard};
use crate::error::{Error, InvalidInput, Result};
use crate::link::lock_within;
use crate::names::TorFeature;
use crate::state::Inner;

/// The longest time for each of tor's answers when somebody begins to attach streams.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

/// How long each of tor's answers is waited for when nobody attaches streams any more, and how
/// long the streams that still wait may take to be left to tor.
const END_LIMIT: Duration = Duration::from_secs(1);

/// What those who attach streams of one connection share; kept by the controller.
#[derive(Default)]
pub(super) struct AttachService {
    /// Held across commands, so it comes before every other lock of the connection.
    engaging: Mutex<Option<Running>>,
}

/// What there is while somebody attaches streams.
struct Running {
    users: usize,
    shared: Arc<Shared>,
    messages: Sender<Message>,
    close_hook: CloseHookId,
    /// For the changes of the option.
    _watch: HookGuard,
}

/// The wish to attach streams. While there is one, tor leaves streams to us; when the last is
/// dropped, the option of tor is what it was before.
pub(crate) struct AttachGuard {
    desk: Arc<AttachService>,
    controller: Controller,
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Sender<Message>,
}

impl AttachGuard {
    /// Has tor leave streams to us, if it does not yet.
    pub(crate) fn new(inner: &Arc<Inner>) -> Result<Self> {
        if let Some(reason) = inner.controller.closed_reason() {
            return Err(reason.into());
        }
        // With an older tor every stream would hang.
        if let Some(problem) = TorFeature::ControllerWait.problem_of(inner.controller.version()) {
            let problem = format!("attaching streams {problem}");
            return Err(InvalidInput::new("controller", problem).into());
        }
        // Others wait for the lock meanwhile, also those that are at their end.
        let limit = inner.controller.timeout().min(BEGIN_LIMIT);
        let controller = &inner.controller.with_timeout(limit);
        let desk = controller.shared::<AttachService>();
        let mut engaging = lock_within(&desk.engaging, "SETCONF", limit)?;
        let (shared, messages) = match &mut *engaging {
            Some(office) => {
                office.shared.option.keep_on(controller)?;
                office.users += 1;
                (Arc::clone(&office.shared), office.messages.clone())
            }
            vacant => {
                let office = Running::open(inner, controller)?;
                let office = vacant.insert(office);
                (Arc::clone(&office.shared), office.messages.clone())
            }
        };
        drop(engaging);
        Ok(Self { desk, controller: inner.controller.clone(), shared, messages })
    }

    /// Returns what tells of streams of our own.
    pub(crate) fn claimant(&self) -> ReservationHandle {
        ReservationHandle(Arc::clone(&self.shared))
    }

    /// Returns whether tor leaves streams to us, as far as it has told.
    pub(super) fn is_in_force(&self) -> bool {
        self.shared.option.is_on() && self.controller.is_alive()
    }
}

/// Tells those who attach streams of one of our own; without keeping them at it.
pub(crate) struct ReservationHandle(Arc<Shared>);

impl ReservationHandle {
    pub(crate) fn claim(&self, claim: Arc<StreamReservation>) {
        self.0.roster.lock().claim(claim);
    }

    pub(crate) fn release(&self, claim: &Arc<StreamReservation>) {
        self.0.roster.lock().release(claim);
    }
}

impl Drop for AttachGuard {
    fn drop(&mut self) {
        let mut engaging = self.desk.engaging.lock();
        let last = match &mut *engaging {
            Some(office) if office.users > 1 => {
                office.users -= 1;
                None
            }
            office => office.take(),
        };
        let Some(office) = last else { return };
        let limit = self.controller.timeout().min(END_LIMIT);
        let outcome = office.close(&self.controller.with_timeout(limit));
        // A logger may attach streams.
        drop(engaging);
        log_end(outcome);
    }
}

impl Running {
    fn open(inner: &Arc<Inner>, controller: &Controller) -> Result<Self> {
        // Before the option, so that no stream is missed that is left to us. Those that wait
        // already were left to somebody else.
        let streams = inner.store.on_new_stream();
        let (option, watch) = LeaveStreams::switch_on(controller)?;
        let shared = Arc::new(Shared { roster: Mutex::new(AttacherRegistry::default()), option });
        let (messages, inbox) = unbounded();
        let clerk = AttachLoop {
            controller: inner.controller.clone(),
            inner: Arc::clone(inner),
            shared: Arc::clone(&shared),
            streams,
            messages: inbox,
            waiting: HashMap::new(),
            times: HashMap::new(),
            placed: HashMap::new(),
        };
        let spawned =
            thread::Builder::new().name("torcon-streams".to_owned()).spawn(move || clerk.run());
        if let Err(error) = spawned {
            // The error that is returned says more.
            let _ = shared.option.restore(controller);
            return Err(no_thread(&error));
        }
        let close_hook = {
            let (shared, messages) = (Arc::clone(&shared), messages.clone());
            controller.before_close(move |controller| log_end(end(&shared, &messages, controller)))
        };
        Ok(Self { users: 1, shared, messages, close_hook, _watch: watch })
    }

    fn close(self, controller: &Controller) -> Result<()> {
        match controller.cancel_close_hook(self.close_hook) {
            true => end(&self.shared, &self.messages, controller),
            false => Ok(()),
        }
    }
}

/// Makes tor attach streams again, those that wait for us too.
fn end(shared: &Shared, messages: &Sender<Message>, controller: &Controller) -> Result<()> {
    let outcome = shared.option.restore(controller);
    let (sender, done) = bounded(0);
    if messages.send(Message::Stop(sender)).is_ok() {
        // Nothing is ever sent: it ends when the thread has done it.
        let _ = done.recv_timeout(END_LIMIT);
    }
    outcome
}

fn log_end(outcome: Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.is_closed() => {
            log::warn!("tor leaves streams to controllers, and the connection has ended");
        }
        Err(error) => log::warn!("tor could not be told to attach streams again: {error}"),
    }
}

pub(super) fn no_thread(error: &std::io::Error) -> Error {
    InvalidInput::new("attacher", format!("no thread can be started for it: {error}")).into()
}
