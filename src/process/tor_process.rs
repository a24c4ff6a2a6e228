use std::fmt;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::child::{Child, ExitResult};
use super::control::{ControlVia, Route};
use super::directory::Directories;
use super::launch_machine::{LaunchMachine, LaunchMessage, SHORT_GRACE};
use super::launch_state::LaunchState;
use super::launcher::Launcher;
use super::output::Output;
use super::progress::{Progress, ProgressReporter};
use super::spawn::Spawned;
use super::supervise::{THREAD_LIMIT, supervise};
use super::thread::start_thread;
use crate::controller::Controller;
use crate::error::{LaunchError, LaunchProblem, Result, Timeout, Wait};
use crate::link::{Endpoint, NamedThread};
use crate::names::Signal as ControlSignal;
use crate::sync::Mutex;
use crate::sync::channel::{Sender, unbounded};

/// How long after its tor a control connection may end.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// The grace period after SIGTERM, once tor did not end at `SIGNAL SHUTDOWN`.
const SECOND_GRACE: Duration = Duration::from_secs(2);

/// A tor process that this program launched.
///
/// Returned by [`Launcher::launch`] and [`Launcher::spawn`]. All methods can be called from several
/// threads at once; share it in an [`Arc`].
///
/// Dropping it ends tor, with SIGTERM and after at most five seconds with SIGKILL, and deletes the
/// temporary directories. tor also ends when its control connection is closed, since the
/// connection owns it, and when this program ends in any way.
///
/// A program that ends by [`exit`](std::process::exit), [`abort`](std::process::abort) or a signal,
/// such as an unhandled Ctrl-C, drops nothing. tor still ends, but the temporary directories and
/// the keys in them remain until a program of the same user with the same `TMPDIR` launches a tor:
/// a launch deletes the directories of programs and tors that have ended.
///
/// # Examples
///
/// ```no_run
/// use torcon::Launcher;
///
/// let tor = Launcher::new().launch()?;
/// println!("tor {}, pid {}", tor.controller()?.version(), tor.pid());
/// println!("it has ended: {}", tor.quit()?);
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "tor is ended when this is dropped"]
pub struct TorProcess {
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Sender<LaunchMessage>,
    data_directory: PathBuf,
    #[cfg(feature = "testnet")]
    temporary_directories: Vec<PathBuf>,
    grace: Duration,
    // A leaf lock.
    threads: Mutex<Vec<NamedThread>>,
}

/// The state that the threads of a tor share.
pub(super) struct Shared {
    pub(super) child: Child,
    pub(super) launch: LaunchState,
    pub(super) output: Output,
}

impl TorProcess {
    /// Supervises a child that was just started, and starts its launch.
    pub(super) fn new(
        mut launcher: Launcher,
        spawned: Spawned,
        directories: Directories,
    ) -> Result<Self> {
        let route = route(&launcher.control, &directories);
        let data_directory = directories.data().to_owned();
        #[cfg(feature = "testnet")]
        let temporary_directories = directories.temporary();
        let (messages, receiver) = unbounded();
        let closures = mem::take(&mut launcher.closures);
        let kill_on_stderr = launcher.kill_on_stderr.then(|| launcher.grace.min(SHORT_GRACE));
        let shared = Arc::new(Shared {
            child: Child::new(spawned.pid),
            launch: LaunchState::new(route.as_ref()),
            output: Output::default(),
        });
        let thread =
            supervise(spawned, directories, &closures, kill_on_stderr, &shared, &messages)?;
        log::info!("launched tor, pid {}", shared.child.pid());
        // From here on a drop ends the child.
        let grace = launcher.grace;
        let threads = Mutex::new(vec![thread]);
        let tor = Self {
            shared,
            messages,
            data_directory,
            #[cfg(feature = "testnet")]
            temporary_directories,
            grace,
            threads,
        };
        let reporter = closures.on_progress.map(ProgressReporter::start).transpose();
        let reporter = reporter.map_err(LaunchError::new)?;
        let (shared, sender) = (Arc::clone(&tor.shared), tor.messages.clone());
        let machine = LaunchMachine::new(launcher, shared, route, reporter, sender, receiver);
        let thread = start_thread("torcon-launch", move || machine.run());
        tor.threads.lock().push(thread.map_err(LaunchError::new)?);
        Ok(tor)
    }

    pub(super) fn wait_ready(&self) -> Result<()> {
        self.shared.launch.wait_ready(Duration::MAX).map(drop)
    }

    /// Blocks the current thread until tor has bootstrapped to 100 %, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`](crate::Error::Launch) if the launch failed or tor has ended, and
    /// [`Error::Timeout`](crate::Error::Timeout) at the limit, which does not end tor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let tor = torcon::Launcher::new().spawn()?;
    /// tor.wait_bootstrapped(Duration::from_secs(300))?;
    /// println!("tor can build circuits");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "connected_cb")]
    pub fn wait_bootstrapped(&self, timeout: Duration) -> Result<()> {
        self.shared.launch.wait_bootstrapped(timeout)?;
        self.check_running()
    }

    /// Blocks the current thread until the control connection is ready, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`wait_bootstrapped`](Self::wait_bootstrapped), and [`LaunchProblem::NotConnected`]
    /// with [`ControlVia::None`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let tor = torcon::Launcher::new().spawn()?;
    /// let controller = tor.wait_controller(Duration::from_secs(30))?;
    /// println!("tor {}", controller.version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "when_connected")]
    pub fn wait_controller(&self, timeout: Duration) -> Result<&Controller> {
        self.shared.launch.wait_controller(timeout)
    }

    /// Returns the controller of this tor.
    ///
    /// Its connection owns tor: closing it ends tor.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`](crate::Error::Launch): [`LaunchProblem::NotConnected`] before the control
    /// connection is ready, or the reason why the launch failed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// println!("{} bytes read", tor.controller()?.get_info_one("traffic/read")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "tor_protocol")]
    pub fn controller(&self) -> Result<&Controller> {
        self.shared.launch.controller().ok_or_else(|| match self.shared.launch.failure() {
            Some(error) => error,
            None => LaunchError::new(LaunchProblem::NotConnected).into(),
        })
    }

    /// Returns the address of the control port, if it is known.
    ///
    /// With [`ControlVia::Tcp`] it is known once tor has chosen the port; with
    /// [`ControlVia::Custom`] and [`ControlVia::None`] it is never known.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// if let Some(endpoint) = tor.control_endpoint() {
    ///     println!("another connection: {}", torcon::connect(endpoint)?.version());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn control_endpoint(&self) -> Option<Endpoint> {
        self.shared.launch.endpoint().cloned()
    }

    /// Returns the process id.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// println!("tor runs as process {}", tor.pid());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.shared.child.pid()
    }

    /// Returns tor's bootstrap progress.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().spawn()?;
    /// println!("{}", tor.progress());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.launch.progress()
    }

    /// Returns the last lines of standard output and standard error, at most 100, oldest first. A
    /// line is cut after 4096 bytes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// for line in tor.last_lines() {
    ///     println!("{line}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.shared.output.last_lines()
    }

    /// Returns tor's data directory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// println!("{}", tor.data_directory().display());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn data_directory(&self) -> &Path {
        &self.data_directory
    }

    /// Returns the temporary directories that are deleted when tor has ended.
    #[cfg(feature = "testnet")]
    pub(crate) fn temporary_directories(&self) -> &[PathBuf] {
        &self.temporary_directories
    }

    /// Returns how tor ended, or `None` while it runs.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::StatusUnknown`] if tor has ended and its exit status is unknown.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// match tor.try_wait()? {
    ///     Some(status) => println!("tor has ended: {status}"),
    ///     None => println!("tor runs"),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.shared.child.try_wait().map(|exit| self.status(exit)).transpose()
    }

    /// Waits for the end of tor.
    ///
    /// Blocks the current thread until tor has ended, its output is read and its temporary
    /// directories are deleted, without a limit.
    ///
    /// # Errors
    ///
    /// Those of [`try_wait`](Self::try_wait).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// println!("tor has ended: {}", tor.wait()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait(&self) -> Result<ExitStatus> {
        self.wait_timeout(Duration::MAX)
    }

    /// Waits for the end of tor.
    ///
    /// Blocks the current thread until tor has ended, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) at the limit. Otherwise those of
    /// [`try_wait`](Self::try_wait).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let tor = torcon::Launcher::new().launch()?;
    /// tor.terminate()?;
    /// println!("tor has ended: {}", tor.wait_timeout(Duration::from_secs(10))?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ExitStatus> {
        match self.shared.child.wait_for(timeout) {
            Some(exit) => self.status(exit),
            None => Err(Timeout::new(Wait::Exit, timeout).into()),
        }
    }

    /// Sends SIGTERM to tor, unless it has ended. Does not wait for its end.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses the signal.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// tor.terminate()?;
    /// tor.wait()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn terminate(&self) -> Result<()> {
        self.shared.child.signal(Signal::SIGTERM)
    }

    /// Sends SIGKILL to tor, unless it has ended. Does not wait for its end.
    ///
    /// A killed tor leaves its pluggable transports running; prefer [`quit`](Self::quit).
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses the signal.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// tor.kill()?;
    /// tor.wait()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn kill(&self) -> Result<()> {
        self.shared.child.signal(Signal::SIGKILL)
    }

    /// Ends tor and returns how it ended.
    ///
    /// Sends `SIGNAL SHUTDOWN`; after the grace period ([`Launcher::grace`]) SIGTERM, and two
    /// seconds later SIGKILL. Without a control connection it sends SIGTERM, and SIGKILL after the
    /// grace period. A launch in progress is cancelled, and the control connection is closed.
    ///
    /// Blocks the current thread until tor has ended, for at most these times and ten seconds.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem::Signal`] if the operating system refuses a signal, and
    /// [`Error::Timeout`](crate::Error::Timeout) if tor does not end after SIGKILL. Otherwise those
    /// of [`try_wait`](Self::try_wait).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().launch()?;
    /// let status = tor.quit()?;
    /// assert!(status.success());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn quit(&self) -> Result<ExitStatus> {
        let exit = self.end(self.grace)?;
        self.clean_up();
        self.status(exit)
    }

    fn end(&self, grace: Duration) -> Result<ExitResult> {
        if let Some(exit) = self.shared.child.try_wait() {
            return Ok(exit);
        }
        self.cancel_launch();
        let mut grace = grace;
        if self.send_shutdown(grace) {
            if let Some(exit) = self.shared.child.wait_for(grace) {
                return Ok(exit);
            }
            grace = SECOND_GRACE;
        }
        self.terminate_or_kill(grace)
    }

    fn terminate_or_kill(&self, grace: Duration) -> Result<ExitResult> {
        let (exit, is_killed) = self.shared.child.end(grace)?;
        if is_killed {
            log::warn!(
                "tor, pid {}, was killed: it did not end at SIGTERM",
                self.shared.child.pid()
            );
        }
        Ok(exit)
    }

    /// Returns whether tor may have received the signal.
    fn send_shutdown(&self, limit: Duration) -> bool {
        let Some(controller) = self.shared.launch.controller() else { return false };
        match controller.with_timeout(limit).signal(ControlSignal::Shutdown) {
            Ok(()) => true,
            // tor can end before its reply is read.
            Err(error) => error.is_closed(),
        }
    }

    fn cancel_launch(&self) {
        if self.shared.launch.is_under_way() {
            let _ = self.messages.send(LaunchMessage::Cancel);
        }
    }

    /// Closes the connection and joins the threads of a tor that has ended.
    fn clean_up(&self) {
        if let Some(controller) = self.shared.launch.controller() {
            // Its close reason should be that tor closed it.
            let _ = controller.wait_closed(CLOSE_LIMIT);
            controller.close();
        }
        self.join_threads();
    }

    fn join_threads(&self) {
        let _ = self.messages.send(LaunchMessage::Cancel);
        let threads = mem::take(&mut *self.threads.lock());
        for thread in threads {
            thread.join_for(THREAD_LIMIT);
        }
    }

    fn status(&self, exit: ExitResult) -> Result<ExitStatus> {
        exit.map_err(|source| {
            let problem = LaunchProblem::StatusUnknown { source };
            LaunchError::with_report(problem, self.shared.output.report()).into()
        })
    }

    fn check_running(&self) -> Result<()> {
        match self.shared.child.try_wait() {
            None => Ok(()),
            Some(exit) => {
                let mut report = self.shared.output.report();
                (report.exit_status, report.was_ready) = (exit.ok(), true);
                let problem = if self.shared.output.is_ended_for_stderr() {
                    LaunchProblem::Stderr { text: self.shared.output.stderr_text().into() }
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
        if let Some(controller) = self.shared.launch.controller() {
            // This ends tor too, even if it ignores SIGTERM. It does not wait for a listener.
            controller.hang_up();
        }
        if let Err(error) = self.terminate_or_kill(self.grace.min(SHORT_GRACE)) {
            log::error!("tor, pid {}, could not be ended: {error}", self.shared.child.pid());
        }
        self.join_threads();
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
