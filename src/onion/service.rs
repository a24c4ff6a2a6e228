//! A service on a tor, and its end.

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
use super::publish::{Publication, PublicationState, Publisher, UploadLimits};
use crate::controller::Controller;
use crate::error::{HsDirUpload, OnionError, OnionProblem, RemovedBy, Result, UploadOutcome};
use crate::link::lock_within;
use crate::names::{OnionAddress, OnionKey, OnionPort};
use crate::process::TorProcess;

/// How long dropping a service waits for tor, at most, for each of three answers.
const DROP_LIMIT: Duration = Duration::from_secs(3);

/// An onion service that goes to servers elsewhere: one without a local listener of its own.
///
/// Returned by [`OnionEndpoint::start`](super::OnionEndpoint::start). All methods may be called
/// from many threads at once; share it in an [`Arc`].
///
/// Dropping it removes the service from tor, unless it is detached, and deletes its directory if
/// that was temporary; it ends a tor that was launched for it alone. It waits for tor's answers,
/// but not longer than some ten seconds if tor does not answer. A directory stays if tor may
/// still be using it.
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
    // Held by the monitor while it exchanges commands with tor, before any lock of a controller;
    // otherwise only to take everything out.
    parts: Arc<Mutex<Option<Parts>>>,
    monitor: Mutex<Option<JoinHandle<()>>>,
}

/// What ends with the service, in this order.
pub(super) struct Parts {
    pub(super) registration: Registration,
    lease: Lease,
}

/// What tor has of the service.
pub(super) enum Registration {
    Ephemeral(EphemeralService),
    Filesystem(Box<FilesystemService>),
}

/// What keeps tor alive for the service.
pub(super) enum Lease {
    /// Somebody else looks after tor.
    None,
    /// A tor for this service alone.
    Process(Box<TorProcess>),
    /// A tor that others share.
    Shared(#[expect(dead_code, reason = "it is held and not looked at")] KeepAlive),
}

/// What a service is made of.
pub(super) struct Added {
    pub(super) registration: Registration,
    pub(super) address: OnionAddress,
    pub(super) key: Option<OnionKey>,
    pub(super) clients: Vec<AuthorizedClient>,
}

/// How a service is looked after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Care {
    pub(super) limits: UploadLimits,
    pub(super) if_removed: IfRemoved,
    /// How often tor is asked whether it has the service, besides when an event reports a change.
    pub(super) interval: Duration,
}

impl OnionService {
    pub(super) fn new(
        controller: Controller,
        lease: Lease,
        publisher: Publisher,
        added: Added,
        ports: Vec<OnionPort>,
        care: Care,
    ) -> Result<Self> {
        let directory = match &added.registration {
            Registration::Filesystem(service) => Some(service.path().to_owned()),
            Registration::Ephemeral(_) => None,
        };
        publisher.set_address(added.address, care.limits);
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
            board: Arc::clone(service.board()),
            parts: Arc::clone(&service.parts),
            address: service.address,
            if_removed: care.if_removed,
            interval: care.interval,
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

    /// Returns the ports of the service and where they go; the first is the one that the endpoint
    /// was made with.
    #[must_use]
    pub fn ports(&self) -> &[OnionPort] {
        &self.ports
    }

    /// Returns the key of the service; `None` if tor made it and was told to discard it, or if
    /// this program may not read it.
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

    /// Returns the clients that the service lets in; if there is none, everybody may come.
    #[must_use]
    pub fn clients(&self) -> &[AuthorizedClient] {
        &self.clients
    }

    /// Returns the controller of the tor that has the service.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Returns what has become of each upload of the service's descriptors, oldest first; the
    /// last 128 are known.
    #[must_use]
    pub fn uploads(&self) -> Vec<HsDirUpload> {
        self.publisher.uploads()
    }

    /// Waits until the service is published. It can be called again, and in listeners of events.
    ///
    /// Blocks the current thread until then, for at most the given time. The service stays as it is
    /// if it is not published in time. To give up earlier, [`close`](Self::close) it on another
    /// thread.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::NotPublished`] if every upload
    /// has failed and tor began no other for a
    /// [while](super::OnionEndpoint::upload_grace), [`Error::Timeout`](crate::Error::Timeout) if
    /// the time is over, [`Error::Closed`](crate::Error::Closed) if tor is gone and
    /// [`OnionProblem::Closed`] if the service was closed.
    pub fn wait_published(&self, wanted: Publication, limit: Duration) -> Result<()> {
        self.publisher.wait(wanted, limit, None)
    }

    pub(super) fn publish(
        &self,
        wanted: Publication,
        limit: Duration,
        tell: Option<&mut dyn FnMut(HsDirUpload)>,
    ) -> Result<()> {
        self.publisher.wait(wanted, limit, tell)
    }

    /// Whether at least one directory has a descriptor.
    pub(super) fn is_taken(&self) -> bool {
        let is_taken = |upload: &HsDirUpload| upload.outcome == UploadOutcome::Uploaded;
        self.publisher.uploads().iter().any(is_taken)
    }

    /// Whether publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.publisher.has_uploads()
    }

    pub(super) fn board(&self) -> &Arc<PublicationState> {
        self.publisher.board()
    }

    /// From here on, the end of the service leaves a given directory as it is, and a detached
    /// service where it is.
    pub(super) fn keep(&self) {
        if let Some(Parts { registration: Registration::Filesystem(service), .. }) =
            &mut *self.parts.lock()
        {
            service.keep();
        }
    }

    /// Takes everything back, a detached service too.
    pub(super) fn take_back(&self) {
        if let Some(Parts { registration: Registration::Ephemeral(service), .. }) =
            &mut *self.parts.lock()
        {
            service.attach();
        }
        self.end_quietly();
    }

    /// Ends the service, unless it is detached, and whatever was temporary.
    ///
    /// Sends `DEL_ONION`, or reads `HiddenServiceOptions` and sends `SETCONF` with every line of
    /// the other services. Those who wait for the service, on whatever thread, are told. If tor
    /// has not removed the service, calling this again tries it again; otherwise that does nothing.
    ///
    /// Blocks the current thread until tor has answered, for at most three times the time limit of
    /// the endpoint's controller; a tor that was launched for the service alone is gone when it
    /// returns.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::del_onion`] and [`Controller::set_conf`]; tor may then go on with the
    /// service, and its directory stays.
    #[doc(alias = "remove_hidden_service")]
    pub fn close(&self) -> Result<()> {
        self.end(&self.controller, true)
    }

    /// Ends every wait for the service, now and later.
    pub(super) fn announce_end(&self) {
        self.publisher.close();
    }

    /// `patient` waits for a tor of the service's own as long as its launcher says; otherwise it
    /// is killed earlier.
    fn end(&self, controller: &Controller, patient: bool) -> Result<()> {
        self.announce_end();
        let taken = lock_within(&self.parts, "DEL_ONION", controller.timeout())?.take();
        let Some(Parts { mut registration, lease }) = taken else { return Ok(()) };
        // The monitor finds nothing to look after any more.
        let monitor = self.monitor.lock().take();
        // A logger may close the service on the monitor's thread, which cannot join itself.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        if let Some(monitor) = monitor.filter(is_other) {
            let _ = monitor.join();
        }
        // A tor that ends takes its services with it.
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
        // The directory is removed when no tor writes there any more.
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
    /// Ends a service whose owner is gone.
    pub(super) fn remove(mut self, controller: &Controller) {
        if let Err(error) = self.registration.remove(controller) {
            log::warn!("an onion service could not be removed: {error}");
        }
    }
}

impl Registration {
    pub(super) fn is_there(&self, controller: &Controller) -> Result<bool> {
        match self {
            Self::Ephemeral(service) => service.is_there(controller),
            Self::Filesystem(service) => service.is_there(controller),
        }
    }

    pub(super) fn add_again(&mut self, controller: &Controller) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.add_again(controller),
            Self::Filesystem(service) => service.add_again(controller),
        }
    }

    /// Returns what has removed the service, where no event told.
    pub(super) fn removed_by(&self) -> RemovedBy {
        match self {
            Self::Ephemeral(_) => RemovedBy::Deletion,
            Self::Filesystem(_) => RemovedBy::Reconfiguration,
        }
    }

    /// Leaves a directory to a tor that may still have the service.
    fn abandon(&mut self) {
        if let Self::Filesystem(service) = self {
            service.abandon();
        }
    }

    /// The tor that had the service has ended.
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
