//! Services that tor gets by the control connection.

use crate::command::{AddOnion, AddedOnion};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;

/// A service that tor forgets when the control connection ends, or when tor does.
#[derive(Debug)]
pub(super) struct EphemeralService {
    address: OnionAddress,
    detached: bool,
}

impl EphemeralService {
    pub(super) fn add(
        controller: &Controller,
        command: &AddOnion,
        detached: bool,
    ) -> Result<(Self, AddedOnion)> {
        let added = controller.add_onion(command).map_err(|error| refused(command, error))?;
        Ok((Self { address: added.address, detached }, added))
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

/// Says in our words what tor says by a code.
fn refused(command: &AddOnion, error: Error) -> Error {
    match (error.status_code(), command.own_address()) {
        (Some(550), Some(address)) => {
            OnionError::new(OnionProblem::AddressInUse { address }).into()
        }
        _ => error,
    }
}
