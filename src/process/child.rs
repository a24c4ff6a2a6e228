use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::clock::{self, deadline_after};
use crate::error::{Error, LaunchError, LaunchProblem, Timeout, Wait};
use crate::sync::{Condvar, Mutex};

/// How long the kernel may take to end a process after SIGKILL.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a child ended, or why its exit status is unknown.
pub(super) type ExitResult = Result<ExitStatus, Arc<io::Error>>;

/// The child process: signals, waiting, reaping.
///
/// Only the thread `torcon-child` calls [`reap`](Self::reap) and [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    // A leaf lock; nothing is logged under it. A signal is sent under it and only before the child
    // is reaped, so that it cannot reach another process with the same PID.
    state: Mutex<State>,
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    exit: Option<ExitResult>,
    /// The child is reaped, its output is read to the end, and its temporary directories are
    /// deleted.
    is_finished: bool,
}

impl Child {
    pub(super) fn new(pid: Pid) -> Self {
        Self { pid, state: Mutex::default(), finished: Condvar::new() }
    }

    pub(super) fn pid(&self) -> u32 {
        // A PID is positive.
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits for the end of the child and reaps it.
    pub(super) fn reap(&self) -> ExitResult {
        let exit = self.reap_when_ended();
        match &exit {
            Ok(status) => log::info!("tor ended, pid {}: {status}", self.pid),
            Err(error) => log::warn!("tor ended, pid {}, in an unknown way: {error}", self.pid),
        }
        exit
    }

    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        all(target_os = "linux", not(target_env = "uclibc")),
    ))]
    fn reap_when_ended(&self) -> ExitResult {
        use nix::sys::wait::{Id, waitid};

        // WNOWAIT keeps the child a zombie, and its PID in use, until it is reaped under the lock.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while let Err(Errno::EINTR) = waitid(Id::Pid(self.pid), flags) {}
        let mut state = self.state.lock();
        let exit = loop {
            if let Some(exit) = exit_result(waitpid(self.pid, None)) {
                break exit;
            }
        };
        state.exit = Some(exit.clone());
        exit
    }

    /// Polls where the system cannot wait without reaping.
    #[cfg(not(any(
        target_os = "android",
        target_os = "freebsd",
        all(target_os = "linux", not(target_env = "uclibc")),
    )))]
    fn reap_when_ended(&self) -> ExitResult {
        loop {
            let mut state = self.state.lock();
            if let Some(exit) = exit_result(waitpid(self.pid, Some(WaitPidFlag::WNOHANG))) {
                state.exit = Some(exit.clone());
                return exit;
            }
            drop(state);
            clock::sleep(Duration::from_millis(20));
        }
    }

    /// Wakes the threads that wait for the end.
    pub(super) fn finish(&self) {
        self.state.lock().is_finished = true;
        self.finished.notify_all();
    }

    /// Sends a signal, unless the child is reaped.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let sent = {
            let state = self.state.lock();
            if state.exit.is_some() { Ok(()) } else { kill(self.pid, signal) }
        };
        log::debug!("sent {signal} to tor, pid {}: {sent:?}", self.pid);
        match sent {
            // ESRCH: other code of this program has reaped it.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => {
                let source = Arc::new(io::Error::from(errno));
                Err(LaunchError::new(LaunchProblem::Signal { source }).into())
            }
        }
    }

    /// Returns how the child ended, or `None` while it runs.
    pub(super) fn try_wait(&self) -> Option<ExitResult> {
        let state = self.state.lock();
        if state.is_finished { state.exit.clone() } else { None }
    }

    /// Waits for the end of the child, for at most `limit`. [`Duration::MAX`] is no limit.
    pub(super) fn wait_for(&self, limit: Duration) -> Option<ExitResult> {
        let mut state = self.state.lock();
        let is_pending = |state: &mut State| !state.is_finished;
        clock::wait_while_until(&self.finished, &mut state, is_pending, deadline_after(limit));
        drop(state);
        self.try_wait()
    }

    /// Ends the child: SIGTERM, so that tor can end its pluggable transports, then after `grace`
    /// SIGKILL. Returns how it ended, and whether it was killed.
    pub(super) fn end(&self, grace: Duration) -> Result<(ExitResult, bool), Error> {
        if let Some(exit) = self.try_wait() {
            return Ok((exit, false));
        }
        self.signal(Signal::SIGTERM)?;
        if let Some(exit) = self.wait_for(grace) {
            return Ok((exit, false));
        }
        // A slow sink can delay the finish of a child that has ended.
        let has_ended = self.state.lock().exit.is_some();
        self.signal(Signal::SIGKILL)?;
        match self.wait_for(KILL_LIMIT) {
            Some(exit) => Ok((exit, !has_ended)),
            None => Err(Timeout::new(Wait::Exit, grace.saturating_add(KILL_LIMIT)).into()),
        }
    }
}

/// Returns how a child ended, or `None` if it was only stopped or continued.
fn exit_result(status: nix::Result<WaitStatus>) -> Option<ExitResult> {
    // Every Unix encodes the exit status like this.
    let raw = match status {
        Ok(WaitStatus::Exited(_, code)) => code << 8,
        #[expect(clippy::as_conversions, reason = "the numbers of signals are those of the system")]
        Ok(WaitStatus::Signaled(_, signal, core)) => signal as i32 | if core { 0x80 } else { 0 },
        Ok(_) | Err(Errno::EINTR) => return None,
        Err(errno) => return Some(Err(Arc::new(errno.into()))),
    };
    Some(Ok(ExitStatus::from_raw(raw)))
}
