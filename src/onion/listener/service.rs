//! The service of a listener: its address, keys and publication, and its end.

use std::path::Path;
use std::time::Duration;

use super::OnionListener;
use crate::controller::Controller;
use crate::error::{HsDirUpload, Result};
use crate::names::{OnionAddress, OnionKey, PortTarget};
use crate::onion::client_auth::AuthorizedClient;
use crate::onion::publish::Publication;
use crate::onion::service::OnionService;

/// # The service
impl OnionListener {
    /// Returns the address or the unix socket path of the local listener.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("tor forwards to {}", listener.local_addr());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "local_address")]
    #[must_use]
    pub fn local_addr(&self) -> &PortTarget {
        &self.local_addr
    }

    /// Returns the virtual port that clients connect to.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("{}:{}", listener.onion_address(), listener.public_port());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "onion_port")]
    #[must_use]
    pub fn public_port(&self) -> u16 {
        self.public_port
    }

    /// Returns the address of the service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("http://{}", listener.onion_address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "onion_uri")]
    #[doc(alias = "getHost")]
    #[must_use]
    pub fn onion_address(&self) -> OnionAddress {
        self.service.onion_address()
    }

    /// Returns the key of the service; `None` if it was discarded, or if this program may not read
    /// it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// if let Some(key) = listener.private_key() {
    ///     key.write_file("web.key")?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "onion_private_key")]
    #[must_use]
    pub fn private_key(&self) -> Option<&OnionKey> {
        self.service.private_key()
    }

    /// Returns the directory of the service; `None` if it is ephemeral.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let endpoint = tor.onion_endpoint(80).hidden_service_dir("/srv/onion/web");
    /// assert!(endpoint.listen()?.hidden_service_dir().is_some());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn hidden_service_dir(&self) -> Option<&Path> {
        self.service.hidden_service_dir()
    }

    /// Returns the authorized clients; if there are none, every client is allowed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// for client in listener.clients() {
    ///     println!("{}: {}", client.name, client.public_key);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn clients(&self) -> Vec<AuthorizedClient> {
        self.service.clients()
    }

    /// Returns the controller of the tor that has the service, as [`OnionService::controller`] does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("on tor {}", listener.controller().version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn controller(&self) -> Controller {
        self.service.controller()
    }

    /// Returns the service of this listener.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// println!("{:?}", listener.service().ports());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn service(&self) -> &OnionService {
        &self.service
    }

    /// Returns the descriptor uploads of the service with their outcomes, oldest first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// for upload in listener.uploads() {
    ///     println!("{upload}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn uploads(&self) -> Vec<HsDirUpload> {
        self.service.uploads()
    }

    /// Waits until the service is published, as [`OnionService::wait_published`] does.
    ///
    /// Blocks the current thread until then, for at most `limit`. The listener stays usable if the
    /// service is not published in time.
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::wait_published`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::Tor;
    /// use torcon::onion::Publication;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).publication(Publication::None).listen()?;
    /// listener.wait_published(Publication::All, Duration::from_secs(120))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_published(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.service.wait_published(wanted, limit)
    }

    /// Closes the local listener and removes the service as [`OnionService::close`] does. Calls of
    /// [`accept`](Self::accept) on other threads return [`OnionProblem::Closed`](crate::error::OnionProblem::Closed).
    ///
    /// # Errors
    ///
    /// Those of [`OnionService::close`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::thread;
    ///
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let listener = tor.onion_endpoint(80).listen()?;
    /// thread::scope(|scope| {
    ///     scope.spawn(|| listener.incoming().for_each(|stream| println!("{stream:?}")));
    ///     // Ends the loop of the other thread.
    ///     listener.close()
    /// })?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "stopListening")]
    pub fn close(&self) -> Result<()> {
        self.service.announce_end();
        self.local.close();
        self.service.close()
    }
}
