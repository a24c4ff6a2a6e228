use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use nix::fcntl::OFlag;

use super::child::Child;
use super::progress::Progress;
use super::ready::Message;
use crate::controller::{ConnectOptions, Controller, HookGuard};
use crate::error::{
    ConnectAttempt, ConnectError, ConnectProblem, Error, LaunchError, LaunchProblem, Result,
};
use crate::event::Bootstrap;
use crate::link::Endpoint;
use crate::names::Recommendation;

/// How much of the file with the control port is read.
const PORT_FILE_LIMIT: u64 = 4096;

/// A function that makes a control connection.
pub type ControlFn = Arc<dyn Fn() -> Result<Controller> + Send + Sync>;

/// How the control connection to a launched tor is made.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ControlVia {
    /// By a unix socket in a private directory; nobody else can reach it.
    ///
    /// As root with the option `User` this is [`Tcp`](Self::Tcp): tor creates unix sockets only
    /// after it has changed its user, late or never.
    #[default]
    UnixSocket,
    /// By TCP, on a port of 127.0.0.1 that tor chooses. The tor that answers must have the PID of
    /// the child, as with [`Custom`](Self::Custom).
    Tcp,
    /// By this function, which is called on a thread of its own, again and again until it
    /// succeeds or the launch is over. The control port that it connects to must be configured
    /// with [`Launcher::option`](super::Launcher::option).
    ///
    /// The tor that it reaches must be the child: its answer to `GETINFO process/pid` must be the
    /// child's PID. With another one the launch fails with [`LaunchProblem::OtherTor`], and the
    /// tor that was reached is left as it is. So a wrapper script must start tor with `exec`, and
    /// tor must run in the PID namespace of this program.
    ///
    /// It is called by one thread at a time. If it panics the launch fails. One that never returns does not hold the launch, which
    /// ends at its limit; it keeps its thread, `torcon-connect`, and what it holds itself. So it
    /// should have a limit of its own, such as
    /// [`ConnectOptions::timeout`](crate::ConnectOptions::timeout).
    ///
    /// See [`ControlVia::custom`].
    ///
    /// [`LaunchProblem::OtherTor`]: crate::error::LaunchProblem::OtherTor
    Custom(ControlFn),
    /// Not at all: whether tor is ready is judged by what it prints.
    None,
}

impl ControlVia {
    /// Returns [`ControlVia::Custom`] with this function.
    #[must_use]
    pub fn custom(connect: impl Fn() -> Result<Controller> + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(connect))
    }

    /// Returns a way that works where tor creates no unix socket at its start.
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

/// [`ControlVia`] with the paths of one process.
pub(super) enum Route {
    Fixed(Endpoint),
    PortFile(PathBuf),
    Custom(ControlFn),
}

/// A control connection that is ready to use and owns its tor.
pub(super) struct Connected {
    pub(super) controller: Controller,
    /// `None` if only the custom function knows.
    pub(super) endpoint: Option<Endpoint>,
    /// What sends [`Message::Status`]; the first comes before this.
    pub(super) watch: HookGuard,
}

/// Why an attempt failed.
pub(super) enum Failure {
    /// The connection, or a command on it.
    Control(Error),
    /// The connection leads to a tor that is not the child.
    OtherTor { found: Box<str> },
    /// The function of [`ControlVia::Custom`] panicked.
    Panicked,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Control(error)
    }
}

/// Connects once. Everything that needs an answer of tor is bounded by `limit`.
pub(super) fn connect(
    route: &Route,
    child: &Child,
    limit: Duration,
    messages: &Sender<Message>,
) -> Result<Connected, Failure> {
    let pid = child.pid();
    let (controller, endpoint) = match route {
        // Nobody else can have a socket in the private directory.
        Route::Fixed(endpoint) => (open(endpoint, limit)?, Some(endpoint.clone())),
        Route::PortFile(path) => {
            let endpoint = Endpoint::from(read_port_file(path)?);
            let controller = open(&endpoint, limit)?;
            check_pid(&controller, pid, limit)?;
            (controller, Some(endpoint))
        }
        Route::Custom(connect) => {
            // Without an outcome the launch would wait for its whole limit.
            let connected = catch_unwind(AssertUnwindSafe(|| connect()));
            let controller = connected.map_err(|_panic| Failure::Panicked)??;
            // It may have returned long after the launch was over.
            if child.try_wait().is_some() {
                return Err(Error::from(LaunchError::new(LaunchProblem::Exited)).into());
            }
            check_pid(&controller, pid, limit)?;
            (controller, None)
        }
    };
    let lost = messages.clone();
    controller.on_disconnect(move |_reason| {
        // Nobody listens any more when the launch is over.
        let _ = lost.send(Message::Lost);
    });
    let asking = controller.with_timeout(limit);
    let told = messages.clone();
    let tell = move |bootstrap: Bootstrap| {
        let _ = told.send(Message::Status(Progress::from(&bootstrap)));
    };
    let watch = asking.watch_bootstrap(Box::new(tell))?;
    asking.take_ownership_of(pid)?;
    // From here on tor ends with this connection; it need not look for our process any more. If
    // it refuses to stop looking, nothing is lost.
    if let Err(error) = asking.reset_conf([("__OwningControllerProcess", None::<&str>)]) {
        log::debug!("tor still looks for our process: {error}");
    }
    Ok(Connected { controller, endpoint, watch })
}

/// Refuses a tor that is not the child, before anything of it is changed: a tor that this
/// connection owns ends with it.
fn check_pid(controller: &Controller, pid: u32, limit: Duration) -> Result<(), Failure> {
    let found = controller.with_timeout(limit).get_info_one("process/pid")?;
    if found.parse() == Ok(pid) { Ok(()) } else { Err(Failure::OtherTor { found: found.into() }) }
}

impl From<&Bootstrap> for Progress {
    fn from(bootstrap: &Bootstrap) -> Self {
        // What tor recommends to ignore it does not write into its log either.
        let worth_telling = bootstrap.recommendation != Some(Recommendation::Ignore);
        Self {
            percent: bootstrap.progress,
            tag: bootstrap.tag.as_str().to_owned(),
            summary: bootstrap.summary.clone(),
            warning: bootstrap.warning.clone().filter(|_| worth_telling),
        }
    }
}

fn open(endpoint: &Endpoint, limit: Duration) -> Result<Controller> {
    ConnectOptions::new().timeout(limit).connect(endpoint.clone())
}

/// Reads the file that tor writes for `ControlPortWriteToFile`: `PORT=127.0.0.1:42765`.
///
/// Follows no link and never blocks: with the option `User` the directory is another user's.
fn read_port_file(path: &Path) -> Result<SocketAddr> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    opened
        .and_then(|file| {
            let mut text = String::new();
            file.take(PORT_FILE_LIMIT).read_to_string(&mut text)?;
            let address = text.lines().find_map(|line| line.strip_prefix("PORT=")?.parse().ok());
            address.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it names no port"))
        })
        .map_err(|error| {
            let address = path.display().to_string();
            let attempt = ConnectAttempt::new(&address, ConnectProblem::Io(Arc::new(error)));
            ConnectError::new(vec![attempt]).into()
        })
}

/// Whether another attempt can do better: while tor starts, its control port is not there yet or
/// does not answer yet.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Connect(_) | Error::Closed(_) | Error::Timeout(_))
}

#[cfg(test)]
mod tests;
