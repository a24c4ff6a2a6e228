mod settings;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::TorProcess;
use super::control::ControlVia;
use super::directory::{DataDirectory, Directories};
use super::launch_state::Ready;
use super::options::Options;
use super::progress::{Progress, ProgressListener};
use super::sink::SinkWriter;
use super::spawn;
use crate::error::{LaunchError, Result};
use crate::link::{CancelToken, Listener};
use crate::temporary;

/// Launches a tor that belongs to this program.
///
/// The tor reads only a private configuration file, has a temporary data directory unless one is
/// given, and a private control connection. It ends with its [`TorProcess`], or with this program
/// however the program ends.
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
/// Without network:
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
    pub(super) closures: Closures,
    pub(super) ready: Ready,
    pub(crate) timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) grace: Duration,
    pub(super) kill_on_stderr: bool,
    pub(super) cancel: Option<CancelToken>,
}

/// The closure and the writers of the user, which several launches can share.
#[derive(Clone, Default)]
pub(super) struct Closures {
    pub(super) on_progress: Option<Arc<Listener<ProgressListener>>>,
    pub(super) stdout: Option<Arc<Listener<SinkWriter>>>,
    pub(super) stderr: Option<Arc<Listener<SinkWriter>>>,
}

impl Launcher {
    /// Returns a launcher with every option at its default.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Launcher;
    ///
    /// let launcher = Launcher::new();
    /// ```
    #[doc(alias = "NewCreator")]
    pub fn new() -> Self {
        Self {
            program: PathBuf::from("tor"),
            data_directory: None,
            options: Options::default(),
            environment: Vec::new(),
            control: ControlVia::default(),
            closures: Closures::default(),
            ready: Ready::default(),
            timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(120),
            grace: Duration::from_secs(10),
            kill_on_stderr: true,
            cancel: None,
        }
    }

    /// Sets the program to run. A name without a slash is searched in `PATH`. The default is `tor`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().program("/opt/tor/bin/tor").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("find_tor_binary", "is_executable"))]
    #[doc(alias = "tor_binary")]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Sets the data directory.
    ///
    /// A missing directory is created with mode 0700; its parent must exist. It is never deleted.
    /// The default is a temporary directory that is deleted when tor has ended; see [`TorProcess`]
    /// for a program that ends by a signal.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// // The next launch has the same guards, and the consensus already.
    /// let tor = Launcher::new().data_directory("/var/lib/my-program/tor").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn data_directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_directory = Some(path.into());
        self
    }

    /// Adds a line to tor's configuration.
    ///
    /// Lines keep their order, and a list such as `SocksPort` can have several. `name` is the full
    /// name of an option; `value` needs no quotes. The launch refuses line breaks and the options
    /// that torcon sets: `DataDirectory`, `CookieAuthentication`, `ControlPortWriteToFile`,
    /// `RunAsDaemon`, `__OwningControllerProcess`. The default is `SocksPort auto ExtendedErrors`
    /// unless there is a line for `SocksPort` or `__SocksPort`, so that the tor can run beside another
    /// one.
    ///
    /// With `User`, as root, the launch makes that user the owner of the temporary directories, the
    /// data directory, and the directories of `HiddenServiceDir`, which it creates if their parent
    /// exists. An existing directory must be empty and belong to root, or its owner is not changed;
    /// symbolic links are not followed. If that user cannot search `TMPDIR`, the temporary
    /// directories are in `/tmp`. [`ControlVia::UnixSocket`] becomes [`ControlVia::Tcp`], since
    /// such a tor creates unix sockets late, or never with `DisableNetwork 1`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new()
    ///     .option("SocksPort", "127.0.0.1:9150")
    ///     .option("ExitNodes", "{de},{fr}")
    ///     .launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "launch_tor_with_config")]
    pub fn option(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.options.push(name.into(), value.as_ref().to_owned());
        self
    }

    /// Adds a variable to tor's environment.
    ///
    /// tor inherits only `PATH`, `HOME`, `TMPDIR`, `TZ`, `LANG`, `LC_ALL`, `LD_LIBRARY_PATH`,
    /// `DYLD_LIBRARY_PATH` and `SSL_CERT_DIR`. The default is no further variable.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().env("LD_LIBRARY_PATH", "/opt/tor/lib").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets how the control connection is made. The default is [`ControlVia::UnixSocket`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::process::ControlVia;
    ///
    /// let tor = Launcher::new().control(ControlVia::Tcp).launch()?;
    /// println!("{:?}", tor.control_endpoint());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "connection_creator")]
    pub fn control(mut self, via: ControlVia) -> Self {
        self.control = via;
        self
    }

    /// Sets a closure that is called with tor's bootstrap progress. The default is none.
    ///
    /// The thread `torcon-progress` calls it once for each percentage, never for a lower one, and
    /// when the warning changes. [`launch`](Self::launch) waits for the closure for at most 250
    /// milliseconds; a slow closure is called for the rest after that. A closure that panics is not
    /// called again.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().on_progress(|progress| eprintln!("{progress}")).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "progress_updates")]
    pub fn on_progress(mut self, listener: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.closures.on_progress = Some(Listener::new(Box::new(listener)));
        self
    }

    /// Sets the state of tor that the launch waits for. The default is [`Ready::Bootstrapped`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::process::Ready;
    ///
    /// // The control connection is ready in less than a second; tor goes on bootstrapping.
    /// let tor = Launcher::new().wait_for(Ready::Controller).launch()?;
    /// println!("{}", tor.progress());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_for(mut self, ready: Ready) -> Self {
        self.ready = ready;
        self
    }

    /// Sets the time limit of the launch, after which tor is ended. The default is 300 seconds.
    ///
    /// [`Duration::MAX`] is no limit. This limit and the stall timeout end when tor is ready; see
    /// [`wait_for`](Self::wait_for).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Launcher;
    ///
    /// match Launcher::new().timeout(Duration::from_secs(60)).launch() {
    ///     Ok(tor) => println!("ready, pid {}", tor.pid()),
    ///     Err(error) if error.is_timeout() => println!("not in a minute: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "DEFAULT_INIT_TIMEOUT")]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time limit without bootstrap progress, after which tor is ended. The default is 120
    /// seconds.
    ///
    /// Every change of the percentage or the tag is progress, also to a lower one: tor bootstraps
    /// again when the network changes. If it does so repeatedly, only [`timeout`](Self::timeout)
    /// ends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::Launcher;
    ///
    /// let launcher = Launcher::new().stall_timeout(Duration::from_secs(30));
    /// ```
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Sets the grace period between the signal to end and SIGKILL. The default is 10 seconds.
    ///
    /// It is at most 5 seconds when a launch fails and when a [`TorProcess`] is dropped. At
    /// [`TorProcess::quit`] a relay takes `ShutdownWaitLength` to end, by default 30 seconds.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().grace(Duration::from_secs(3)).launch()?;
    /// tor.quit()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets whether tor is ended when it writes on standard error, also after the launch. The default
    /// is `true`.
    ///
    /// tor itself writes only on standard output. Output on standard error is that of a library, a
    /// crash or a wrong program. The option `Log notice stderr` is refused unless this is `false`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// // A wrapper script that prints warnings.
    /// let tor = Launcher::new().program("./tor.sh").kill_on_stderr(false).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn kill_on_stderr(mut self, kill: bool) -> Self {
        self.kill_on_stderr = kill;
        self
    }

    /// Sets a writer for a copy of tor's standard output. The default is none.
    ///
    /// The thread `torcon-sink` writes the copy, so that a slow writer does not delay tor: up to
    /// 8 MiB are queued, and further output is dropped. A writer that fails or panics is no longer
    /// used.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::fs::File;
    ///
    /// use torcon::Launcher;
    ///
    /// let log = File::create("tor.log").expect("the file can be created");
    /// let tor = Launcher::new().stdout(log).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn stdout(mut self, sink: impl Write + Send + 'static) -> Self {
        self.closures.stdout = Some(Listener::new(Box::new(sink)));
        self
    }

    /// Sets a writer for a copy of tor's standard error, as [`stdout`](Self::stdout) does. The default
    /// is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().kill_on_stderr(false).stderr(std::io::stderr()).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn stderr(mut self, sink: impl Write + Send + 'static) -> Self {
        self.closures.stderr = Some(Listener::new(Box::new(sink)));
        self
    }

    /// Sets a token by which another thread cancels the launch. The default is none.
    ///
    /// [`launch`](Self::launch) then fails with [`Error::Canceled`](crate::Error::Canceled), after tor
    /// has ended and its temporary directories are deleted; so do
    /// [`TorProcess::wait_bootstrapped`] and [`TorProcess::wait_controller`] after
    /// [`spawn`](Self::spawn). tor has up to five seconds to end, and is killed then; a client that
    /// bootstraps ends at once. A tor that is ready (see [`wait_for`](Self::wait_for)) is not ended:
    /// the token then ends only the wait for the rest of its bootstrap.
    ///
    /// In the launcher of a [`Supervisor`](crate::Supervisor) the token stops it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{CancelToken, Error, Launcher};
    ///
    /// let token = CancelToken::new();
    /// let at_signal = token.clone();
    /// ctrlc::set_handler(move || { at_signal.cancel(); }).expect("the only handler");
    /// match Launcher::new().cancel_token(&token).launch() {
    ///     Err(Error::Canceled(_)) => println!("Ctrl-C: tor has ended"),
    ///     launched => println!("tor runs, PID {}", launched?.pid()),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Returns the token that cancels the launch.
    pub(crate) fn canceled_by(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }

    /// Launches tor and returns it when it is ready.
    ///
    /// Blocks the current thread until tor has bootstrapped to 100 %, or is ready as
    /// [`wait_for`](Self::wait_for) says, for at most [`timeout`](Self::timeout), and
    /// [`stall_timeout`](Self::stall_timeout) without progress.
    ///
    /// Sends `PROTOCOLINFO`, `AUTHCHALLENGE` and `AUTHENTICATE`, `SETEVENTS` for bootstrap events
    /// while the launch lasts, `GETINFO status/bootstrap-phase`, `TAKEOWNERSHIP` and
    /// `RESETCONF __OwningControllerProcess`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for an invalid option, or
    /// `DisableNetwork 1` without [`Ready::Controller`], or bridges whose transports have no plugin.
    /// Otherwise [`Error::Launch`](crate::Error::Launch), whose text has tor's last warnings and
    /// errors; tor has ended then, and its temporary directories are deleted; and
    /// [`Error::Canceled`](crate::Error::Canceled) if the [token](Self::cancel_token) was canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().launch()?;
    /// println!("tor {} is ready", tor.controller()?.version());
    /// tor.quit()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "launch_tor")]
    pub fn launch(self) -> Result<TorProcess> {
        self.check_ready()?;
        let tor = self.spawn()?;
        tor.wait_ready()?;
        Ok(tor)
    }

    /// Starts tor and returns before it is ready. Threads continue the launch.
    ///
    /// See [`TorProcess::wait_bootstrapped`] and [`TorProcess::wait_controller`]. If the launch
    /// fails, tor is ended.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for an invalid option, and
    /// [`Error::Launch`](crate::Error::Launch) if the program cannot be started; and
    /// [`Error::Canceled`](crate::Error::Canceled) if the [token](Self::cancel_token) is canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Launcher;
    ///
    /// let tor = Launcher::new().spawn()?;
    /// // Other work of the program.
    /// tor.wait_bootstrapped(Duration::from_secs(300))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn spawn(self) -> Result<TorProcess> {
        self.check()?;
        let given = self.data_directory.clone();
        self.start(given.map_or(DataDirectory::Temporary, DataDirectory::Given))
    }

    /// Starts tor with settings that are checked.
    pub(super) fn start(mut self, data: DataDirectory) -> Result<TorProcess> {
        if let Some(token) = &self.cancel {
            token.check(self.ready.wait())?;
        }
        self.control = self.effective_control();
        let user = self.user();
        let directories = Directories::prepare(data, &temporary::root(), user);
        let directories = directories.map_err(LaunchError::new)?;
        let torrc = self.options.torrc(&self.control, &directories)?;
        directories.write_torrc(torrc.as_bytes()).map_err(LaunchError::new)?;
        let services = self.options.values("HiddenServiceDir");
        directories.give_away(services).map_err(LaunchError::new)?;
        let (torrc, defaults) = (directories.torrc(), directories.defaults_torrc());
        let arguments =
            ["-f".as_ref(), torrc.as_os_str(), "--defaults-torrc".as_ref(), defaults.as_os_str()];
        let stdin = directories.stdin().map_err(LaunchError::new)?;
        let environment = spawn::child_environment(&self.environment);
        let spawned = spawn::spawn(&self.program, &arguments, &environment, stdin)
            .map_err(LaunchError::new)?;
        TorProcess::new(self, spawned, directories)
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

#[cfg(test)]
mod tests;
