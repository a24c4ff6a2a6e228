use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process;

use super::control::ControlVia;
use super::directory::Directories;
use crate::error::InvalidInput;
use crate::names::secret::is_secret;
use crate::names::starts_without_case;
use crate::wire::torrc::{Torrc, quoted_unix_path};

/// The options that torcon sets, with the error for a program that sets them.
const MANAGED: [(&str, &str); 5] = [
    ("DataDirectory", "torcon sets DataDirectory; use Launcher::data_directory"),
    ("CookieAuthentication", "torcon always sets CookieAuthentication"),
    ("ControlPortWriteToFile", "torcon sets ControlPortWriteToFile; use Launcher::control"),
    ("RunAsDaemon", "a daemon cannot be supervised; leave RunAsDaemon out"),
    ("__OwningControllerProcess", "torcon sets __OwningControllerProcess to this process"),
];

/// The options of the user, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(Vec<(String, OsString)>);

impl Options {
    pub(super) fn push(&mut self, name: String, value: OsString) {
        self.0.push((name, value));
    }

    /// Removes the lines of an option.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    /// Returns the option that tor's warnings name, if it is the only one.
    pub(super) fn named_in(&self, warnings: &[String]) -> Option<&str> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words = || warnings.iter().flat_map(|text| text.split(|letter| !is_part(letter)));
        let is_named = |name: &str| words().any(|word| word.eq_ignore_ascii_case(name));
        let mut named = self.0.iter().map(|(name, _)| &**name).filter(|name| is_named(name));
        let first = named.next()?;
        named.all(|name| name.eq_ignore_ascii_case(first)).then_some(first)
    }

    /// Returns the options in order, with whether the value may be shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = (String, OsString, bool)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone(), !is_secret(name)))
    }

    /// Returns the values of an option, in order. The case of the name does not matter.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        let is_it = |(other, _): &&(String, OsString)| other.eq_ignore_ascii_case(name);
        self.0.iter().filter(is_it).map(|(_, value)| value.as_os_str())
    }

    /// Returns the line for `SocksPort` if the user has none. tor's default is port 9050, which the
    /// tor of the system usually has, and a tor that cannot bind it ends. With the flag it tells why an
    /// onion service cannot be reached.
    pub(super) fn implied_socks_port(&self) -> Option<(&'static str, &'static str)> {
        const NAMES: [&str; 2] = ["SocksPort", "__SocksPort"];
        let is_set = NAMES.iter().any(|name| self.values(name).next().is_some());
        (!is_set).then_some(("SocksPort", "auto ExtendedErrors"))
    }

    /// Whether the network is disabled. Of several lines tor uses the last.
    pub(super) fn disable_network(&self) -> bool {
        let last = self.values("DisableNetwork").last();
        last.is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
    }

    /// Whether tor logs to standard error: `Log notice stderr`.
    pub(super) fn log_to_stderr(&self) -> bool {
        self.values("Log").any(|value| {
            let value = value.to_string_lossy().to_ascii_lowercase();
            let mut words = value.split_whitespace().rev();
            words.next() == Some("stderr") && words.next() != Some("file")
        })
    }

    /// Refuses options that cannot be written to a torrc or that torcon sets.
    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        let mut torrc = Torrc::new();
        for (name, value) in &self.0 {
            torrc.push(name, value.as_bytes())?;
            check_name(name)?;
            if value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
                return Err(InvalidInput::new(name.clone(), "must not contain a line break"));
            }
        }
        Ok(())
    }

    /// Returns the torrc: the lines of torcon, then those of the user.
    pub(super) fn torrc(
        &self,
        via: &ControlVia,
        directories: &Directories,
    ) -> Result<Torrc, InvalidInput> {
        let mut torrc = Torrc::new();
        let mut set = |name: &str, value: &[u8]| torrc.push(name, value);
        set("DataDirectory", bytes(directories.data()))?;
        // Without this line any other Log line would disable the log on standard output.
        set("Log", b"notice stdout")?;
        set("CookieAuthentication", b"1")?;
        set("__OwningControllerProcess", process::id().to_string().as_bytes())?;
        match via {
            ControlVia::UnixSocket => {
                set("ControlSocket", &quoted_unix_path(directories.control_socket()))?;
            }
            ControlVia::Tcp => {
                set("ControlPort", b"127.0.0.1:auto")?;
                set("ControlPortWriteToFile", bytes(&directories.port_file()))?;
            }
            ControlVia::Custom(_) | ControlVia::None => {}
        }
        if let Some((name, value)) = self.implied_socks_port() {
            set(name, value.as_bytes())?;
        }
        for (name, value) in &self.0 {
            set(name, value.as_bytes())?;
        }
        Ok(torrc)
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn check_name(name: &str) -> Result<(), InvalidInput> {
    // tor accepts abbreviations of names, in any case.
    let managed = MANAGED.iter().find(|(managed, _)| starts_without_case(managed, name));
    match managed {
        // An option itself, and an abbreviation of another.
        Some(_) if name.eq_ignore_ascii_case("ControlPort") => Ok(()),
        Some((_, problem)) => Err(InvalidInput::new("option name", *problem)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
