//! Onion services: those of this tor, the descriptors of others, and the keys of their clients.

mod descriptor;

use super::Controller;
use super::getinfo::none_if_refused;
use crate::command::{
    AddOnion, AddedOnion, DelOnion, HsFetch, HsPost, OnionClientAuthAdd, OnionClientAuthAdded,
    OnionClientAuthRemove, OnionClientAuthRemoved, OnionClientAuthView, OnionClientCredential,
};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::names::{OnionAddress, TorFeature};

/// # Onion services
///
/// [`OnionEndpoint`](crate::onion::OnionEndpoint) adds a service, waits for its publication and
/// adds it again if tor loses it.
impl Controller {
    /// Adds an ephemeral onion service, which lives as long as this connection, or as tor if it is
    /// detached.
    ///
    /// If tor's reply is lost, a service whose key tor made stays until the connection ends. With
    /// [`AddOnion::key`] its address is known, and [`del_onion`](Self::del_onion) removes it.
    ///
    /// Sends [`ADD_ONION`](AddOnion). Blocks for at most the [time limit](Self::with_timeout).
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

    /// Removes an ephemeral onion service: one of this connection, or a detached one.
    ///
    /// Sends `DEL_ONION id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if there is no such service, also
    /// for one of another connection or of the configuration; otherwise those of
    /// [`execute`](Self::execute).
    #[doc(alias = "remove_ephemeral_hidden_service")]
    pub fn del_onion(&self, address: OnionAddress) -> Result<()> {
        self.execute(&DelOnion::new(address))
    }

    /// Returns the ephemeral onion services of this connection, without
    /// [detached](Self::detached_onions) ones.
    #[doc = sends!("GETINFO onions/current")]
    #[doc(alias = "list_ephemeral_hidden_services")]
    pub fn onions(&self) -> Result<Vec<OnionAddress>> {
        self.read_addresses("onions/current")
    }

    /// Returns the detached ephemeral onion services of tor.
    #[doc = sends!("GETINFO onions/detached")]
    pub fn detached_onions(&self) -> Result<Vec<OnionAddress>> {
        self.read_addresses("onions/detached")
    }

    /// Returns the descriptor of a service of this tor; `None` if there is no such service, or tor
    /// has not made its descriptor yet.
    #[doc = sends!("GETINFO hs/service/desc/id/address")]
    pub fn hs_service_descriptor(&self, service: OnionAddress) -> Result<Option<String>> {
        self.read_descriptor("service", service)
    }

    /// Returns the descriptor of an onion service from tor's client cache; `None` if tor has not
    /// fetched it. [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) fetches it.
    #[doc = sends!("GETINFO hs/client/desc/id/address")]
    pub fn hs_client_descriptor(&self, service: OnionAddress) -> Result<Option<String>> {
        self.read_descriptor("client", service)
    }

    /// Starts to fetch the descriptor of an onion service. `HS_DESC` and `HS_DESC_CONTENT` events
    /// report the result; [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) waits for it.
    ///
    /// Sends [`HSFETCH`](HsFetch). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 552 if tor does not know a server;
    /// otherwise those of [`execute`](Self::execute).
    pub fn hs_fetch(&self, descriptor: &HsFetch) -> Result<()> {
        self.execute(descriptor)
    }

    /// Starts to upload the descriptor of an onion service to directories. `HS_DESC` events report
    /// the result.
    ///
    /// Sends [`+HSPOST`](HsPost). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 554 if tor cannot parse the
    /// descriptor, 552 if it does not know a server; otherwise those of [`execute`](Self::execute).
    pub fn hs_post(&self, descriptor: &HsPost) -> Result<()> {
        self.execute(descriptor)
    }

    /// Adds the client authorization key for an onion service that tor uses as a client.
    ///
    /// Sends [`ONION_CLIENT_AUTH_ADD`](OnionClientAuthAdd). Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 553 if tor cannot store a permanent
    /// key; otherwise those of [`execute`](Self::execute).
    #[doc(alias = "add_hidden_service_auth")]
    pub fn add_onion_client_auth(&self, key: &OnionClientAuthAdd) -> Result<OnionClientAuthAdded> {
        self.execute(key)
    }

    /// Removes the client authorization key for an onion service.
    #[doc = sends!("ONION_CLIENT_AUTH_REMOVE id", execute)]
    pub fn remove_onion_client_auth(
        &self,
        service: OnionAddress,
    ) -> Result<OnionClientAuthRemoved> {
        self.execute(&OnionClientAuthRemove::new(service))
    }

    /// Returns tor's client authorization keys.
    #[doc = sends!("ONION_CLIENT_AUTH_VIEW", execute)]
    pub fn onion_client_auths(&self) -> Result<Vec<OnionClientCredential>> {
        self.execute(&OnionClientAuthView::new())
    }

    fn read_descriptor(&self, cache: &str, service: OnionAddress) -> Result<Option<String>> {
        let key = format!("hs/{cache}/desc/id/{}", service.service_id());
        none_if_refused(self.get_info_one(&key), 551, "Not found in cache")
    }

    fn read_addresses(&self, key: &str) -> Result<Vec<OnionAddress>> {
        let text = self.get_info_one(key)?;
        let read = |id: &str| {
            let reading = format!("the reply to GETINFO {key}");
            let malformed =
                |_| ProtocolError::new(&reading, "the address of a service", id.as_bytes());
            id.parse().map_err(malformed)
        };
        let ids = text.lines().filter(|id| !id.is_empty());
        Ok(ids.map(read).collect::<Result<_, _>>()?)
    }
}
