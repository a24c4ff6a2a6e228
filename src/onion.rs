//! Onion services: adding them to a tor, accepting their clients, and watching their publication.
//!
//! [`Tor::onion_endpoint`](crate::Tor::onion_endpoint), and the method of the same name of a
//! [`Controller`](crate::Controller::onion_endpoint) and of a
//! [`Supervisor`](crate::Supervisor::onion_endpoint), return an [`OnionEndpoint`], which configures a
//! service. [`listen`](OnionEndpoint::listen) returns an [`OnionListener`], which accepts the clients'
//! connections; [`start`](OnionEndpoint::start) puts the service in front of a server that listens
//! already, and returns an [`OnionService`].
//!
//! Keys and addresses have their types in [`names`](crate::names):
//! [`OnionKey::generate`](crate::names::OnionKey::generate) generates a key, and with it an address,
//! without a tor, and
//! [`OnionKey::read_or_create_file`](crate::names::OnionKey::read_or_create_file) keeps the address
//! for the next run of the program.
//!
//! ```no_run
//! use torcon::Tor;
//! use torcon::names::OnionKey;
//!
//! let tor = Tor::connect("127.0.0.1:9051")?;
//! let key = OnionKey::read_or_create_file("web.key")?;
//! let service = tor.onion_endpoint(80).key(key).start("127.0.0.1:8080")?;
//! println!("http://{}", service.onion_address());
//! # Ok::<(), torcon::Error>(())
//! ```
//!
//! An *ephemeral* service is added by `ADD_ONION`: tor receives its key over the control connection
//! and removes the service when the connection ends. This is the default on a running tor. A
//! *filesystem* service has its keys in a directory (`HiddenServiceDir`). This is the default on a
//! tor that this program launched: tor and this program must see the same files, and run as the same
//! user (or this program as root).
//!
//! tor removes a filesystem service when it reloads its configuration file, which happens daily
//! where logs are rotated, and any service when another controller removes it. A thread of each
//! service, `torcon-onion`, notices this and adds the service again; see
//! [`OnionEndpoint::if_removed`].
//!
//! The clients of a running service can be [authorized](OnionService::authorize_client) and
//! [revoked](OnionService::revoke_client), and its [health](OnionService::check) be checked. A
//! service of a [`Supervisor`](crate::Supervisor) moves from the tor of one connection to that of
//! the next one, while its local listener stays open.
//!
//! **Invariant**: no failure and no drop changes other onion services of the same tor.

mod client_auth;
mod configuration;
mod directory;
mod endpoint;
mod ephemeral;
mod filesystem;
mod half_open;
mod key_file;
mod keys;
mod listener;
mod local;
mod monitor;
mod publish;
mod registration;
mod restoration;
mod service;
mod service_lock;
mod status;
mod stream;
mod supervised;
mod uploads;

#[doc(alias(
    "HiddenServiceClientAuth",
    "IAuthenticatedOnionClients",
    "IOnionClient",
    "AuthBasic",
    "AuthStealth",
    "EphemeralAuthenticatedOnionServiceClient",
    "FilesystemAuthenticatedOnionServiceClient",
))]
pub use self::client_auth::AuthorizedClient;
#[doc(alias("TCPHiddenServiceEndpointParser", "ForwardConf", "ListenConf"))]
#[doc(alias = "TCPHiddenServiceEndpoint")]
pub use self::endpoint::OnionEndpoint;
#[doc(alias = "IProgressProvider")]
pub use self::endpoint::OnionProgress;
pub(crate) use self::endpoint::{KeepAlive, Register, TorSource};
#[doc(alias = "TorOnionListeningPort")]
pub use self::listener::OnionListener;
pub use self::local::LocalListener;
pub use self::monitor::IfRemoved;
pub use self::publish::Publication;
#[doc(alias(
    "IHiddenService",
    "IOnionService",
    "IFilesystemOnionService",
    "EphemeralAuthenticatedOnionService",
    "FilesystemAuthenticatedOnionService",
    "CreateHiddenServiceOutput",
    "OnionForward",
))]
#[doc(alias = "FilesystemOnionService")]
#[doc(alias = "EphemeralOnionService")]
pub use self::service::OnionService;
pub use self::service::{CheckObstacle, CheckStep, LastUpload, OnionCheck};
pub use self::stream::OnionStream;
pub(crate) use self::supervised::SupervisedService;
