use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, LaunchError, LaunchProblem, Timeout, Wait};

/// How long the kernel may take to end a process after SIGKILL.
pub(super) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a child ended; the error says why its exit status is unknown.
pub(super) type Ending = Result<ExitStatus, Arc<io::Error>>;

/// The child process: signals, waiting, reaping.
///
/// One thread, `torcon-child`, calls [`reap`](Self::reap) and [`settle`](Self::settle); anyone may
/// call the rest.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    // A leaf lock; nothing is logged under it. A signal is sent only while it is held and shows that
    // the process has not been reaped, so that none reaches another process with the same number.
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ending: Option<Ending>,
    /// The process is reaped, its output is read to the end, its temporary directories are gone.
    settled: bool,
}

impl Child {
    pub(super) fn new(pid: Pid) -> Self {
        Self { pid, state: Mutex::default(), settled: Condvar::new() }
    }

    pub(super) fn pid(&self) -> u32 {
        // The PID of a child is positive.
        self.pid.as_raw().unsigned_abs()
    }

    /// Blocks until the process has ended, and reaps it.
    pub(super) fn reap(&self) -> Ending {
        let ending = self.reap_when_ended();
        match &ending {
            Ok(status) => log::info!("tor ended, pid {}: {status}", self.pid),
            Err(error) => log::warn!("tor ended, pid {}, in an unknown way: {error}", self.pid),
        }
        ending
    }

    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        all(target_os = "linux", not(target_env = "uclibc")),
    ))]
    fn reap_when_ended(&self) -> Ending {
        use nix::sys::wait::{Id, waitid};

        // The process stays a zombie here, so that its number stays its own until it is reaped
        // under the lock.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while let Err(Errno::EINTR) = waitid(Id::Pid(self.pid), flags) {}
        let mut state = self.state.lock();
        let ending = loop {
            if let Some(ending) = ending(waitpid(self.pid, None)) {
                break ending;
            }
        };
        state.ending = Some(ending.clone());
        ending
    }

    /// Where there is no way to wait without reaping, looks again with short pauses.
    #[cfg(not(any(
        target_os = "android",
        target_os = "freebsd",
        all(target_os = "linux", not(target_env = "uclibc")),
    )))]
    fn reap_when_ended(&self) -> Ending {
        loop {
            let mut state = self.state.lock();
            if let Some(ending) = ending(waitpid(self.pid, Some(WaitPidFlag::WNOHANG))) {
                state.ending = Some(ending.clone());
                return ending;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets all who wait for the end go on.
    pub(super) fn settle(&self) {
        self.state.lock().settled = true;
        self.settled.notify_all();
    }

    /// Sends a signal, unless the process is gone.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        let sent = {
            let state = self.state.lock();
            if state.ending.is_some() { Ok(()) } else { kill(self.pid, signal) }
        };
        log::debug!("sent {signal} to tor, pid {}: {sent:?}", self.pid);
        match sent {
            // ESRCH: ended and reaped by something else in this program.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => {
                let source = Arc::new(io::Error::from(errno));
                Err(LaunchError::new(LaunchProblem::Signal { source }).into())
            }
        }
    }

    /// Returns how the process ended, if it is gone.
    pub(super) fn try_wait(&self) -> Option<Ending> {
        let state = self.state.lock();
        if state.settled { state.ending.clone() } else { None }
    }

    /// Blocks until the process is gone, or until the deadline if there is one.
    pub(super) fn wait_deadline(&self, deadline: Option<Instant>) -> Option<Ending> {
        let mut state = self.state.lock();
        while !state.settled {
            match deadline {
                None => self.settled.wait(&mut state),
                Some(deadline) => {
                    if self.settled.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        if state.settled { state.ending.clone() } else { None }
    }

    pub(super) fn wait_for(&self, limit: Duration) -> Option<Ending> {
        self.wait_deadline(Instant::now().checked_add(limit))
    }

    /// Ends the process: SIGTERM, `grace`, SIGKILL. SIGTERM comes first so that tor can end its
    /// pluggable transports; returns how it ended, and whether it had to be killed.
    pub(super) fn end(&self, grace: Duration) -> Result<(Ending, bool), Error> {
        if let Some(ending) = self.try_wait() {
            return Ok((ending, false));
        }
        self.signal(Signal::SIGTERM)?;
        if let Some(ending) = self.wait_for(grace) {
            return Ok((ending, false));
        }
        // A slow copy of its output can keep one that has ended from being settled.
        let has_ended = self.state.lock().ending.is_some();
        self.signal(Signal::SIGKILL)?;
        match self.wait_for(KILL_LIMIT) {
            Some(ending) => Ok((ending, !has_ended)),
            None => Err(Timeout::new(Wait::Exit, grace.saturating_add(KILL_LIMIT)).into()),
        }
    }
}

/// Returns how a process has ended, if this says so.
fn ending(status: nix::Result<WaitStatus>) -> Option<Ending> {
    // The encoding of the exit status that every Unix has.
    let raw = match status {
        Ok(WaitStatus::Exited(_, code)) => code << 8,
        #[expect(clippy::as_conversions, reason = "the numbers of signals are those of the system")]
        Ok(WaitStatus::Signaled(_, signal, core)) => signal as i32 | if core { 0x80 } else { 0 },
        // Stopped, or continued.
        Ok(_) | Err(Errno::EINTR) => return None,
        Err(errno) => return Some(Err(Arc::new(errno.into()))),
    };
    Some(Ok(ExitStatus::from_raw(raw)))
}
