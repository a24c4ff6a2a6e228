//! The tor that gets the service: given, connected to, or launched.

use std::any::Any;
use std::sync::Arc;

use super::OnionProgress;
use super::progress::ProgressListener;
use crate::controller::{ConnectOptions, Controller};
use crate::error::{InvalidInput, Result};
use crate::link::{CancelToken, Endpoint};
use crate::onion::registration::Lease;
use crate::onion::supervised::SupervisedService;
use crate::process::Launcher;

/// Keeps a shared tor running for as long as it is held.
pub(crate) type KeepAlive = Arc<dyn Any + Send + Sync>;

/// Returns the shared tor, and launches one with the given launcher if none is running. The flag
/// says whether the options of a running one must match those of the launcher.
pub(crate) type TorFactory =
    Box<dyn FnOnce(Launcher, bool) -> Result<(Controller, KeepAlive)> + Send + Sync>;

/// Which tor gets the service.
pub(crate) enum TorSource {
    /// The tor of a controller, and whether this program launched it.
    Given(Controller, bool),
    Connect(Result<Endpoint>),
    Private,
    Shared(TorFactory),
    /// The tor of a supervisor, and whether the supervisor launches it.
    Supervised(SupervisedTor, bool),
}

/// Returns the controller of the present connection, and the registration of a service that was
/// added over it. If that connection has ended by the time of the registration, the supervisor
/// restores the service at once. The token ends the wait for a connection.
pub(crate) type SupervisedTor =
    Box<dyn FnOnce(Option<&CancelToken>) -> Result<(Controller, Register)> + Send + Sync>;

/// Gives a service to its supervisor.
pub(crate) type Register = Box<dyn FnOnce(Arc<dyn SupervisedService>) + Send>;

/// Connects to or launches the tor.
pub(super) fn obtain(
    source: TorSource,
    connect: ConnectOptions,
    launcher: Option<Launcher>,
    on_progress: Option<&ProgressListener>,
    non_anonymous: bool,
    cancel: Option<&CancelToken>,
) -> Result<(Controller, Lease, Option<Register>)> {
    let launches = matches!(source, TorSource::Private | TorSource::Shared(_));
    if launcher.is_some() && !launches {
        let problem = "is given where no tor is launched";
        return Err(InvalidInput::new("launcher", problem).into());
    }
    let prepared = |launcher: Option<Launcher>| {
        let launcher = launcher.unwrap_or_else(|| default_launcher(non_anonymous));
        let launcher = match cancel {
            Some(token) => launcher.cancel_token(token),
            None => launcher,
        };
        match on_progress.cloned() {
            Some(listener) => launcher.on_progress(move |progress| {
                listener.report(OnionProgress::Launching(progress.clone()));
            }),
            None => launcher,
        }
    };
    match source {
        TorSource::Given(controller, _) => Ok((controller, Lease::None, None)),
        TorSource::Connect(endpoint) => {
            let connect = match cancel {
                Some(token) => connect.cancel_token(token),
                None => connect,
            };
            Ok((connect.connect(endpoint?)?, Lease::None, None))
        }
        TorSource::Private => {
            let process = prepared(launcher).launch()?;
            let controller = process.controller()?.clone();
            Ok((controller, Lease::Process(Box::new(process)), None))
        }
        TorSource::Shared(share) => {
            let demanded = launcher.is_some() || non_anonymous;
            let (controller, keep) = share(prepared(launcher), demanded)?;
            Ok((controller, Lease::Shared(keep), None))
        }
        TorSource::Supervised(supervised, _) => {
            let (controller, register) = supervised(cancel)?;
            Ok((controller, Lease::None, Some(register)))
        }
    }
}

/// Returns whether a process is a child of this program. A tor that is not may see other files.
pub(super) fn is_child(pid: Option<u32>) -> bool {
    let Some(pid) = pid else { return false };
    // The parent's pid is the second field after the name, which is in parentheses.
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return cfg!(not(target_os = "linux"));
    };
    let words = text.rsplit_once(')').map(|(_, words)| words);
    let parent = words.and_then(|words| words.split_ascii_whitespace().nth(1)?.parse().ok());
    parent == Some(std::process::id())
}

fn default_launcher(non_anonymous: bool) -> Launcher {
    if non_anonymous {
        // tor refuses client ports in this mode.
        return Launcher::new()
            .option("HiddenServiceNonAnonymousMode", "1")
            .option("HiddenServiceSingleHopMode", "1")
            .option("SocksPort", "0");
    }
    Launcher::new().option("SocksPort", "auto ExtendedErrors")
}
