//! Onion services: those of this tor, the descriptors of others, and the keys of their clients.

mod descriptor;

use super::Controller;
use super::getinfo::none_if_refused;
use crate::command::{
    AddOnion, AddedOnion, DelOnion, HsFetch, HsPost, OnionClientAuthAdd, OnionClientAuthAdded,
    OnionClientAuthRemove, OnionClientAuthRemoved, OnionClientAuthView, OnionClientCredential,
};
use crate::descriptor::OnionDescriptor;
use crate::error::{Error, InvalidInput, ProtocolError, Result};
use crate::names::{ClientAuthKey, OnionAddress, TorFeature};

/// # Onion services
///
/// [`onion_endpoint`](Controller::onion_endpoint) adds a service, waits for its publication and
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
    /// [`Error::Rejected`] with code 550 if there is a service of this
    /// address; [`Error::InvalidInput`] for the proof of work if tor is
    /// older than 0.4.9.2; otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let added = controller.add_onion(&AddOnion::new([OnionPort::new(80, 8080)]))?;
    /// println!("http://{}", added.address);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "create_ephemeral_hidden_service")]
    pub fn add_onion(&self, service: &AddOnion) -> Result<AddedOnion> {
        if let Some(argument) = service.pow_argument() {
            if let Some(problem) = TorFeature::AddOnionPow.problem_of(self.version()) {
                return Err(InvalidInput::new(argument, problem).into());
            }
        }
        // The reply is compared with the address of a given key, whose derivation takes about as long
        // as tor's work.
        self.execute_during(service, || {
            service.own_address();
        })
    }

    /// Removes an ephemeral onion service, whose address may be text: one of this connection, or a
    /// detached one.
    ///
    /// Sends `DEL_ONION id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 if there is no such service, also
    /// for one of another connection or of the configuration; otherwise those of
    /// [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::AddOnion;
    /// use torcon::names::OnionPort;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let added = controller.add_onion(&AddOnion::new([OnionPort::new(80, 8080)]))?;
    /// controller.del_onion(added.address)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "remove_ephemeral_hidden_service")]
    pub fn del_onion<A>(&self, service: A) -> Result<()>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.execute(&DelOnion::new(service.try_into()?))
    }

    /// Returns the ephemeral onion services of this connection, without
    /// [detached](Self::detached_onions) ones.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for address in controller.onions()? {
    ///     println!("{address}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc = sends!("GETINFO onions/current")]
    #[doc(alias = "list_ephemeral_hidden_services")]
    pub fn onions(&self) -> Result<Vec<OnionAddress>> {
        self.read_addresses("onions/current")
    }

    /// Returns the detached ephemeral onion services of tor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for address in controller.detached_onions()? {
    ///     controller.del_onion(address)?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc = sends!("GETINFO onions/detached")]
    pub fn detached_onions(&self) -> Result<Vec<OnionAddress>> {
        self.read_addresses("onions/detached")
    }

    /// Returns the descriptor of a service of this tor, whose address may be text; `None` if there is
    /// no such service, or tor has not made its descriptor yet.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// if let Some(descriptor) = controller.hs_service_descriptor(service)? {
    ///     println!("{descriptor:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc = sends!("GETINFO hs/service/desc/id/address")]
    pub fn hs_service_descriptor<A>(&self, service: A) -> Result<Option<OnionDescriptor>>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.read_descriptor("service", service.try_into()?)
    }

    /// Returns the descriptor of an onion service, whose address may be text, from tor's client
    /// cache; `None` if tor has not
    /// fetched it. [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) fetches it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// if let Some(descriptor) = controller.hs_client_descriptor(service)? {
    ///     println!("{descriptor:?}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc = sends!("GETINFO hs/client/desc/id/address")]
    pub fn hs_client_descriptor<A>(&self, service: A) -> Result<Option<OnionDescriptor>>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.read_descriptor("client", service.try_into()?)
    }

    /// Starts to fetch the descriptor of an onion service. `HS_DESC` and `HS_DESC_CONTENT` events
    /// report the result; [`fetch_onion_descriptor`](Self::fetch_onion_descriptor) waits for it.
    ///
    /// Sends [`HSFETCH`](HsFetch). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with code 552 if tor does not know a server;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::HsFetch;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// controller.hs_fetch(&HsFetch::new(service))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "GetHiddenServiceDescriptorAsync")]
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
    /// [`Error::Rejected`] with code 554 if tor cannot parse the
    /// descriptor, 552 if it does not know a server; otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::command::HsPost;
    /// use torcon::names::OnionAddress;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service: OnionAddress =
    ///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// if let Some(descriptor) = controller.hs_service_descriptor(service)? {
    ///     controller.hs_post(&HsPost::new(service, descriptor.as_bytes()))?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "PostHiddenServiceDescriptorAsync")]
    pub fn hs_post(&self, descriptor: &HsPost) -> Result<()> {
        self.execute(descriptor)
    }

    /// Adds the client authorization key for an onion service that tor uses as a client.
    ///
    /// The address and the key may be text in any form that [`OnionAddress`] and [`ClientAuthKey`]
    /// read. tor forgets the key when it exits, reloads its configuration or gets a `SETCONF`;
    /// [`execute`](Self::execute) of [`OnionClientAuthAdd::permanent`] stores it in a file of tor, and
    /// [`Supervisor::add_onion_client_auth`](crate::Supervisor::add_onion_client_auth) adds it again.
    ///
    /// Sends `ONION_CLIENT_AUTH_ADD id x25519:key`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the text is not an address or a key; otherwise those of
    /// [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// let key = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    /// controller.add_onion_client_auth(service, key)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "add_onion_authentication")]
    #[doc(alias = "add_hidden_service_auth")]
    pub fn add_onion_client_auth<A, K>(&self, service: A, key: K) -> Result<OnionClientAuthAdded>
    where
        A: TryInto<OnionAddress>,
        K: TryInto<ClientAuthKey>,
        Error: From<A::Error> + From<K::Error>,
    {
        self.execute(&OnionClientAuthAdd::new(service.try_into()?, key.try_into()?))
    }

    /// Removes the client authorization key for an onion service, whose address may be text.
    ///
    /// Sends `ONION_CLIENT_AUTH_REMOVE id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the text is not an address; otherwise those of
    /// [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// controller.remove_onion_client_auth(service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "remove_onion_authentication")]
    #[doc(alias = "remove_hidden_service_auth")]
    pub fn remove_onion_client_auth<A>(&self, service: A) -> Result<OnionClientAuthRemoved>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.execute(&OnionClientAuthRemove::new(service.try_into()?))
    }

    /// Returns tor's client authorization key for an onion service, whose address may be text;
    /// `None` if tor has none.
    ///
    /// Sends `ONION_CLIENT_AUTH_VIEW id`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`remove_onion_client_auth`](Self::remove_onion_client_auth).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// if let Some(known) = controller.onion_client_auth(service)? {
    ///     println!("for {}: {}", known.service, known.key.public());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn onion_client_auth<A>(&self, service: A) -> Result<Option<OnionClientCredential>>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        Ok(self.execute(&OnionClientAuthView::of(service.try_into()?))?.into_iter().next())
    }

    /// Returns tor's client authorization keys.
    #[doc = sends!("ONION_CLIENT_AUTH_VIEW", execute)]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for known in controller.onion_client_auths()? {
    ///     println!("{} {}", known.service, if known.permanent { "in a file" } else { "" });
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "onion_authentication")]
    #[doc(alias = "list_hidden_service_auth")]
    pub fn onion_client_auths(&self) -> Result<Vec<OnionClientCredential>> {
        self.execute(&OnionClientAuthView::new())
    }

    fn read_descriptor(
        &self,
        cache: &str,
        service: OnionAddress,
    ) -> Result<Option<OnionDescriptor>> {
        let key = format!("hs/{cache}/desc/id/{}", service.service_id());
        let descriptor = self.read_info(&key, |text| OnionDescriptor::parse(text));
        none_if_refused(descriptor, 551, "Not found in cache")
    }

    fn read_addresses(&self, key: &str) -> Result<Vec<OnionAddress>> {
        let text = self.get_info_one(key)?;
        let read = |id: &str| {
            let reading = format!("the reply to GETINFO {key}");
            let malformed =
                |_| ProtocolError::new(&reading, "the address of a service", id.as_bytes());
            OnionAddress::of_running(id).map_err(malformed)
        };
        let ids = text.lines().filter(|id| !id.is_empty());
        Ok(ids.map(read).collect::<Result<_, _>>()?)
    }
}
