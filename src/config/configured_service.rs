use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::new_value::check_line;
use super::port_line::{parse_port, port_value};
use super::schema::{Schema, known_schema};
use super::service_lines::{ConfiguredLine, DIRECTORY, replace_option};
use crate::error::InvalidInput;
use crate::names::secret::redact;
use crate::names::{OnionPort, PortTarget, printable};

const PORT: &str = "HiddenServicePort";

/// An onion service of tor's configuration: its directory, its ports and its other options, in
/// tor's order, unrecognized ones too.
///
/// Returned by [`Config::onion_services`](crate::config::Config::onion_services), or made by
/// [`new`](Self::new) for
/// [`Config::add_onion_service`](crate::config::Config::add_onion_service). It is a copy: a change
/// reaches tor when it is given back to the [`Config`](crate::config::Config) and saved.
///
/// # Examples
///
/// ```
/// use torcon::config::ConfiguredService;
/// use torcon::names::OnionPort;
///
/// let mut service = ConfiguredService::new("/var/lib/tor/web").port(80, 8080);
/// service.set_option("HiddenServiceMaxStreams", ["5"])?;
/// assert_eq!(service.ports(), [OnionPort::new(80, 8080)]);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfiguredService {
    directory: PathBuf,
    /// The lines after `HiddenServiceDir`.
    lines: Vec<ConfiguredLine>,
}

impl ConfiguredService {
    /// Returns a service without ports whose keys are in `directory`.
    ///
    /// The path must be absolute, as tor sees it. tor creates the directory; its parent must exist.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), lines: Vec::new() }
    }

    /// Adds a port of the onion address and its target. A service needs at least one port. The
    /// default is none.
    #[must_use]
    pub fn port(mut self, virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        let port = OnionPort::new(virtual_port, target);
        self.push_line(PORT.to_owned(), port_value(&port));
        self
    }

    pub(super) fn push_line(&mut self, name: String, value: Vec<u8>) {
        self.lines.push((name, value));
    }

    /// Returns the directory of the service.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the ports with their targets. Lines that torcon cannot parse are left out.
    #[must_use]
    pub fn ports(&self) -> Vec<OnionPort> {
        self.values(PORT).filter_map(parse_port).collect()
    }

    /// Replaces the ports.
    ///
    /// A port that is kept keeps its line byte for byte. A line that [`ports`](Self::ports) leaves
    /// out is kept too, after the others.
    pub fn set_ports(&mut self, ports: impl IntoIterator<Item: Borrow<OnionPort>>) {
        let old: Vec<_> =
            self.values(PORT).map(|value| (parse_port(value), value.to_vec())).collect();
        let line = |port: &OnionPort| {
            let same = old.iter().find(|(old, _)| old.as_ref() == Some(port));
            same.map_or_else(|| port_value(port), |(_, value)| value.clone())
        };
        let unparsed =
            old.iter().filter(|(port, _)| port.is_none()).map(|(_, value)| value.clone());
        let values = ports.into_iter().map(|port| line(port.borrow())).chain(unparsed).collect();
        self.replace(PORT, values);
    }

    /// Returns the values of an option of this service, such as `HiddenServiceMaxStreams`. Bytes
    /// that are not UTF-8 are replaced.
    #[must_use]
    pub fn option(&self, name: &str) -> Vec<String> {
        self.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// Replaces the lines of an option of this service; no value removes them.
    ///
    /// An option that only a later version of tor knows is accepted.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the name is not that of an option of a single onion service, if it is
    /// an abbreviation, or if a value contains a line break or NUL.
    pub fn set_option<V: AsRef<OsStr>>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), InvalidInput> {
        if name.eq_ignore_ascii_case(DIRECTORY) {
            return Err(InvalidInput::new("option", "names the service and cannot be changed"));
        }
        // `Config` checks later whether its tor has the option.
        known_schema().service_option(name)?;
        let values: Vec<_> =
            values.into_iter().map(|value| value.as_ref().as_bytes().to_vec()).collect();
        values.iter().try_for_each(|value| check_line(name, value))?;
        self.replace(name, values);
        Ok(())
    }

    /// Returns all lines, `HiddenServiceDir` first.
    #[doc(alias = "config_attributes")]
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let others = self.lines.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        std::iter::once((DIRECTORY, self.directory.as_os_str().as_bytes())).chain(others)
    }

    /// Makes the changes that led from `before` to `after`. The other options stay as they are
    /// here.
    pub(super) fn apply_edit(&mut self, before: &Self, after: &Self) {
        if self == before {
            self.clone_from(after);
            return;
        }
        let mut done: Vec<&str> = Vec::new();
        for (name, _) in before.lines.iter().chain(&after.lines) {
            let is_changed = !before.values(name).eq(after.values(name));
            if is_changed && !done.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                done.push(name);
                self.replace(name, after.values(name).map(<[u8]>::to_vec).collect());
            }
        }
    }

    /// Refuses a line that no torrc can contain, and an option that this tor does not have.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), InvalidInput> {
        self.lines().try_for_each(|(name, value)| {
            schema.service_option(name)?;
            check_line(name, value)
        })
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.lines.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_slice())
    }

    fn replace(&mut self, name: &str, values: Vec<Vec<u8>>) {
        let is_option = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(name);
        let name = self.lines.iter().find(is_option).map_or(name, |(name, _)| name).to_owned();
        replace_option(&mut self.lines, &name, values);
    }
}

/// Shows the lines without known secrets.
impl fmt::Debug for ConfiguredService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (name, value) in self.lines() {
            let line = [name.as_bytes(), b" ", value].concat();
            list.entry(&format_args!("{}", printable(&redact(&line))));
        }
        list.finish()
    }
}

#[cfg(test)]
mod tests;
