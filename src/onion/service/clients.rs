//! The authorized clients of a running service.

use super::super::client_auth::{AuthorizedClient, ClientChange, Refresh, WantedClient};
use super::super::listener::OnionListener;
use super::{OnionService, ServiceInner};
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::{ClientAuthPublicKey, ClientName};

/// # Clients of a running service
///
/// tor publishes the service again after each change, and [`wait_published`](Self::wait_published)
/// waits for that. Directories return the former descriptor until they have the new one. A changed
/// list stays in force when tor loses the service, and after a new connection of a supervisor.
///
/// A filesystem service has its clients in files in `authorized_clients`. tor reads them when its
/// services are set, so `GETCONF HiddenServiceOptions` is sent, and `SETCONF` with the unchanged
/// lines of all services. To revoke a client, or to authorize the first one, the lines of the
/// service are first left out and then added again: tor then chooses other introduction points,
/// since a client that has the former descriptor could still connect to the present ones. Each
/// change begins with the files, which another program may have changed; it fails if the directory
/// was removed or replaced, or if tor would refuse it. tor with `Sandbox 1` cannot read new files;
/// a change is refused.
///
/// No command changes an ephemeral service: `DEL_ONION` and `ADD_ONION` with the new list are sent
/// for every change. Until tor has published it again, which takes some seconds, new connections
/// fail; open ones stay.
impl OnionService {
    /// Authorizes a client, for which a key pair is generated. If the service had no client, it
    /// refuses every other one from now on.
    ///
    /// If the directory of the service has a file of this name whose client is not in
    /// [`clients`](Self::clients), the client keeps the key in it, and the result has no secret
    /// key.
    ///
    /// Blocks the current thread until tor has answered, for at most six times the time limit of
    /// the endpoint's controller. While a supervisor has no connection, the change waits for the
    /// next tor.
    ///
    /// # Errors
    ///
    /// - [`OnionProblem::ClientExists`] if a client has the name.
    /// - [`Error::InvalidInput`] if the name is not valid: 1 to 16
    ///   letters, digits, `+`, `-` or `_`.
    /// - [`OnionProblem::KeyDiscarded`] if the key of an ephemeral service was discarded.
    /// - [`OnionProblem::File`], [`OnionProblem::Key`] or [`OnionProblem::Unsafe`] if the file
    ///   cannot be written, or if the directory of the service is no longer what it was;
    ///   [`OnionProblem::NotForTor`] if tor cannot read the file.
    /// - [`OnionProblem::Closed`] or [`OnionProblem::Removed`] if the service has ended.
    /// - [`Error::Timeout`] if tor does not reply. The client is in
    ///   [`clients`](Self::clients), and the thread `torcon-onion` repeats the commands until tor
    ///   replies. Only if the condition of the wait is [`Wait::OnionService`], nothing was changed.
    /// - Otherwise those of [`Controller::add_onion`](crate::Controller::add_onion) and
    ///   [`Controller::set_conf`](crate::Controller::set_conf); the clients are as before.
    ///
    /// [`Wait::OnionService`]: crate::error::Wait::OnionService
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// let alice = service.authorize_client("alice")?;
    /// if let Some(key) = alice.key {
    ///     println!("for Alice: {}", key.reveal_auth_private(service.onion_address()));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "add_client")]
    pub fn authorize_client(&self, name: impl Into<String>) -> Result<AuthorizedClient> {
        self.authorize(&WantedClient { name: name.into(), public_key: None })
    }

    /// Authorizes a client by its public key, which may be text in any form that
    /// [`ClientAuthPublicKey`] reads. If the service had no client, it refuses every other
    /// one from now on. A client that has this name and this key stays as it is.
    ///
    /// Blocks and sends commands as [`authorize_client`](Self::authorize_client) does.
    ///
    /// # Errors
    ///
    /// Those of [`authorize_client`](Self::authorize_client); [`OnionProblem::ClientExists`] if a
    /// client of this name has another key.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// let alice = "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ";
    /// service.authorize_client_key("alice", alice)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorize_client_key<K>(&self, name: impl Into<String>, public_key: K) -> Result<()>
    where
        K: TryInto<ClientAuthPublicKey>,
        Error: From<K::Error>,
    {
        let public_key = Some(public_key.try_into()?);
        self.authorize(&WantedClient { name: name.into(), public_key }).map(drop)
    }

    /// Revokes the authorization of a client. Returns whether the client was authorized.
    ///
    /// The client can no longer connect, even by a descriptor that its tor has. Its open connections
    /// stay: close them if need be. Until tor has published the service again, new connections of
    /// the other clients fail.
    ///
    /// Blocks the current thread until tor has answered, for at most six times the time limit of
    /// the endpoint's controller.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::LastClient`] if it is the only client, or has the only file: without one the service would be open
    /// to every client, for which [`disable_client_auth`](Self::disable_client_auth) exists.
    /// Otherwise those of [`authorize_client`](Self::authorize_client).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// service.authorize_client("alice")?;
    /// service.authorize_client("bob")?;
    /// assert!(service.revoke_client("bob")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "del_client")]
    pub fn revoke_client(&self, name: impl AsRef<str>) -> Result<bool> {
        let name: ClientName = name.as_ref().parse()?;
        self.inner
            .change_clients(|known, present| {
                if known.iter().chain(present).all(|client| client.name != name) {
                    return Ok(None);
                }
                if present.iter().all(|client| client.name == name) {
                    let address = self.inner.address;
                    return Err(OnionError::new(OnionProblem::LastClient { name, address }).into());
                }
                Ok(Some((ClientChange::Revoke(name), Refresh::Whole)))
            })
            .map(|change| change.is_some())
    }

    /// Revokes the authorization of all clients, which opens the service to every client. Returns
    /// whether the service had an authorized client.
    ///
    /// Blocks and sends commands as [`authorize_client`](Self::authorize_client) does.
    ///
    /// # Errors
    ///
    /// Those of [`authorize_client`](Self::authorize_client).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// service.authorize_client("alice")?;
    /// // From now on every client is allowed.
    /// service.disable_client_auth()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn disable_client_auth(&self) -> Result<bool> {
        self.inner
            .change_clients(|known, present| {
                let has_client = !known.is_empty() || !present.is_empty();
                Ok(has_client.then_some((ClientChange::RevokeAll, Refresh::Clients)))
            })
            .map(|change| change.is_some())
    }

    fn authorize(&self, wanted: &WantedClient) -> Result<AuthorizedClient> {
        let client = wanted.prepare()?;
        let change = self.inner.change_clients(|known, present| {
            let is_same = |other: &&AuthorizedClient| other.name == client.name;
            let is_known = known.iter().any(|other| is_same(&other));
            // tor may not have read the file of another program yet.
            match present.iter().find(is_same).filter(|_| is_known) {
                Some(same) if Some(same.public_key) == wanted.public_key => Ok(None),
                Some(_) => {
                    let name = client.name;
                    Err(OnionError::new(OnionProblem::ClientExists { name }).into())
                }
                None => {
                    // A client that has the descriptor of an open service knows its introduction
                    // points.
                    let is_first = known.is_empty() || present.is_empty();
                    let refresh = if is_first { Refresh::Whole } else { Refresh::Clients };
                    Ok(Some((ClientChange::Authorize(client.clone()), refresh)))
                }
            }
        })?;
        // The directory may have had another key of the client.
        Ok(match change {
            Some(ClientChange::Authorize(client)) => client,
            _ => client,
        })
    }
}

impl OnionListener {
    /// Authorizes a client as [`OnionService::authorize_client`] does.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::authorize_client`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// let alice = listener.authorize_client("alice")?;
    /// if let Some(key) = alice.key {
    ///     println!("for Alice: {}", key.reveal_auth_private(listener.onion_address()));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorize_client(&self, name: impl Into<String>) -> Result<AuthorizedClient> {
        self.service().authorize_client(name)
    }

    /// Authorizes a client by its public key as [`OnionService::authorize_client_key`] does.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::authorize_client_key`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// let alice = "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ";
    /// listener.authorize_client_key("alice", alice)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorize_client_key<K>(&self, name: impl Into<String>, public_key: K) -> Result<()>
    where
        K: TryInto<ClientAuthPublicKey>,
        Error: From<K::Error>,
    {
        self.service().authorize_client_key(name, public_key)
    }

    /// Revokes the authorization of a client as [`OnionService::revoke_client`] does.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::revoke_client`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// listener.authorize_client("alice")?;
    /// listener.authorize_client("bob")?;
    /// assert!(listener.revoke_client("bob")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn revoke_client(&self, name: impl AsRef<str>) -> Result<bool> {
        self.service().revoke_client(name)
    }
}

impl ServiceInner {
    /// Makes the change that `decide` returns for the known and the present clients, and returns
    /// it. They differ if another program has changed the files of the clients.
    fn change_clients(
        &self,
        decide: impl FnOnce(
            &[AuthorizedClient],
            &[AuthorizedClient],
        ) -> Result<Option<(ClientChange, Refresh)>>,
    ) -> Result<Option<ClientChange>> {
        let mut parts = self.lock_parts()?;
        let known = self.clients.lock().clone();
        let before = parts.registration.clients(&known)?;
        let Some((mut change, refresh)) = decide(&known, &before)? else { return Ok(None) };
        let controller = self.controller();
        let undo = parts.registration.change_clients(&controller, &mut change, &before)?;
        match self.apply_change(&mut parts, refresh) {
            Err(error) => {
                parts.registration.undo_clients(&controller, undo);
                Err(error)
            }
            Ok(untold) => {
                parts.registration.keep_clients(&undo);
                *self.clients.lock() = change.applied_to(&before);
                untold.map_or(Ok(Some(change)), Err)
            }
        }
    }
}
