//! The clients that a service lets in.

use std::collections::BTreeSet;

use crate::error::{InvalidInput, Result};
use crate::names::{ClientAuthKey, ClientAuthPublicKey, ClientName};

/// A client that an onion service lets in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizedClient {
    /// The name of the client, which only this side knows.
    pub name: ClientName,
    /// What the service knows of the client.
    pub public_key: ClientAuthPublicKey,
    /// What the client needs, if it was made here: it is to be given to the client, who gives it
    /// to their tor by [`add_onion_client_auth`](crate::Controller::add_onion_client_auth).
    pub key: Option<ClientAuthKey>,
}

/// A client as it was asked for.
#[derive(Clone, Debug)]
pub(super) struct WantedClient {
    pub(super) name: String,
    /// `None` asks for a new pair.
    pub(super) public_key: Option<ClientAuthPublicKey>,
}

/// Reads the names and makes the keys that are to be made.
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
