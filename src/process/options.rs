use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process;

use super::control::ControlVia;
use super::directory::Directories;
use crate::error::InvalidInput;
use crate::names::secret::is_secret;
use crate::wire::torrc::Torrc;

/// What torcon itself sets, and how a program can say what it wants instead.
const MANAGED: [(&str, &str); 5] = [
    ("DataDirectory", "torcon sets DataDirectory; use Launcher::data_directory"),
    ("CookieAuthentication", "torcon always sets CookieAuthentication"),
    ("ControlPortWriteToFile", "torcon sets ControlPortWriteToFile; use Launcher::control"),
    ("RunAsDaemon", "a tor in the background cannot be watched; leave RunAsDaemon out"),
    ("__OwningControllerProcess", "torcon sets __OwningControllerProcess to this process"),
];

/// The user's options for tor, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(Vec<(String, OsString)>);

impl Options {
    pub(super) fn push(&mut self, name: String, value: OsString) {
        self.0.push((name, value));
    }

    /// Returns the options in order, and whether their values may be shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = (String, OsString, bool)> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone(), !is_secret(name)))
    }

    /// Returns the values of an option, in order. tor takes names in any case.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        let is_it = |(other, _): &&(String, OsString)| other.eq_ignore_ascii_case(name);
        self.0.iter().filter(is_it).map(|(_, value)| value.as_os_str())
    }

    /// Returns the line for `SocksPort` where the user has none. tor's own default, 9050, belongs to
    /// the tor of the system, and a second tor that wants it ends.
    pub(super) fn implied_socks_port(&self) -> Option<(&'static str, &'static str)> {
        const NAMES: [&str; 2] = ["SocksPort", "__SocksPort"];
        let is_said = NAMES.iter().any(|name| self.values(name).next().is_some());
        (!is_said).then_some(("SocksPort", "auto"))
    }

    /// Whether tor is to have no network. Of several lines tor takes the last.
    pub(super) fn disable_network(&self) -> bool {
        let last = self.values("DisableNetwork").last();
        last.is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
    }

    /// Whether tor is to write its log on standard error: `Log notice stderr`.
    pub(super) fn log_to_stderr(&self) -> bool {
        self.values("Log").any(|value| {
            let value = value.to_string_lossy().to_ascii_lowercase();
            let mut words = value.split_whitespace().rev();
            words.next() == Some("stderr") && words.next() != Some("file")
        })
    }

    /// Checks everything that can be checked without tor.
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

    /// Returns the whole torrc: torcon's own lines, then the user's.
    pub(super) fn torrc(
        &self,
        via: &ControlVia,
        directories: &Directories,
    ) -> Result<Torrc, InvalidInput> {
        let mut torrc = Torrc::new();
        let mut set = |name: &str, value: &[u8]| torrc.push(name, value);
        set("DataDirectory", bytes(directories.data()))?;
        // Without this line any other Log line would end the output that torcon reads.
        set("Log", b"notice stdout")?;
        set("CookieAuthentication", b"1")?;
        set("__OwningControllerProcess", process::id().to_string().as_bytes())?;
        match via {
            ControlVia::UnixSocket => {
                set("ControlSocket", &quoted_socket(directories.control_socket()))?;
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

/// `unix:"/path"`: without quotes the path would end at the first blank.
fn quoted_socket(path: &Path) -> Vec<u8> {
    let mut text = b"unix:\"".to_vec();
    for byte in bytes(path) {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    text
}

fn check_name(name: &str) -> Result<(), InvalidInput> {
    // tor takes the beginning of a name for the name, in any case.
    let managed = MANAGED.iter().find(|(managed, _)| {
        let beginning = managed.as_bytes().get(..name.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(name.as_bytes()))
    });
    match managed {
        // An option of its own, and the beginning of another.
        Some(_) if name.eq_ignore_ascii_case("ControlPort") => Ok(()),
        Some((_, problem)) => Err(InvalidInput::new("option name", *problem)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
