use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::child::Child;
use super::launch_machine::LaunchMessage;
use super::progress::Progress;
use crate::controller::{ConnectOptions, Controller, HookGuard};
use crate::error::{
    ConnectAttempt, ConnectError, ConnectProblem, Error, LaunchError, LaunchProblem, Result,
};
use crate::event::Bootstrap;
use crate::link::Endpoint;
use crate::names::Recommendation;
use crate::sync::channel::Sender;

/// A function that connects to the control port of a launched tor.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use torcon::process::{ControlFn, ControlVia};
///
/// let connect: ControlFn = Arc::new(|| torcon::connect("127.0.0.1:9051"));
/// let via = ControlVia::Custom(connect);
/// ```
pub type ControlFn = Arc<dyn Fn() -> Result<Controller> + Send + Sync>;

/// How a [`Launcher`](super::Launcher) connects to the control port of its tor.
///
/// # Examples
///
/// ```no_run
/// use torcon::Launcher;
/// use torcon::process::ControlVia;
///
/// // Without a control connection: only the SOCKS port is used.
/// let tor = Launcher::new()
///     .option("SocksPort", "127.0.0.1:9150")
///     .control(ControlVia::None)
///     .launch()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ControlVia {
    /// By a unix socket in a private directory, which no other user can reach.
    ///
    /// As root with the option `User` this is [`Tcp`](Self::Tcp), since tor creates unix sockets
    /// late or never after it has changed its user.
    #[default]
    UnixSocket,
    /// By TCP, on a port of 127.0.0.1 that tor chooses. The tor that answers must have the PID of
    /// the child, as for [`Custom`](Self::Custom).
    Tcp,
    /// By a function; see [`ControlVia::custom`]. Configure the control port that it connects to
    /// with [`Launcher::option`](super::Launcher::option).
    ///
    /// The thread `torcon-connect` calls the function until it succeeds or the launch is over,
    /// one call at a time. If it panics, the launch fails. A call that never returns does not
    /// delay the end of the launch, but it keeps its thread: give it a time limit, such as
    /// [`ConnectOptions::timeout`](crate::ConnectOptions::timeout).
    ///
    /// The tor that it connects to must be the child: it must answer `GETINFO process/pid` with
    /// the child's PID. Otherwise the launch fails with [`LaunchProblem::OtherTor`], and the other
    /// tor is left as it is. A wrapper script must therefore start tor with `exec`, and tor must
    /// run in the PID namespace of this program.
    ///
    /// [`LaunchProblem::OtherTor`]: crate::error::LaunchProblem::OtherTor
    Custom(ControlFn),
    /// Not at all. The progress of tor is read from its log.
    None,
}

impl ControlVia {
    /// Returns [`ControlVia::Custom`] with this function.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::process::ControlVia;
    ///
    /// let tor = Launcher::new()
    ///     .option("ControlPort", "127.0.0.1:9151")
    ///     .control(ControlVia::custom(|| torcon::connect("127.0.0.1:9151")))
    ///     .launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn custom(connect: impl Fn() -> Result<Controller> + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(connect))
    }

    /// Returns [`Tcp`](Self::Tcp) for [`UnixSocket`](Self::UnixSocket).
    pub(super) fn without_unix_socket(self) -> Self {
        match self {
            Self::UnixSocket => Self::Tcp,
            other => other,
        }
    }
}

impl fmt::Debug for ControlVia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnixSocket => "UnixSocket",
            Self::Tcp => "Tcp",
            Self::Custom(_) => "Custom(..)",
            Self::None => "None",
        })
    }
}

/// A [`ControlVia`] with the paths of one process.
pub(super) enum Route {
    Fixed(Endpoint),
    PortFile(PathBuf),
    Custom(ControlFn),
}

/// An authenticated control connection that owns its tor.
pub(super) struct Connected {
    pub(super) controller: Controller,
    /// `None` for a custom function.
    pub(super) endpoint: Option<Endpoint>,
    /// Sends [`LaunchMessage::Event`].
    pub(super) bootstrap_hook: HookGuard,
}

/// Why an attempt to connect failed.
pub(super) enum ConnectFailure {
    /// The connection or a command on it failed.
    Control(Error),
    /// The tor at the other end is not the child.
    OtherTor { found: Box<str> },
    /// The function of [`ControlVia::Custom`] panicked.
    Panicked,
}

impl From<Error> for ConnectFailure {
    fn from(error: Error) -> Self {
        Self::Control(error)
    }
}

/// Connects once. The connection and each command have the time limit `limit`.
pub(super) fn connect(
    route: &Route,
    child: &Child,
    limit: Duration,
    messages: &Sender<LaunchMessage>,
) -> Result<Connected, ConnectFailure> {
    let pid = child.pid();
    let (controller, endpoint) = match route {
        // No other tor can have a socket in the private directory.
        Route::Fixed(endpoint) => (open(endpoint, limit)?, Some(endpoint.clone())),
        Route::PortFile(path) => {
            let endpoint = read_port_file(path)?;
            let controller = open(&endpoint, limit)?;
            check_pid(&controller, pid, limit)?;
            (controller, Some(endpoint))
        }
        Route::Custom(connect) => {
            // A panic must become a result, or the launch would wait until its time limit.
            let connected = catch_unwind(AssertUnwindSafe(|| connect()));
            let controller = connected.map_err(|_panic| ConnectFailure::Panicked)??;
            // The function may return long after the child has ended.
            if child.try_wait().is_some() {
                return Err(Error::from(LaunchError::new(LaunchProblem::Exited)).into());
            }
            check_pid(&controller, pid, limit)?;
            (controller, None)
        }
    };
    let sender = messages.clone();
    controller.on_disconnect(move |_reason| {
        // Fails when the launch is over.
        let _ = sender.send(LaunchMessage::Disconnected);
    });
    let limited = controller.with_timeout(limit);
    let sender = messages.clone();
    let on_bootstrap = move |bootstrap: Bootstrap| {
        let _ = sender.send(LaunchMessage::Event(Progress::from(&bootstrap)));
    };
    let bootstrap_hook = limited.watch_bootstrap(Box::new(on_bootstrap))?;
    limited.take_ownership_of(pid)?;
    // tor now ends with this connection and need not poll for this process. A refusal does no harm.
    if let Err(error) = limited.reset_conf([("__OwningControllerProcess", None::<&str>)]) {
        log::debug!("tor still polls for this process: {error}");
    }
    Ok(Connected { controller, endpoint, bootstrap_hook })
}

/// Refuses a tor that is not the child before `TAKEOWNERSHIP`, which would end it with this
/// connection.
fn check_pid(controller: &Controller, pid: u32, limit: Duration) -> Result<(), ConnectFailure> {
    let found = controller.with_timeout(limit).get_info_one("process/pid")?;
    match found.parse() == Ok(pid) {
        true => Ok(()),
        false => Err(ConnectFailure::OtherTor { found: found.into() }),
    }
}

impl From<&Bootstrap> for Progress {
    fn from(bootstrap: &Bootstrap) -> Self {
        // tor does not log a problem that it recommends to ignore.
        let is_logged = bootstrap.recommendation != Some(Recommendation::Ignore);
        Self {
            percent: bootstrap.progress,
            tag: bootstrap.tag.as_str().to_owned(),
            summary: bootstrap.summary.clone(),
            warning: bootstrap.warning.clone().filter(|_| is_logged),
        }
    }
}

fn open(endpoint: &Endpoint, limit: Duration) -> Result<Controller> {
    // The hint how to open a control port is for the user of a tor that runs already.
    ConnectOptions::new().timeout(limit).connect(endpoint.clone()).map_err(Error::without_advice)
}

/// Returns the TCP port in the file that tor writes for `ControlPortWriteToFile`. With the option
/// `User` the directory belongs to another user.
fn read_port_file(path: &Path) -> Result<Endpoint> {
    let endpoints = Endpoint::read_untrusted_port_file(path)?;
    endpoints.into_iter().find(|endpoint| endpoint.path().is_none()).ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::InvalidData, "the file names no TCP port");
        let problem = ConnectProblem::Io(Arc::new(error));
        ConnectError::new(vec![ConnectAttempt::new(&path.display().to_string(), problem)]).into()
    })
}

/// Whether another attempt can succeed: a tor that starts may not yet listen or answer.
pub(super) fn is_temporary(error: &Error) -> bool {
    matches!(error, Error::Connect(_) | Error::Closed(_) | Error::Timeout(_))
}

#[cfg(test)]
mod tests;
