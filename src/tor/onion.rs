//! Onion services on a `Tor`.

use super::Tor;
use super::global::shared;
use crate::command::{OnionClientAuthAdded, OnionClientAuthRemoved};
use crate::error::{Error, Result};
use crate::names::{ClientAuthKey, OnionAddress};
use crate::onion::{KeepAlive, OnionEndpoint, TorSource};

impl OnionEndpoint {
    /// Returns an endpoint on the tor that all parts of this program share; see [`Tor::global`]. The
    /// listener keeps that tor running.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::onion::OnionEndpoint;
    ///
    /// let listener = OnionEndpoint::global_tor(80).listen()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn global_tor(port: u16) -> Self {
        let share = |launcher, must_match| {
            let tor = shared(launcher, must_match)?;
            let controller = tor.controller().clone();
            let keep: KeepAlive = tor;
            Ok((controller, keep))
        };
        Self::new(TorSource::Shared(Box::new(share)), port)
    }
}

/// # Onion services
impl Tor {
    /// Returns a builder for an onion service on this tor, at this virtual port, as
    /// [`Controller::onion_endpoint`](crate::Controller::onion_endpoint) does. The service ends with
    /// this tor, at the latest.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Tor};
    ///
    /// let tor = Tor::launch(Launcher::new())?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("http://{}", listener.onion_address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "create_onion_endpoint")]
    #[doc(alias = "onion_service")]
    #[doc(alias = "with_tor")]
    pub fn onion_endpoint(&self, port: u16) -> OnionEndpoint {
        self.controller().onion_endpoint(port)
    }

    /// Adds the client authorization key for an onion service that tor uses as a client, as
    /// [`Controller::add_onion_client_auth`](crate::Controller::add_onion_client_auth) does.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_onion_client_auth`](crate::Controller::add_onion_client_auth).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// tor.add_onion_client_auth(service, "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ")?;
    /// let stream = tor.connect_stream((service, 80))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_onion_client_auth<A, K>(&self, service: A, key: K) -> Result<OnionClientAuthAdded>
    where
        A: TryInto<OnionAddress>,
        K: TryInto<ClientAuthKey>,
        Error: From<A::Error> + From<K::Error>,
    {
        self.controller().add_onion_client_auth(service, key)
    }

    /// Removes the client authorization key for an onion service, as
    /// [`Controller::remove_onion_client_auth`](crate::Controller::remove_onion_client_auth) does.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::remove_onion_client_auth`](crate::Controller::remove_onion_client_auth).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
    /// tor.remove_onion_client_auth(service)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn remove_onion_client_auth<A>(&self, service: A) -> Result<OnionClientAuthRemoved>
    where
        A: TryInto<OnionAddress>,
        Error: From<A::Error>,
    {
        self.controller().remove_onion_client_auth(service)
    }
}
