//! Filesystem services: in tor's configuration, with their keys in a directory.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::client_auth::{AuthorizedClient, ClientChange, Refresh};
use super::configuration::{Configuration, Failed, FormerLines};
use super::directory::{DirectoryPlace, ServiceDirectory};
use super::registration::{AddedService, Registration};
use crate::clock::{self, deadline_after};
use crate::config::{ConfiguredLine, Identity, port_value};
use crate::controller::Controller;
use crate::error::{OnionError, OnionProblem, RemovedBy, Result};
use crate::names::{OnionAddress, OnionKey, OnionPort};

/// How long a tor that has closed the connection may take to exit.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// The options of a filesystem service.
#[derive(Debug)]
pub(super) struct FilesystemPlan {
    pub(super) directory: DirectoryPlace,
    pub(super) key: Option<OnionKey>,
    pub(super) ports: Vec<OnionPort>,
    pub(super) clients: Vec<AuthorizedClient>,
    /// Additional options, in order.
    pub(super) options: Vec<(String, String)>,
}

/// A service in tor's configuration.
pub(super) struct FilesystemService {
    directory: ServiceDirectory,
    configuration: Configuration,
    tor_pid: Option<i32>,
    address: OnionAddress,
    lines: Vec<ConfiguredLine>,
    /// The former lines of the directory. [`keep`](Self::keep) discards those that are not in the
    /// configuration files of tor: a killed program left them.
    former: FormerLines,
    former_is_in_file: bool,
    /// Whether tor has read its configuration files again since the service was last added.
    was_reloaded: bool,
    configured: bool,
}

impl FilesystemService {
    /// Adds the service. A failure undoes all changes.
    pub(super) fn add(controller: &Controller, plan: FilesystemPlan) -> Result<AddedService> {
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
        let known = match &plan.key {
            Some(key) => {
                directory.install_key(key)?;
                Some(key.address())
            }
            None => directory.existing_address()?,
        };
        let clients = directory.authorize_clients(plan.clients)?;
        directory.expect_files()?;
        let configuration = Configuration::of(&identity);
        let lines = lines(directory.path(), &plan.ports, &plan.options);
        let former = match configuration.add(controller, directory.path(), &lines, known) {
            Ok(former) => former,
            Err(Failed { error, uncertain }) => {
                if uncertain {
                    directory.abandon();
                }
                if error.status_code() == Some(513) && controller.has_sandbox().unwrap_or(false) {
                    let detail = "it runs with Sandbox 1 and may open no directory of a service";
                    let path = directory.path().to_owned();
                    return Err(OnionError::new(OnionProblem::NotForTor { path, detail }).into());
                }
                return Err(error);
            }
        };
        let former_is_in_file = former.is_in_file(controller, directory.path());
        let address = match directory.read_address() {
            Ok(address) => address,
            Err(error) => {
                // Without its address the service cannot be used.
                if let Err(error) = configuration.restore(controller, directory.path(), &former) {
                    directory.abandon();
                    log::warn!(
                        "an onion service that could not be added could not be removed: {error}"
                    );
                }
                return Err(error);
            }
        };
        let key = plan.key.or_else(|| directory.read_key());
        let service = Self {
            directory,
            configuration,
            tor_pid: identity.pid(),
            address,
            lines,
            former,
            former_is_in_file,
            was_reloaded: false,
            configured: true,
        };
        let registration = Registration::Filesystem(Box::new(service));
        Ok(AddedService { registration, address, key, clients })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Commits the service: from now on its end restores nothing in the directory.
    pub(super) fn keep(&mut self) {
        self.directory.keep();
        if !self.former_is_in_file {
            self.former = FormerLines::default();
        }
    }

    pub(super) fn is_in_tor(&self, controller: &Controller) -> Result<bool> {
        self.configuration.has(controller, self.directory.path(), &self.lines)
    }

    /// Adds the service again, if its directory is unchanged. In a new directory tor would generate
    /// another key; it would exit if it could not use the key that it finds.
    ///
    /// After a reload the directory has the lines of tor's configuration files, which may have been
    /// edited. The end of the service restores these lines.
    pub(super) fn add_again(&mut self, controller: &Controller, by: RemovedBy) -> Result<()> {
        self.was_reloaded |= by == RemovedBy::Reload;
        self.directory.check_again(self.address)?;
        let (path, address) = (self.directory.path(), Some(self.address));
        let added = self.configuration.add(controller, path, &self.lines, address);
        let former = added.map_err(|failed| failed.error)?;
        if self.was_reloaded {
            // Another change of the services that was under way at the reload may have put back
            // the lines of this service, which its end must not restore.
            self.set_former(controller, former);
        }
        Ok(())
    }

    /// Adds the service to the tor of a new connection, unless that tor has it. That may be the
    /// same process as before or another one, which may run as another user. Returns whether tor
    /// had the service.
    pub(super) fn restore(&mut self, controller: &Controller) -> Result<bool> {
        let identity = self.move_to(controller)?;
        self.directory.check_again(self.address)?;
        if let Some(detail) =
            controller.directory_obstacle(self.path(), (identity.pid(), identity.user))
        {
            let path = self.path().to_owned();
            return Err(OnionError::new(OnionProblem::NotForTor { path, detail }).into());
        }
        let (path, address) = (self.directory.path(), Some(self.address));
        if self.configuration.has(controller, path, &self.lines)? {
            // The files of another tor may have the service too.
            if !std::mem::replace(&mut self.configured, true) {
                let found = self.configuration.lines_of(controller, path)?;
                self.set_former(controller, found);
            }
            return Ok(true);
        }
        let added = self.configuration.add(controller, path, &self.lines, address);
        let found = added.map_err(|Failed { error, uncertain }| {
            self.configured |= uncertain;
            error
        })?;
        self.configured = true;
        self.set_former(controller, found);
        Ok(false)
    }

    /// Returns the clients in the directory, which tor reads: first those of `known`, with their
    /// secret keys, then those of other programs.
    pub(super) fn clients(&mut self, known: &[AuthorizedClient]) -> Result<Vec<AuthorizedClient>> {
        self.directory.check_again(self.address)?;
        let mut clients = self.directory.clients()?;
        let position = |name| known.iter().position(|client| client.name == name);
        for client in &mut clients {
            let same = position(client.name).and_then(|index| known.get(index));
            let same = same.filter(|same| same.public_key == client.public_key);
            client.key = same.and_then(|same| same.key.clone());
        }
        clients.sort_by_key(|client| position(client.name).unwrap_or(usize::MAX));
        Ok(clients)
    }

    /// Changes the files of the authorized clients, which are `clients`. Returns the number of earlier changes of the
    /// directory, for [`undo_clients`](Self::undo_clients).
    pub(super) fn change_clients(
        &mut self,
        controller: &Controller,
        change: &mut ClientChange,
        clients: &[AuthorizedClient],
    ) -> Result<usize> {
        if controller.has_sandbox().unwrap_or(false) {
            let detail = "it runs with Sandbox 1 and may open no file of a new client";
            let path = self.path().to_owned();
            return Err(OnionError::new(OnionProblem::NotForTor { path, detail }).into());
        }
        let count = self.directory.changes();
        let changed = match change {
            ClientChange::Authorize(client) => self.directory.authorize_client(client),
            ClientChange::Revoke(name) => self.directory.revoke_client(*name),
            ClientChange::RevokeAll => {
                clients.iter().try_for_each(|client| self.directory.revoke_client(client.name))
            }
        };
        if changed.is_err() {
            // The first error is returned.
            let _ = self.directory.undo_to(count);
        }
        changed.map(|()| count)
    }

    /// Undoes the changes of the clients: those after the first `count` changes of the directory.
    pub(super) fn undo_clients(&mut self, count: usize) {
        // The caller returns tor's error.
        let _ = self.directory.undo_to(count);
    }

    pub(super) fn keep_clients(&mut self, count: usize) {
        self.directory.keep_from(count);
    }

    /// Makes tor read the clients again, if the directory is unchanged: tor would exit, wait without
    /// end or generate another key for the same changes as those that
    /// [`add_again`](Self::add_again) refuses.
    pub(super) fn refresh(&self, controller: &Controller, refresh: Refresh) -> Result<()> {
        self.directory.check_again(self.address)?;
        let path = self.directory.path();
        match refresh {
            Refresh::Clients => self.configuration.read_again(controller, path),
            Refresh::Whole => self.configuration.renew(controller, path),
        }
    }

    /// Sets the lines that the end of the service restores: those found in tor if its configuration
    /// files have them, since the files may have been edited; otherwise the former ones, if the
    /// files still have them.
    fn set_former(&mut self, controller: &Controller, found: FormerLines) {
        self.was_reloaded = false;
        let is_in_file = |lines: &FormerLines| lines.is_in_file(controller, self.directory.path());
        if is_in_file(&found) {
            (self.former, self.former_is_in_file) = (found, true);
        } else if !is_in_file(&self.former) {
            (self.former, self.former_is_in_file) = (FormerLines::default(), false);
        }
    }

    /// Records the process of the new connection's tor. A different process does not have the
    /// service.
    fn move_to(&mut self, controller: &Controller) -> Result<Identity> {
        if !controller.is_on_this_machine() {
            return Err(OnionError::new(OnionProblem::Remote).into());
        }
        let identity = Identity::read(controller)?;
        self.configuration = Configuration::of(&identity);
        self.directory.set_owner(identity.user);
        self.configured &= identity.pid().is_none() || identity.pid() == self.tor_pid;
        self.tor_pid = identity.pid();
        Ok(identity)
    }

    /// Removes the service from the tor of a new connection if it is the process that had it.
    pub(super) fn remove_later(&mut self, controller: &Controller) -> Result<()> {
        self.move_to(controller)?;
        self.remove(controller)
    }

    /// Removes the service from tor's configuration. A failed call can be repeated.
    pub(super) fn remove(&mut self, controller: &Controller) -> Result<()> {
        if !self.configured {
            return Ok(());
        }
        let outcome = self.configuration.restore(controller, self.path(), &self.former);
        self.configured = match &outcome {
            Ok(()) => false,
            // The connection may have ended while tor still has the service.
            Err(error) if error.is_closed() => !self.is_tor_gone(),
            Err(_) => true,
        };
        outcome
    }

    /// Returns whether tor may have the service.
    pub(super) fn is_configured(&self) -> bool {
        self.configured
    }

    /// Waits for the exit of tor: a process closes its connections some time before it exits.
    fn is_tor_gone(&self) -> bool {
        let Some(pid) = self.tor_pid else { return true };
        let deadline = deadline_after(ENDING_LIMIT);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // A zombie has ended too.
            if state.contains(") Z ") || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
                return true;
            }
            if clock::has_passed(deadline) {
                return false;
            }
            clock::sleep(ENDING_LIMIT / 100);
        }
    }

    /// Keeps the directory for a tor that may still have the service.
    pub(super) fn abandon(&mut self) {
        self.configured = false;
        self.directory.abandon();
    }

    /// Records that the tor that had the service has ended.
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

/// Returns the lines of the service: its directory, its ports, its other options.
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
