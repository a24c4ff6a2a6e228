//! Onion services: one short method per command.

mod descriptor;

use super::Controller;
use crate::command::{
    AddOnion, AddedOnion, DelOnion, OnionClientAuthAdd, OnionClientAuthAdded,
    OnionClientAuthRemove, OnionClientAuthRemoved, OnionClientAuthView, OnionClientCredential,
};
use crate::controller::getinfo::none_if_refused;
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{OnionAddress, TorFeature};

impl Controller {
    /// Adds an onion service that ends with this connection, or with tor if it is detached.
    ///
    /// tor publishes it in its own time: [`OnionEndpoint`](crate::onion::OnionEndpoint) waits for
    /// that and looks after the service.
    ///
    /// Sends [`ADD_ONION`](AddOnion). A key that is given in it is not told by tor; the answer has
    /// it all the same. If the answer of tor is lost, a service with a key that tor made stays until
    /// the connection ends: with [`AddOnion::key`] the address is known, and
    /// [`del_onion`](Self::del_onion) removes it. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 550 if there is a service of this
    /// address; [`Error::InvalidInput`](crate::Error::InvalidInput) for the proof of work if tor is
    /// older than 0.4.9.2; otherwise those of [`execute`](Self::execute).
    #[doc(alias = "create_ephemeral_hidden_service")]
    pub fn add_onion(&self, service: &AddOnion) -> Result<AddedOnion> {
        if let Some(argument) = service.pow_argument() {
            if let Some(problem) = TorFeature::AddOnionPow.problem_of(self.version()) {
                return Err(InvalidInput::new(argument, problem).into());
            }
        }
        self.execute(service)
    }

    /// Ends an ephemeral onion service: one of this connection, or a detached one.
    ///
    /// Sends `DEL_ONION id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such service, or
    /// only one of another connection or of the configuration; otherwise those of
    /// [`execute`](Self::execute).
    #[doc(alias = "remove_ephemeral_hidden_service")]
    pub fn del_onion(&self, address: OnionAddress) -> Result<()> {
        self.execute(&DelOnion::new(address))
    }

    /// Returns the ephemeral onion services of this connection.
    ///
    /// Sends `GETINFO onions/current`. Detached services belong to no connection: see
    /// [`detached_onions`](Self::detached_onions). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    #[doc(alias = "list_ephemeral_hidden_services")]
    pub fn onions(&self) -> Result<Vec<OnionAddress>> {
        self.addresses("onions/current")
    }

    /// Returns the ephemeral onion services that are detached from the connections that added
    /// them.
    ///
    /// Sends `GETINFO onions/detached`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn detached_onions(&self) -> Result<Vec<OnionAddress>> {
        self.addresses("onions/detached")
    }

    /// Returns the descriptor that tor, as a client, has of an onion service; `None` if it has none.
    ///
    /// [`hs_fetch`](Self::hs_fetch) makes tor fetch one.
    ///
    /// Sends `GETINFO hs/client/desc/id/address`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn hs_client_descriptor(&self, service: OnionAddress) -> Result<Option<String>> {
        let key = format!("hs/client/desc/id/{}", service.service_id());
        none_if_refused(self.get_info_one(&key), 551, "Not found in cache")
    }

    /// Returns the descriptor that tor publishes of an onion service of its own; `None` if it has
    /// no such service, or has made no descriptor yet.
    ///
    /// Sends `GETINFO hs/service/desc/id/address`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn hs_service_descriptor(&self, service: OnionAddress) -> Result<Option<String>> {
        let key = format!("hs/service/desc/id/{}", service.service_id());
        none_if_refused(self.get_info_one(&key), 551, "Not found in cache")
    }

    fn addresses(&self, key: &str) -> Result<Vec<OnionAddress>> {
        let text = self.get_info_one(key)?;
        let read = |id: &str| {
            let reading = format!("the reply to GETINFO {key}");
            let unreadable =
                |_| ProtocolError::new(&reading, "the address of a service", id.as_bytes());
            id.parse().map_err(unreadable)
        };
        let ids = text.lines().filter(|id| !id.is_empty());
        Ok(ids.map(read).collect::<Result<_, _>>()?)
    }

    /// Gives tor the key by which it, as a client, may use an onion service.
    ///
    /// Sends [`ONION_CLIENT_AUTH_ADD`](OnionClientAuthAdd). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 553 if tor cannot keep a permanent
    /// key; otherwise those of [`execute`](Self::execute).
    #[doc(alias = "add_hidden_service_auth")]
    pub fn add_onion_client_auth(&self, key: &OnionClientAuthAdd) -> Result<OnionClientAuthAdded> {
        self.execute(key)
    }

    /// Takes back the key that tor has for an onion service.
    ///
    /// Sends `ONION_CLIENT_AUTH_REMOVE id`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn remove_onion_client_auth(
        &self,
        service: OnionAddress,
    ) -> Result<OnionClientAuthRemoved> {
        self.execute(&OnionClientAuthRemove::new(service))
    }

    /// Returns the keys that tor has for onion services.
    ///
    /// Sends `ONION_CLIENT_AUTH_VIEW`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute).
    pub fn onion_client_auths(&self) -> Result<Vec<OnionClientCredential>> {
        self.execute(&OnionClientAuthView::new())
    }
}
