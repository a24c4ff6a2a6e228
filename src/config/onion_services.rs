use std::path::Path;
use std::time::Instant;

use super::Config;
use super::backend::Read;
use super::configured_service::ConfiguredService;
use super::pending::{Action, GroupState};
use super::schema::services_option;
use super::service_lines::{ServiceEdit, ServiceLines, is_same_directory};
use crate::error::{InvalidInput, OnionError, OnionProblem, Result};

/// Onion services of the configuration. Ephemeral services are not part of it.
impl Config {
    /// Returns the onion services of the configuration with the pending changes, in order.
    ///
    /// Sends `GETCONF HiddenServiceOptions` unless it is cached. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// for service in config.onion_services()? {
    ///     println!("{}: {:?}", service.directory().display(), service.ports());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "set_hidden_service_conf")]
    #[doc(alias = "get_hidden_service_conf")]
    #[doc(alias = "HiddenServices")]
    pub fn onion_services(&self) -> Result<Vec<ConfiguredService>> {
        self.services(Read::Cached, self.inner.backend.deadline())
    }

    /// Adds an onion service after the others.
    ///
    /// [`save`](Self::save) reads the services again and sends the lines of all of them, so that
    /// services that other controllers added are kept.
    ///
    /// Sends `GETCONF HiddenServiceOptions`. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// [`Error::Onion`](crate::Error::Onion) if another service has the directory,
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the directory is not an absolute
    /// path, the service has no port, or a line contains a line break or NUL. Otherwise those of
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
        let deadline = self.inner.backend.deadline();
        self.check(&service, deadline)?;
        if self.service(service.directory(), deadline)?.is_some() {
            let path = service.directory().to_owned();
            return Err(OnionError::new(OnionProblem::DirectoryInUse { path }).into());
        }
        self.push_service_edit(ServiceEdit::Add(service));
        Ok(())
    }

    /// Changes the onion service of a directory with a closure. Returns whether the service
    /// exists.
    ///
    /// [`save`](Self::save) changes only the options that the closure changed. The others keep the
    /// values that tor has by then.
    ///
    /// Sends `GETCONF HiddenServiceOptions`. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the closure leaves no port.
    /// Otherwise those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::{Config, ConfiguredService};
    ///
    /// let config = Config::offline();
    /// config.add_onion_service(ConfiguredService::new("/var/lib/tor/web").port(80, 8080))?;
    /// let exists = config.edit_onion_service("/var/lib/tor/web", |service| {
    ///     service.set_option("HiddenServiceMaxStreams", ["5"]).expect("an option of a service");
    /// })?;
    /// assert!(exists);
    /// assert_eq!(config.onion_services()?[0].option("HiddenServiceMaxStreams"), ["5"]);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn edit_onion_service(
        &self,
        directory: impl AsRef<Path>,
        edit: impl FnOnce(&mut ConfiguredService),
    ) -> Result<bool> {
        let deadline = self.inner.backend.deadline();
        let Some(before) = self.service(directory.as_ref(), deadline)? else { return Ok(false) };
        let mut after = before.clone();
        edit(&mut after);
        if after.directory() != before.directory() {
            return Err(InvalidInput::new("edit", "has changed the directory").into());
        }
        if after != before {
            self.check(&after, deadline)?;
            self.push_service_edit(ServiceEdit::Edit { before, after });
        }
        Ok(true)
    }

    /// Removes the onion service of a directory. Returns whether the service exists. Its directory
    /// is kept.
    ///
    /// Sends `GETCONF HiddenServiceOptions`. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::{Config, ConfiguredService};
    ///
    /// let config = Config::offline();
    /// config.add_onion_service(ConfiguredService::new("/var/lib/tor/web").port(80, 8080))?;
    /// assert!(config.remove_onion_service("/var/lib/tor/web")?);
    /// assert!(!config.remove_onion_service("/var/lib/tor/web")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn remove_onion_service(&self, directory: impl AsRef<Path>) -> Result<bool> {
        let directory = directory.as_ref();
        let exists = self.service(directory, self.inner.backend.deadline())?.is_some();
        if exists {
            self.push_service_edit(ServiceEdit::Remove(directory.to_owned()));
        }
        Ok(exists)
    }

    fn services(&self, read: Read, deadline: Instant) -> Result<Vec<ConfiguredService>> {
        self.inner.backend.schema_before(deadline)?;
        Ok(match self.state(&services_option(), read, deadline)? {
            GroupState::Lines(lines) => ServiceLines { lines }.services(),
            GroupState::Default => Vec::new(),
        })
    }

    fn service(&self, directory: &Path, deadline: Instant) -> Result<Option<ConfiguredService>> {
        let is_same = |other: &ConfiguredService| is_same_directory(other.directory(), directory);
        Ok(self.services(Read::Now, deadline)?.into_iter().find(is_same))
    }

    fn push_service_edit(&self, edit: ServiceEdit) {
        self.push_change(services_option(), Action::Service(edit), Vec::new());
    }

    /// Refuses a service that tor would refuse without a reason.
    fn check(&self, service: &ConfiguredService, deadline: Instant) -> Result<()> {
        service.check(self.inner.backend.schema_before(deadline)?)?;
        if !service.directory().is_absolute() {
            return Err(InvalidInput::new("directory", "must be an absolute path").into());
        }
        if service.option("HiddenServicePort").is_empty() {
            return Err(InvalidInput::new("service", "has no port").into());
        }
        Ok(())
    }
}
