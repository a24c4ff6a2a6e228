use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::TorProcess;
use super::control::ControlVia;
use super::directory::Directories;
use super::options::Options;
use super::progress::{Progress, ProgressListener};
use super::ready::Ready;
use super::spawn;
use super::tor_user::{self, TorUser};
use crate::error::{InvalidInput, LaunchError, LaunchProblem, Result};
use crate::temporary;

/// What tor gets of this program's environment. Anything else may be a secret, or meant for this
/// program alone: with `NOTIFY_SOCKET`, for one, tor would tell systemd that this program is ready.
const ENVIRONMENT: [&str; 9] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SSL_CERT_DIR",
];

/// Launches a tor of this program's own.
///
/// The new tor has a private configuration file and reads no other; it has a temporary data
/// directory unless one is given, a control connection that belongs to this program alone, and it
/// ends with its [`TorProcess`], or with this program, whatever ends that.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::process::Launcher;
///
/// let tor = Launcher::new()
///     .option("SocksPort", "auto")
///     .on_progress(|progress| eprintln!("{progress}"))
///     .launch()?;
/// println!("{}", tor.controller()?.version());
/// tor.quit()?;
/// # Ok(())
/// # }
/// ```
///
/// A program that need not reach the network:
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::process::{Launcher, Ready};
///
/// let tor = Launcher::new()
///     .option("DisableNetwork", "1")
///     .wait_for(Ready::Controller)
///     .launch()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a launcher does nothing until launch() or spawn() is called"]
pub struct Launcher {
    pub(super) program: PathBuf,
    pub(super) data_directory: Option<PathBuf>,
    pub(super) options: Options,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) control: ControlVia,
    // These locks are never contended: they let threads share a launcher, though what they hold
    // cannot be shared.
    pub(super) on_progress: Mutex<Option<ProgressListener>>,
    pub(super) ready: Ready,
    pub(crate) timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) grace: Duration,
    pub(super) kill_on_stderr: bool,
    pub(super) stdout: Mutex<Option<Box<dyn Write + Send>>>,
    pub(super) stderr: Mutex<Option<Box<dyn Write + Send>>>,
}

impl Launcher {
    /// Returns a launcher with every option at its default.
    pub fn new() -> Self {
        Self {
            program: PathBuf::from("tor"),
            data_directory: None,
            options: Options::default(),
            environment: Vec::new(),
            control: ControlVia::default(),
            on_progress: Mutex::new(None),
            ready: Ready::default(),
            timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(120),
            grace: Duration::from_secs(10),
            kill_on_stderr: true,
            stdout: Mutex::new(None),
            stderr: Mutex::new(None),
        }
    }

    /// Sets the program to run. A name without a slash is looked for in `PATH`. The default is
    /// `tor`.
    #[doc(alias = "tor_binary")]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets the data directory.
    ///
    /// It is made with mode 0700 if it is missing (its parent must exist), and never deleted. The
    /// default is a temporary directory that is deleted when tor is gone; see [`TorProcess`] for
    /// a program that ends by a signal.
    pub fn data_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_directory = Some(path.into());
        self
    }

    /// Adds a line to tor's configuration.
    ///
    /// The order is kept; an option that may be given several times, such as `SocksPort`, can be
    /// added several times. `name` is the name of one option in full; `value` is taken as it is
    /// and needs no quotes. Refused, when the launch begins, are line breaks, and options that
    /// torcon sets itself: `DataDirectory`, `CookieAuthentication`, `ControlPortWriteToFile`,
    /// `RunAsDaemon`, `__OwningControllerProcess`. The default is `SocksPort auto` unless there is
    /// a line for `SocksPort` or `__SocksPort`, so that the new tor works beside another one.
    ///
    /// With `User`, as root, the launch gives that user the temporary directories, the data
    /// directory, and the directories of `HiddenServiceDir`, which it creates where the parent
    /// exists. An existing directory is given away only if it is empty and belongs to root, and
    /// never through a symbolic link. If that user cannot search `TMPDIR`, the temporary
    /// directories are in `/tmp`. tor then creates unix sockets late, or never with
    /// `DisableNetwork 1`, so [`ControlVia::UnixSocket`] becomes [`ControlVia::Tcp`].
    #[doc(alias = "launch_tor_with_config")]
    pub fn option(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.options.push(name.into(), value.as_ref().to_owned());
        self
    }

    /// Adds a variable to tor's environment.
    ///
    /// Of this program's environment tor gets only `PATH`, `HOME`, `TMPDIR`, `TZ`, `LANG`,
    /// `LC_ALL`, `LD_LIBRARY_PATH`, `DYLD_LIBRARY_PATH` and `SSL_CERT_DIR`. The default is no
    /// further variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets how the control connection is made. The default is [`ControlVia::UnixSocket`].
    #[doc(alias = "connection_creator")]
    pub fn control(mut self, via: ControlVia) -> Self {
        self.control = via;
        self
    }

    /// Sets a closure that is told of progress.
    ///
    /// It is called on a thread of its own, `torcon-progress`: once for each percentage that tor
    /// reaches, always forward, and when tor tells of trouble that it has not just told. `launch`
    /// waits for it at most 250 milliseconds: one that is slow is told the rest later, and its
    /// thread ends then. One that panics is not called again. The default is none.
    #[doc(alias = "progress_updates")]
    pub fn on_progress(mut self, listener: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_progress = Mutex::new(Some(Box::new(listener)));
        self
    }

    /// Sets what the launch waits for. The default is [`Ready::Bootstrapped`].
    pub fn wait_for(mut self, ready: Ready) -> Self {
        self.ready = ready;
        self
    }

    /// Sets how long the launch may take; then tor is ended. The default is 300 seconds.
    ///
    /// [`Duration::MAX`] is no limit. This and the stall timeout end when the launch is ready; see
    /// [`wait_for`](Self::wait_for).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long tor may go without progress; then it is ended. The default is 120 seconds.
    ///
    /// Progress is every change of the percentage or of the stage, also to a lower one: when the
    /// network changes, tor begins to bootstrap anew. Only [`timeout`](Self::timeout) ends a tor
    /// that begins again and again.
    ///
    /// Where tor cannot reach its network at all, this limit tells it first.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Sets how long tor may take to end when it is asked to, before it is killed. The default is
    /// 10 seconds.
    ///
    /// When a launch fails and when a [`TorProcess`] is dropped it is at most 5 seconds. A relay
    /// takes `ShutdownWaitLength`, 30 seconds if not set otherwise, to end at
    /// [`TorProcess::quit`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets whether anything that tor writes on its standard error output ends it, and the launch.
    /// The default is `true`.
    ///
    /// tor itself writes everything on standard output; what is on the other comes from
    /// libraries, from a crash, or from a wrong program. This holds for the whole life of the
    /// process. The option `Log notice stderr` is refused unless this is off.
    pub fn kill_on_stderr(mut self, kill: bool) -> Self {
        self.kill_on_stderr = kill;
        self
    }

    /// Sets where a copy of tor's standard output goes. The default is nowhere.
    ///
    /// It is written to on a thread of its own, in the pieces in which it comes. One that is slow
    /// does not delay tor: 8 MiB are kept for it, then the newest output is not copied. One that
    /// fails or panics gets no more.
    pub fn stdout(mut self, sink: impl Write + Send + 'static) -> Self {
        self.stdout = Mutex::new(Some(Box::new(sink)));
        self
    }

    /// Sets where a copy of tor's standard error output goes, as [`stdout`](Self::stdout) does.
    /// The default is nowhere.
    pub fn stderr(mut self, sink: impl Write + Send + 'static) -> Self {
        self.stderr = Mutex::new(Some(Box::new(sink)));
        self
    }

    /// Launches tor and returns it when it is ready.
    ///
    /// Blocks the current thread until tor has reached 100 %, or what [`wait_for`](Self::wait_for)
    /// says, for at most [`timeout`](Self::timeout) and never longer than
    /// [`stall_timeout`](Self::stall_timeout) without progress.
    ///
    /// Sends `PROTOCOLINFO`, `AUTHCHALLENGE` and `AUTHENTICATE`, `SETEVENTS` for bootstrap events
    /// while the launch lasts, `GETINFO status/bootstrap-phase`, `TAKEOWNERSHIP` and
    /// `RESETCONF __OwningControllerProcess`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if an option cannot be used, also
    /// `DisableNetwork 1` unless [`Ready::Controller`] is waited for, and
    /// [`Error::Launch`](crate::Error::Launch) if anything else fails: its text has tor's last
    /// warnings and errors, and tor and its temporary directories are gone.
    #[doc(alias = "launch_tor")]
    pub fn launch(self) -> Result<TorProcess> {
        if self.ready == Ready::Bootstrapped && self.options.disable_network() {
            let problem = "with the network disabled tor never finishes bootstrapping: leave the \
                           option out, or wait for Ready::Controller";
            return Err(InvalidInput::new("DisableNetwork", problem).into());
        }
        let tor = self.spawn()?;
        tor.wait_ready()?;
        Ok(tor)
    }

    /// Starts tor and returns at once, while threads see to the rest of the launch.
    ///
    /// See [`TorProcess::wait_bootstrapped`] and [`TorProcess::wait_controller`]. If the launch
    /// fails, tor is ended.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if an option cannot be used, and
    /// [`Error::Launch`](crate::Error::Launch) if the program cannot be started.
    pub fn spawn(mut self) -> Result<TorProcess> {
        self.check()?;
        let name = self.options.values("User").last();
        let user = name.and_then(TorUser::find);
        if name.is_some_and(tor_user::defers_unix_sockets) {
            self.control = self.control.without_unix_socket();
        }
        let directories =
            Directories::prepare(self.data_directory.as_deref(), &temporary::root(), user)
                .map_err(LaunchError::new)?;
        let torrc = self.options.torrc(&self.control, &directories)?;
        directories.write_torrc(torrc.as_bytes()).map_err(LaunchError::new)?;
        let services = self.options.values("HiddenServiceDir");
        directories.give_away(services).map_err(LaunchError::new)?;
        let (torrc, defaults) = (directories.torrc(), directories.defaults_torrc());
        let arguments =
            ["-f".as_ref(), torrc.as_os_str(), "--defaults-torrc".as_ref(), defaults.as_os_str()];
        let stdin = directories.stdin().map_err(LaunchError::new)?;
        let spawned = spawn::spawn(&self.program, &arguments, &self.child_environment(), stdin)
            .map_err(|error| LaunchError::new(spawn_problem(&self.program, error)))?;
        TorProcess::watch(self, spawned, directories)
    }

    /// Returns what tells one tor from another: names and values, an option that is repeated as
    /// often as it is. The flag says whether the value may be shown.
    pub(crate) fn settings(&self) -> Vec<(String, OsString, bool)> {
        let directory = self.data_directory.as_ref().map(|path| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).into_os_string()
        });
        let own = [
            ("program".to_owned(), self.program.clone().into_os_string(), true),
            ("data directory".to_owned(), directory.unwrap_or_default(), true),
            ("control connection".to_owned(), format!("{:?}", self.control).into(), true),
        ];
        let environment = self.environment.iter().map(|(name, value)| {
            (format!("environment variable {}", name.to_string_lossy()), value.clone(), false)
        });
        own.into_iter().chain(environment).chain(self.options.shown()).collect()
    }

    /// Returns the settings, and what is set where they say nothing.
    pub(crate) fn effective_settings(&self) -> Vec<(String, OsString, bool)> {
        let implied = self.options.implied_socks_port();
        let implied = implied.map(|(name, value)| (name.to_owned(), value.into(), true));
        self.settings().into_iter().chain(implied).collect()
    }

    /// Returns whether there will be a control connection.
    pub(crate) fn has_control(&self) -> bool {
        !matches!(self.control, ControlVia::None)
    }

    fn check(&self) -> Result<(), InvalidInput> {
        self.options.check()?;
        for (name, value) in &self.environment {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(InvalidInput::new(
                    "env",
                    "an environment variable cannot have this name",
                ));
            }
            if name.as_bytes().contains(&0) || value.as_bytes().contains(&0) {
                return Err(InvalidInput::new("env", "must not contain NUL"));
            }
        }
        if self.kill_on_stderr && self.options.log_to_stderr() {
            let problem = "tor would be ended for its log on standard error: log to stdout, or \
                           set Launcher::kill_on_stderr(false)";
            return Err(InvalidInput::new("Log", problem));
        }
        if !self.has_control() && self.ready == Ready::Controller {
            let problem = "Ready::Controller cannot be reached with ControlVia::None";
            return Err(InvalidInput::new("wait_for", problem));
        }
        Ok(())
    }

    /// Returns the environment of the child.
    fn child_environment(&self) -> BTreeMap<OsString, OsString> {
        let inherited =
            ENVIRONMENT.iter().filter_map(|name| Some((name.into(), env::var_os(name)?)));
        inherited.chain(self.environment.iter().cloned()).collect()
    }
}

impl Default for Launcher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options and environment can hold secrets.
        f.debug_struct("Launcher")
            .field("program", &self.program)
            .field("data_directory", &self.data_directory)
            .field("control", &self.control)
            .field("wait_for", &self.ready)
            .field("timeout", &self.timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("grace", &self.grace)
            .field("kill_on_stderr", &self.kill_on_stderr)
            .finish_non_exhaustive()
    }
}

/// The same error of the operating system tells of a missing program and of a missing interpreter
/// of a script.
fn spawn_problem(program: &Path, error: io::Error) -> LaunchProblem {
    let named_by_path = program.as_os_str().as_bytes().contains(&b'/');
    let missing = error.kind() == io::ErrorKind::NotFound;
    let program = program.to_owned();
    if missing && !(named_by_path && program.exists()) {
        LaunchProblem::NotFound { program }
    } else {
        LaunchProblem::Spawn { program, source: Arc::new(error) }
    }
}

#[cfg(test)]
mod tests;
