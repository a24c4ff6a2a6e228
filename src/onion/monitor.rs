//! The thread that notices when tor loses a service.
//!
//! A reload of the configuration file removes every filesystem service that is not in the file, and
//! any controller can replace the list of services. tor reports both by events. It sends no event
//! when an ephemeral service is deleted, and a filter may suppress events, so the thread also queries
//! tor at an interval.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::listener::is_exhaustion;
use super::publish::ServiceStatus;
use super::service::Parts;
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, RemovedBy};
use crate::names::OnionAddress;

/// The time limit of each command.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The pause before a command that timed out is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest interval between two queries.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The reaction when a reload of tor's configuration or another controller removed a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IfRemoved {
    /// The service is added again, with the same key, ports and clients.
    #[default]
    AddAgain,
    /// The service ends: [`accept`](super::OnionListener::accept) fails with
    /// [`OnionProblem::Removed`].
    End,
}

/// The state of the thread that watches a service.
pub(super) struct Monitor {
    pub(super) controller: Controller,
    pub(super) status: Arc<ServiceStatus>,
    pub(super) parts: Arc<Mutex<Option<Parts>>>,
    pub(super) address: OnionAddress,
    pub(super) if_removed: IfRemoved,
    /// The interval between two queries.
    pub(super) interval: Duration,
}

impl Monitor {
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let thread = thread::Builder::new().name("torcon-onion".to_owned());
        let controller = self.controller.with_timeout(self.controller.timeout().min(ANSWER_LIMIT));
        let interval = self.interval.max(SHORTEST_INTERVAL);
        let monitor = Self { controller, interval, ..self };
        thread.spawn(move || monitor.run())
    }

    fn run(self) {
        let mut limit = self.interval;
        while self.status.wait_suspicion(limit) {
            limit = match self.check() {
                Ok(None) => self.interval,
                Ok(Some(by)) => {
                    log::warn!("{} was added to tor again after it was lost: {by}", self.address);
                    self.interval
                }
                Err(error) if is_passing(&error) => RETRY,
                // The reader thread may not have reported the end yet.
                Err(error) if error.is_closed() => {
                    self.status.disconnect(error);
                    break;
                }
                Err(error) => {
                    log::warn!("{} has ended: {error}", self.address);
                    self.status.finish(error);
                    break;
                }
            };
        }
        // The owner may have been dropped while this thread held the service; then only this
        // thread can remove it.
        if Arc::strong_count(&self.parts) == 1 {
            let parts = self.parts.lock().take();
            if let Some(parts) = parts {
                parts.remove(&self.controller);
            }
        }
    }

    /// Adds the service again if tor has lost it, and returns what removed it.
    fn check(&self) -> Result<Option<RemovedBy>, Error> {
        let suspected_removal = self.status.take_suspected_removal();
        let mut parts = self.parts.lock();
        let Some(parts) = &mut *parts else { return Ok(None) };
        let registration = &mut parts.registration;
        match registration.is_in_tor(&self.controller) {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            // A filter refuses the query now.
            Err(Error::Rejected(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        // The owner closed the service during the query.
        if self.status.ending().is_some() {
            return Ok(None);
        }
        // tor reports a reload after the changes it causes, and both before the reply to the query.
        let by = match (suspected_removal, self.status.take_suspected_removal()) {
            (Some(RemovedBy::Reload), _) | (_, Some(RemovedBy::Reload)) => RemovedBy::Reload,
            (Some(by), _) | (None, Some(by)) => by,
            (None, None) => registration.removed_by(),
        };
        let source = match self.if_removed {
            IfRemoved::AddAgain => match registration.add_again(&self.controller, by) {
                Ok(()) => return Ok(Some(by)),
                Err(error) if is_passing(&error) || error.is_closed() => return Err(error),
                Err(error) => Some(error),
            },
            IfRemoved::End => None,
        };
        Err(OnionError::new(OnionProblem::Removed { address: self.address, by, source }).into())
    }
}

/// Returns whether the same attempt may succeed a moment later.
fn is_passing(error: &Error) -> bool {
    let exhausted = |error: &OnionError| match error.problem() {
        OnionProblem::File { source, .. } => is_exhaustion(source),
        _ => false,
    };
    error.is_timeout() || matches!(error, Error::Onion(error) if exhausted(error))
}
