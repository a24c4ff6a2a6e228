//! The lines of all onion services in tor's configuration.
//!
//! A `SETCONF` of one `HiddenService…` option replaces every onion service, so each change is made
//! on the lines of all of them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::configured_service::ConfiguredService;
use super::schema::SERVICES;
use crate::command::{ConfMap, ConfSetting};
use crate::controller::Controller;
use crate::error::Result;

/// The option whose line begins a service.
pub(crate) const DIRECTORY: &str = "HiddenServiceDir";

/// A line of a configuration: the name of an option and its value.
pub(crate) type ConfiguredLine = (String, Vec<u8>);

/// The lines of all onion services, in tor's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceLines {
    pub(crate) lines: Vec<ConfiguredLine>,
}

/// A pending change of one onion service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServiceEdit {
    Add(ConfiguredService),
    Edit { before: ConfiguredService, after: ConfiguredService },
    Remove(PathBuf),
}

impl ServiceLines {
    pub(crate) fn read(controller: &Controller) -> Result<Self> {
        Ok(Self::from_conf(&controller.get_conf([SERVICES])?))
    }

    fn from_conf(conf: &ConfMap) -> Self {
        let lines = conf.lines().filter_map(|(name, value)| Some((name, value?)));
        Self { lines: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Returns the arguments of the `SETCONF` that leaves tor with these services and no others.
    pub(crate) fn settings(&self) -> Vec<(&str, ConfSetting)> {
        if self.lines.is_empty() {
            return vec![(DIRECTORY, ConfSetting::clear())];
        }
        let setting = |value: &Vec<u8>| ConfSetting::from(value.as_slice());
        self.lines.iter().map(|(name, value)| (name.as_str(), setting(value))).collect()
    }

    pub(crate) fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let lines = self.lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(DIRECTORY));
        lines.map(|(_, value)| PathBuf::from(OsString::from_vec(value.clone())))
    }

    /// Removes the services whose directory matches, and returns their lines.
    pub(crate) fn take(&mut self, matches: impl Fn(&Path) -> bool) -> Vec<ConfiguredLine> {
        let mut is_taken = false;
        let (taken, kept) =
            std::mem::take(&mut self.lines).into_iter().partition(|(name, value)| {
                if name.eq_ignore_ascii_case(DIRECTORY) {
                    is_taken = matches(Path::new(OsStr::from_bytes(value)));
                }
                is_taken
            });
        self.lines = kept;
        taken
    }

    pub(super) fn services(&self) -> Vec<ConfiguredService> {
        let mut services: Vec<ConfiguredService> = Vec::new();
        for (name, value) in &self.lines {
            if name.eq_ignore_ascii_case(DIRECTORY) {
                services.push(ConfiguredService::new(OsString::from_vec(value.clone())));
            } else if let Some(service) = services.last_mut() {
                service.push_line(name.clone(), value.clone());
            }
        }
        services
    }

    fn of_services(services: &[ConfiguredService]) -> Self {
        let lines = services.iter().flat_map(ConfiguredService::lines);
        Self { lines: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// Makes a pending change. A second time it changes nothing: a `SETCONF` whose reply was lost is
    /// saved again.
    pub(super) fn apply(&mut self, edit: &ServiceEdit) {
        let mut services = self.services();
        match edit {
            ServiceEdit::Add(service) if services.contains(service) => {}
            ServiceEdit::Add(service) => services.push(service.clone()),
            ServiceEdit::Edit { before, after } => {
                for other in &mut services {
                    if is_same_directory(other.directory(), after.directory()) {
                        other.apply_edit(before, after);
                    }
                }
            }
            ServiceEdit::Remove(directory) => {
                services.retain(|other| !is_same_directory(other.directory(), directory));
            }
        }
        *self = Self::of_services(&services);
    }
}

/// Replaces the lines of an option: puts the values where its first line was, or at the end.
pub(super) fn replace_option(lines: &mut Vec<ConfiguredLine>, name: &str, values: Vec<Vec<u8>>) {
    let is_option = |line: &ConfiguredLine| line.0.eq_ignore_ascii_case(name);
    let index = lines.iter().position(is_option).unwrap_or(lines.len());
    lines.retain(|line| !is_option(line));
    lines.splice(index..index, values.into_iter().map(|value| (name.to_owned(), value)));
}

/// Whether two paths lead to the same directory, through links too.
pub(crate) fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other
        || match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ServiceLines;
    use crate::names::OnionPort;

    fn services(lines: &[(&str, &str)]) -> ServiceLines {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        ServiceLines { lines: lines.iter().map(owned).collect() }
    }

    const FIRST: [(&str, &str); 2] = [("HiddenServiceDir", "/a"), ("HiddenServicePort", "80")];
    const SECOND: [(&str, &str); 4] = [
        ("HiddenServiceDir", "/b b"),
        ("HiddenServicePort", "80 unix:\"/x y\""),
        ("HiddenServiceNovelty", "1"),
        ("HiddenServicePort", "81"),
    ];
    const THIRD: [(&str, &str); 2] = [("HiddenServiceDir", "/c"), ("HiddenServiceNovelty", "2")];

    #[test]
    fn a_service_is_removed_with_all_its_lines_and_the_others_keep_theirs() {
        let all = [&FIRST[..], &SECOND, &THIRD].concat();
        let mut kept = services(&all);
        let taken = kept.take(|path| path == Path::new("/b b"));
        assert_eq!(taken, services(&SECOND).lines);
        assert_eq!(kept, services(&[&FIRST[..], &THIRD].concat()));
        let mut kept = services(&all);
        assert_eq!(kept.take(|path| path == Path::new("/d")), []);
        assert_eq!(kept, services(&all));
    }

    #[test]
    fn lines_become_services_and_lines_again() {
        let lines = services(&[&FIRST[..], &SECOND, &THIRD].concat());
        let list = lines.services();
        assert_eq!(list.len(), 3);
        assert_eq!(list[1].directory(), Path::new("/b b"));
        let ports = [OnionPort::new(80, Path::new("/x y")), OnionPort::same(81)];
        assert_eq!(list[1].ports(), ports);
        assert_eq!(list[1].option("hiddenservicenovelty"), ["1"]);
        assert_eq!(ServiceLines::of_services(&list), lines);
    }
}
