//! The subscription of a service to the events that its publication and its monitor need.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::status::{AtDisconnection, ServiceStatus, UploadLimits};
use crate::controller::{Controller, HookEvent, HookGuard};
use crate::error::{Error, HsDirUpload, OnionError, OnionProblem, Result};
use crate::event::EventKind;
use crate::names::OnionAddress;
use crate::sync::Mutex;

/// The directories that must have the descriptor before a service counts as published.
///
/// tor uploads two descriptors, one for each of two time periods, each to up to eight directories.
/// A client fetches the descriptor of the period that follows from its clock and its consensus, and
/// tries up to six of these directories.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
/// use torcon::onion::Publication;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let listener = tor.onion_endpoint(80).publication(Publication::All).listen()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// None: the service is returned as soon as tor has added it.
    None,
    /// One directory, for one of the two descriptors. A client that needs the other descriptor, or
    /// tries directories that do not have it yet, fails.
    First,
    /// More than half of the directories of each descriptor, so that every client finds some that
    /// have it.
    #[default]
    Reachable,
    /// All: every upload was answered or timed out, and at least one succeeded.
    All,
}

/// The number of the connection over which a service is added.
const FIRST_GENERATION: u64 = 1;

/// Follows the descriptor uploads of one service, from before it is added until it is dropped.
pub(super) struct Publisher {
    status: Arc<ServiceStatus>,
    needs: EventNeeds,
    /// Removed when the service is closed or the publisher dropped.
    hooks: Mutex<Vec<HookGuard>>,
    /// Whether tor reports uploads.
    has_uploads: AtomicBool,
}

/// The events that a service subscribes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventNeeds {
    /// `HS_DESC`: the caller waits for publication, so a refusal is an error.
    pub(super) uploads: bool,
    /// `CONF_CHANGED` and `SIGNAL`: the service is in tor's configuration.
    pub(super) changes: bool,
    pub(super) at_disconnection: AtDisconnection,
}

impl Publisher {
    /// Subscribes to the events before the service is added, so that none is missed.
    ///
    /// A filter in front of the control port may refuse events. The service works without those that
    /// it does not need. `end` is shut down when the service ends.
    pub(super) fn start(
        controller: &Controller,
        needs: EventNeeds,
        end: Option<UnixStream>,
    ) -> Result<Self> {
        let publisher = Self {
            status: Arc::new(ServiceStatus::new(needs.at_disconnection, end)),
            needs,
            hooks: Mutex::default(),
            has_uploads: AtomicBool::new(false),
        };
        publisher.subscribe(controller)?;
        Ok(publisher)
    }

    /// Subscribes to the events of a connection instead of those of the former one, and discards
    /// the uploads of the former tor. Returns the number of the connection.
    pub(super) fn subscribe(&self, controller: &Controller) -> Result<u64> {
        let generation = self.status.begin_generation();
        let watch = |kinds: &[EventKind]| {
            let status = Arc::clone(&self.status);
            controller
                .watch_events(kinds, move |seen: HookEvent<'_>| status.apply(generation, seen))
        };
        let without = |error: &dyn std::fmt::Display| {
            // Later calls hold a lock, under which no logger may run.
            if generation == FIRST_GENERATION {
                log::info!("an onion service works without events that were refused: {error}");
            }
            None
        };
        let uploads = match watch(&[EventKind::HsDesc]) {
            Err(Error::Rejected(error)) if !self.needs.uploads => without(&error),
            uploads => Some(uploads?),
        };
        let mut changes = Vec::new();
        let wanted: [&[EventKind]; 2] =
            [&[EventKind::ConfChanged, EventKind::Signal], &[EventKind::ConfChanged]];
        for kinds in wanted.into_iter().filter(|_| self.needs.changes) {
            if changes.is_empty() {
                changes.extend(match watch(kinds) {
                    Err(Error::Rejected(error)) => without(&error),
                    watch => Some(watch?),
                });
            }
        }
        self.has_uploads.store(uploads.is_some(), Ordering::Relaxed);
        let hooks = uploads.into_iter().chain(changes).collect();
        let former = std::mem::replace(&mut *self.hooks.lock(), hooks);
        drop(former);
        Ok(generation)
    }

    /// Returns whether tor reports uploads, so that publication can be waited for.
    pub(super) fn has_uploads(&self) -> bool {
        self.has_uploads.load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> &Arc<ServiceStatus> {
        &self.status
    }

    /// Sets the service's address and the limits of its uploads. Events of other services are
    /// discarded.
    pub(super) fn set_address(&self, address: OnionAddress, limits: UploadLimits) {
        self.status.set_address(address, limits);
    }

    /// Ends every wait, present and future.
    pub(super) fn close(&self) {
        self.status.finish(OnionError::new(OnionProblem::Closed).into());
        let hooks = std::mem::take(&mut *self.hooks.lock());
        drop(hooks);
    }

    pub(super) fn uploads(&self) -> Vec<HsDirUpload> {
        self.status.uploads()
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests;
