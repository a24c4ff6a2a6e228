//! `OnionEndpoint`: the configuration of an onion service, and the calls that start it.

// rustdoc lists the methods in the order of these modules. A blank line keeps rustfmt from sorting
// them.

mod start;

mod local;

mod options;

mod publishing;

mod adding;
mod plan;
mod progress;
mod tor_source;

use std::fmt;
use std::time::Duration;

use self::plan::ServiceOptions;
pub use self::progress::OnionProgress;
pub(super) use self::progress::ProgressListener;
use self::tor_source::is_child;
pub(crate) use self::tor_source::{KeepAlive, Register, TorSource};
use super::local::BindTarget;
use super::monitor::IfRemoved;
use super::publish::Publication;
use super::service::MonitorOptions;
use super::status::UploadLimits;
use crate::controller::{ConnectOptions, Controller};
use crate::error::Error;
use crate::link::{CancelToken, Endpoint};
use crate::names::{OnionPort, PortTarget};
use crate::process::Launcher;
use crate::sync::Mutex;

/// A builder for an onion service: its tor, its ports and keys, and its local listener.
///
/// On a tor that this program launched, the default is a *filesystem* service with its keys in a
/// temporary directory. On a running tor, which may see other files than this program, the default
/// is an [ephemeral](Self::ephemeral) service. Nothing happens before [`listen`](Self::listen) or
/// [`start`](Self::start).
///
/// [`Tor::onion_endpoint`](crate::Tor::onion_endpoint),
/// [`Controller::onion_endpoint`] and
/// [`Supervisor::onion_endpoint`](crate::Supervisor::onion_endpoint) return one for their tor;
/// [`private_tor`](Self::private_tor), [`global_tor`](Self::global_tor) and
/// [`system_tor`](Self::system_tor) launch a tor or connect to one.
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
/// use torcon::Tor;
/// use torcon::names::OnionKey;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let listener = tor
///     .onion_endpoint(80)
///     .key(OnionKey::read_or_create_file("web.key")?)
///     .authorize_client("alice")
///     .authorize_client("bob")
///     .on_progress(|progress| eprintln!("{progress}"))
///     .listen()?;
/// # Ok(())
/// # }
/// ```
///
/// A server that listens already, which gets an onion address by one call:
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::Tor;
/// use torcon::names::OnionKey;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let key = OnionKey::read_or_create_file("web.key")?;
/// let service = tor.onion_endpoint(80).key(key).start("127.0.0.1:8080")?;
/// println!("http://{}", service.onion_address());
/// # Ok(())
/// # }
/// ```
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
    /// The first argument that could not be converted.
    invalid: Option<Error>,
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
            invalid: None,
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
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let listener = OnionEndpoint::system_tor("127.0.0.1:9051", 80).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn system_tor<E>(endpoint: E, port: u16) -> Self
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        Self::new(TorSource::Connect(endpoint.try_into().map_err(Error::from)), port)
    }

    /// Returns an endpoint on a private tor, which is launched for the service and ends with it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let listener = OnionEndpoint::private_tor(80).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn private_tor(port: u16) -> Self {
        Self::new(TorSource::Private, port)
    }

    /// Sets the launcher of the tor, for [`private_tor`](Self::private_tor) and
    /// [`global_tor`](Self::global_tor). The default is a launcher with the option
    /// `SocksPort auto ExtendedErrors`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let launcher = Launcher::new().option("SocksPort", "0");
    /// let listener = OnionEndpoint::private_tor(80).launcher(launcher).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn launcher(mut self, launcher: Launcher) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Sets the options of the control connection, such as a password, for
    /// [`system_tor`](Self::system_tor). The default is [`ConnectOptions::new`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::ConnectOptions;
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let options = ConnectOptions::new().password("secret");
    /// let endpoint = OnionEndpoint::system_tor("127.0.0.1:9051", 80).connect_options(options);
    /// let listener = endpoint.listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// Returns the converted argument, or keeps the error for [`listen`](Self::listen).
    fn convert<T, V>(&mut self, value: V) -> Option<T>
    where
        V: TryInto<T>,
        Error: From<V::Error>,
    {
        match value.try_into() {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid.get_or_insert_with(|| error.into());
                None
            }
        }
    }
}

/// # Endpoints of onion services
impl Controller {
    /// Returns a builder for an onion service on this tor, at this virtual port.
    ///
    /// If this program launched the tor, the default is a filesystem service with a temporary
    /// directory, otherwise an ephemeral one, which ends with the connection.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let listener = controller.onion_endpoint(80).listen()?;
    /// println!("http://{}", listener.onion_address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "from_connection")]
    #[doc(alias = "onion_service")]
    #[doc(alias = "with_controller")]
    pub fn onion_endpoint(&self, port: u16) -> OnionEndpoint {
        let launched = is_child(self.owned_pid());
        OnionEndpoint::new(TorSource::Given(self.clone(), launched), port)
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
