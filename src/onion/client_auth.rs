//! The authorized clients of a service.

use std::collections::BTreeSet;

use crate::error::{InvalidInput, Result};
use crate::names::{ClientAuthKey, ClientAuthPublicKey, ClientName};

/// An authorized client of an onion service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizedClient {
    /// The name of the client, known only to the service's operator.
    pub name: ClientName,
    /// The client's public key.
    pub public_key: ClientAuthPublicKey,
    /// The client's secret key, if it was generated here. The client adds it to its tor by [`add_onion_client_auth`](crate::Controller::add_onion_client_auth).
    pub key: Option<ClientAuthKey>,
}

/// A client as the caller requested it.
#[derive(Clone, Debug)]
pub(super) struct WantedClient {
    pub(super) name: String,
    /// `None`: a key pair is generated.
    pub(super) public_key: Option<ClientAuthPublicKey>,
}

/// Validates the names and generates the missing keys.
pub(super) fn prepare(wanted: &[WantedClient]) -> Result<Vec<AuthorizedClient>> {
    let mut names = BTreeSet::new();
    let mut clients = Vec::with_capacity(wanted.len());
    for client in wanted {
        let name: ClientName = client.name.parse()?;
        if !names.insert(name) {
            return Err(InvalidInput::new("client name", "is given twice").into());
        }
        let key = match client.public_key {
            Some(_) => None,
            None => Some(ClientAuthKey::generate()?),
        };
        let public_key = client.public_key.or_else(|| key.as_ref().map(ClientAuthKey::public));
        if let Some(public_key) = public_key {
            clients.push(AuthorizedClient { name, public_key, key });
        }
    }
    Ok(clients)
}
