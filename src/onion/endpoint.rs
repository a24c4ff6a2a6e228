//! What service there is to be, and on which tor.

mod options;
mod progress;

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use self::progress::OnionProgress;

use self::options::ServiceOptions;
use self::progress::ProgressListener;
use super::ephemeral::EphemeralService;
use super::filesystem::FilesystemService;
use super::listener::OnionListener;
use super::local::{LocalListener, LocalSocket, Place};
use super::monitor::IfRemoved;
use super::publish::{Needs, Publication, Publisher, UploadLimits};
use super::service::{Added, Care, Lease, OnionService, Registration};
use crate::config::Identity;
use crate::controller::{ConnectOptions, Controller};
use crate::error::{Error, HsDirUpload, InvalidInput, OnionError, OnionProblem, Result};
use crate::link::Endpoint;
use crate::names::{OnionPort, PortTarget};
use crate::process::Launcher;

/// Keeps a shared tor alive for as long as it is held.
pub(crate) type KeepAlive = Arc<dyn Any + Send + Sync>;

/// Gives a tor that others share; it is launched, if it must be, by the given launcher. Whether a
/// running one must be such a tor is said too.
pub(crate) type TorFactory =
    Box<dyn FnOnce(Launcher, bool) -> Result<(Controller, KeepAlive)> + Send + Sync>;

/// Where the tor comes from.
pub(crate) enum TorSource {
    /// The tor of a controller, and whether this program has launched it.
    Given(Controller, bool),
    Connect(Result<Endpoint>),
    Private,
    Shared(TorFactory),
}

/// An onion service that is to be made: what it is, on which tor, and what listens behind it.
///
/// On a tor that this program has launched, the service is one of the *file system*, with its keys
/// in a temporary directory. On a running tor, which may see other files than this program, it is
/// [ephemeral](Self::ephemeral). Nothing is done before [`listen`](Self::listen) or
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
/// The same address tomorrow, for two clients only, on the tor of the system:
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
    // These locks are never contended: they let threads share an endpoint, though what they hold
    // cannot be shared.
    launcher: Option<Launcher>,
    place: Mutex<Option<Place>>,
    reached_at: Option<PortTarget>,
    on_progress: Option<ProgressListener>,
    port: u16,
    more_ports: Vec<OnionPort>,
    service: ServiceOptions,
    /// `None` is the default, which does without what a filter refuses.
    publication: Option<Publication>,
    timeout: Duration,
    care: Care,
}

impl OnionEndpoint {
    pub(crate) fn new(source: TorSource, port: u16) -> Self {
        Self {
            source,
            connect: ConnectOptions::new(),
            launcher: None,
            place: Mutex::new(None),
            reached_at: None,
            on_progress: None,
            port,
            more_ports: Vec::new(),
            service: ServiceOptions::default(),
            publication: None,
            timeout: Duration::from_secs(180),
            care: Care {
                limits: UploadLimits {
                    answer: Duration::from_secs(60),
                    grace: Duration::from_secs(10),
                },
                if_removed: IfRemoved::default(),
                interval: Duration::from_secs(30),
            },
        }
    }

    /// Returns an endpoint on a running tor, to which a connection of its own is made.
    ///
    /// An ephemeral service ends with that connection, one of the file system when the listener
    /// is closed or dropped.
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

    /// Returns an endpoint on a tor of its own, which is launched for it and ends with it.
    ///
    /// It has a free port for SOCKS (`SocksPort auto ExtendedErrors`) unless
    /// [`launcher`](Self::launcher) says otherwise.
    pub fn private_tor(port: u16) -> Self {
        Self::new(TorSource::Private, port)
    }

    /// Sets how the tor is launched, for [`private_tor`](Self::private_tor) and
    /// [`global_tor`](Self::global_tor). The default is a launcher with the option
    /// `SocksPort auto ExtendedErrors`.
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets how the connection is made, such as with which password, for
    /// [`system_tor`](Self::system_tor). The default is [`ConnectOptions::new`].
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Sets the address to listen on. The default is a free port of 127.0.0.1.
    #[doc(alias = "local_port")]
    pub fn local_addr(self, address: impl Into<SocketAddr>) -> Self {
        self.place(Place::Tcp(address.into()))
    }

    /// Listens on a unix socket, whose file is removed with the listener. A socket that a killed
    /// program has left there is replaced. If this program is root, the file is given to the user
    /// that tor runs as, unless others may write to its directory. The default is a port of TCP.
    ///
    /// Sends `GETINFO process/pid process/uid` if this program is root.
    pub fn local_unix(self, path: impl Into<PathBuf>) -> Self {
        self.place(Place::Unix(path.into()))
    }

    /// Sets a closure that makes the local listener when the time has come. The default is none.
    #[doc(alias = "endpoint_generator")]
    pub fn bind_with<F, L>(self, bind: F) -> Self
    where
        F: FnOnce() -> io::Result<L> + Send + 'static,
        L: Into<LocalListener>,
    {
        self.place(Place::With(Box::new(move || bind().map(Into::into))))
    }

    /// Sets where tor reaches the local listener, for a tor in a container or on another machine
    /// that sees this program at another address.
    ///
    /// The default is the listener's own address. For one on every address (`0.0.0.0`) that is a
    /// loopback address if tor is on this machine, and otherwise the address from which this
    /// program reaches the control port.
    pub fn reached_at(mut self, target: impl Into<PortTarget>) -> Self {
        self.reached_at = Some(target.into());
        self
    }

    fn place(self, place: Place) -> Self {
        *self.place.lock() = Some(place);
        self
    }

    /// Adds a port of the onion address that goes to another server. The default is none.
    pub fn port(mut self, virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        self.more_ports.push(OnionPort::new(virtual_port, target));
        self
    }

    /// Sets which directories must have the descriptor before [`listen`](Self::listen) returns.
    /// The default is [`Publication::Reachable`], or none where a filter in front of the control
    /// port refuses the events that tell of uploads.
    pub fn publication(mut self, publication: Publication) -> Self {
        self.publication = Some(publication);
        self
    }

    /// Sets how long the publication may take. The default is 180 seconds.
    ///
    /// Launching a tor has the limits of its [`launcher`](Self::launcher), connecting that of
    /// [`ConnectOptions::timeout`].
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets how long an upload may be without an answer before it counts as
    /// [unanswered](crate::error::UploadOutcome::Unanswered). The default is 60 seconds.
    ///
    /// tor reports nothing of an upload whose circuit dies.
    pub fn upload_timeout(mut self, limit: Duration) -> Self {
        self.care.limits.answer = limit;
        self
    }

    /// Sets how long tor may take to begin another upload when every one has failed, before the
    /// service counts as not published. The default is 10 seconds.
    pub fn upload_grace(mut self, grace: Duration) -> Self {
        self.care.limits.grace = grace;
        self
    }

    /// Sets what to do when tor has lost the service: by a reload of its configuration, or by
    /// another controller. The default is [`IfRemoved::AddAgain`].
    pub fn if_removed(mut self, action: IfRemoved) -> Self {
        self.care.if_removed = action;
        self
    }

    /// Sets how often tor is asked whether it still has the service, besides when an event reports
    /// a change. The default is 30 seconds, the minimum 10 milliseconds.
    ///
    /// tor reports no event for `DEL_ONION`, and a filter may suppress the others. The thread
    /// `torcon-onion` sends `GETINFO onions/current` for an ephemeral service, `GETINFO
    /// onions/detached` for a detached one, and `GETCONF HiddenServiceOptions` for a service with a
    /// directory. If a filter refuses the command, the service is assumed to be there.
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.care.interval = interval;
        self
    }

    /// Sets a closure that is called for each step in making the service. The default is none.
    ///
    /// Bootstrap progress of a tor that is launched for the service is reported on the thread
    /// `torcon-progress`, instead of to the launcher's own closure; every later step on the thread
    /// that called [`listen`](Self::listen), unless the closure is then still running on
    /// `torcon-progress`, which reports it in that case. A closure that panics is not called again.
    #[doc(alias = "add_progress_listener")]
    pub fn on_progress(mut self, listener: impl FnMut(&OnionProgress) + Send + 'static) -> Self {
        self.on_progress = Some(ProgressListener::new(Box::new(listener)));
        self
    }

    /// Makes the service with a local listener behind it, and returns it when it is published.
    ///
    /// Blocks the current thread until tor is launched or connected, has the service, and has
    /// published it as [`publication`](Self::publication) says, for at most
    /// [`timeout`](Self::timeout) after it was added. If that time ends while at least one
    /// directory has the descriptor, the service is returned as it is;
    /// [`uploads`](OnionListener::uploads) tells which directories are missing.
    ///
    /// Sends, after what launching or connecting sends, `SETEVENTS` for `HS_DESC`; for a service
    /// with a directory `SETEVENTS` for `CONF_CHANGED` and `SIGNAL`, `GETINFO process/pid process/uid`, `GETCONF HiddenServiceOptions`,
    /// `SETCONF` with every line of the services that are there and those of the new one, and
    /// before that, if the address is known, `GETINFO onions/current` and `GETINFO
    /// onions/detached`; for an ephemeral one `ADD_ONION`. Before it waits for the publication,
    /// `GETCONF DisableNetwork`. Later the thread `torcon-onion` sends what
    /// [`check_interval`](Self::check_interval) lists, and adds a removed service again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if something contradicts itself or cannot be said;
    /// [`Error::Onion`], whose [`problem`](OnionError::problem) says what is wrong with the local
    /// listener, the directory, the key or the publication; [`Error::Timeout`] if no
    /// directory has taken a descriptor in time; those of [`Launcher::launch`], [`ConnectOptions::connect`] and
    /// [`Controller::execute`]. Nothing is left then: no listener, no service, no directory that
    /// was not there before.
    pub fn listen(mut self) -> Result<OnionListener> {
        self.resolve();
        let place = self.place.lock().take();
        let place = place.unwrap_or(Place::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
        if let Place::Unix(path) = &place {
            super::local::check_socket_path("local_unix", path)?;
        }
        self.check()?;
        let (port, tells_circuits) = (self.port, self.service.export_circuit_id);
        let local = LocalSocket::bind(place)?;
        let service = match self.reached_at.clone() {
            Some(target) => self.make(target, Some(&local), true)?,
            None => self.make(local.target(), Some(&local), false)?,
        };
        Ok(OnionListener::new(service, local, port, tells_circuits))
    }

    /// Makes the service without a local listener: its port goes to a server elsewhere.
    ///
    /// Blocks the current thread until the service is there, as [`listen`](Self::listen) does.
    ///
    /// # Errors
    ///
    /// Those of [`listen`](Self::listen); [`Error::InvalidInput`] too if the endpoint says where to
    /// listen.
    #[doc(alias = "create_onion_service")]
    pub fn start(mut self, target: impl Into<PortTarget>) -> Result<OnionService> {
        self.resolve();
        if self.place.lock().is_some() {
            let problem = "cannot be listened on where there is a target: use listen()";
            return Err(InvalidInput::new("local address", problem).into());
        }
        if self.reached_at.is_some() {
            let problem = "is of a local listener, and there is none: use listen()";
            return Err(InvalidInput::new("reached_at", problem).into());
        }
        self.check()?;
        self.make(target.into(), None, true)
    }

    fn resolve(&mut self) {
        self.service.resolve(match &self.source {
            TorSource::Given(_, launched) => *launched,
            TorSource::Connect(_) => false,
            TorSource::Private | TorSource::Shared(_) => true,
        });
    }

    /// Refuses what can be refused without a tor.
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
        self.service.check()
    }

    /// `named` says that the user has named the target of the local listener.
    fn make(
        self,
        target: PortTarget,
        local: Option<&LocalSocket>,
        named: bool,
    ) -> Result<OnionService> {
        let first = OnionPort::new(self.port, target);
        let ports: Vec<_> = [first].into_iter().chain(self.more_ports.iter().cloned()).collect();
        // What cannot be said must fail before a tor is launched for it.
        let plan = self.service.plan(&ports)?;
        let Self { source, connect, launcher, on_progress, service, .. } = self;
        let (controller, lease) =
            obtain(source, &connect, launcher, on_progress.as_ref(), service.non_anonymous)?;
        service.check_mode(&controller)?;
        if let Some(local) = local.filter(|local| local.is_file()) {
            local.admit(Identity::read(&controller)?.user.unwrap_or_default());
        }
        let listener = local.filter(|_| !named).map(LocalSocket::address);
        let (ports, plan) = match listener.filter(|_| !controller.is_on_this_machine()) {
            None => (ports, plan),
            Some(listener) => {
                let first = OnionPort::new(self.port, reached(&controller, listener)?);
                let others = ports.into_iter().skip(1);
                let ports: Vec<_> = [first].into_iter().chain(others).collect();
                let plan = service.plan(&ports)?;
                (ports, plan)
            }
        };
        // First the events, then the service, so that none is missed.
        let publication = self.publication.unwrap_or_default();
        let needs = Needs {
            uploads: self.publication.is_some_and(|wanted| wanted != Publication::None),
            changes: matches!(plan, options::Plan::Filesystem(_)),
            outlives_connection: service.detach,
        };
        let publisher = Publisher::start(&controller, needs)?;
        let added = match plan {
            options::Plan::Ephemeral { command, detached, clients } => {
                let (service, added) = EphemeralService::add(&controller, command, detached)?;
                let registration = Registration::Ephemeral(service);
                Added { registration, address: added.address, key: added.key, clients }
            }
            options::Plan::Filesystem(plan) => {
                let service = FilesystemService::add(&controller, plan)?;
                let (address, key) = (service.address(), service.key().cloned());
                let clients = service.clients().to_vec();
                let registration = Registration::Filesystem(Box::new(service));
                Added { registration, address, key, clients }
            }
        };
        let service = OnionService::new(controller, lease, publisher, added, ports, self.care)?;
        let tell = |progress| {
            if let Some(listener) = &on_progress {
                listener.report(progress);
            }
        };
        tell(OnionProgress::Added(service.onion_address()));
        let published =
            await_publication(&service, publication, self.timeout, on_progress.is_some(), &tell);
        match published {
            // Some directory has the descriptor: the service can be reached, if not by everybody.
            Err(Error::Timeout(_)) if service.is_taken() => {
                log::warn!("not every directory has answered for an onion service in time");
            }
            Err(error) => {
                service.take_back();
                return Err(error);
            }
            Ok(()) => {}
        }
        service.keep();
        Ok(service)
    }
}

fn await_publication(
    service: &OnionService,
    wanted: Publication,
    limit: Duration,
    telling: bool,
    tell: &dyn Fn(OnionProgress),
) -> Result<()> {
    if wanted == Publication::None {
        return Ok(());
    }
    if !service.has_uploads() {
        log::warn!("tor may not tell of uploads, so they are not waited for");
        return Ok(());
    }
    // tor would say nothing, however long we waited.
    let conf = service.controller().get_conf(["DisableNetwork"]);
    let value =
        |conf: &crate::command::ConfMap| Some(conf.get("DisableNetwork")?.first()?.trim() == "1");
    match conf {
        Ok(conf) if value(&conf) == Some(true) => {
            return Err(OnionError::new(OnionProblem::NetworkDisabled).into());
        }
        // A filter may keep the answer back.
        Ok(_) | Err(Error::Rejected(_)) => {}
        Err(error) => return Err(error),
    }
    let mut tell_upload = |upload| tell(OnionProgress::Upload(upload));
    let tell_upload: Option<&mut dyn FnMut(HsDirUpload)> =
        if telling { Some(&mut tell_upload) } else { None };
    service.publish(wanted, limit, tell_upload)
}

/// Returns where tor reaches a local listener.
fn reached(controller: &Controller, listener: &PortTarget) -> Result<PortTarget> {
    controller.target_of_listener(listener).ok_or_else(|| {
        let problem = format!(
            "is {listener}, which the tor at {} on another machine cannot reach: listen on an \
             address that it reaches, or name one with OnionEndpoint::reached_at",
            controller.endpoint()
        );
        InvalidInput::new("local address", problem).into()
    })
}

/// Connects or launches.
fn obtain(
    source: TorSource,
    connect: &ConnectOptions,
    launcher: Option<Launcher>,
    on_progress: Option<&ProgressListener>,
    non_anonymous: bool,
) -> Result<(Controller, Lease)> {
    let launches = matches!(source, TorSource::Private | TorSource::Shared(_));
    if launcher.is_some() && !launches {
        let problem = "is given where no tor is launched";
        return Err(InvalidInput::new("launcher", problem).into());
    }
    let prepared = |launcher: Option<Launcher>| {
        let launcher = launcher.unwrap_or_else(|| default_launcher(non_anonymous));
        match on_progress.cloned() {
            Some(listener) => launcher.on_progress(move |progress| {
                listener.report(OnionProgress::Launching(progress.clone()));
            }),
            None => launcher,
        }
    };
    match source {
        TorSource::Given(controller, _) => Ok((controller, Lease::None)),
        TorSource::Connect(endpoint) => Ok((connect.connect(endpoint?)?, Lease::None)),
        TorSource::Private => {
            let process = prepared(launcher).launch()?;
            let controller = process.controller()?.clone();
            Ok((controller, Lease::Process(Box::new(process))))
        }
        TorSource::Shared(share) => {
            let demanded = launcher.is_some() || non_anonymous;
            let (controller, keep) = share(prepared(launcher), demanded)?;
            Ok((controller, Lease::Shared(keep)))
        }
    }
}

/// Whether a process was launched by this program. Another tor that it owns may see other files.
fn is_child(pid: Option<u32>) -> bool {
    let Some(pid) = pid else { return false };
    // The parent is the second word behind the name, which is in parentheses.
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return cfg!(not(target_os = "linux"));
    };
    let words = text.rsplit_once(')').map(|(_, words)| words);
    let parent = words.and_then(|words| words.split_ascii_whitespace().nth(1)?.parse().ok());
    parent == Some(std::process::id())
}

fn default_launcher(non_anonymous: bool) -> Launcher {
    if non_anonymous {
        // tor has no client in this mode.
        return Launcher::new()
            .option("HiddenServiceNonAnonymousMode", "1")
            .option("HiddenServiceSingleHopMode", "1")
            .option("SocksPort", "0");
    }
    Launcher::new().option("SocksPort", "auto ExtendedErrors")
}

impl fmt::Debug for OnionEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            TorSource::Given(controller, _) => format!("Given({})", controller.endpoint()),
            TorSource::Connect(Ok(endpoint)) => format!("Connect({endpoint})"),
            TorSource::Connect(Err(_)) => "Connect(..)".to_owned(),
            TorSource::Private => "Private".to_owned(),
            TorSource::Shared(_) => "Shared".to_owned(),
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
