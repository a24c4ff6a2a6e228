//! The thread that notices when tor loses a service.
//!
//! A reload of the configuration file removes every filesystem service that is not in the file, and
//! any controller can replace the list of services. tor reports both by events. It sends no event
//! when an ephemeral service is deleted, and a filter may suppress events, so the thread also queries
//! tor at an interval.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ephemeral::is_collision;
use super::listener::is_exhaustion;
use super::service::ServiceInner;
use crate::clock::{self, deadline_after};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, RemovedBy};

/// The time limit of each command.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The pause before a command that timed out is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest interval between two queries.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The reaction when a reload of tor's configuration or another controller removed a service.
///
/// # Examples
///
/// ```no_run
/// use torcon::Tor;
/// use torcon::onion::IfRemoved;
///
/// let tor = Tor::connect("127.0.0.1:9051")?;
/// let listener = tor.onion_endpoint(80).if_removed(IfRemoved::End).listen()?;
/// # Ok::<(), torcon::Error>(())
/// ```
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

/// The state of the thread that watches a service over one connection.
pub(super) struct Monitor {
    pub(super) service: Arc<ServiceInner>,
    pub(super) controller: Controller,
    /// The number of the connection.
    pub(super) generation: u64,
    /// Whether the tor of this connection has the service. If not, the monitor adds it.
    pub(super) is_restored: bool,
}

/// The result of a check.
enum Found {
    /// tor has the service.
    Present,
    /// tor had lost the service, and has it again.
    Added(RemovedBy),
    /// tor was not queried, or a filter refused the query.
    Unknown,
}

/// The next publication after directories rejected the descriptor.
struct Rejection {
    due: Option<Instant>,
    /// The pause before it, which doubles, since the cause of the rejections may last.
    pause: Duration,
}

impl Monitor {
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let thread = thread::Builder::new().name("torcon-onion".to_owned());
        let controller = self.controller.with_timeout(self.controller.timeout().min(ANSWER_LIMIT));
        let monitor = Self { controller, ..self };
        thread.spawn(move || monitor.run())
    }

    fn run(mut self) {
        let (status, address) = (Arc::clone(self.service.status()), self.service.address);
        let interval = self.service.monitoring.interval.max(SHORTEST_INTERVAL);
        let mut limit = if self.is_restored { interval } else { RETRY };
        let mut rejection = Rejection { due: None, pause: RETRY };
        while status.wait_suspicion(self.generation, limit) {
            limit = match self.check() {
                Ok(Found::Present | Found::Added(_)) if !self.is_restored => {
                    self.is_restored = true;
                    status.set_restored(self.generation);
                    self.service.announce(self.generation);
                    interval
                }
                Ok(Found::Present | Found::Unknown) => interval,
                Ok(Found::Added(by)) => {
                    log::warn!("{address} was added to tor again after it was lost: {by}");
                    interval
                }
                Err(error) if self.is_passing(&error) => RETRY,
                // The reader thread may not have reported the end yet.
                Err(error) if error.is_closed() => {
                    status.disconnect(self.generation, error);
                    break;
                }
                Err(error) => {
                    log::warn!("{address} has ended: {error}");
                    status.lose(self.generation, error);
                    break;
                }
            };
            if let Some(pause) = self.publish_rejected(&mut rejection) {
                limit = limit.min(pause);
            }
        }
        // The owner may have been dropped while this thread held the service.
        self.service.end_if_abandoned();
    }

    /// Publishes the service again after directories have rejected its descriptor. Returns the
    /// remaining pause before that.
    fn publish_rejected(&self, rejection: &mut Rejection) -> Option<Duration> {
        if !self.service.status().is_rejected(self.generation) {
            rejection.due = None;
            return None;
        }
        let due = *rejection.due.get_or_insert_with(|| deadline_after(rejection.pause));
        let left = clock::time_left(due);
        if !left.is_zero() {
            return Some(left);
        }
        rejection.due = None;
        rejection.pause = rejection.pause.saturating_mul(2);
        let address = self.service.address;
        log::warn!("{address} is published again, since directories rejected its descriptor");
        if let Err(error) = self.service.publish_again() {
            log::warn!("{address} could not be published again: {error}");
        }
        None
    }

    /// Adds the service again if tor has lost it, and applies a pending change.
    fn check(&self) -> Result<Found, Error> {
        let status = self.service.status();
        let mut parts = self.service.parts.lock_within(ANSWER_LIMIT)?;
        let suspected_removal = status.take_suspected_removal(self.generation);
        let Some(parts) = &mut *parts else { return Ok(Found::Unknown) };
        // The owner closed the service, or it has moved to another connection.
        if !status.is_current(self.generation) {
            return Ok(Found::Unknown);
        }
        match parts.registration.is_in_tor(&self.controller) {
            Ok(true) => return parts.refresh_pending(&self.controller).map(|()| Found::Present),
            Ok(false) => {}
            // A filter has begun to refuse the query.
            Err(Error::Rejected(_)) if self.is_restored => return Ok(Found::Unknown),
            Err(error) => return Err(error),
        }
        // The connection ended during the query.
        if !status.is_current(self.generation) {
            return Ok(Found::Unknown);
        }
        // tor reports a reload after the changes it causes, and both before the reply to the query.
        let by = match (suspected_removal, status.take_suspected_removal(self.generation)) {
            (Some(RemovedBy::Reload), _) | (_, Some(RemovedBy::Reload)) => RemovedBy::Reload,
            (Some(by), _) | (None, Some(by)) => by,
            (None, None) => parts.registration.removed_by(),
        };
        let source = match self.service.monitoring.if_removed {
            // A pending change has removed the service itself.
            IfRemoved::End if self.is_restored && parts.pending.is_none() => None,
            _ => match parts.registration.add_again(&self.controller, by) {
                Ok(()) => {
                    let is_changed = parts.pending.take().is_some();
                    return Ok(if is_changed { Found::Present } else { Found::Added(by) });
                }
                Err(error) if self.is_passing(&error) || error.is_closed() => return Err(error),
                Err(error) => Some(error),
            },
        };
        let address = self.service.address;
        Err(OnionError::new(OnionProblem::Removed { address, by, source }).into())
    }

    /// Returns whether the same command may succeed a moment later. tor may not have noticed yet
    /// that the earlier connection has ended.
    fn is_passing(&self, error: &Error) -> bool {
        is_passing(error) || !self.is_restored && is_collision(error)
    }
}

/// Returns whether the same command may succeed a moment later.
pub(super) fn is_passing(error: &Error) -> bool {
    let exhausted = |error: &OnionError| match error.problem() {
        OnionProblem::File { source, .. } => is_exhaustion(source),
        _ => false,
    };
    error.is_timeout() || matches!(error, Error::Onion(error) if exhausted(error))
}
