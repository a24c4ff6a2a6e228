//! The methods of an endpoint that set the options of its service.

use std::path::PathBuf;

use super::OnionEndpoint;
use crate::error::Error;
use crate::names::{ClientAuthPublicKey, OnionKey};
use crate::onion::client_auth::WantedClient;

/// # Options of the service
impl OnionEndpoint {
    /// Adds the service by `ADD_ONION`: it has no directory and ends with the control connection.
    /// This is the default on a running tor. On a tor that this program launched, the default is a
    /// [temporary directory](Self::temporary_dir).
    ///
    /// By default the command is `ADD_ONION ED25519-V3:KEY Port=80,17600` with a key that torcon
    /// generates, without flags: the service can then be removed even if tor's answer is lost. If a
    /// filter in front of tor refuses this, the command is `ADD_ONION NEW:ED25519-V3 Port=80,17600`,
    /// and a service whose answer is lost stays in tor until the connection ends. A listener on
    /// 127.0.0.1 is named by its port alone. For a filter that allows the address only,
    /// [`reached_at`](Self::reached_at) gives it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).ephemeral().listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "EphemeralHiddenService")]
    pub fn ephemeral(mut self) -> Self {
        self.service.ephemeral = true;
        self
    }

    /// Sets the directory of the service, which holds its keys.
    ///
    /// A missing directory is created with mode 0700 (its parent must exist). It is not deleted when
    /// the service ends. It must belong to tor's user and be private. If tor already has a service of
    /// this directory, this service replaces it; when it ends, a service of tor's configuration files
    /// is restored, and one that a killed program left is not. A directory that another running
    /// program uses is refused. The default is no directory: see [`ephemeral`](Self::ephemeral).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).hidden_service_dir("/srv/onion/web").listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias(
        "create_filesystem_onion_endpoint",
        "create_filesystem_authenticated_onion_endpoint",
    ))]
    #[doc(alias = "create_hidden_service")]
    #[doc(alias = "create_filesystem_onion_service")]
    pub fn hidden_service_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.service.directory = Some(path.into());
        self
    }

    /// Uses a temporary directory, and so a new address each time. tor must see the same file system.
    /// This is the default on a tor that this program launched.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).temporary_dir().listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn temporary_dir(mut self) -> Self {
        self.service.temporary = true;
        self
    }

    /// Sets the key, and with it the address. The default is the key in the directory, or a new one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    /// use torcon::names::OnionKey;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let key = OnionKey::read_or_create_file("web.key")?;
    /// let listener = tor.onion_endpoint(80).key(key).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn key(mut self, key: OnionKey) -> Self {
        self.service.key = Some(key);
        self
    }

    /// Enables client authorization and authorizes a client, for which a key pair is generated;
    /// [`OnionListener::clients`](crate::onion::OnionListener::clients) returns it. The name has 1 to
    /// 16 letters, digits, `+`, `-` or `_`. The default is no client authorization, or the clients in
    /// the given directory.
    ///
    /// A client of this name in the given directory keeps its key. Clients in the directory that are
    /// not named lose their authorization.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).authorize_client("alice").listen()?;
    /// for client in listener.clients() {
    ///     let key = client.key.expect("the key was generated");
    ///     println!("{}: {}", client.name, key.reveal_auth_private(listener.onion_address()));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "create_authenticated_onion_endpoint")]
    #[doc(alias = "create_authenticated_onion_service")]
    #[doc(alias = "stealth_auth")]
    pub fn authorize_client(mut self, name: impl Into<String>) -> Self {
        self.service.clients.push(WantedClient { name: name.into(), public_key: None });
        self
    }

    /// Enables client authorization and authorizes a client by its public key, which may be text in
    /// any form that [`ClientAuthPublicKey`] reads. The default is no client authorization.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let alice = "descriptor:x25519:DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ";
    /// let listener = tor.onion_endpoint(80).authorize_client_key("alice", alice).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorize_client_key<K>(mut self, name: impl Into<String>, public_key: K) -> Self
    where
        K: TryInto<ClientAuthPublicKey>,
        Error: From<K::Error>,
    {
        let public_key = self.convert(public_key);
        self.service.clients.push(WantedClient { name: name.into(), public_key });
        self
    }

    /// Discards the generated key (`DiscardPK`). Only for [ephemeral](Self::ephemeral) services. The
    /// default is that [`private_key`](crate::onion::OnionService::private_key) returns it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).ephemeral().discard_key().listen()?;
    /// assert!(listener.private_key().is_none());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "DISCARD")]
    pub fn discard_key(mut self) -> Self {
        self.service.discard_key = true;
        self
    }

    /// Keeps the service in tor when the listener is closed or dropped (`Detach`), until tor ends or
    /// a controller [deletes](crate::Controller::del_onion) it. Only for [ephemeral](Self::ephemeral)
    /// services. The default is that the service ends.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// // The service stays when this program ends.
    /// let service = tor.onion_endpoint(80).ephemeral().detach().start(8080)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn detach(mut self) -> Self {
        self.service.detach = true;
        self
    }

    /// Makes a single onion service: it does not hide its location, and is reached over fewer relays.
    ///
    /// This is a mode of the whole tor, `HiddenServiceNonAnonymousMode`: a tor that is launched for
    /// the service is put into it, unless [`launcher`](Self::launcher) is called; a running tor must
    /// have been started in it. The default is an anonymous service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let listener = OnionEndpoint::private_tor(80).non_anonymous().listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn non_anonymous(mut self) -> Self {
        self.service.non_anonymous = true;
        self
    }

    /// Sets how many streams a rendezvous circuit may have at a time (0 to 65535). The default is 0:
    /// no limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).max_streams(100).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn max_streams(mut self, limit: u16) -> Self {
        self.service.max_streams = Some(limit);
        self
    }

    /// Closes a circuit that exceeds [`max_streams`](Self::max_streams). The default is that only the
    /// stream is refused.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let endpoint = tor.onion_endpoint(80).max_streams(100).max_streams_close_circuit();
    /// let listener = endpoint.listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn max_streams_close_circuit(mut self) -> Self {
        self.service.close_circuit = true;
        self
    }

    /// Enables or disables the proof-of-work defense, by which clients must solve a puzzle when the
    /// service is under load. The default is tor's own: disabled.
    ///
    /// An [ephemeral](Self::ephemeral) service needs tor 0.4.9.2 for this, another one 0.4.8.1.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).pow_defenses(true).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_defenses(mut self, enabled: bool) -> Self {
        self.service.pow_defenses = Some(enabled);
        self
    }

    /// Sets the rate of the proof-of-work queue in rendezvous requests per second. The default is
    /// tor's own: 250.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).pow_defenses(true).pow_queue_rate(100).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_queue_rate(mut self, per_second: u32) -> Self {
        self.service.pow_queue_rate = Some(per_second);
        self
    }

    /// Sets the burst of the proof-of-work queue in rendezvous requests. The default is tor's own:
    /// 2500.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).pow_defenses(true).pow_queue_burst(500).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn pow_queue_burst(mut self, requests: u32) -> Self {
        self.service.pow_queue_burst = Some(requests);
        self
    }

    /// Makes tor report the circuit of each connection, for
    /// [`OnionStream::circuit_id`](crate::onion::OnionStream::circuit_id). Not for
    /// [ephemeral](Self::ephemeral) services. The default is `false`.
    ///
    /// The servers of additional [ports](Self::port) receive a PROXY protocol header, version 1.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).temporary_dir().export_circuit_id().listen()?;
    /// for stream in listener.incoming() {
    ///     println!("circuit {:?}", stream?.circuit_id());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn export_circuit_id(mut self) -> Self {
        self.service.export_circuit_id = true;
        self
    }

    /// Adds an option of the service whose name begins with `HiddenService` to tor's configuration.
    /// Not for [ephemeral](Self::ephemeral) services. The default is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let endpoint = tor.onion_endpoint(80).hidden_service_dir("/srv/onion/web");
    /// let listener = endpoint.option("HiddenServiceNumIntroductionPoints", "5").listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "group_readable")]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.service.options.push((name.into(), value.into()));
        self
    }
}
