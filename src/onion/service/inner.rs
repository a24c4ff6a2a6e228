//! The part of a service that outlives its control connections, and its end.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::super::client_auth::{AuthorizedClient, Refresh};
use super::super::monitor::Monitor;
use super::super::publish::Publisher;
use super::super::registration::{AddedService, Lease, Parts, Registration};
use super::super::restoration::Announcement;
use super::super::status::ServiceStatus;
use super::MonitorOptions;
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::link::lock_within;
use crate::names::{OnionAddress, OnionKey, OnionPort};

/// How long the drop of a service waits for each of tor's answers, of which there are at most three.
const DROP_LIMIT: Duration = Duration::from_secs(3);

/// A service, shared by its handle, its monitor and the supervisor of its tor.
///
/// Lock order: `parts`, then those of a controller. The others are leaf locks.
pub(in crate::onion) struct ServiceInner {
    pub(in crate::onion) address: OnionAddress,
    pub(in crate::onion) ports: Vec<OnionPort>,
    pub(in crate::onion) key: Option<OnionKey>,
    /// Changed only while `parts` is locked.
    pub(in crate::onion) clients: Mutex<Vec<AuthorizedClient>>,
    pub(in crate::onion) directory: Option<std::path::PathBuf>,
    pub(in crate::onion) publisher: Publisher,
    pub(in crate::onion) monitoring: MonitorOptions,
    /// The reports of a restoration.
    pub(in crate::onion) announcement: Announcement,
    // The monitor and a restoration hold this lock while they exchange commands with tor, before
    // any lock of a controller; other threads hold it only to take the value out.
    pub(in crate::onion) parts: Mutex<Option<Parts>>,
    /// The present controller. Changed only while `parts` is locked.
    pub(in crate::onion) controller: Mutex<Controller>,
    /// The monitors; those of earlier connections have ended or end soon.
    monitors: Mutex<Vec<JoinHandle<()>>>,
}

impl ServiceInner {
    pub(in crate::onion) fn new(
        controller: Controller,
        lease: Lease,
        publisher: Publisher,
        added: AddedService,
        ports: Vec<OnionPort>,
        monitoring: MonitorOptions,
        announcement: Announcement,
    ) -> Arc<Self> {
        let AddedService { registration, address, key, clients } = added;
        let directory = match &registration {
            Registration::Filesystem(service) => Some(service.path().to_owned()),
            Registration::Ephemeral(_) => None,
        };
        publisher.set_address(address, monitoring.limits);
        Arc::new(Self {
            address,
            ports,
            key,
            clients: Mutex::new(clients),
            directory,
            publisher,
            monitoring,
            announcement,
            parts: Mutex::new(Some(Parts {
                registration,
                lease,
                is_closing: false,
                pending: None,
            })),
            controller: Mutex::new(controller),
            monitors: Mutex::default(),
        })
    }

    /// Starts the thread that watches the service over a connection.
    pub(in crate::onion) fn start_monitor(
        self: &Arc<Self>,
        controller: Controller,
        generation: u64,
        is_restored: bool,
    ) -> Result<()> {
        if is_restored {
            self.status().set_restored(generation);
        }
        let monitor = Monitor { service: Arc::clone(self), controller, generation, is_restored };
        let monitor = monitor
            .start()
            .map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let mut monitors = self.monitors.lock();
        monitors.retain(|monitor| !monitor.is_finished());
        monitors.push(monitor);
        Ok(())
    }

    pub(in crate::onion) fn status(&self) -> &Arc<ServiceStatus> {
        self.publisher.status()
    }

    pub(in crate::onion) fn controller(&self) -> Controller {
        self.controller.lock().clone()
    }

    /// Locks the parts of a service that has not ended.
    pub(super) fn lock_parts(&self) -> Result<MappedMutexGuard<'_, Parts>> {
        let limit = self.controller.lock().timeout();
        let parts = lock_within(&self.parts, "SETCONF", limit)?;
        if let Some(ending) = self.status().ending() {
            return Err(ending);
        }
        let closed = |_| OnionError::new(OnionProblem::Closed).into();
        MutexGuard::try_map(parts, Option::as_mut).map_err(closed)
    }

    /// Applies a change of the service in tor, which publishes it again. Returns the timeout if tor
    /// has not replied: the monitor repeats the commands. While a supervisor has no connection, the
    /// change waits for the next tor.
    pub(super) fn apply_change(
        &self,
        parts: &mut Parts,
        refresh: Refresh,
    ) -> Result<Option<Error>> {
        let earlier = parts.pending;
        parts.pending = earlier.max(Some(refresh));
        self.status().forget_uploads();
        match parts.refresh_pending(&self.controller()) {
            Ok(()) => Ok(None),
            Err(error) if error.is_closed() && self.status().is_supervised() => Ok(None),
            Err(error) if error.is_timeout() => Ok(Some(error)),
            Err(error) => {
                parts.pending = earlier;
                Err(error)
            }
        }
    }

    /// Removes the service from tor and adds it again, so that tor publishes it.
    pub(in crate::onion) fn publish_again(&self) -> Result<()> {
        let timeout = {
            let mut parts = self.lock_parts()?;
            self.apply_change(&mut parts, Refresh::Whole)?
        };
        timeout.map_or(Ok(()), Err)
    }

    /// Ends every wait for the service, present and future, and removes it.
    ///
    /// `is_close` distinguishes [`OnionService::close`](super::OnionService::close) from a drop: a
    /// close waits for the exit of a private tor as long as the options of its launcher say, and
    /// returns a failure, after which it can be repeated. A drop kills that tor.
    pub(in crate::onion) fn remove(&self, limit: Duration, is_close: bool) -> Result<()> {
        self.publisher.close();
        let taken = lock_within(&self.parts, "DEL_ONION", limit)?.take();
        // A restoration may have subscribed meanwhile.
        self.publisher.close();
        let Some(Parts { mut registration, lease, pending, .. }) = taken else { return Ok(()) };
        // A monitor ends when it finds no service.
        let monitors = std::mem::take(&mut *self.monitors.lock());
        // A logger may close the service on the monitor's thread, and a thread cannot join itself.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        for monitor in monitors.into_iter().filter(is_other) {
            let _ = monitor.join();
        }
        let controller = self.controller().with_timeout(limit);
        // The services of a tor end with it.
        let outcome = match &lease {
            Lease::Process(process) if is_close => process.quit().map(drop),
            Lease::Process(_) => Ok(()),
            Lease::None | Lease::Shared(_) => registration.remove(&controller),
        };
        let stays = !matches!(lease, Lease::Process(_))
            && outcome.as_ref().is_err_and(|error| !error.is_closed());
        let is_supervised = self.status().is_supervised();
        // The supervisor connects to this tor again.
        let is_later = is_supervised && outcome.is_err() && registration.may_be_in_tor();
        if is_later || stays && is_close {
            *self.parts.lock() =
                Some(Parts { registration, lease, is_closing: is_supervised, pending });
            return if stays && is_close { outcome } else { Ok(()) };
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
        match outcome {
            // With a supervisor, a lost connection is not a failure.
            Err(error) if error.is_closed() && is_supervised => Ok(()),
            outcome => outcome,
        }
    }

    pub(in crate::onion) fn end_quietly(&self) {
        let limit = self.controller.lock().timeout().min(DROP_LIMIT);
        if let Err(error) = self.remove(limit, false) {
            log::warn!("an onion service could not be removed: {error}");
        }
    }

    /// Removes a service whose handle was dropped while another thread held its parts. A thread that
    /// has held them calls this afterwards.
    pub(in crate::onion) fn end_if_abandoned(&self) {
        let is_left = |parts: &Parts| !parts.is_closing;
        let is_left = || Some(self.parts.try_lock()?.as_ref().is_some_and(is_left));
        if self.status().is_abandoned() && is_left() == Some(true) {
            self.end_quietly();
        }
    }
}
