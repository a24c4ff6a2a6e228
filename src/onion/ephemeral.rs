//! Ephemeral services: added by `ADD_ONION`.

use std::time::Duration;

use super::client_auth::AuthorizedClient;
use crate::clock::{self, deadline_after};
use crate::command::{AddOnion, AddedOnion};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::{OnionAddress, OnionKey};

/// How long tor may take to notice the end of the earlier connection that had the service.
const COLLISION_LIMIT: Duration = Duration::from_secs(3);
const COLLISION_PAUSE: Duration = Duration::from_millis(50);

/// A service that ends with the control connection, unless it is detached.
#[derive(Debug)]
pub(super) struct EphemeralService {
    address: OnionAddress,
    detached: bool,
    /// The command that adds the service again; `None` if its key is not known.
    again: Option<Box<AddOnion>>,
    /// The refusal of a filter that lets this program add no service with a key: a service that is
    /// removed there is lost.
    refusal: Option<Error>,
}

impl EphemeralService {
    /// Adds the service. This program generates a missing key, and not tor, so that it can remove
    /// the service even if the reply is lost. A filter may allow only `NEW:ED25519-V3`, which is
    /// sent if the other form is refused.
    pub(super) fn add(
        controller: &Controller,
        command: Box<AddOnion>,
        detached: bool,
    ) -> Result<(Self, AddedOnion)> {
        if command.has_key() {
            let added = add_onion(controller, &command)?;
            let address = added.address;
            let service = Self { address, detached, again: Some(command), refusal: None };
            return Ok((service, added));
        }
        let keyed = (*command).clone().key(OnionKey::generate()?);
        let (mut added, refusal) = match add_onion(controller, &keyed) {
            Err(error) if error.is_filtered() => (add_onion(controller, &command)?, Some(error)),
            outcome => (outcome?, None),
        };
        if command.discards_key() {
            added.key = None;
        }
        let again = added.key.clone().map(|key| Box::new(command.key(key)));
        Ok((Self { address: added.address, detached, again, refusal }, added))
    }

    pub(super) fn is_in_tor(&self, controller: &Controller) -> Result<bool> {
        // The other addresses of the list are not parsed: every service has this query.
        let key = if self.detached { "onions/detached" } else { "onions/current" };
        Ok(controller.get_info_one(key)?.lines().any(|id| id == self.address.service_id()))
    }

    pub(super) fn add_again(&self, controller: &Controller) -> Result<()> {
        let Some(command) = &self.again else {
            return Err(OnionError::new(OnionProblem::KeyDiscarded).into());
        };
        add_onion(controller, command).map(drop)
    }

    /// Returns the command that adds the service again, unless a filter is known to refuse it.
    fn changeable(&mut self) -> Result<&mut Box<AddOnion>> {
        match (&mut self.again, &self.refusal) {
            (None, _) => Err(OnionError::new(OnionProblem::KeyDiscarded).into()),
            (Some(_), Some(refusal)) => Err(refusal.clone()),
            (Some(command), None) => Ok(command),
        }
    }

    /// Sets the authorized clients of the next [`refresh`](Self::refresh). Returns the former
    /// command.
    pub(super) fn set_clients(&mut self, clients: &[AuthorizedClient]) -> Result<Box<AddOnion>> {
        let command = self.changeable()?;
        let former = command.clone();
        command.set_clients(clients.iter().map(|client| client.public_key));
        Ok(former)
    }

    /// Restores the former command, and adds the service by it if tor no longer has the service.
    pub(super) fn undo_clients(&mut self, controller: &Controller, former: Box<AddOnion>) {
        self.again = Some(former);
        // Fails if tor still has the service. After any other error the monitor tries again.
        let _ = self.add_again(controller);
    }

    /// Removes the service from tor and adds it again: no command changes a service.
    pub(super) fn refresh(&mut self, controller: &Controller) -> Result<()> {
        self.changeable()?;
        match controller.del_onion(self.address) {
            // Another controller has deleted it.
            Err(error) if error.status_code() == Some(552) => {}
            outcome => outcome?,
        }
        self.add_again(controller)
    }

    /// Adds the service to the tor of a new connection, unless it is detached and still in tor.
    ///
    /// tor removes the service of an earlier connection when it notices the end of that connection,
    /// and refuses the address until then. Returns whether tor still had the service.
    pub(super) fn restore(
        &mut self,
        controller: &Controller,
        is_over: impl Fn() -> bool,
    ) -> Result<bool> {
        match self.is_in_tor(controller) {
            Ok(true) => return Ok(true),
            // A filter may refuse the query.
            Ok(false) | Err(Error::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
        let deadline = deadline_after(COLLISION_LIMIT);
        loop {
            match self.add_again(controller) {
                Err(error)
                    if is_collision(&error) && !is_over() && !clock::has_passed(deadline) =>
                {
                    clock::sleep(COLLISION_PAUSE);
                }
                outcome => {
                    outcome?;
                    self.refusal = None;
                    return Ok(false);
                }
            }
        }
    }

    /// Removes the service, unless it is detached: then it stays until a controller deletes it.
    pub(super) fn remove(&self, controller: &Controller) -> Result<()> {
        if self.detached {
            return Ok(());
        }
        match controller.del_onion(self.address) {
            // It has ended with the connection, or another controller has deleted it.
            Err(error) if error.is_closed() || error.status_code() == Some(552) => Ok(()),
            outcome => outcome,
        }
    }

    /// Makes [`remove`](Self::remove) remove a detached service too.
    pub(super) fn attach(&mut self) {
        self.detached = false;
    }
}

/// Returns whether tor has another service of the address.
pub(super) fn is_collision(error: &Error) -> bool {
    let problem = match error {
        Error::Onion(error) => error.problem(),
        _ => return false,
    };
    matches!(problem, OnionProblem::AddressInUse { .. })
}

/// Sends `ADD_ONION`, and `DEL_ONION` if the reply is late or unreadable.
fn add_onion(controller: &Controller, command: &AddOnion) -> Result<AddedOnion> {
    let error = match controller.add_onion(command) {
        Ok(added) => return Ok(added),
        Err(error) => error,
    };
    let Some(address) = command.own_address() else { return Err(error) };
    if error.is_timeout() || matches!(error, Error::Protocol(_) | Error::Buffer(_)) {
        // tor replies in order: a service whose reply was late was added before this.
        let _ = controller.del_onion(address);
    }
    if error.status_code() == Some(550) {
        return Err(OnionError::new(OnionProblem::AddressInUse { address }).into());
    }
    Err(error)
}

#[cfg(test)]
mod tests;
