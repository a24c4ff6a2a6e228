//! `OnionEndpoint`: the configuration of an onion service, and the calls that start it.

mod adding;
mod options;
mod plan;
mod progress;
mod tor_source;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;

use self::plan::ServiceOptions;
pub use self::progress::OnionProgress;
pub(super) use self::progress::ProgressListener;
use self::tor_source::is_child;
pub(crate) use self::tor_source::{KeepAlive, Register, TorSource};
use super::listener::OnionListener;
use super::local::{BindTarget, LocalListener, LocalSocket};
use super::monitor::IfRemoved;
use super::publish::Publication;
use super::service::{MonitorOptions, OnionService};
use super::status::UploadLimits;
use crate::controller::{ConnectOptions, Controller};
use crate::error::{Error, InvalidInput, Result};
use crate::link::{CancelToken, Endpoint};
use crate::names::{OnionPort, PortTarget};
use crate::process::Launcher;

/// A builder for an onion service: its tor, its ports and keys, and its local listener.
///
/// On a tor that this program launched, the default is a *filesystem* service with its keys in a
/// temporary directory. On a running tor, which may see other files than this program, the default
/// is an [ephemeral](Self::ephemeral) service. Nothing happens before [`listen`](Self::listen) or
/// [`start`](Self::start).
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::onion::OnionEndpoint;
///
/// let listener = OnionEndpoint::private_tor(80).listen()?;
/// println!("http://{}", listener.onion_address());
/// for stream in listener.incoming() {
///     println!("{:?}", stream?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// A service with a permanent address on a running tor, for two authorized clients:
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::onion::OnionEndpoint;
///
/// let listener = OnionEndpoint::system_tor("127.0.0.1:9051", 80)
///     .hidden_service_dir("/srv/hidden")
///     .authorize_client("alice")
///     .authorize_client("bob")
///     .on_progress(|progress| eprintln!("{progress}"))
///     .listen()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "TCPHiddenServiceEndpoint")]
#[must_use = "an endpoint does nothing until listen() or start() is called"]
pub struct OnionEndpoint {
    source: TorSource,
    connect: ConnectOptions,
    launcher: Option<Launcher>,
    // This lock is never contended. It makes the endpoint `Sync`, which the closure in it is not.
    bind_target: Mutex<Option<BindTarget>>,
    reached_at: Option<PortTarget>,
    on_progress: Option<ProgressListener>,
    port: u16,
    more_ports: Vec<OnionPort>,
    service: ServiceOptions,
    /// `None`: the default, which does not wait where a filter refuses `HS_DESC`.
    publication: Option<Publication>,
    timeout: Duration,
    monitoring: MonitorOptions,
    cancel: Option<CancelToken>,
}

impl OnionEndpoint {
    pub(crate) fn new(source: TorSource, port: u16) -> Self {
        Self {
            source,
            connect: ConnectOptions::new(),
            launcher: None,
            bind_target: Mutex::new(None),
            reached_at: None,
            on_progress: None,
            port,
            more_ports: Vec::new(),
            service: ServiceOptions::default(),
            publication: None,
            timeout: Duration::from_secs(180),
            monitoring: MonitorOptions {
                limits: UploadLimits {
                    answer: Duration::from_secs(60),
                    grace: Duration::from_secs(10),
                },
                if_removed: IfRemoved::default(),
                interval: Duration::from_secs(30),
            },
            cancel: None,
        }
    }

    /// Returns an endpoint on a running tor, to which a separate control connection is opened.
    ///
    /// An ephemeral service ends with that connection, a filesystem service when the listener is
    /// closed or dropped.
    pub fn system_tor<E>(endpoint: E, port: u16) -> Self
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        Self::new(TorSource::Connect(endpoint.try_into().map_err(Error::from)), port)
    }

    /// Returns an endpoint on the tor of a controller.
    pub fn with_controller(controller: &Controller, port: u16) -> Self {
        let launched = is_child(controller.owned_pid());
        Self::new(TorSource::Given(controller.clone(), launched), port)
    }

    /// Returns an endpoint on a private tor, which is launched for the service and ends with it.
    pub fn private_tor(port: u16) -> Self {
        Self::new(TorSource::Private, port)
    }

    /// Sets the launcher of the tor, for [`private_tor`](Self::private_tor) and
    /// [`global_tor`](Self::global_tor). The default is a launcher with the option
    /// `SocksPort auto ExtendedErrors`.
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets the options of the control connection, such as a password, for
    /// [`system_tor`](Self::system_tor). The default is [`ConnectOptions::new`].
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Sets the address to listen on. The default is a free port of 127.0.0.1.
    #[doc(alias = "local_port")]
    pub fn local_addr(self, address: impl Into<SocketAddr>) -> Self {
        self.bind_target(BindTarget::Tcp(address.into()))
    }

    /// Listens on a unix socket. Its file is removed with the listener; a socket file that a killed
    /// program left is replaced. If this program is root, the file is given to tor's user, unless
    /// others can write to its directory. The default is a TCP port.
    ///
    /// Sends `GETINFO process/pid process/uid` if this program is root.
    pub fn local_unix(self, path: impl Into<PathBuf>) -> Self {
        self.bind_target(BindTarget::Unix(path.into()))
    }

    /// Sets a closure that makes the local listener; [`listen`](Self::listen) calls it once. The
    /// default is none.
    #[doc(alias = "endpoint_generator")]
    pub fn bind_with<F, L>(self, bind: F) -> Self
    where
        F: FnOnce() -> io::Result<L> + Send + 'static,
        L: Into<LocalListener>,
    {
        self.bind_target(BindTarget::With(Box::new(move || bind().map(Into::into))))
    }

    /// Sets the target at which tor reaches the local listener, for a tor in a container or on
    /// another machine.
    ///
    /// The default is the address of the listener. For a listener on every address (`0.0.0.0`) it
    /// is a loopback address if tor is on this machine, and otherwise the local address of the
    /// control connection.
    pub fn reached_at(mut self, target: impl Into<PortTarget>) -> Self {
        self.reached_at = Some(target.into());
        self
    }

    fn bind_target(self, target: BindTarget) -> Self {
        *self.bind_target.lock() = Some(target);
        self
    }

    /// Adds a virtual port that is forwarded to another server. The default is none.
    pub fn port(mut self, virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        self.more_ports.push(OnionPort::new(virtual_port, target));
        self
    }

    /// Sets which directories must have the descriptor before [`listen`](Self::listen) returns.
    /// The default is [`Publication::Reachable`], or no wait where a filter in front of the control
    /// port refuses `HS_DESC` events.
    pub fn publication(mut self, publication: Publication) -> Self {
        self.publication = Some(publication);
        self
    }

    /// Sets the time limit of the publication. The default is 180 seconds.
    ///
    /// The launch has the limits of its [`launcher`](Self::launcher), connecting that of
    /// [`ConnectOptions::timeout`].
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the time after which an upload without an answer counts as
    /// [unanswered](crate::error::UploadOutcome::Unanswered). The default is 60 seconds.
    ///
    /// tor sends no event for an upload whose circuit dies.
    pub fn upload_timeout(mut self, limit: Duration) -> Self {
        self.monitoring.limits.answer = limit;
        self
    }

    /// Sets the grace period in which tor may start another upload after every upload has failed;
    /// after it the service counts as not published. The default is 10 seconds.
    pub fn upload_grace(mut self, grace: Duration) -> Self {
        self.monitoring.limits.grace = grace;
        self
    }

    /// Sets what to do when a reload of tor's configuration or another controller removes the
    /// service. The default is [`IfRemoved::AddAgain`].
    pub fn if_removed(mut self, action: IfRemoved) -> Self {
        self.monitoring.if_removed = action;
        self
    }

    /// Sets how often tor is queried whether it still has the service, besides after events. The
    /// default is 30 seconds, the minimum 10 milliseconds.
    ///
    /// tor sends no event for `DEL_ONION`, and a filter may suppress others. The thread
    /// `torcon-onion` sends `GETINFO onions/current` for an ephemeral service, `GETINFO
    /// onions/detached` for a detached one, and `GETCONF HiddenServiceOptions` for a filesystem
    /// service. If a filter refuses the command, the service is assumed to exist.
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.monitoring.interval = interval;
        self
    }

    /// Sets a token by which another thread cancels the service. The default is none.
    ///
    /// [`listen`](Self::listen) and [`start`](Self::start) then fail with [`Error::Canceled`], after
    /// the service has been removed and a tor that was launched for it has ended. A command that tor
    /// has not answered yet is not interrupted.
    ///
    /// Later the token ends the waits for the service: [`OnionListener::accept`] fails with
    /// [`Error::Canceled`], and [`OnionListener::incoming`] ends. The service is removed when the
    /// listener is closed or dropped.
    ///
    /// # Examples
    ///
    /// An onion service until Ctrl-C:
    ///
    /// ```no_run
    /// use torcon::{CancelToken, OnionEndpoint};
    ///
    /// let token = CancelToken::new();
    /// let at_signal = token.clone();
    /// ctrlc::set_handler(move || drop(at_signal.cancel())).expect("the only handler");
    /// let listener = OnionEndpoint::private_tor(80).cancel_token(&token).listen()?;
    /// for stream in listener.incoming() {
    ///     println!("{:?}", stream?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Sets a closure that is called with the progress of the service. The default is none.
    ///
    /// The closure runs on the thread `torcon-progress` for the bootstrap of a tor that is launched
    /// for the service (it replaces the closure of the launcher), and for later steps on the thread
    /// that called [`listen`](Self::listen), or on `torcon-progress` if it is still running there.
    /// After each new connection of a supervisor it runs on `torcon-progress`, with
    /// [`OnionProgress::Restored`] and the steps that follow. Two threads never call it at once.
    /// After a panic it is not called again.
    #[doc(alias = "add_progress_listener")]
    pub fn on_progress(mut self, listener: impl FnMut(&OnionProgress) + Send + 'static) -> Self {
        self.on_progress = Some(ProgressListener::new(Box::new(listener)));
        self
    }

    /// Opens the local listener and adds the service, and returns the listener when the service is
    /// published.
    ///
    /// Blocks the current thread until tor is launched or connected, has added the service, and has
    /// published it as set by [`publication`](Self::publication), for at most
    /// [`timeout`](Self::timeout) after the addition. If that time passes while at least one
    /// directory has the descriptor, the listener is returned; [`uploads`](OnionListener::uploads)
    /// shows which directories are missing.
    ///
    /// Sends, after the commands of launching or connecting:
    ///
    /// - `SETEVENTS` with `HS_DESC`, and `GETCONF DisableNetwork` before the wait for publication.
    /// - For an ephemeral service `ADD_ONION ED25519-V3:key`, or `ADD_ONION NEW:ED25519-V3` if no key
    ///   was given and a filter refuses the first form; `DEL_ONION` if the reply is late or
    ///   unreadable.
    /// - For a filesystem service `SETEVENTS` with `CONF_CHANGED` and `SIGNAL`, `GETINFO process/pid
    ///   process/uid`, if the address is known `GETINFO onions/current` and `GETINFO
    ///   onions/detached`, `GETCONF HiddenServiceOptions`, and `SETCONF` with the lines of all
    ///   services and of the new one. If the directory has a service already, `GETINFO config-file`
    ///   and `GETINFO config-defaults-file`; if tor refuses `SETCONF`, `GETCONF Sandbox`; if its
    ///   reply is late, `SETCONF` with the former lines.
    ///
    /// Later the thread `torcon-onion` sends the queries of
    /// [`check_interval`](Self::check_interval), and adds a removed service again.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidInput`] if options contradict each other or are not valid in the protocol.
    /// - [`Error::Onion`], whose [`problem`](crate::error::OnionError::problem) names the defect of
    ///   the local listener, the directory, the key or the publication.
    /// - [`Error::Timeout`] if no directory accepted a descriptor in time.
    /// - [`Error::Canceled`] if the [token](Self::cancel_token) was canceled.
    /// - Those of [`Launcher::launch`], [`ConnectOptions::connect`] and [`Controller::execute`].
    ///
    /// After an error, no listener, no service and no new directory is left.
    pub fn listen(mut self) -> Result<OnionListener> {
        self.resolve();
        let bind_target = self.bind_target.lock().take();
        let bind_target = bind_target.unwrap_or(BindTarget::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
        if let BindTarget::Unix(path) = &bind_target {
            super::local::check_socket_path("local_unix", path)?;
        }
        self.check()?;
        let (port, has_circuit_ids) = (self.port, self.service.export_circuit_id);
        let local = LocalSocket::bind(bind_target)?;
        let target = self.reached_at.clone().unwrap_or_else(|| local.target());
        let service = self.add(target, Some(&local))?;
        Ok(OnionListener::new(service, local, port, has_circuit_ids))
    }

    /// Adds the service without a local listener: its port is forwarded to `target`.
    ///
    /// Blocks the current thread and sends commands as [`listen`](Self::listen) does.
    ///
    /// # Errors
    ///
    /// Those of [`listen`](Self::listen); [`Error::InvalidInput`] also if a local listener was set.
    #[doc(alias = "create_onion_service")]
    pub fn start(mut self, target: impl Into<PortTarget>) -> Result<OnionService> {
        self.resolve();
        if self.bind_target.lock().is_some() {
            let problem = "conflicts with the target of start(): use listen()";
            return Err(InvalidInput::new("local address", problem).into());
        }
        if self.reached_at.is_some() {
            let problem = "needs a local listener, which start() does not open: use listen()";
            return Err(InvalidInput::new("reached_at", problem).into());
        }
        self.check()?;
        self.add(target.into(), None)
    }

    fn resolve(&mut self) {
        self.service.resolve(match &self.source {
            TorSource::Given(_, launched) | TorSource::Supervised(_, launched) => *launched,
            TorSource::Connect(_) => false,
            TorSource::Private | TorSource::Shared(_) => true,
        });
    }

    /// Checks everything that can be checked without a tor.
    fn check(&self) -> Result<(), InvalidInput> {
        let ports = self.more_ports.iter();
        let [first, more] = [vec![self.port], ports.map(OnionPort::virtual_port).collect()];
        let mut seen = Vec::new();
        for port in first.into_iter().chain(more) {
            if port == 0 {
                return Err(InvalidInput::new("port", "must not be 0"));
            }
            if seen.contains(&port) {
                return Err(InvalidInput::new("port", "is given twice"));
            }
            seen.push(port);
        }
        for port in &self.more_ports {
            if port.target().and_then(PortTarget::port) == Some(0) {
                return Err(InvalidInput::new("target", "must not have port 0"));
            }
            if let Some(path) = port.target().and_then(PortTarget::unix_path) {
                if !path.is_absolute() {
                    return Err(InvalidInput::new("target", "must be an absolute path"));
                }
                super::local::check_socket_path("target", path)?;
            }
        }
        if self.service.discard_key && matches!(self.source, TorSource::Supervised(..)) {
            let problem = "is not for a tor with a supervisor, which adds the service again";
            return Err(InvalidInput::new("discard_key", problem));
        }
        self.service.check()
    }
}

impl fmt::Debug for OnionEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            TorSource::Given(controller, _) => format!("Given({})", controller.endpoint()),
            TorSource::Connect(Ok(endpoint)) => format!("Connect({endpoint})"),
            TorSource::Connect(Err(_)) => "Connect(..)".to_owned(),
            TorSource::Private => "Private".to_owned(),
            TorSource::Shared(_) => "Shared".to_owned(),
            TorSource::Supervised(..) => "Supervised".to_owned(),
        };
        f.debug_struct("OnionEndpoint")
            .field("tor", &format_args!("{source}"))
            .field("port", &self.port)
            .field("more_ports", &self.more_ports)
            .field("service", &self.service)
            .field("publication", &self.publication)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
