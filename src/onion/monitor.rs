//! The thread that notices when tor loses a service.
//!
//! A reload of its configuration file takes away every service of the file system that is not in
//! the file, and any controller can set the list of services anew. tor reports both by events, but
//! reports nothing of a deleted ephemeral service, and a filter may suppress events: so tor is asked
//! from time to time too.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::listener::is_exhaustion;
use super::publish::PublicationState;
use super::service::Parts;
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, RemovedBy};
use crate::names::OnionAddress;

/// How long each answer of tor may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How soon a question is repeated that had no answer.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest pause between two questions.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What to do when tor has lost a service: by a reload of its configuration, or by another
/// controller.
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

/// What is needed to look after a service.
pub(super) struct Monitor {
    pub(super) controller: Controller,
    pub(super) board: Arc<PublicationState>,
    pub(super) parts: Arc<Mutex<Option<Parts>>>,
    pub(super) address: OnionAddress,
    pub(super) if_removed: IfRemoved,
    /// How often tor is asked.
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
        while self.board.wait_doubt(limit) {
            limit = match self.look() {
                Ok(None) => self.interval,
                Ok(Some(by)) => {
                    log::warn!("{} was added to tor again: {by}", self.address);
                    self.interval
                }
                Err(error) if is_passing(&error) => RETRY,
                // The reader thread may not have reported the end yet.
                Err(error) if error.is_closed() => {
                    self.board.disconnect(error);
                    break;
                }
                Err(error) => {
                    log::warn!("{} has ended: {error}", self.address);
                    self.board.finish(error);
                    break;
                }
            };
        }
        // A service that was dropped while this thread waited for tor could not be removed then.
        if Arc::strong_count(&self.parts) == 1 {
            let parts = self.parts.lock().take();
            if let Some(parts) = parts {
                parts.remove(&self.controller);
            }
        }
    }

    /// Adds the service again if tor has lost it; returns what removed it then.
    fn look(&self) -> Result<Option<RemovedBy>, Error> {
        let doubt = self.board.take_doubt();
        let mut parts = self.parts.lock();
        let Some(parts) = &mut *parts else { return Ok(None) };
        let registration = &mut parts.registration;
        match registration.is_there(&self.controller) {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            // A filter lets the question through no more.
            Err(Error::Rejected(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        // The owner has closed the service while tor was asked.
        if self.board.ending().is_some() {
            return Ok(None);
        }
        // tor reports a reload after the changes that it makes, and both before it answers.
        let by = match (doubt, self.board.take_doubt()) {
            (Some(RemovedBy::Reload), _) | (_, Some(RemovedBy::Reload)) => RemovedBy::Reload,
            (Some(by), _) | (None, Some(by)) => by,
            (None, None) => registration.removed_by(),
        };
        let source = match self.if_removed {
            IfRemoved::AddAgain => match registration.add_again(&self.controller) {
                Ok(()) => return Ok(Some(by)),
                Err(error) if is_passing(&error) || error.is_closed() => return Err(error),
                Err(error) => Some(error),
            },
            IfRemoved::End => None,
        };
        Err(OnionError::new(OnionProblem::Removed { address: self.address, by, source }).into())
    }
}

/// Whether the same attempt may succeed a moment later.
fn is_passing(error: &Error) -> bool {
    let exhausted = |error: &OnionError| match error.problem() {
        OnionProblem::File { source, .. } => is_exhaustion(source),
        _ => false,
    };
    error.is_timeout() || matches!(error, Error::Onion(error) if exhausted(error))
}
