//! Starts the attaching of streams on a connection for its first user, and stops it after the last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach_loop::{AttachLoop, Message};
use super::leave_streams::{LeaveStreams, switch_off_later};
use crate::clock::{self, deadline_after};
use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Error, InvalidInput, Result};
use crate::link::CommandLock;
use crate::names::TorFeature;
use crate::state::generation::Generation;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::channel::{Sender, bounded, unbounded};
use crate::sync::thread;

/// The longest time to start. Meanwhile other threads wait for the lock, even those that stop.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The longest time to stop: to restore the option, and to leave the waiting streams to tor.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The attaching of streams on one connection; kept by the controller.
#[derive(Default)]
struct AttachService {
    /// Held across commands, so it is taken before every other lock of the connection.
    running: CommandLock<Option<Running>>,
    /// Whether [`close`](Self::close) is called before the program closes the connection. Changed under
    /// the lock.
    has_close_hook: AtomicBool,
    /// Whether this program has switched the option on through this connection or an earlier one of
    /// the same state, and no [`Running`] will restore it.
    is_left_on: AtomicBool,
}

/// The thread and the option of a service while streams are attached.
struct Running {
    /// The number of [`AttachGuard`]s.
    users: usize,
    option: Arc<LeaveStreams>,
    messages: Sender<Message>,
    /// Follows the changes of the option.
    _hook: Option<HookGuard>,
}

/// Makes tor leave new streams to this program. When the last guard of a connection is dropped, the
/// option of tor is restored.
pub(crate) struct AttachGuard {
    service: Arc<AttachService>,
    controller: Controller,
    option: Arc<LeaveStreams>,
    messages: Sender<Message>,
}

impl AttachGuard {
    /// Makes tor leave new streams to this program, unless it does so already. An error reports
    /// `limit` as the time limit.
    pub(crate) fn new(
        generation: &Arc<Generation>,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Self> {
        if let Some(reason) = generation.controller.closed_reason() {
            return Err(reason.into());
        }
        // An older tor does not report that a stream waits, so it would never be attached.
        if let Some(problem) =
            TorFeature::ControllerWait.problem_of(generation.controller.version())
        {
            let problem = format!("attaching streams {problem}");
            return Err(InvalidInput::new("controller", problem).into());
        }
        let limit = limit.min(START_LIMIT);
        let deadline = deadline.min(deadline_after(limit));
        let controller = &generation.controller.with_timeout(limit);
        let service = controller.shared::<AttachService>();
        let mut running = service.running.lock_before("SETCONF", deadline, limit)?;
        if !service.has_close_hook.swap(true, Ordering::AcqRel) {
            let service = Arc::clone(&service);
            controller.before_close(move |controller| service.close(controller));
        }
        // A close that begins later waits for the lock.
        if controller.is_closing() {
            return Err(Disconnect::Closed.into());
        }
        let running_now = match &mut *running {
            Some(running) => {
                running.option.keep_on(controller, deadline)?;
                running.users += 1;
                running
            }
            none => {
                let is_left_on = &service.is_left_on;
                let started = Running::start(generation, controller, is_left_on, deadline)?;
                is_left_on.store(false, Ordering::Release);
                none.insert(started)
            }
        };
        let (option, messages) = (Arc::clone(&running_now.option), running_now.messages.clone());
        drop(running);
        Ok(Self { service, controller: generation.controller.clone(), option, messages })
    }

    pub(crate) fn messages(&self) -> &Sender<Message> {
        &self.messages
    }

    /// Sends a message to the attach loop, which gets none after the end of the connection.
    pub(crate) fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Returns whether the guard belongs to the connection of a generation.
    pub(super) fn is_for(&self, generation: &Generation) -> bool {
        self.controller.is_same_connection(&generation.controller)
    }

    /// Returns whether tor leaves streams to this program, by tor's last report.
    pub(super) fn is_in_force(&self) -> bool {
        self.option.is_on() && self.controller.is_alive()
    }
}

impl Drop for AttachGuard {
    fn drop(&mut self) {
        let (service, controller) = (Arc::clone(&self.service), self.controller.clone());
        if !service.running.is_held_here() {
            return service.release(&controller);
        }
        // A logger drops this guard while this thread sends a command under the lock.
        let thread = thread::Builder::new().name("torcon-streams".to_owned());
        if let Err(error) = thread.spawn(move || service.release(&controller)) {
            log::error!("streams stay unattached, since no thread can be started: {error}");
        }
    }
}

impl AttachService {
    /// Counts a guard that is dropped. After the last one, tor attaches streams again.
    fn release(&self, controller: &Controller) {
        let mut running = self.running.lock();
        let last = match &mut *running {
            Some(running) if running.users > 1 => {
                running.users -= 1;
                None
            }
            running => running.take(),
        };
        let Some(last) = last else { return };
        let limit = controller.timeout().min(STOP_LIMIT);
        let outcome = last.stop(&controller.with_timeout(limit));
        self.is_left_on.store(last.option.hand_over(), Ordering::Release);
        // A logger may attach streams.
        drop(running);
        log_stop(outcome);
    }

    /// Makes tor attach streams again before the program closes the connection.
    fn close(&self, controller: &Controller) {
        let running = self.running.lock_within("SETCONF", controller.timeout());
        if running.is_err() && self.is_left_on.load(Ordering::Acquire) {
            switch_off_later(controller);
        }
        log_stop(running.and_then(|running| match &*running {
            Some(running) => running.stop(controller),
            None => Ok(()),
        }));
    }
}

impl Running {
    fn start(
        generation: &Arc<Generation>,
        controller: &Controller,
        is_left_on: &AtomicBool,
        deadline: Instant,
    ) -> Result<Self> {
        let (messages, inbox) = unbounded();
        // Added before the option, so that no stream is missed. Streams that wait already were left
        // to another controller.
        generation.store.add_attach_loop(messages.clone());
        let (option, hook) = LeaveStreams::switch_on(controller, is_left_on, deadline)?;
        let option = Arc::new(option);
        let attach_loop = AttachLoop::new(Arc::clone(generation), Arc::clone(&option), inbox);
        let thread = thread::Builder::new().name("torcon-streams".to_owned());
        if let Err(error) = thread.spawn(move || attach_loop.run()) {
            // The returned error is the cause.
            let _ = option.restore(controller, deadline);
            is_left_on.store(option.hand_over(), Ordering::Release);
            return Err(no_thread(&error));
        }
        Ok(Self { users: 1, option, messages, _hook: hook })
    }

    /// Makes tor attach streams again, including those that wait, within the time limit of the
    /// controller.
    fn stop(&self, controller: &Controller) -> Result<()> {
        let deadline = controller.deadline();
        let outcome = self.option.restore(controller, deadline);
        let (sender, done) = bounded(0);
        if self.messages.send(Message::Stop(sender)).is_ok() {
            // Nothing is ever sent: the channel ends when the loop has dropped the sender.
            let _ = clock::recv_until(&done, deadline);
        }
        outcome
    }
}

fn log_stop(outcome: Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.is_closed() => {
            log::warn!("tor leaves streams to controllers, and the connection has ended");
        }
        Err(error) => {
            log::warn!("the option __LeaveStreamsUnattached of tor was not restored: {error}");
        }
    }
}

/// Records for the next connection of a state whether this program has left the option on: the next
/// tor may be the same process.
pub(in crate::state) fn hand_over(former: &Controller, next: &Controller, deadline: Instant) {
    if former.is_alive() {
        return;
    }
    let former = former.shared::<AttachService>();
    // A thread that holds the lock waits for no reply, since the connection has ended.
    let Ok(running) = former.running.lock_before("SETCONF", deadline, next.timeout()) else {
        return;
    };
    let is_left_on = match &*running {
        Some(running) => running.option.hand_over(),
        None => former.is_left_on.load(Ordering::Acquire),
    };
    drop(running);
    next.shared::<AttachService>().is_left_on.store(is_left_on, Ordering::Release);
}

/// Returns whether tor's option may be on because an earlier connection of the state has left it on.
pub(super) fn is_left_on(controller: &Controller) -> bool {
    controller.shared::<AttachService>().is_left_on.load(Ordering::Acquire)
}

pub(super) fn no_thread(error: &std::io::Error) -> Error {
    InvalidInput::new("attacher", format!("no thread can be started for it: {error}")).into()
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use crate::state::tests::fake_tor::{Contents, FakeTor, OPTION, eventually};
    use crate::state::{Attach, State};
    use crate::sync::channel::bounded;

    #[test]
    fn a_close_while_tor_does_not_answer_switches_the_option_off_behind_the_command() {
        let tor = FakeTor::start(&Contents { unanswered: Some("SETCONF"), ..Contents::default() });
        let state = State::new(&tor.controller).unwrap();
        let set = |value: u8| format!("SETCONF {OPTION}={value}");
        thread::scope(|scope| {
            let attach = || state.set_attacher(|_, _| Attach::Tor).map(drop);
            let setting = thread::Builder::new().spawn_scoped(scope, attach).unwrap();
            eventually(|| tor.commands("SETCONF") == [set(1)]);
            tor.controller.with_timeout(Duration::from_millis(100)).close();
            assert!(setting.join().unwrap().unwrap_err().is_closed());
        });
        eventually(|| tor.commands("SETCONF") == [set(1), set(0)]);
    }

    #[test]
    fn a_second_close_waits_for_the_hooks_of_the_first() {
        let tor = FakeTor::start(&Contents::default());
        let (begun, begins) = bounded(1);
        let (outcome, outcomes) = bounded(1);
        tor.controller.before_close(move |controller| {
            begun.send(()).unwrap();
            outcome.send(controller.wait_closed(Duration::from_millis(200))).unwrap();
        });
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, || tor.controller.close()).unwrap();
            begins.recv().unwrap();
            tor.controller.close();
        });
        assert!(outcomes.recv().unwrap().is_err(), "the connection ended while a hook ran");
        assert!(!tor.controller.is_alive());
    }
}
