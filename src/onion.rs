//! Onion services: adding them to a tor, accepting their clients, and watching their publication.
//!
//! [`OnionEndpoint`] configures a service and chooses the tor. It returns an [`OnionListener`], which
//! accepts the clients' connections, or an [`OnionService`], whose ports are forwarded to another
//! server. Keys and addresses have their types in [`names`](crate::names):
//! [`OnionKey::generate`](crate::names::OnionKey::generate) generates a key, and with it an address,
//! without a tor.
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

pub use self::client_auth::AuthorizedClient;
pub(crate) use self::endpoint::{KeepAlive, Register, TorSource};
pub use self::endpoint::{OnionEndpoint, OnionProgress};
pub use self::listener::OnionListener;
pub use self::local::LocalListener;
pub use self::monitor::IfRemoved;
pub use self::publish::Publication;
pub use self::service::{CheckObstacle, CheckStep, LastUpload, OnionCheck, OnionService};
pub use self::stream::OnionStream;
pub(crate) use self::supervised::SupervisedService;
