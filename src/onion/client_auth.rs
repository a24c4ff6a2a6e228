//! The authorized clients of a service.

use std::collections::BTreeSet;

use crate::error::{InvalidInput, Result};
use crate::names::{ClientAuthKey, ClientAuthPublicKey, ClientName};

/// An authorized client of an onion service.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let listener = tor.onion_endpoint(80).authorize_client("alice").listen()?;
/// let alice = &listener.clients()[0];
/// println!("{}: {}", alice.name, alice.public_key);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizedClient {
    /// The name of the client, known only to the service's operator.
    pub name: ClientName,
    /// The client's public key.
    pub public_key: ClientAuthPublicKey,
    /// The client's secret key, if this program generated it. The client adds it to its tor by
    /// [`add_onion_client_auth`](crate::Controller::add_onion_client_auth).
    pub key: Option<ClientAuthKey>,
}

/// A client as the caller requested it.
#[derive(Clone, Debug)]
pub(super) struct WantedClient {
    pub(super) name: String,
    /// `None`: a key pair is generated.
    pub(super) public_key: Option<ClientAuthPublicKey>,
}

/// A change of the authorized clients of a running service.
#[derive(Clone, Debug)]
pub(super) enum ClientChange {
    Authorize(AuthorizedClient),
    Revoke(ClientName),
    /// Opens the service to every client.
    RevokeAll,
}

/// How tor applies a change of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refresh {
    /// tor reads the files of the clients again, and publishes the service with the same
    /// introduction points.
    Clients,
    /// tor removes the service and adds it again with new introduction points, so that former
    /// descriptors no longer lead to the service.
    Whole,
}

impl ClientChange {
    pub(super) fn applied_to(&self, clients: &[AuthorizedClient]) -> Vec<AuthorizedClient> {
        let without =
            |name: ClientName| clients.iter().filter(move |client| client.name != name).cloned();
        match self {
            Self::Authorize(client) => without(client.name).chain([client.clone()]).collect(),
            Self::Revoke(name) => without(*name).collect(),
            Self::RevokeAll => Vec::new(),
        }
    }
}

impl WantedClient {
    /// Validates the name and generates the key if it is missing.
    pub(super) fn prepare(&self) -> Result<AuthorizedClient> {
        let name: ClientName = self.name.parse()?;
        let (public_key, key) = match self.public_key {
            Some(public_key) => (public_key, None),
            None => {
                let key = ClientAuthKey::generate()?;
                (key.public(), Some(key))
            }
        };
        Ok(AuthorizedClient { name, public_key, key })
    }
}

/// Validates the names and generates the missing keys.
pub(super) fn prepare(wanted: &[WantedClient]) -> Result<Vec<AuthorizedClient>> {
    let mut names = BTreeSet::new();
    let mut clients = Vec::with_capacity(wanted.len());
    for client in wanted {
        let client = client.prepare()?;
        if !names.insert(client.name) {
            return Err(InvalidInput::new("client name", "is given twice").into());
        }
        clients.push(client);
    }
    Ok(clients)
}
