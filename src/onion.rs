//! Onion services: what listens, tor in front of it, and a descriptor that tells clients how to
//! get there.
//!
//! [`OnionEndpoint`] says what service there is to be and on which tor; [`OnionListener`] is that
//! service with a local listener behind it, [`OnionService`] one that goes to a server elsewhere.
//! Keys and addresses have their types in [`names`](crate::names):
//! [`OnionKey::generate`](crate::names::OnionKey::generate) makes a key, and with it an address,
//! without asking tor.
//!
//! A service is either *ephemeral*: tor gets the key by the control connection, and forgets the
//! service when that ends; that is the default on a running tor. Or it is one of the *file system*,
//! the default on a tor that this program has launched: its keys are in a directory, which tor and
//! this program both use, so both must see the same files, and run as one user (or this program as
//! root).
//!
//! tor loses a service of the file system when it reloads its configuration file, as it does daily
//! where logs are rotated, and any service when another controller removes it. A thread of each
//! service, `torcon-onion`, notices that and adds it again; see
//! [`OnionEndpoint::if_removed`].
//!
//! **Invariant**: whatever fails or is dropped, the services of others stay as they were.

mod client_auth;
mod configuration;
mod directory;
mod endpoint;
mod ephemeral;
mod filesystem;
mod half_open;
mod keys;
mod listener;
mod local;
mod monitor;
mod publish;
mod service;
mod stream;
mod uploads;

pub use self::client_auth::AuthorizedClient;
pub(crate) use self::endpoint::{KeepAlive, TorSource};
pub use self::endpoint::{OnionEndpoint, OnionProgress};
pub use self::listener::OnionListener;
pub use self::local::LocalListener;
pub use self::monitor::IfRemoved;
pub use self::publish::Publication;
pub use self::service::OnionService;
pub use self::stream::OnionStream;
