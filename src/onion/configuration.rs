//! Adds one service to tor's configuration, or removes one, and keeps all others unchanged.

use std::path::Path;

use super::directory::{address_in, is_swept};
use crate::config::{
    ConfiguredLine, Identity, RewriteGuard, RewriteLock, ServiceLines, is_same_directory,
};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;

const PORT: &str = "HiddenServicePort";

/// The services in the configuration of one tor, changed under a lock.
pub(super) struct Configuration(RewriteLock);

/// The configuration lines that a directory's service had before; empty if there was none.
#[derive(Debug, Default)]
pub(super) struct FormerLines(Vec<ConfiguredLine>);

/// A change of the configuration that failed.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether tor may nevertheless have the service.
    pub(super) uncertain: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, uncertain: false }
    }
}

impl Configuration {
    pub(super) fn of(identity: &Identity) -> Self {
        Self(RewriteLock::of(identity))
    }

    /// Adds a service by its lines, of which the first names its directory. They replace the lines
    /// that the directory has, which are returned.
    ///
    /// `address` is the service's address, if it is known. tor would accept two services of one
    /// address and serve only one of them.
    pub(super) fn add(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
        address: Option<OnionAddress>,
    ) -> Result<FormerLines, Failed> {
        let guard = self.0.lock(controller)?;
        let (mut former, mut is_sent) = (FormerLines::default(), false);
        let added = guard.rewrite_services(|services| {
            let is_taken =
                |other: &Path| !is_same_directory(other, directory) && address_in(other) == address;
            if let Some(address) = address {
                if services.directories().any(|other| is_taken(&other))
                    || is_ephemeral(controller, &address)
                {
                    return Err(OnionError::new(OnionProblem::AddressInUse { address }).into());
                }
            }
            former.0 = services.take(|other| is_same_directory(other, directory));
            // A killed program leaves its service in tor. If its temporary directory has been
            // swept, tor would create it again.
            services.take(is_swept);
            services.lines.extend_from_slice(lines);
            is_sent = true;
            Ok(true)
        });
        let Err(error) = added else { return Ok(former) };
        // tor answers in order: a `SETCONF` whose reply is late was executed before this.
        let uncertain =
            is_sent && error.is_timeout() && restore(&guard, directory, &former).is_err();
        Err(Failed { error, uncertain })
    }

    /// Restores the lines that a directory had before.
    pub(super) fn restore(
        &self,
        controller: &Controller,
        directory: &Path,
        former: &FormerLines,
    ) -> Result<()> {
        restore(&self.0.lock(controller)?, directory, former)
    }

    /// Returns whether tor has the service with these ports.
    pub(super) fn has(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
    ) -> Result<bool> {
        let mut services = ServiceLines::read(controller)?;
        let found = services.take(|other| is_same_directory(other, directory));
        let is_port = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(PORT);
        let has =
            |line: &ConfiguredLine| found.iter().filter(is_port).any(|other| other.1 == line.1);
        Ok(!found.is_empty() && lines.iter().filter(is_port).all(has))
    }
}

fn restore(guard: &RewriteGuard<'_>, directory: &Path, former: &FormerLines) -> Result<()> {
    guard.rewrite_services(|services| {
        let removed = services.take(|other| is_same_directory(other, directory));
        services.lines.extend_from_slice(&former.0);
        Ok(!removed.is_empty() || !former.0.is_empty())
    })
}

/// Returns whether an ephemeral service that this connection can see has the address.
fn is_ephemeral(controller: &Controller, address: &OnionAddress) -> bool {
    let [current, detached] = [controller.onions(), controller.detached_onions()];
    [current, detached].iter().flatten().flatten().any(|other| other == address)
}
