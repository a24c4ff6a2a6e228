//! The onion services of tor's configuration: one more or one less, and the others as they were.

use std::path::Path;

use super::directory::address_in;
use crate::config::{
    ALL_SERVICES, ConfiguredLine, Identity, RewriteLock, ServiceLines, is_same_directory,
};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;

/// The right to change the services of one tor's configuration.
pub(super) struct Configuration(RewriteLock);

impl Configuration {
    pub(super) fn of(identity: &Identity) -> Self {
        Self(RewriteLock::of(identity))
    }

    /// Adds a service: its lines, of which the first names its directory.
    ///
    /// `address` is its address, if that is known before. tor would take two services of one
    /// address, and serve only one of them.
    pub(super) fn add(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
        address: Option<OnionAddress>,
    ) -> Result<()> {
        let _lock = self.0.lock(controller)?;
        let mut services = read(controller)?;
        for other in services.directories() {
            if is_same_directory(&other, directory) {
                let path = directory.to_owned();
                return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
            }
            if address.is_some() && address_in(&other) == address {
                return Err(in_use(address));
            }
        }
        if address.is_some_and(|address| is_ephemeral(controller, &address)) {
            return Err(in_use(address));
        }
        services.lines.extend_from_slice(lines);
        controller.set_conf(services.settings())
    }

    /// Removes the service of a directory. Returns whether it was there.
    pub(super) fn remove(&self, controller: &Controller, directory: &Path) -> Result<bool> {
        let _lock = self.0.lock(controller)?;
        let services = read(controller)?;
        let (removed, kept) = services.without(|other| is_same_directory(other, directory));
        if removed {
            controller.set_conf(kept.settings())?;
        }
        Ok(removed)
    }
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
