//! `OnionService`: a service that tor has, and its removal.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::client_auth::AuthorizedClient;
use super::endpoint::KeepAlive;
use super::ephemeral::EphemeralService;
use super::filesystem::FilesystemService;
use super::monitor::{IfRemoved, Monitor};
use super::publish::{Publication, Publisher, ServiceStatus, UploadLimits};
use crate::controller::Controller;
use crate::error::{HsDirUpload, OnionError, OnionProblem, RemovedBy, Result, UploadOutcome};
use crate::link::lock_within;
use crate::names::{OnionAddress, OnionKey, OnionPort};
use crate::process::TorProcess;

/// How long the drop of a service waits for each of tor's answers, of which there are at most three.
const DROP_LIMIT: Duration = Duration::from_secs(3);

/// An onion service whose ports are forwarded to servers elsewhere, without a local listener.
///
/// Returned by [`OnionEndpoint::start`](super::OnionEndpoint::start). Many threads can share it in an
/// [`Arc`].
///
/// Dropping it removes the service from tor unless it is detached, deletes a temporary directory, and
/// ends a tor that was launched for this service alone. The drop waits for tor's answers, but about
/// ten seconds at most if tor does not answer. A directory that tor may still be using stays.
#[doc(alias = "FilesystemOnionService")]
#[doc(alias = "EphemeralOnionService")]
pub struct OnionService {
    controller: Controller,
    address: OnionAddress,
    ports: Vec<OnionPort>,
    key: Option<OnionKey>,
    clients: Vec<AuthorizedClient>,
    directory: Option<std::path::PathBuf>,
    publisher: Publisher,
    // The monitor holds this lock while it exchanges commands with tor, before any lock of a
    // controller; everything else only takes the value out.
    parts: Arc<Mutex<Option<Parts>>>,
    monitor: Mutex<Option<JoinHandle<()>>>,
}

/// What is removed with the service, in this order.
pub(super) struct Parts {
    pub(super) registration: Registration,
    lease: Lease,
}

/// The service as tor has it.
pub(super) enum Registration {
    Ephemeral(EphemeralService),
    Filesystem(Box<FilesystemService>),
}

/// Keeps tor running for the service.
pub(super) enum Lease {
    /// The tor of a controller that the caller gave.
    None,
    /// A tor launched for this service alone.
    Process(Box<TorProcess>),
    /// The tor that the parts of this program share.
    Shared(#[expect(dead_code, reason = "held only for its drop")] KeepAlive),
}

/// A service that was just added.
pub(super) struct AddedService {
    pub(super) registration: Registration,
    pub(super) address: OnionAddress,
    pub(super) key: Option<OnionKey>,
    pub(super) clients: Vec<AuthorizedClient>,
}

/// How a service is monitored.
#[derive(Clone, Copy, Debug)]
pub(super) struct MonitorOptions {
    pub(super) limits: UploadLimits,
    pub(super) if_removed: IfRemoved,
    /// How often tor is queried whether it has the service, besides after an event.
    pub(super) interval: Duration,
}

impl OnionService {
    pub(super) fn new(
        controller: Controller,
        lease: Lease,
        publisher: Publisher,
        added: AddedService,
        ports: Vec<OnionPort>,
        monitoring: MonitorOptions,
    ) -> Result<Self> {
        let directory = match &added.registration {
            Registration::Filesystem(service) => Some(service.path().to_owned()),
            Registration::Ephemeral(_) => None,
        };
        publisher.set_address(added.address, monitoring.limits);
        let service = Self {
            controller: controller.clone(),
            address: added.address,
            ports,
            key: added.key,
            clients: added.clients,
            directory,
            parts: Arc::new(Mutex::new(Some(Parts { registration: added.registration, lease }))),
            publisher,
            monitor: Mutex::default(),
        };
        let monitor = Monitor {
            controller,
            status: Arc::clone(service.status()),
            parts: Arc::clone(&service.parts),
            address: service.address,
            if_removed: monitoring.if_removed,
            interval: monitoring.interval,
        };
        let started =
            monitor.start().map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))));
        match started {
            Ok(monitor) => *service.monitor.lock() = Some(monitor),
            Err(error) => {
                service.take_back();
                return Err(error.into());
            }
        }
        Ok(service)
    }

    /// Returns the address of the service.
    #[doc(alias = "onion_uri")]
    #[doc(alias = "getHost")]
    #[must_use]
    pub fn onion_address(&self) -> OnionAddress {
        self.address
    }

    /// Returns the virtual ports of the service and their targets; the endpoint's own port is first.
    #[must_use]
    pub fn ports(&self) -> &[OnionPort] {
        &self.ports
    }

    /// Returns the key of the service; `None` if it was discarded, or if this program may not read
    /// it.
    #[doc(alias = "onion_private_key")]
    #[must_use]
    pub fn private_key(&self) -> Option<&OnionKey> {
        self.key.as_ref()
    }

    /// Returns the directory of the service; `None` if it is ephemeral.
    #[must_use]
    pub fn hidden_service_dir(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns the authorized clients; if there are none, every client is allowed.
    #[must_use]
    pub fn clients(&self) -> &[AuthorizedClient] {
        &self.clients
    }

    /// Returns the controller of the tor that has the service.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns the last 128 descriptor uploads of the service with their outcomes, oldest first.
    #[must_use]
    pub fn uploads(&self) -> Vec<HsDirUpload> {
        self.publisher.uploads()
    }

    /// Waits until the service is published. Can be called repeatedly, and inside event listeners.
    ///
    /// Blocks the current thread until then, for at most `limit`. The service stays in tor if it is
    /// not published in time. To stop waiting earlier, [`close`](Self::close) it on another thread.
    ///
    /// # Errors
    ///
    /// - [`OnionProblem::NotPublished`] if every upload failed and tor started no other within the
    ///   [grace period](super::OnionEndpoint::upload_grace).
    /// - [`Error::Timeout`](crate::Error::Timeout) if the service was not published in time.
    /// - [`Error::Closed`](crate::Error::Closed) if tor is gone.
    /// - [`OnionProblem::Closed`] if the service was closed.
    pub fn wait_published(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.publish(wanted, limit, None)
    }

    pub(super) fn publish(
        &self,
        wanted: Publication,
        limit: Duration,
        tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        self.status().wait(wanted, limit, tell)
    }

    /// Returns whether at least one directory has a descriptor.
    pub(super) fn is_uploaded(&self) -> bool {
        let is_uploaded = |upload: &HsDirUpload| upload.outcome == UploadOutcome::Uploaded;
        self.publisher.uploads().iter().any(is_uploaded)
    }

    /// Returns whether tor reports uploads, so that publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.publisher.has_uploads()
    }

    pub(super) fn status(&self) -> &Arc<ServiceStatus> {
        self.publisher.status()
    }

    /// Commits the service: from now on, its end restores nothing in a given directory.
    pub(super) fn keep(&self) {
        if let Some(Parts { registration: Registration::Filesystem(service), .. }) =
            &mut *self.parts.lock()
        {
            service.keep();
        }
    }

    /// Undoes the addition of the service, of a detached one too.
    pub(super) fn take_back(&self) {
        if let Some(Parts { registration: Registration::Ephemeral(service), .. }) =
            &mut *self.parts.lock()
        {
            service.attach();
        }
        self.end_quietly();
    }

    /// Removes the service from tor unless it is detached, and deletes a temporary directory.
    ///
    /// Sends `DEL_ONION`; for a filesystem service `GETCONF HiddenServiceOptions`, and `SETCONF` with
    /// the lines of all other services and, if tor's configuration files have a service of the same
    /// directory, those of that one. Calls that wait for the service on other threads return
    /// [`OnionProblem::Closed`]. If tor has not removed the service, the call can be repeated;
    /// otherwise a second call does nothing.
    ///
    /// Blocks the current thread until tor has answered, for at most three times the time limit of
    /// the endpoint's controller. A tor that was launched for this service alone has ended when it
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::del_onion`] and [`Controller::set_conf`]; tor may then still have the
    /// service, and its directory stays.
    #[doc(alias = "remove_hidden_service")]
    pub fn close(&self) -> Result<()> {
        self.end(&self.controller, true)
    }

    /// Ends every wait for the service, present and future.
    pub(super) fn announce_end(&self) {
        self.publisher.close();
    }

    /// If `patient`, waits for the end of a tor of its own as long as the launcher's options say;
    /// otherwise tor is killed earlier.
    fn end(&self, controller: &Controller, patient: bool) -> Result<()> {
        self.announce_end();
        let taken = lock_within(&self.parts, "DEL_ONION", controller.timeout())?.take();
        let Some(Parts { mut registration, lease }) = taken else { return Ok(()) };
        // The monitor ends, since it finds no service.
        let monitor = self.monitor.lock().take();
        // A logger may close the service on the monitor's thread, and a thread cannot join itself.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        if let Some(monitor) = monitor.filter(is_other) {
            let _ = monitor.join();
        }
        // The services of a tor end with it.
        let outcome = match &lease {
            Lease::Process(process) if patient => process.quit().map(drop),
            Lease::Process(_) => Ok(()),
            Lease::None | Lease::Shared(_) => registration.remove(controller),
        };
        let stays = !matches!(lease, Lease::Process(_))
            && outcome.as_ref().is_err_and(|error| !error.is_closed());
        if stays && patient {
            *self.parts.lock() = Some(Parts { registration, lease });
            return outcome;
        }
        if stays {
            registration.abandon();
        }
        // The directory is removed only after tor has ended, which writes there.
        let is_gone = matches!(lease, Lease::Process(_));
        drop(lease);
        if is_gone {
            registration.forget();
        }
        drop(registration);
        outcome
    }

    fn end_quietly(&self) {
        let limit = self.controller.timeout().min(DROP_LIMIT);
        if let Err(error) = self.end(&self.controller.with_timeout(limit), false) {
            log::warn!("an onion service could not be removed: {error}");
        }
    }
}

impl Parts {
    /// Removes a service whose owner was dropped.
    pub(super) fn remove(mut self, controller: &Controller) {
        if let Err(error) = self.registration.remove(controller) {
            log::warn!("an onion service could not be removed: {error}");
        }
    }
}

impl Registration {
    pub(super) fn is_in_tor(&self, controller: &Controller) -> Result<bool> {
        match self {
            Self::Ephemeral(service) => service.is_in_tor(controller),
            Self::Filesystem(service) => service.is_in_tor(controller),
        }
    }

    pub(super) fn add_again(&mut self, controller: &Controller, by: RemovedBy) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.add_again(controller),
            Self::Filesystem(service) => service.add_again(controller, by),
        }
    }

    /// Returns what must have removed the service, if no event said so.
    pub(super) fn removed_by(&self) -> RemovedBy {
        match self {
            Self::Ephemeral(_) => RemovedBy::Deletion,
            Self::Filesystem(_) => RemovedBy::Reconfiguration,
        }
    }

    /// Keeps the directory for a tor that may still have the service.
    fn abandon(&mut self) {
        if let Self::Filesystem(service) = self {
            service.abandon();
        }
    }

    /// Records that the tor that had the service has ended.
    fn forget(&mut self) {
        if let Self::Filesystem(service) = self {
            service.forget();
        }
    }

    fn remove(&mut self, controller: &Controller) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.remove(controller),
            Self::Filesystem(service) => service.remove(controller),
        }
    }
}

impl Drop for OnionService {
    fn drop(&mut self) {
        self.end_quietly();
    }
}

impl fmt::Debug for OnionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionService")
            .field("address", &self.address)
            .field("ports", &self.ports)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
