//! The parts of a service that its end releases: its registration in tor, and the lease that keeps
//! that tor running.

use super::client_auth::{AuthorizedClient, ClientChange, Refresh};
use super::endpoint::KeepAlive;
use super::ephemeral::EphemeralService;
use super::filesystem::FilesystemService;
use crate::command::AddOnion;
use crate::controller::Controller;
use crate::error::{RemovedBy, Result};
use crate::names::{OnionAddress, OnionKey};
use crate::process::TorProcess;

/// The parts of a service; its end releases them in this order.
pub(super) struct Parts {
    pub(super) registration: Registration,
    pub(super) lease: Lease,
    /// The program closed the service, and tor could not be reached or did not remove it: it is
    /// removed over the next connection.
    pub(super) is_closing: bool,
    /// The change that tor has not applied yet.
    pub(super) pending: Option<Refresh>,
}

/// The service as tor has it.
pub(super) enum Registration {
    Ephemeral(EphemeralService),
    Filesystem(Box<FilesystemService>),
}

/// Keeps tor running for the service.
pub(super) enum Lease {
    /// The tor of a controller that the caller or a supervisor gave.
    None,
    /// A tor launched for this service alone.
    Process(Box<TorProcess>),
    /// The tor that the parts of this program share.
    Shared(#[expect(dead_code, reason = "held only for its drop")] KeepAlive),
}

/// Undoes a change of the authorized clients.
pub(super) enum ClientUndo {
    Ephemeral(Box<AddOnion>),
    /// The number of earlier changes of the directory, which stay.
    Filesystem(usize),
}

/// A service that was just added.
pub(super) struct AddedService {
    pub(super) registration: Registration,
    pub(super) address: OnionAddress,
    pub(super) key: Option<OnionKey>,
    pub(super) clients: Vec<AuthorizedClient>,
}

impl Parts {
    /// Moves the service to the tor of a new connection, and applies the pending change there.
    pub(super) fn restore(
        &mut self,
        controller: &Controller,
        is_over: impl Fn() -> bool,
    ) -> Result<()> {
        match self.registration.restore(controller, is_over)? {
            true => self.refresh_pending(controller),
            false => {
                self.pending = None;
                Ok(())
            }
        }
    }

    /// Applies the pending change, if any.
    pub(super) fn refresh_pending(&mut self, controller: &Controller) -> Result<()> {
        if let Some(refresh) = self.pending {
            self.registration.refresh(controller, refresh)?;
            self.pending = None;
        }
        Ok(())
    }
}

impl Registration {
    pub(super) fn is_in_tor(&self, controller: &Controller) -> Result<bool> {
        match self {
            Self::Ephemeral(service) => service.is_in_tor(controller),
            Self::Filesystem(service) => service.is_in_tor(controller),
        }
    }

    pub(super) fn add_again(&mut self, controller: &Controller, by: RemovedBy) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.add_again(controller),
            Self::Filesystem(service) => service.add_again(controller, by),
        }
    }

    /// Moves the service to the tor of a new connection. `is_over` returns whether the program has
    /// closed the service meanwhile. Returns whether that tor had the service already.
    pub(super) fn restore(
        &mut self,
        controller: &Controller,
        is_over: impl Fn() -> bool,
    ) -> Result<bool> {
        match self {
            Self::Ephemeral(service) => service.restore(controller, is_over),
            Self::Filesystem(service) => service.restore(controller),
        }
    }

    /// Returns the present clients: those in the directory of a filesystem service, otherwise
    /// `known`.
    pub(super) fn clients(&mut self, known: &[AuthorizedClient]) -> Result<Vec<AuthorizedClient>> {
        match self {
            Self::Ephemeral(_) => Ok(known.to_vec()),
            Self::Filesystem(service) => service.clients(known),
        }
    }

    /// Replaces the authorized clients `before`; [`refresh`](Self::refresh) applies the change in
    /// tor.
    pub(super) fn change_clients(
        &mut self,
        controller: &Controller,
        change: &mut ClientChange,
        before: &[AuthorizedClient],
    ) -> Result<ClientUndo> {
        Ok(match self {
            Self::Ephemeral(service) => {
                ClientUndo::Ephemeral(service.set_clients(&change.applied_to(before))?)
            }
            Self::Filesystem(service) => {
                ClientUndo::Filesystem(service.change_clients(controller, change, before)?)
            }
        })
    }

    pub(super) fn undo_clients(&mut self, controller: &Controller, undo: ClientUndo) {
        match (self, undo) {
            (Self::Ephemeral(service), ClientUndo::Ephemeral(former)) => {
                service.undo_clients(controller, former);
            }
            (Self::Filesystem(service), ClientUndo::Filesystem(count)) => {
                service.undo_clients(count);
            }
            _ => {}
        }
    }

    pub(super) fn keep_clients(&mut self, undo: &ClientUndo) {
        if let (Self::Filesystem(service), ClientUndo::Filesystem(count)) = (self, undo) {
            service.keep_clients(*count);
        }
    }

    /// Applies the changes of the service in tor.
    pub(super) fn refresh(&mut self, controller: &Controller, refresh: Refresh) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.refresh(controller),
            Self::Filesystem(service) => service.refresh(controller, refresh),
        }
    }

    /// Removes the service from a tor that may still have it. `is_same` tells whether it was added
    /// over this connection.
    pub(super) fn remove_later(&mut self, controller: &Controller, is_same: bool) -> Result<()> {
        match self {
            Self::Ephemeral(service) if is_same => service.remove(controller),
            // The service has ended with its connection.
            Self::Ephemeral(_) => Ok(()),
            Self::Filesystem(service) => service.remove_later(controller),
        }
    }

    /// Returns the only possible cause of a removal that no event reported.
    pub(super) fn removed_by(&self) -> RemovedBy {
        match self {
            Self::Ephemeral(_) => RemovedBy::Deletion,
            Self::Filesystem(_) => RemovedBy::Reconfiguration,
        }
    }

    /// Keeps the directory for a tor that may still have the service.
    pub(super) fn abandon(&mut self) {
        if let Self::Filesystem(service) = self {
            service.abandon();
        }
    }

    /// Records that the tor that had the service has ended.
    pub(super) fn forget(&mut self) {
        if let Self::Filesystem(service) = self {
            service.forget();
        }
    }

    pub(super) fn remove(&mut self, controller: &Controller) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.remove(controller),
            Self::Filesystem(service) => service.remove(controller),
        }
    }

    /// Returns whether tor may still have the service after a removal that failed.
    pub(super) fn may_be_in_tor(&self) -> bool {
        match self {
            Self::Ephemeral(_) => false,
            Self::Filesystem(service) => service.is_configured(),
        }
    }
}
