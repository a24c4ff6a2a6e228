//! The part of a service that outlives its control connections, and its end.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::super::client_auth::{AuthorizedClient, Refresh};
use super::super::monitor::Monitor;
use super::super::publish::Publisher;
use super::super::registration::{AddedService, Lease, Parts, Registration};
use super::super::restoration::Announcement;
use super::super::service_lock::{ServiceGuard, ServiceLock};
use super::super::status::ServiceStatus;
use super::MonitorOptions;
use super::lent_key::CheckKey;
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::{OnionAddress, OnionKey, OnionPort};
use crate::sync::Mutex;

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
    /// Held while commands that concern the service are exchanged with tor, before any lock of a
    /// controller. `None` after the removal.
    pub(in crate::onion) parts: ServiceLock<Option<Parts>>,
    /// The key that tor has for checks. Its lock is held without `parts`.
    pub(in crate::onion) check_key: Arc<CheckKey>,
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
        let check_key = CheckKey::new(address, publisher.status().is_supervised());
        Arc::new(Self {
            address,
            ports,
            key,
            clients: Mutex::new(clients),
            directory,
            publisher,
            monitoring,
            announcement,
            parts: ServiceLock::new(Some(Parts {
                registration,
                lease,
                is_closing: false,
                pending: None,
            })),
            check_key,
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
        let monitor = Monitor { service: Arc::clone(self), controller, generation, is_restored };
        let monitor = monitor
            .start()
            .map_err(|error| OnionError::new(OnionProblem::Accept(Arc::new(error))))?;
        let mut monitors = self.monitors.lock();
        monitors.retain(|monitor| !monitor.is_finished());
        monitors.push(monitor);
        if is_restored {
            self.status().set_restored(generation);
        }
        Ok(())
    }

    pub(in crate::onion) fn status(&self) -> &Arc<ServiceStatus> {
        self.publisher.status()
    }

    pub(in crate::onion) fn controller(&self) -> Controller {
        self.controller.lock().clone()
    }

    /// Locks the parts of a service that has not ended.
    pub(super) fn lock_parts(&self) -> Result<ServiceGuard<'_, Parts>> {
        let is_open = || self.status().ending().map_or(Ok(()), Err);
        is_open()?;
        let limit = self.controller.lock().timeout();
        let parts = self.parts.lock_within(limit)?;
        is_open()?;
        parts.present().ok_or_else(|| OnionError::new(OnionProblem::Closed).into())
    }

    /// Applies a change of the service in tor, which publishes it again. Returns the timeout if tor
    /// has not replied: the monitor repeats the commands. While a supervisor has no connection, or
    /// the service is not restored there, the change waits for the restoration.
    pub(super) fn apply_change(
        &self,
        parts: &mut Parts,
        refresh: Refresh,
    ) -> Result<Option<Error>> {
        let earlier = parts.pending;
        parts.pending = earlier.max(Some(refresh));
        self.status().forget_uploads();
        let waits = self.status().is_supervised() && !self.status().is_restored();
        let refreshed = if waits { Ok(()) } else { parts.refresh_pending(&self.controller()) };
        let outcome = match refreshed {
            Ok(()) => Ok(None),
            Err(error) if error.is_closed() && self.status().is_supervised() => Ok(None),
            Err(error) if error.is_timeout() => Ok(Some(error)),
            Err(error) => {
                parts.pending = earlier;
                Err(error)
            }
        };
        self.status().settle_uploads(outcome.is_ok());
        outcome
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
        let mut parts = self.parts.lock_within(limit)?;
        // A restoration may have subscribed meanwhile.
        self.publisher.close();
        let controller = self.controller().with_timeout(limit);
        let is_supervised = self.status().is_supervised();
        // The lock is held, so that a restoration waits for the outcome.
        let removed = match &mut *parts {
            None => return Ok(()),
            // The services of a tor end with it.
            Some(Parts { lease: Lease::Process(_), .. }) => Ok(()),
            Some(Parts { registration, is_closing, .. }) => {
                let removed = registration.remove(&controller);
                let stays = removed.as_ref().is_err_and(|error| !error.is_closed());
                // The supervisor connects to this tor again.
                let is_later = is_supervised && removed.is_err() && registration.may_be_in_tor();
                if is_later || stays && is_close {
                    *is_closing = is_supervised;
                    drop(parts);
                    self.join_monitors();
                    return if stays && is_close { removed } else { Ok(()) };
                }
                if stays {
                    registration.abandon();
                }
                removed
            }
        };
        let taken = parts.take();
        drop(parts);
        self.join_monitors();
        let Some(Parts { mut registration, lease, .. }) = taken else { return Ok(()) };
        let outcome = match &lease {
            Lease::Process(process) if is_close => process.quit().map(drop),
            _ => removed,
        };
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

    /// Waits for the monitors, which end with the service.
    fn join_monitors(&self) {
        let monitors = std::mem::take(&mut *self.monitors.lock());
        // A logger may close the service on the monitor's thread, and a thread cannot join itself.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        for monitor in monitors.into_iter().filter(is_other) {
            let _ = monitor.join();
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
