//! Adds one service to tor's configuration, or removes one, and keeps all others unchanged.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::directory::{address_in, is_swept};
use crate::config::{
    ConfiguredLine, Identity, RewriteGuard, RewriteLock, ServiceLines, is_same_directory,
};
use crate::controller::Controller;
use crate::error::{Error, OnionError, OnionProblem, Result};
use crate::names::OnionAddress;
use crate::wire::torrc::read_options;

const PORT: &str = "HiddenServicePort";
const CONFIG_FILE: &str = "config-file";

/// The services in the configuration of one tor, changed under a lock.
pub(super) struct Configuration(RewriteLock);

/// The former configuration lines of a directory's service; empty if it had none.
#[derive(Debug, Default)]
pub(super) struct FormerLines(Vec<ConfiguredLine>);

/// A change of the configuration that failed.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether tor may nevertheless have the service.
    pub(super) uncertain: bool,
}

impl FormerLines {
    /// Returns whether a configuration file of tor has, or may have, a service of this directory. A
    /// file that includes others may have it, and so may one that this program cannot read.
    pub(super) fn is_in_file(&self, controller: &Controller, directory: &Path) -> bool {
        let is_in = |key: &str| {
            let Ok(path) = controller.get_info_one(key) else { return true };
            // Opening a named pipe would block.
            let text = fs::metadata(&path).and_then(|found| match found.is_file() {
                true => fs::read(&path),
                false => Err(io::ErrorKind::InvalidInput.into()),
            });
            match text {
                Ok(text) => names_service(&text, directory),
                // The defaults file is usually missing.
                Err(error) => key == CONFIG_FILE || error.kind() != io::ErrorKind::NotFound,
            }
        };
        !self.0.is_empty() && (is_in(CONFIG_FILE) || is_in("config-defaults-file"))
    }
}

fn names_service(torrc: &[u8], directory: &Path) -> bool {
    let is_include = |name: &[u8]| name.eq_ignore_ascii_case(b"%include");
    let is_directory = |name: &[u8]| name.eq_ignore_ascii_case(b"HiddenServiceDir");
    read_options(torrc, |name| is_include(name) || is_directory(name)).iter().any(
        |(name, value)| {
            is_include(name) || is_same_directory(Path::new(OsStr::from_bytes(value)), directory)
        },
    )
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, uncertain: false }
    }
}

impl Configuration {
    pub(super) fn of(identity: &Identity) -> Self {
        Self(RewriteLock::of(identity))
    }

    /// Adds a service by its lines, the first of which names its directory. Returns the lines of
    /// that directory which they replace.
    ///
    /// `address` is the service's address, if it is known. tor would accept two services of one
    /// address and serve only one of them.
    pub(super) fn add(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
        address: Option<OnionAddress>,
    ) -> Result<FormerLines, Failed> {
        let guard = self.0.lock(controller)?;
        let (mut former, mut is_sent) = (FormerLines::default(), false);
        let added = guard.rewrite_services(|services| {
            let is_taken =
                |other: &Path| !is_same_directory(other, directory) && address_in(other) == address;
            if let Some(address) = address {
                if services.directories().any(|other| is_taken(&other))
                    || is_ephemeral(controller, &address)
                {
                    return Err(OnionError::new(OnionProblem::AddressInUse { address }).into());
                }
            }
            former.0 = services.take(|other| is_same_directory(other, directory));
            // A killed program leaves its service in tor. If its temporary directory has been
            // removed, tor would create it again.
            services.take(is_swept);
            services.lines.extend_from_slice(lines);
            is_sent = true;
            Ok(true)
        });
        let Err(error) = added else { return Ok(former) };
        // tor answers in order: a `SETCONF` whose reply is late was executed before this.
        let uncertain =
            is_sent && error.is_timeout() && restore(&guard, directory, &former).is_err();
        Err(Failed { error, uncertain })
    }

    /// Returns the lines that a directory has in tor.
    pub(super) fn lines_of(
        &self,
        controller: &Controller,
        directory: &Path,
    ) -> Result<FormerLines> {
        let _guard = self.0.lock(controller)?;
        let mut services = ServiceLines::read(controller)?;
        Ok(FormerLines(services.take(|other| is_same_directory(other, directory))))
    }

    /// Makes tor read the files of a service again, by setting the unchanged lines of all services.
    pub(super) fn read_again(&self, controller: &Controller, directory: &Path) -> Result<()> {
        self.0.lock(controller)?.rewrite_services(|services| {
            Ok(services.directories().any(|other| is_same_directory(&other, directory)))
        })
    }

    /// Removes the lines of a service and adds them again.
    pub(super) fn renew(&self, controller: &Controller, directory: &Path) -> Result<()> {
        let guard = self.0.lock(controller)?;
        let mut lines = Vec::new();
        guard.rewrite_services(|services| {
            lines = services.take(|other| is_same_directory(other, directory));
            Ok(!lines.is_empty())
        })?;
        guard.rewrite_services(|services| {
            services.lines.extend_from_slice(&lines);
            Ok(!lines.is_empty())
        })
    }

    /// Restores the former lines of a directory.
    pub(super) fn restore(
        &self,
        controller: &Controller,
        directory: &Path,
        former: &FormerLines,
    ) -> Result<()> {
        restore(&self.0.lock(controller)?, directory, former)
    }

    /// Returns whether tor has the service with these ports.
    pub(super) fn has(
        &self,
        controller: &Controller,
        directory: &Path,
        lines: &[ConfiguredLine],
    ) -> Result<bool> {
        let mut services = ServiceLines::read(controller)?;
        let found = services.take(|other| is_same_directory(other, directory));
        let is_port = |line: &&ConfiguredLine| line.0.eq_ignore_ascii_case(PORT);
        let has =
            |line: &ConfiguredLine| found.iter().filter(is_port).any(|other| other.1 == line.1);
        Ok(!found.is_empty() && lines.iter().filter(is_port).all(has))
    }
}

fn restore(guard: &RewriteGuard<'_>, directory: &Path, former: &FormerLines) -> Result<()> {
    guard.rewrite_services(|services| {
        let removed = services.take(|other| is_same_directory(other, directory));
        services.lines.extend_from_slice(&former.0);
        Ok(!removed.is_empty() || !former.0.is_empty())
    })
}

/// Returns whether an ephemeral service that this connection can see has the address.
fn is_ephemeral(controller: &Controller, address: &OnionAddress) -> bool {
    let [current, detached] = [controller.onions(), controller.detached_onions()];
    [current, detached].iter().flatten().flatten().any(|other| other == address)
}
