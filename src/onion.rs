//! Onion services: what listens, tor in front of it, and a descriptor that tells clients how to
//! get there.
//!
//! [`OnionEndpoint`] says what service there is to be and on which tor; [`OnionListener`] is that
//! service with a local listener behind it, [`OnionService`] one that goes to a server elsewhere.
//! Keys and addresses have their types in [`names`](crate::names):
//! [`OnionKey::generate`](crate::names::OnionKey::generate) makes a key, and with it an address,
//! without asking tor.
//!
//! A service is either of the *file system*, the default: its keys are in a directory, which tor
//! and this program both use, so both must run on one machine and as one user (or this program as
//! root). Or it is *ephemeral*: tor gets the key by the control connection, and forgets the
//! service when that ends.
//!
//! **Invariant**: whatever fails or is dropped, the services of others stay as they were.

mod client_auth;
mod configuration;
mod directory;
mod endpoint;
mod ephemeral;
mod filesystem;
mod keys;
mod listener;
mod local;
mod publish;
mod service;
mod stream;
mod uploads;

pub use self::client_auth::AuthorizedClient;
pub(crate) use self::endpoint::{Keep, TorSource};
pub use self::endpoint::{OnionEndpoint, OnionProgress};
pub use self::listener::OnionListener;
pub use self::local::LocalListener;
pub use self::publish::Publication;
pub use self::service::OnionService;
pub use self::stream::OnionStream;
