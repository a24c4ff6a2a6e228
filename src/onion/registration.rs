//! What a service is made of: its registration in tor, and what keeps that tor running.

use super::client_auth::{AuthorizedClient, ClientChange, Refresh};
use super::endpoint::KeepAlive;
use super::ephemeral::EphemeralService;
use super::filesystem::FilesystemService;
use crate::command::AddOnion;
use crate::controller::Controller;
use crate::error::{RemovedBy, Result};
use crate::names::{OnionAddress, OnionKey};
use crate::process::TorProcess;

/// What is removed with the service, in this order.
pub(super) struct Parts {
    pub(super) registration: Registration,
    pub(super) lease: Lease,
    /// The program closed the service, but tor could not be told: the next connection removes it.
    pub(super) is_closing: bool,
    /// What tor could not be told yet.
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

/// Takes back a change of the authorized clients.
pub(super) enum ClientUndo {
    Ephemeral(Box<AddOnion>),
    /// How many changes of the directory are kept.
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
    /// Moves the service to the tor of a new connection, which learns what an earlier one could not
    /// be told.
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

    /// Makes tor know what it could not be told before.
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

    /// Moves the service to the tor of a new connection. `is_over` says whether the program has
    /// closed the service meanwhile. Returns whether that tor had it already.
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

    /// Changes the clients, of whom tor learns by [`refresh`](Self::refresh). `before` are the
    /// present ones.
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

    /// Makes tor know the service as it is now.
    pub(super) fn refresh(&self, controller: &Controller, refresh: Refresh) -> Result<()> {
        match self {
            Self::Ephemeral(service) => service.refresh(controller),
            Self::Filesystem(service) => service.refresh(controller, refresh),
        }
    }

    /// Removes the service from a tor that may still have it from an earlier connection.
    pub(super) fn remove_later(&mut self, controller: &Controller) -> Result<()> {
        match self {
            // It has ended with its connection.
            Self::Ephemeral(_) => Ok(()),
            Self::Filesystem(service) => service.remove_later(controller),
        }
    }

    /// Returns what must have removed the service, if no event said so.
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
