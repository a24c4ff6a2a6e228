//! Ephemeral services: added by `ADD_ONION`.

use crate::command::{AddOnion, AddedOnion};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;

/// A service that ends with the control connection, unless it is detached.
#[derive(Debug)]
pub(super) struct EphemeralService {
    address: OnionAddress,
    detached: bool,
    /// Adds the service again; `None` if its key is not known.
    again: Option<Box<AddOnion>>,
}

impl EphemeralService {
    pub(super) fn add(
        controller: &Controller,
        command: Box<AddOnion>,
        detached: bool,
    ) -> Result<(Self, AddedOnion)> {
        let added = match controller.add_onion(&command) {
            Ok(added) => added,
            Err(error) => {
                // tor answers in order: a service whose answer was late is there before this.
                if let Some(address) = command.own_address().filter(|_| error.is_timeout()) {
                    let _ = controller.del_onion(address);
                }
                return Err(refused(&command, error));
            }
        };
        let again = match (&added.key, command.own_address()) {
            (_, Some(_)) => Some(command),
            (Some(key), None) => Some(Box::new(command.key(key.clone()))),
            (None, None) => None,
        };
        Ok((Self { address: added.address, detached, again }, added))
    }

    /// Returns whether tor has the service, or `true` if it does not tell.
    pub(super) fn is_in_tor(&self, controller: &Controller) -> Result<bool> {
        let listed = if self.detached { controller.detached_onions() } else { controller.onions() };
        match listed {
            Ok(addresses) => Ok(addresses.contains(&self.address)),
            Err(Error::Rejected(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(super) fn add_again(&self, controller: &Controller) -> Result<()> {
        let Some(command) = &self.again else {
            return Err(OnionError::new(OnionProblem::KeyDiscarded).into());
        };
        controller.add_onion(command).map(drop).map_err(|error| refused(command, error))
    }

    /// Ends the service, unless it is detached: then it goes on until somebody deletes it.
    pub(super) fn remove(&self, controller: &Controller) -> Result<()> {
        if self.detached {
            return Ok(());
        }
        match controller.del_onion(self.address) {
            // It has ended with the connection, or somebody has deleted it.
            Err(error) if error.is_closed() || error.status_code() == Some(552) => Ok(()),
            outcome => outcome,
        }
    }

    /// Lets it end like any other, though it is detached.
    pub(super) fn attach(&mut self) {
        self.detached = false;
    }
}

/// Names by its address what tor names by a code.
fn refused(command: &AddOnion, error: Error) -> Error {
    match (error.status_code(), command.own_address()) {
        (Some(550), Some(address)) => {
            OnionError::new(OnionProblem::AddressInUse { address }).into()
        }
        _ => error,
    }
}
