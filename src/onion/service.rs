//! `OnionService`: a service that tor has, and its removal.

mod clients;
mod health;
mod inner;
mod lent_key;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use self::health::{CheckObstacle, CheckStep, LastUpload, OnionCheck};
pub(super) use self::inner::ServiceInner;
use super::client_auth::AuthorizedClient;
use super::monitor::IfRemoved;
use super::publish::Publication;
use super::registration::{Parts, Registration};
use super::status::{ServiceStatus, UploadLimits};
use super::supervised::SupervisedService;
use crate::controller::Controller;
use crate::error::{Canceled, HsDirUpload, Result, UploadOutcome, Wait};
use crate::link::{CancelGuard, CancelToken};
use crate::names::{OnionAddress, OnionKey, OnionPort};

/// An onion service whose ports are forwarded to servers elsewhere, without a local listener.
///
/// Returned by [`OnionEndpoint::start`](super::OnionEndpoint::start). Many threads can share it in an
/// [`Arc`].
///
/// Dropping it removes the service from tor unless it is detached, deletes a temporary directory, and
/// ends a tor that was launched for this service alone. The drop waits for tor's answers, but about
/// ten seconds at most if tor does not answer. A directory that tor may still be using stays.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let service = tor.onion_endpoint(80).start("127.0.0.1:8080")?;
/// println!("http://{}", service.onion_address());
/// std::thread::park();
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the service ends when it is dropped"]
pub struct OnionService {
    inner: Arc<ServiceInner>,
    /// Ends the waits for the service when the token of its endpoint is canceled.
    _cancel: Option<CancelGuard>,
}

/// How a service is monitored.
#[derive(Clone, Copy, Debug)]
pub(super) struct MonitorOptions {
    pub(super) limits: UploadLimits,
    pub(super) if_removed: IfRemoved,
    /// How often tor is queried whether it still has the service, besides after events.
    pub(super) interval: Duration,
}

impl OnionService {
    /// Starts the monitor of a service that was added to tor; removes the service on failure.
    pub(super) fn new(inner: Arc<ServiceInner>, cancel: Option<&CancelToken>) -> Result<Self> {
        let (controller, generation) = (inner.controller(), inner.status().generation());
        let status = Arc::clone(inner.status());
        let cancel = cancel.map(|token| {
            token.on_cancel(move || status.finish(Canceled::new(Wait::Incoming).into()))
        });
        let service = Self { inner, _cancel: cancel };
        if let Err(error) = service.inner.start_monitor(controller, generation, true) {
            service.take_back();
            return Err(error);
        }
        Ok(service)
    }

    /// Returns the service for the supervisor that moves it to another tor.
    pub(super) fn supervised(&self) -> Arc<dyn SupervisedService> {
        Arc::new(Arc::clone(&self.inner))
    }

    /// Returns the address of the service.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// println!("http://{}", service.onion_address());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "hostname")]
    #[doc(alias = "onion_uri")]
    #[doc(alias = "getHost")]
    #[must_use]
    pub fn onion_address(&self) -> OnionAddress {
        self.inner.address
    }

    /// Returns the virtual ports of the service and their targets; the endpoint's own port is first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// for port in service.ports() {
    ///     println!("{port}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn ports(&self) -> &[OnionPort] {
        &self.inner.ports
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
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// if let Some(key) = service.private_key() {
    ///     key.write_file("web.key")?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "onion_private_key")]
    #[must_use]
    pub fn private_key(&self) -> Option<&OnionKey> {
        self.inner.key.as_ref()
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
    /// let service = endpoint.start(8080)?;
    /// assert!(service.hidden_service_dir().is_some());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "hidden_service_directory")]
    #[must_use]
    pub fn hidden_service_dir(&self) -> Option<&Path> {
        self.inner.directory.as_deref()
    }

    /// Returns the authorized clients; if there are none, every client is allowed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// for client in service.clients() {
    ///     println!("{}: {}", client.name, client.public_key);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("client_names", "get_client", "client_keys"))]
    #[must_use]
    pub fn clients(&self) -> Vec<AuthorizedClient> {
        self.inner.clients.lock().clone()
    }

    /// Returns the controller of the tor that has the service. With a supervisor it is the one of
    /// the present connection, or of the last one while there is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// println!("on tor {}", service.controller().version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn controller(&self) -> Controller {
        self.inner.controller()
    }

    /// Returns the last 128 descriptor uploads of the service with their outcomes, oldest first.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// for upload in service.uploads() {
    ///     println!("{upload}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn uploads(&self) -> Vec<HsDirUpload> {
        self.inner.publisher.uploads()
    }

    /// Waits until the service is published. Can be called repeatedly, and by event listeners.
    ///
    /// Blocks the current thread until then, for at most `limit`. The service stays in tor if it is
    /// not published in time. To stop waiting earlier, [`close`](Self::close) it on another thread.
    ///
    /// # Errors
    ///
    /// - [`OnionProblem::NotPublished`] if every upload failed and tor started no other within the
    ///   [grace period](super::OnionEndpoint::upload_grace).
    /// - [`Error::Timeout`](crate::Error::Timeout) if the service was not published in time.
    /// - [`Error::Closed`](crate::Error::Closed) if tor has ended. With a supervisor the wait continues
    ///   with the next tor.
    /// - [`OnionProblem::Closed`] if the service was closed.
    ///
    /// [`OnionProblem::NotPublished`]: crate::error::OnionProblem::NotPublished
    /// [`OnionProblem::Closed`]: crate::error::OnionProblem::Closed
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
    /// let endpoint = tor.onion_endpoint(80).publication(Publication::None);
    /// let service = endpoint.start(8080)?;
    /// service.wait_published(Publication::All, Duration::from_secs(120))?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn wait_published(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.publish(wanted, limit, None)
    }

    pub(super) fn publish(
        &self,
        wanted: Publication,
        limit: Duration,
        report: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        self.status().wait(wanted, limit, None, report)
    }

    /// Returns whether at least one directory has a descriptor.
    pub(super) fn is_uploaded(&self) -> bool {
        let is_uploaded = |upload: &HsDirUpload| upload.outcome == UploadOutcome::Uploaded;
        self.inner.publisher.uploads().iter().any(is_uploaded)
    }

    /// Returns whether tor reports uploads, so that publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.inner.publisher.has_uploads()
    }

    pub(super) fn status(&self) -> &Arc<ServiceStatus> {
        self.inner.status()
    }

    /// Commits the service: from now on its end restores nothing in a given directory.
    pub(super) fn keep(&self) {
        let mut parts = self.inner.parts.lock();
        if let Ok(Some(Parts { registration: Registration::Filesystem(service), .. })) =
            parts.as_deref_mut()
        {
            service.keep();
        }
    }

    /// Removes the service, even a detached one, after a failure of its endpoint.
    pub(super) fn take_back(&self) {
        let mut parts = self.inner.parts.lock();
        if let Ok(Some(Parts { registration: Registration::Ephemeral(service), .. })) =
            parts.as_deref_mut()
        {
            service.attach();
        }
        drop(parts);
        self.inner.end_quietly();
    }

    /// Removes the service from tor unless it is detached, and deletes a temporary directory.
    ///
    /// Sends `DEL_ONION`; for a filesystem service `GETCONF HiddenServiceOptions`, and `SETCONF` with
    /// the lines of all other services and, if tor's configuration files have a service of the same
    /// directory, those of that one. Calls that wait for the service on other threads return
    /// [`OnionProblem::Closed`]. If tor has not removed the service, the call can be repeated;
    /// otherwise a second call does nothing. While a supervisor has no connection, a service that
    /// tor may still have is removed over the next one.
    ///
    /// Blocks the current thread until tor has answered, for at most three times the time limit of
    /// the endpoint's controller. A tor that was launched for this service alone has ended when it
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::del_onion`] and [`Controller::set_conf`]; tor may then still have the
    /// service, and its directory stays.
    ///
    /// [`OnionProblem::Closed`]: crate::error::OnionProblem::Closed
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let service = tor.onion_endpoint(80).start(8080)?;
    /// service.close()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "remove_from_tor")]
    #[doc(alias = "remove_hidden_service")]
    pub fn close(&self) -> Result<()> {
        let limit = self.inner.controller.lock().timeout();
        self.inner.remove(limit, true)
    }

    /// Ends every wait for the service, present and future.
    pub(super) fn announce_end(&self) {
        self.inner.publisher.close();
    }
}

impl Drop for OnionService {
    fn drop(&mut self) {
        self.inner.end_quietly();
        self.inner.status().abandon();
        // The monitor or a restoration may have released the service between the two calls.
        self.inner.end_if_abandoned();
    }
}

impl fmt::Debug for OnionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionService")
            .field("address", &self.inner.address)
            .field("ports", &self.inner.ports)
            .field("directory", &self.inner.directory)
            .finish_non_exhaustive()
    }
}
