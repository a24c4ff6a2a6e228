//! The onion services of a configuration, as a list.

use std::path::Path;
use std::sync::Arc;

use super::Config;
use super::pending::{Action, GroupState, services_option};
use super::schema::TorOption;
use super::services::{ConfiguredLine, ConfiguredService, ServiceLines, is_same_directory};
use crate::error::{InvalidInput, OnionError, OnionProblem, Result};

impl Config {
    /// Returns the onion services of the configuration as they are or, if a change is pending, as
    /// they will be, in their order. Ephemeral ones are not among them.
    ///
    /// Sends `GETCONF HiddenServiceOptions` if they are not known yet. Blocks as [`get`](Self::get)
    /// does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    #[doc(alias = "set_hidden_service_conf")]
    #[doc(alias = "get_hidden_service_conf")]
    #[doc(alias = "HiddenServices")]
    pub fn onion_services(&self) -> Result<Vec<ConfiguredService>> {
        self.services_from(Self::group)
    }

    /// Returns the services as they will be, whatever is cached.
    fn services_now(&self) -> Result<Vec<ConfiguredService>> {
        self.services_from(Self::group_now)
    }

    fn services_from(
        &self,
        group: impl FnOnce(&Self, &TorOption) -> Result<Arc<[ConfiguredLine]>>,
    ) -> Result<Vec<ConfiguredService>> {
        let option = services_option();
        self.schema()?;
        let pending = self.inner.pending.lock().clone();
        let state = pending.applied(&option.group, &group(self, &option)?);
        Ok(match state {
            GroupState::Lines(lines) => ServiceLines { lines }.services(),
            GroupState::Cleared | GroupState::Default => Vec::new(),
        })
    }

    /// Adds an onion service, behind the others, which keep all their lines.
    ///
    /// Nothing is sent before [`save`](Self::save), which reads the services anew and sends every
    /// line of all of them, so that also those stay which others have added in the meantime.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// [`Error::Onion`](crate::Error::Onion) if another service has the directory;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the directory is not an absolute
    /// path, if there is no port, or if a line holds a line break or NUL. Otherwise those of
    /// [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::{Config, ConfiguredService};
    /// use torcon::names::OnionPort;
    ///
    /// let config = Config::offline();
    /// let service = ConfiguredService::new("/var/lib/tor/web").port(80, 8080);
    /// config.add_onion_service(service)?;
    /// config.edit_onion_service("/var/lib/tor/web", |service| {
    ///     service.set_ports([OnionPort::new(80, 8081)]);
    /// })?;
    /// assert_eq!(
    ///     config.to_torrc()?,
    ///     "HiddenServiceDir /var/lib/tor/web\nHiddenServicePort 80 8081\n"
    /// );
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn add_onion_service(&self, service: ConfiguredService) -> Result<()> {
        self.check(&service)?;
        let services = self.services_now()?;
        let is_same =
            |other: &ConfiguredService| is_same_directory(other.directory(), service.directory());
        if services.iter().any(is_same) {
            let path = service.directory().to_owned();
            return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
        }
        self.push_change(services_option(), Action::AddService(service));
        Ok(())
    }

    /// Changes the onion service of a directory: the closure gets it as it will be. Returns
    /// whether it was there.
    ///
    /// [`save`](Self::save) changes the options that the closure has changed, and keeps the others
    /// as another connection may have set them by then.
    ///
    /// Sends `GETCONF HiddenServiceOptions`. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no port any more.
    /// Otherwise those of [`get`](Self::get).
    pub fn edit_onion_service(
        &self,
        directory: impl AsRef<Path>,
        edit: impl FnOnce(&mut ConfiguredService),
    ) -> Result<bool> {
        let services = self.services_now()?;
        let is_meant =
            |other: &ConfiguredService| is_same_directory(other.directory(), directory.as_ref());
        let Some(mut service) = services.into_iter().find(is_meant) else { return Ok(false) };
        let before = service.clone();
        edit(&mut service);
        if service.directory() != before.directory() {
            return Err(InvalidInput::new("edit", "has changed the directory").into());
        }
        if service != before {
            self.check(&service)?;
            let edit = Action::EditService { before, after: service };
            self.push_change(services_option(), edit);
        }
        Ok(true)
    }

    /// Removes the onion service of a directory, with all its lines. Returns whether it was there.
    /// The directory stays.
    ///
    /// Nothing is sent before [`save`](Self::save).
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn remove_onion_service(&self, directory: impl AsRef<Path>) -> Result<bool> {
        let services = self.services_now()?;
        let is_meant =
            |other: &ConfiguredService| is_same_directory(other.directory(), directory.as_ref());
        let is_there = services.iter().any(is_meant);
        if is_there {
            let directory = directory.as_ref().to_owned();
            self.push_change(services_option(), Action::RemoveService(directory));
        }
        Ok(is_there)
    }

    /// Refuses a service that tor would refuse without a reason.
    fn check(&self, service: &ConfiguredService) -> Result<()> {
        service.check(self.schema()?)?;
        if !service.directory().is_absolute() {
            return Err(InvalidInput::new("directory", "must be an absolute path").into());
        }
        if service.option("HiddenServicePort").is_empty() {
            return Err(InvalidInput::new("service", "has no port").into());
        }
        Ok(())
    }
}
