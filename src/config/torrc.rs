use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::Config;
use super::backend::{Backend, Read};
use super::pending::GroupState;
use super::schema::Schema;
use super::service_lines::ConfiguredLine;
use crate::error::Result;
use crate::names::to_text;
use crate::wire::quoted::decode_value;
use crate::wire::torrc::Torrc;

/// The options that two tors cannot share, or that the program that launches a tor sets.
const NOT_SHARED: [&str; 9] = [
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
    /// Returns the configuration with its pending changes as the text of a torrc file.
    ///
    /// The text has the options that differ from their defaults, as
    /// [`Controller::save_conf`](crate::Controller::save_conf) would write them: options that
    /// begin with `__` and the values of tor's `--defaults-torrc` file are left out. An option
    /// with a pending change is included, also one that begins with `__`, unless it is reset. The
    /// text is ASCII, quoted and escaped where tor needs it.
    ///
    /// Sends `GETINFO config-text`, and `GETCONF` as [`get`](Self::get) does for pending changes;
    /// nothing without a tor. Blocks for at most the [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("Nickname", "MyRelay")?;
    /// config.set("ContactInfo", "Ann <ann@example.com> # nightly")?;
    /// assert_eq!(
    ///     config.to_torrc()?,
    ///     "Nickname MyRelay\nContactInfo \"Ann <ann@example.com> # nightly\"\n"
    /// );
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "config_args")]
    #[doc(alias = "create_torrc")]
    pub fn to_torrc(&self) -> Result<String> {
        let mut torrc = Torrc::new();
        for (name, value) in self.torrc_lines()? {
            torrc.push(&name, &value)?;
        }
        Ok(to_text(torrc.as_bytes()).into_owned())
    }

    /// Returns the options for the launch of another tor.
    pub(crate) fn launch_options(&self) -> Result<Vec<(String, OsString)>> {
        let has_tor = matches!(self.inner.backend, Backend::Tor(_));
        let is_shared =
            |name: &str| !NOT_SHARED.iter().any(|other| other.eq_ignore_ascii_case(name));
        let lines = self.torrc_lines()?.into_iter();
        let lines = lines.filter(|(name, _)| !has_tor || is_shared(name));
        Ok(lines.map(|(name, value)| (name, OsString::from_vec(value))).collect())
    }

    fn torrc_lines(&self) -> Result<Vec<ConfiguredLine>> {
        let deadline = self.inner.backend.deadline();
        let schema = self.inner.backend.schema_before(deadline)?;
        let mut lines = match &self.inner.backend {
            Backend::Tor(tor) => {
                let info = tor.controller().with_deadline(deadline).get_info(["config-text"])?;
                parse_config_text(info.bytes("config-text").unwrap_or_default())
            }
            Backend::Offline => Vec::new(),
        };
        let pending = self.inner.pending.lock().clone();
        for option in pending.changed_options() {
            let is_own = |line: &ConfiguredLine| is_of_group(schema, &line.0, &option.group);
            let index = lines.iter().position(is_own).unwrap_or(lines.len());
            lines.retain(|line| !is_own(line));
            let new = match self.state_after(&pending, &option, Read::Cached, deadline)? {
                state if state.is_blank() && option.kind.is_reset_by_clearing() => Vec::new(),
                GroupState::Lines(lines) => lines,
                GroupState::Default => Vec::new(),
            };
            lines.splice(index..index, new);
        }
        Ok(lines)
    }
}

fn is_of_group(schema: &Schema, name: &str, group: &str) -> bool {
    schema.known_option(name).map_or(name, |option| &option.group) == group
}

pub(super) fn parse_config_text(text: &[u8]) -> Vec<ConfiguredLine> {
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
    use super::parse_config_text;

    #[test]
    fn the_lines_of_config_text_are_parsed_without_quotes() {
        let text = b"ContactInfo \"caf\\303\\251 # x\"\r\nLongLivedPorts \nLog notice  stdout\nX\n";
        let lines: Vec<_> = parse_config_text(text)
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
