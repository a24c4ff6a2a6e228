//! The configuration as a torrc.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::pending::GroupState;
use super::schema::Schema;
use super::services::ConfiguredLine;
use super::{Config, Source};
use crate::error::Result;
use crate::wire::quoted::decode_value;
use crate::wire::torrc::Torrc;

/// What a tor has for itself and another cannot have too, or what whoever launches it decides.
const OWN: [&str; 9] = [
    "ControlPort",
    "ControlPortWriteToFile",
    "ControlSocket",
    "CookieAuthentication",
    "CookieAuthFile",
    "DataDirectory",
    "PidFile",
    "RunAsDaemon",
    "__OwningControllerProcess",
];

impl Config {
    /// Returns the lines of a torrc by which tor comes to this state, pending changes included.
    ///
    /// These are the options that are not at their defaults. tor names them itself, by
    /// `GETINFO config-text`, which leaves out options that begin with `__`, since they are for
    /// controllers and not for files, and the values of tor's `--defaults-torrc` file; it is what
    /// [`Controller::save_conf`](crate::Controller::save_conf) would write. Options of which a
    /// change is pending are said with what they will be, those that begin with `__` too; one
    /// that goes back to its default is left out. The text is ASCII, with quotes and escapes
    /// where tor needs them.
    ///
    /// Sends `GETINFO config-text`, and `GETCONF` as [`get`](Self::get) would for pending changes;
    /// nothing without a tor. Blocks for at most the controller's time limit per command.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    #[doc(alias = "create_torrc")]
    pub fn to_torrc(&self) -> Result<String> {
        let mut torrc = Torrc::new();
        for (name, value) in self.torrc_lines()? {
            torrc.push(&name, &value)?;
        }
        Ok(String::from_utf8_lossy(torrc.as_bytes()).into_owned())
    }

    /// Returns the options for a tor that is to be launched, without those that another tor has
    /// for itself.
    pub(crate) fn launch_options(&self) -> Result<Vec<(String, OsString)>> {
        let lines = self.torrc_lines()?.into_iter();
        let has_tor = matches!(self.inner.source, Source::Tor(_));
        let is_own = |name: &str| OWN.iter().any(|own| own.eq_ignore_ascii_case(name));
        let is_shared = |name: &str| !(has_tor && is_own(name));
        let lines = lines.filter(|(name, _)| is_shared(name));
        Ok(lines.map(|(name, value)| (name, OsString::from_vec(value))).collect())
    }

    fn torrc_lines(&self) -> Result<Vec<ConfiguredLine>> {
        let schema = self.schema()?;
        let mut lines = match &self.inner.source {
            Source::Tor(live) => {
                let info = live.controller().get_info(["config-text"])?;
                read(info.bytes("config-text").unwrap_or_default())
            }
            Source::Nothing => Vec::new(),
        };
        let pending = self.inner.pending.lock().clone();
        for touched in pending.touched() {
            let group = &touched.option.group;
            let is_own = |line: &ConfiguredLine| is_of_group(schema, &line.0, group);
            let base = match touched.needs_base {
                true => self.group(&touched.option)?,
                false => std::sync::Arc::new([]),
            };
            let place = lines.iter().position(is_own).unwrap_or(lines.len());
            lines.retain(|line| !is_own(line));
            let name = touched.option.name.to_string();
            let new = match pending.applied(group, &base) {
                GroupState::Lines(lines) => lines,
                state if state.is_cleared(&touched.option.kind) => vec![(name, Vec::new())],
                GroupState::Cleared | GroupState::Default => Vec::new(),
            };
            lines.splice(place..place, new);
        }
        Ok(lines)
    }
}

fn is_of_group(schema: &Schema, name: &str, group: &str) -> bool {
    schema.known_option(name).map_or(name, |option| &option.group) == group
}

/// Reads the lines of `config-text`.
fn read(text: &[u8]) -> Vec<ConfiguredLine> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, value) = line.split_at_checked(end)?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let name = String::from_utf8_lossy(name).into_owned();
        (!name.is_empty()).then(|| (name, decode_value(value).into_owned()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_lines_of_config_text_are_read_without_quotes() {
        let text = b"ContactInfo \"caf\\303\\251 # x\"\r\nLongLivedPorts \nLog notice  stdout\nX\n";
        let lines: Vec<_> = read(text)
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect();
        let expected = [
            ("ContactInfo", "caf\u{e9} # x"),
            ("LongLivedPorts", ""),
            ("Log", "notice  stdout"),
            ("X", ""),
        ];
        assert_eq!(lines, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
