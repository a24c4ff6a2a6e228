//! Services that tor has in its configuration, with their keys in a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::client_auth::AuthorizedClient;
use super::configuration::{Configuration, Failed, FormerLines};
use super::directory::{DirectoryPlace, ServiceDirectory};
use crate::config::{ConfiguredLine, Identity, port_value};
use crate::controller::Controller;
use crate::error::{OnionError, OnionProblem, Result};
use crate::link::deadline_after;
use crate::names::{OnionAddress, OnionKey, OnionPort};

/// How long a tor that has closed the connection may take to end.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// What a service of the file system is to be.
#[derive(Debug)]
pub(super) struct FilesystemPlan {
    pub(super) directory: DirectoryPlace,
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
    tor_pid: Option<i32>,
    address: OnionAddress,
    key: Option<OnionKey>,
    clients: Vec<AuthorizedClient>,
    lines: Vec<ConfiguredLine>,
    /// What the directory had before, until the service is [kept](Self::keep).
    former: FormerLines,
    configured: bool,
}

impl FilesystemService {
    /// Adds the service. If that fails, everything is as before.
    pub(super) fn add(controller: &Controller, plan: FilesystemPlan) -> Result<Self> {
        if !controller.is_on_this_machine() {
            return Err(OnionError::new(OnionProblem::Remote).into());
        }
        let identity = Identity::read(controller)?;
        let wanted = plan.directory.path()?;
        if let Some(detail) =
            controller.directory_obstacle(&wanted, (identity.pid(), identity.user))
        {
            return Err(OnionError::new(OnionProblem::NotForTor { path: wanted, detail }).into());
        }
        let mut directory = ServiceDirectory::prepare(&plan.directory, identity.user)?;
        if let Some(key) = &plan.key {
            directory.put_key(key)?;
        }
        let known = directory.existing_address()?;
        let clients = directory.put_clients(plan.clients)?;
        directory.expect_files()?;
        let configuration = Configuration::of(&identity);
        let lines = lines(directory.path(), &plan.ports, &plan.options);
        let former = match configuration.add(controller, directory.path(), &lines, known) {
            Ok(former) => former,
            Err(Failed { error, uncertain }) => {
                if uncertain {
                    directory.abandon();
                }
                return Err(error);
            }
        };
        let outcome = directory.read_address().map(|address| (address, directory.read_key()));
        match outcome {
            Ok((address, key)) => Ok(Self {
                directory,
                configuration,
                tor_pid: identity.pid(),
                address,
                key: plan.key.or(key),
                clients,
                lines,
                former,
                configured: true,
            }),
            Err(error) => {
                // Nobody could say where the service is.
                if let Err(error) = configuration.restore(controller, directory.path(), &former) {
                    directory.abandon();
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

    /// From here on nothing is put back as it was before.
    pub(super) fn keep(&mut self) {
        self.directory.keep();
        self.former = FormerLines::default();
    }

    pub(super) fn is_there(&self, controller: &Controller) -> Result<bool> {
        self.configuration.has(controller, self.directory.path(), &self.lines)
    }

    /// Adds the service again, unless its directory is no longer as it was: tor would make another
    /// key in a new directory, and exit if it cannot use the one it finds.
    pub(super) fn add_again(&mut self, controller: &Controller) -> Result<()> {
        self.directory.check_again(self.address)?;
        let (path, address) = (self.directory.path(), Some(self.address));
        let added = self.configuration.add(controller, path, &self.lines, address);
        added.map(drop).map_err(|failed| failed.error)
    }

    /// Takes the service out of tor's configuration. If that fails it can be tried again.
    pub(super) fn remove(&mut self, controller: &Controller) -> Result<()> {
        if self.configured {
            let outcome = self.configuration.restore(controller, self.path(), &self.former);
            if outcome.as_ref().is_err_and(|error| !error.is_closed()) {
                return outcome;
            }
            self.configured = false;
            // The connection may have ended, and tor live on with the service.
            if outcome.is_err() && !self.is_tor_gone() {
                self.directory.abandon();
            }
            return outcome;
        }
        Ok(())
    }

    /// A process that ends closes its connections some time before it is gone.
    fn is_tor_gone(&self) -> bool {
        let Some(pid) = self.tor_pid else { return true };
        let deadline = deadline_after(ENDING_LIMIT);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // One that nobody has reaped yet is gone too.
            if state.contains(") Z ") || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(ENDING_LIMIT / 100);
        }
    }

    /// Leaves the directory to a tor that may still have the service.
    pub(super) fn abandon(&mut self) {
        self.configured = false;
        self.directory.abandon();
    }

    /// The tor that had the service has ended.
    pub(super) fn forget(&mut self) {
        self.configured = false;
    }
}

impl Drop for FilesystemService {
    fn drop(&mut self) {
        if self.configured {
            self.directory.abandon();
        }
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
