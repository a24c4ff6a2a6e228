//! The onion services of tor's configuration: one more or one less, and the others as they were.

use std::path::Path;

use super::directory::{address_in, is_swept};
use crate::config::{
    ALL_SERVICES, ConfiguredLine, Identity, RewriteLock, ServiceLines, is_same_directory,
};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;

const PORT: &str = "HiddenServicePort";

/// The right to change the services of one tor's configuration.
pub(super) struct Configuration(RewriteLock);

/// The lines of the service that a directory had before; none if it had no service.
#[derive(Debug, Default)]
pub(super) struct FormerLines(Vec<ConfiguredLine>);

/// A change of the configuration that failed.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether tor may have the service all the same.
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

    /// Adds a service: its lines, of which the first names its directory. They take the place of
    /// those that the directory has already, which are returned.
    ///
    /// `address` is its address, if that is known before. tor would take two services of one
    /// address, and serve only one of them.
    pub(super) fn add(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
        address: Option<OnionAddress>,
    ) -> Result<FormerLines, Failed> {
        let _lock = self.0.lock(controller)?;
        let services = read(controller)?;
        let is_taken =
            |other: &Path| !is_same_directory(other, directory) && address_in(other) == address;
        if address.is_some() && services.directories().any(|other| is_taken(&other)) {
            return Err(in_use(address).into());
        }
        if address.is_some_and(|address| is_ephemeral(controller, &address)) {
            return Err(in_use(address).into());
        }
        let former = lines_of(&services, directory);
        // A killed program leaves its service in tor. If its temporary directory has been swept,
        // tor would make it again.
        let (_, mut services) =
            services.without(|other| is_same_directory(other, directory) || is_swept(other));
        services.lines.extend_from_slice(lines);
        let error = match controller.set_conf(services.settings()) {
            Ok(()) => return Ok(former),
            Err(error) => error,
        };
        // tor answers in order: a change whose answer was late has been made before this is read.
        let uncertain = error.is_timeout() && replace(controller, directory, &former).is_err();
        Err(Failed { error, uncertain })
    }

    /// Puts back what a directory had before: another service, or none.
    pub(super) fn restore(
        &self,
        controller: &Controller,
        directory: &Path,
        former: &FormerLines,
    ) -> Result<()> {
        let _lock = self.0.lock(controller)?;
        replace(controller, directory, former)
    }

    /// Returns whether tor has the service, with the ports that it was added with.
    pub(super) fn has(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
    ) -> Result<bool> {
        let found = lines_of(&read(controller)?, directory).0;
        let is_port = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(PORT);
        let has =
            |line: &ConfiguredLine| found.iter().filter(is_port).any(|other| other.1 == line.1);
        Ok(!found.is_empty() && lines.iter().filter(is_port).all(has))
    }
}

fn replace(controller: &Controller, directory: &Path, lines: &FormerLines) -> Result<()> {
    let services = read(controller)?;
    let (removed, mut kept) = services.without(|other| is_same_directory(other, directory));
    kept.lines.extend_from_slice(&lines.0);
    if removed || !lines.0.is_empty() {
        controller.set_conf(kept.settings())?;
    }
    Ok(())
}

fn lines_of(services: &ServiceLines, directory: &Path) -> FormerLines {
    let (_, others) = services.clone().without(|other| !is_same_directory(other, directory));
    FormerLines(others.lines)
}

fn in_use(address: Option<OnionAddress>) -> Error {
    match address {
        Some(address) => OnionError::new(OnionProblem::AddressInUse { address }).into(),
        None => OnionError::new(OnionProblem::Closed).into(),
    }
}

/// Whether an ephemeral service that this connection may see has the address.
fn is_ephemeral(controller: &Controller, address: &OnionAddress) -> bool {
    let [current, detached] = [controller.onions(), controller.detached_onions()];
    [current, detached].iter().flatten().flatten().any(|other| other == address)
}

fn read(controller: &Controller) -> Result<ServiceLines> {
    Ok(ServiceLines::from_conf(&controller.get_conf([ALL_SERVICES])?))
}
