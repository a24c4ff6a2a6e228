//! Services that tor has in its configuration, with their keys in a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::client_auth::AuthorizedClient;
use super::configuration::Configuration;
use super::directory::ServiceDirectory;
use crate::config::{ConfiguredLine, Identity, port_value};
use crate::controller::Controller;
use crate::error::{OnionError, OnionProblem, Result};
use crate::names::{OnionAddress, OnionKey, OnionPort};

/// What a service of the file system is to be.
#[derive(Debug, Default)]
pub(super) struct FilesystemPlan {
    /// `None` is a temporary one.
    pub(super) directory: Option<std::path::PathBuf>,
    pub(super) key: Option<OnionKey>,
    pub(super) ports: Vec<OnionPort>,
    pub(super) clients: Vec<AuthorizedClient>,
    /// Further options, in order.
    pub(super) options: Vec<(String, String)>,
}

/// A service in tor's configuration.
pub(super) struct FilesystemService {
    directory: ServiceDirectory,
    configuration: Configuration,
    address: OnionAddress,
    key: Option<OnionKey>,
    clients: Vec<AuthorizedClient>,
    configured: bool,
}

impl FilesystemService {
    /// Adds the service. If that fails, everything is as before.
    pub(super) fn add(controller: &Controller, plan: FilesystemPlan) -> Result<Self> {
        if !controller.is_on_this_machine() {
            return Err(OnionError::new(OnionProblem::Remote).into());
        }
        let identity = Identity::ask(controller)?;
        let mut clients = plan.clients;
        let mut directory = ServiceDirectory::prepare(plan.directory.as_deref(), identity.user)?;
        if let Some(key) = &plan.key {
            directory.put_key(key)?;
        }
        let known = directory.existing_address()?;
        directory.put_clients(&mut clients)?;
        directory.expect_files();
        let configuration = Configuration::of(&identity);
        let lines = lines(directory.path(), &plan.ports, &plan.options);
        configuration.add(controller, directory.path(), &lines, known)?;
        let outcome = directory.read_address().map(|address| (address, directory.read_key().ok()));
        match outcome {
            Ok((address, key)) => Ok(Self {
                directory,
                configuration,
                address,
                key: plan.key.or(key),
                clients,
                configured: true,
            }),
            Err(error) => {
                // Such a service is of no use to anybody.
                if let Err(error) = configuration.remove(controller, directory.path()) {
                    log::warn!("an onion service could not be taken back: {error}");
                }
                Err(error)
            }
        }
    }

    pub(super) fn address(&self) -> OnionAddress {
        self.address
    }

    pub(super) fn key(&self) -> Option<&OnionKey> {
        self.key.as_ref()
    }

    pub(super) fn clients(&self) -> &[AuthorizedClient] {
        &self.clients
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn keep(&mut self) {
        self.directory.keep();
    }

    /// Takes the service out of tor's configuration.
    pub(super) fn remove(&mut self, controller: &Controller) -> Result<()> {
        if std::mem::take(&mut self.configured) {
            self.configuration.remove(controller, self.directory.path())?;
        }
        Ok(())
    }
}

/// The lines of the service: its directory, its ports, its further options.
fn lines(
    directory: &Path,
    ports: &[OnionPort],
    options: &[(String, String)],
) -> Vec<ConfiguredLine> {
    let directory = ("HiddenServiceDir".to_owned(), directory.as_os_str().as_bytes().to_vec());
    let ports = ports.iter().map(|port| ("HiddenServicePort".to_owned(), port_value(port)));
    let options = options.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    [directory].into_iter().chain(ports).chain(options).collect()
}
