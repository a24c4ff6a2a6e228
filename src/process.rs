//! Launching a tor of this program's own, and looking after it.
//!
//! [`Launcher`] says what tor to launch and how; [`TorProcess`] is the tor that runs.
//!
//! Threads: `torcon-stdout` and `torcon-stderr` read what tor prints for as long as it lives,
//! `torcon-child` waits for its end, and `torcon-launch` sees to the launch until tor is ready.
//! `torcon-connect` opens the control connection, `torcon-progress` calls the progress closure and
//! `torcon-sink` writes copies of the output, where there are such. When tor is gone, all are.
//!
//! **Invariant**: nothing here knows the text of the control protocol, and no thread that reads
//! tor's output ever waits for anything else.

mod child;
mod control;
mod directory;
mod launch;
mod launcher;
mod log_line;
mod options;
mod output;
mod progress;
mod ready;
mod spawn;
mod tor_user;
mod watch;
mod worker;

use std::fmt;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};
use nix::sys::signal::Signal;
use parking_lot::Mutex;

use self::child::{Child, Ending};
use self::control::Route;
use self::directory::Directories;
use self::launch::Launch;
use self::output::Output;
use self::progress::ProgressReporter;
use self::ready::{LaunchContext, Message, SHORT_GRACE};
use self::spawn::Spawned;
use self::watch::THREAD_LIMIT;
use self::worker::Worker;
use crate::controller::Controller;
use crate::error::{LaunchError, LaunchProblem, Result, Timeout, Wait};
use crate::link::Endpoint;
use crate::names::Signal as ControlSignal;

pub use self::control::{ControlFn, ControlVia};
pub use self::launcher::Launcher;
pub use self::progress::Progress;
pub use self::ready::Ready;

/// How long the end of the control connection may come after the end of its tor.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How long tor may take to end at SIGTERM, once it did not end at `SIGNAL SHUTDOWN`.
const SECOND_GRACE: Duration = Duration::from_secs(2);

/// A tor process that this program has launched.
///
/// Returned by [`Launcher::launch`] and [`Launcher::spawn`]. All methods may be called from many
/// threads at once; share it in an [`Arc`].
///
/// Dropping it ends tor: SIGTERM, a grace period of at most five seconds, SIGKILL; then the
/// temporary directories are deleted. tor ends also when its control connection does, since that
/// connection owns it, and when this program ends in any way.
///
/// A program that ends by [`exit`](std::process::exit), [`abort`](std::process::abort) or a signal
/// (Ctrl-C too, unless it is handled) drops nothing. tor then ends without it, and the temporary
/// directories, with the keys in them, stay until the next launch of any program of the same user
/// with the same `TMPDIR`: it deletes the directories of programs and tors that have ended, and no
/// others.
#[doc(alias = "TorProcessProtocol")]
pub struct TorProcess {
    child: Arc<Child>,
    launch: Arc<Launch>,
    output: Arc<Output>,
    messages: Sender<Message>,
    data_directory: PathBuf,
    grace: Duration,
    // A leaf lock.
    workers: Mutex<Vec<Worker>>,
}

impl TorProcess {
    /// Takes a child that has just been started into care.
    fn watch(launcher: Launcher, spawned: Spawned, directories: Directories) -> Result<Self> {
        let route = route(&launcher.control, &directories);
        let data_directory = directories.data().to_owned();
        let (messages, receiver) = unbounded();
        let output = Arc::new(Output::default());
        let sinks = (launcher.stdout.into_inner(), launcher.stderr.into_inner());
        let kill_on_stderr = launcher.kill_on_stderr.then(|| launcher.grace.min(SHORT_GRACE));
        let (child, watcher) =
            watch::start(spawned, directories, sinks, kill_on_stderr, &output, &messages)?;
        log::info!("launched tor, pid {}", child.pid());
        // From here on dropping it cleans up.
        let tor = Self {
            child,
            launch: Arc::new(Launch::new(route.as_ref())),
            output,
            messages,
            data_directory,
            grace: launcher.grace,
            workers: Mutex::new(vec![watcher]),
        };
        let announcer = launcher.on_progress.into_inner().map(ProgressReporter::start).transpose();
        let driver = LaunchContext {
            launch: Arc::clone(&tor.launch),
            child: Arc::clone(&tor.child),
            output: Arc::clone(&tor.output),
            route: route.map(Arc::new),
            announcer: announcer.map_err(LaunchError::new)?,
            ready: launcher.ready,
            timeout: launcher.timeout,
            stall_timeout: launcher.stall_timeout,
            grace: launcher.grace,
            messages: receiver,
            sender: tor.messages.clone(),
        };
        let driver = Worker::start("torcon-launch", move || driver.run());
        let driver = driver.map_err(LaunchError::new)?;
        tor.workers.lock().push(driver);
        Ok(tor)
    }

    fn wait_ready(&self) -> Result<()> {
        self.launch.wait_ready()
    }

    /// Blocks the current thread until tor is at 100 %, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`] if the launch failed or tor has ended, [`Error::Timeout`] if the time is
    /// over; tor then runs on.
    ///
    /// [`Error::Launch`]: crate::Error::Launch
    /// [`Error::Timeout`]: crate::Error::Timeout
    #[doc(alias = "connected_cb")]
    pub fn wait_bootstrapped(&self, timeout: Duration) -> Result<()> {
        self.launch.wait_bootstrapped(timeout)?;
        self.living()
    }

    /// Blocks the current thread until the control connection is ready, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`wait_bootstrapped`](Self::wait_bootstrapped); [`LaunchProblem::NotConnected`] with
    /// [`ControlVia::None`].
    pub fn wait_controller(&self, timeout: Duration) -> Result<&Controller> {
        self.launch.wait_controller(timeout)
    }

    /// Returns the controller of this tor. Never blocks.
    ///
    /// Its connection owns tor: when it is closed tor ends.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`](crate::Error::Launch) with the problem [`LaunchProblem::NotConnected`]
    /// while there is no control connection, or with the reason why the launch failed.
    #[doc(alias = "tor_protocol")]
    pub fn controller(&self) -> Result<&Controller> {
        self.launch.controller().ok_or_else(|| match self.launch.failure() {
            Some(error) => error,
            None => LaunchError::new(LaunchProblem::NotConnected).into(),
        })
    }

    /// Returns where the control connection goes, if it is known: with [`ControlVia::Tcp`] when
    /// tor has chosen the port, with [`ControlVia::Custom`] and [`ControlVia::None`] never.
    #[must_use]
    pub fn control_endpoint(&self) -> Option<Endpoint> {
        self.launch.endpoint().cloned()
    }

    /// Returns the number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Returns how far the launch has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.launch.progress()
    }

    /// Returns the last lines that tor printed, at most a hundred, oldest first.
    ///
    /// Both outputs are in it. Of a very long line the first 4096 bytes are kept.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.output.last_lines()
    }

    /// Returns tor's data directory.
    #[must_use]
    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// Returns how tor ended, or `None` while it runs. Never blocks.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::StatusUnknown`] if tor has ended in an unknown way.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map(|ending| self.status(ending)).transpose()
    }

    /// Waits for tor's end; it does not cause it.
    ///
    /// Blocks the current thread until tor is gone, without a limit. Its output has been read to
    /// the end then, and its temporary directories are deleted.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Self::try_wait).
    pub fn wait(&self) -> Result<ExitStatus> {
        match self.child.wait_deadline(None) {
            Some(ending) => self.status(ending),
            None => Err(Timeout::new(Wait::Exit, Duration::MAX).into()),
        }
    }

    /// Waits for tor's end; it does not cause it.
    ///
    /// Blocks the current thread until tor is gone, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if the time is over, otherwise as
    /// [`try_wait`](Self::try_wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ExitStatus> {
        match self.child.wait_for(timeout) {
            Some(ending) => self.status(ending),
            None => Err(Timeout::new(Wait::Exit, timeout).into()),
        }
    }

    /// Asks tor to end, by SIGTERM. Does not wait; does nothing if tor is gone.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses.
    pub fn terminate(&self) -> Result<()> {
        self.child.signal(Signal::SIGTERM)
    }

    /// Kills tor, by SIGKILL. Does not wait; does nothing if tor is gone.
    ///
    /// tor cannot end its pluggable transports then; prefer [`quit`](Self::quit).
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses.
    pub fn kill(&self) -> Result<()> {
        self.child.signal(Signal::SIGKILL)
    }

    /// Ends tor and returns how it ended.
    ///
    /// Blocks the current thread until tor is gone. It is asked by `SIGNAL SHUTDOWN`, or by
    /// SIGTERM if there is no control connection; after the time given by [`Launcher::grace`], by
    /// SIGTERM, and at last it is killed. A launch that is under way is given up. The control
    /// connection is closed.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses a signal,
    /// [`Error::Timeout`](crate::Error::Timeout) if even a killed tor does not end, otherwise as
    /// [`try_wait`](Self::try_wait).
    pub fn quit(&self) -> Result<ExitStatus> {
        let ending = self.end(self.grace)?;
        self.clean_up();
        self.status(ending)
    }

    fn end(&self, grace: Duration) -> Result<Ending> {
        if let Some(ending) = self.child.try_wait() {
            return Ok(ending);
        }
        self.cancel_launch();
        let mut grace = grace;
        if self.ask_to_shut_down(grace) {
            if let Some(ending) = self.child.wait_for(grace) {
                return Ok(ending);
            }
            grace = SECOND_GRACE;
        }
        self.terminate_or_kill(grace)
    }

    fn terminate_or_kill(&self, grace: Duration) -> Result<Ending> {
        let (ending, killed) = self.child.end(grace)?;
        if killed {
            log::warn!("tor, pid {}, had to be killed", self.child.pid());
        }
        Ok(ending)
    }

    /// Returns whether tor may have got the message.
    fn ask_to_shut_down(&self, limit: Duration) -> bool {
        let Some(controller) = self.launch.controller() else { return false };
        match controller.with_timeout(limit).signal(ControlSignal::Shutdown) {
            Ok(()) => true,
            // tor may be gone before its answer is read.
            Err(error) => error.is_closed(),
        }
    }

    fn cancel_launch(&self) {
        if self.launch.is_under_way() {
            let _ = self.messages.send(Message::Cancel);
        }
    }

    /// Sees to it that nothing is left, once tor is gone.
    fn clean_up(&self) {
        if let Some(controller) = self.launch.controller() {
            // Its reason is to be what happened: tor ended.
            let _ = controller.wait_closed(CLOSE_LIMIT);
            controller.close();
        }
        self.finish_workers();
    }

    fn finish_workers(&self) {
        let _ = self.messages.send(Message::Cancel);
        let workers = mem::take(&mut *self.workers.lock());
        for worker in workers {
            worker.finish(THREAD_LIMIT);
        }
    }

    fn status(&self, ending: Ending) -> Result<ExitStatus> {
        ending.map_err(|source| {
            let problem = LaunchProblem::StatusUnknown { source };
            LaunchError::with_report(problem, self.output.report()).into()
        })
    }

    fn living(&self) -> Result<()> {
        match self.child.try_wait() {
            None => Ok(()),
            Some(ending) => {
                let mut report = self.output.report();
                (report.exit_status, report.was_ready) = (ending.ok(), true);
                let problem = if self.output.was_ended_for_stderr() {
                    LaunchProblem::Stderr { text: self.output.stderr_text().into() }
                } else {
                    LaunchProblem::ExitedLater
                };
                Err(LaunchError::with_report(problem, report).into())
            }
        }
    }
}

impl Drop for TorProcess {
    fn drop(&mut self) {
        self.cancel_launch();
        if let Some(controller) = self.launch.controller() {
            // This ends tor too, even one that was started with SIGTERM blocked. A listener that
            // is running is not waited for.
            controller.hang_up();
        }
        if let Err(error) = self.terminate_or_kill(self.grace.min(SHORT_GRACE)) {
            log::error!("tor, pid {}, could not be ended: {error}", self.child.pid());
        }
        self.finish_workers();
    }
}

impl fmt::Debug for TorProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TorProcess")
            .field("pid", &self.pid())
            .field("progress", &self.progress())
            .field("data_directory", &self.data_directory)
            .finish_non_exhaustive()
    }
}

fn route(via: &ControlVia, directories: &Directories) -> Option<Route> {
    match via {
        ControlVia::UnixSocket => {
            Some(Route::Fixed(Endpoint::unix(directories.control_socket().to_owned())))
        }
        ControlVia::Tcp => Some(Route::PortFile(directories.port_file())),
        ControlVia::Custom(connect) => Some(Route::Custom(Arc::clone(connect))),
        ControlVia::None => None,
    }
}
