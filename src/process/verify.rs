//! tor's own check of a configuration, and the version of the program.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access, geteuid};

use super::bridges::unusable_transport;
use super::child::Child;
use super::directory::{DataDirectory, Directories};
use super::launch_machine::SHORT_GRACE;
use super::launch_state::LaunchState;
use super::launcher::{Closures, Launcher};
use super::output::Output;
use super::spawn;
use super::supervise::{THREAD_LIMIT, supervise};
use super::tor_process::Shared;
use super::tor_user::TorUser;
use crate::error::{Error, LaunchError, LaunchProblem, LaunchReport, Result, Timeout, Wait};
use crate::names::TorVersion;
use crate::sync::channel::unbounded;
use crate::temporary;

/// How long tor may take for a check. It resolves the host names in its configuration.
const CHECK_LIMIT: Duration = Duration::from_secs(60);
/// The line that tor prints if it accepts the configuration.
const IS_VALID: &str = "Configuration was valid";
/// How the version begins in what tor prints.
const VERSION: &str = "Tor version ";

impl Launcher {
    /// Checks the configuration without launching tor.
    ///
    /// Runs tor with `--verify-config` and the configuration that [`launch`](Self::launch) would
    /// write; and checks that the programs of transports that a bridge needs can be executed, which
    /// tor does not. tor does not use the network then, except for names in options such as
    /// `Socks5Proxy`, which it resolves. So an accepted configuration says nothing about the network,
    /// a bridge or a proxy, and a port can still be in use.
    ///
    /// A temporary directory is deleted at the end. Nothing else is written: tor creates neither the
    /// data directory nor a directory of an onion service, a log or a socket, and no owner is
    /// changed. It reads an existing data directory, and refuses one that it could not use; a missing one
    /// must have a parent in which it can be created. One that
    /// is open to other users is not read, since tor would set its mode to 0700; it does so with
    /// those of the options `CacheDirectory`, `KeyDirectory` (`keys` in the data directory) and
    /// `ClientOnionAuthDir`.
    ///
    /// Blocks the current thread until tor has checked it, for at most 60 seconds, or
    /// [`timeout`](Self::timeout) if that is shorter. A program that runs longer is ended, which
    /// takes up to five seconds more.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] as [`launch`](Self::launch). Otherwise
    /// [`Error::Launch`]: with [`LaunchProblem::Refused`] the text has tor's
    /// reason; [`LaunchProblem::TransportProgram`]; [`LaunchProblem::NotTor`];
    /// [`LaunchProblem::Timeout`]; and those of a program that cannot be started.
    /// [`Error::Canceled`] if the [token](Self::cancel_token) is canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    ///
    /// let error = Launcher::new().option("ExitNodes", "{zz").verify().unwrap_err();
    /// assert!(error.to_string().contains("Entry '{zz' in ExitNodes is malformed."));
    /// ```
    #[doc(alias("verify-config", "verify_config", "check_config"))]
    pub fn verify(&self) -> Result<()> {
        self.check_ready()?;
        self.check()?;
        if let Some(problem) = unusable_transport(&self.options) {
            return Err(LaunchError::new(problem).into());
        }
        let control = self.effective_control();
        let data = self.data_directory_of_check()?;
        let directories = self.directories_of_check(data)?;
        let torrc = self.options.torrc(&control, &directories)?;
        directories.write_torrc(torrc.as_bytes()).map_err(LaunchError::new)?;
        directories.give_private().map_err(LaunchError::new)?;
        let (torrc, defaults) = (directories.torrc(), directories.defaults_torrc());
        let arguments = [
            OsStr::new("--verify-config"),
            OsStr::new("-f"),
            torrc.as_os_str(),
            OsStr::new("--defaults-torrc"),
            defaults.as_os_str(),
        ];
        let report = self.run(&arguments, directories)?;
        // The status is unknown if this program ignores SIGCHLD.
        let status = report.exit_status;
        let is_valid = report.last_lines.iter().any(|line| line == IS_VALID);
        if is_valid && status.is_none_or(|status| status.success()) {
            return Ok(());
        }
        if report.warnings.is_empty() || status.is_some_and(|status| status.success()) {
            return Err(self.not_tor(report));
        }
        let option = self.options.named_in(&report.warnings).map(Into::into);
        Err(LaunchError::with_report(LaunchProblem::Refused { option }, report).into())
    }

    /// Returns the version of the program, without launching tor.
    ///
    /// Runs tor with `--version`. It reads no configuration, and a temporary directory is deleted at
    /// the end. [`Controller::version`](crate::Controller::version) returns the version of a running
    /// tor.
    ///
    /// Blocks the current thread until tor has printed it, for at most 60 seconds, or
    /// [`timeout`](Self::timeout) if that is shorter. A program that runs longer is ended, which
    /// takes up to five seconds more.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`]: [`LaunchProblem::NotTor`] if the program prints
    /// something else, [`LaunchProblem::Timeout`], and those of a program that cannot be started.
    /// [`Error::Canceled`] if the [token](Self::cancel_token) is canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::names::TorVersion;
    ///
    /// let version = Launcher::new().version()?;
    /// println!("tor {version}");
    /// assert!(version >= TorVersion::new(0, 4, 8, 0));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("get_system_tor_version", "tor_version"))]
    pub fn version(&self) -> Result<TorVersion> {
        self.check_environment()?;
        let report = self.run(&[OsStr::new("--version")], self.directories_of_check(None)?)?;
        let version = report.last_lines.iter().find_map(|line| read_version(line));
        version.ok_or_else(|| self.not_tor(report))
    }

    /// Returns the given data directory if tor can read it without a change.
    fn data_directory_of_check(&self) -> Result<Option<PathBuf>, LaunchError> {
        let Some(path) = &self.data_directory else { return Ok(None) };
        if fs::symlink_metadata(path).is_err() {
            // The launch would create it.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            access(parent, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| {
                let source = Arc::new(errno.into());
                LaunchError::new(LaunchProblem::Directory { path: path.clone(), source })
            })?;
        }
        let user = self.user();
        // The launch would make tor's user its owner, and tor would close it to other users.
        let is_changed =
            user.is_some_and(|user| user.would_be_given(path)) || would_be_closed(path, user);
        Ok((!is_changed).then(|| path.clone()))
    }

    /// Returns the directories of a check: the data directory is not created, and its owner is not
    /// changed.
    fn directories_of_check(&self, data: Option<PathBuf>) -> Result<Directories, LaunchError> {
        let data = DataDirectory::Unchanged(data);
        Directories::prepare(data, &temporary::root(), self.user()).map_err(LaunchError::new)
    }

    /// Runs the program to its end.
    fn run(&self, arguments: &[&OsStr], directories: Directories) -> Result<LaunchReport> {
        let check_token = || self.cancel.as_ref().map_or(Ok(()), |token| token.check(Wait::Exit));
        check_token()?;
        let stdin = directories.stdin().map_err(LaunchError::new)?;
        let environment = spawn::child_environment(&self.environment);
        let spawned = spawn::spawn(&self.program, arguments, &environment, stdin)
            .map_err(LaunchError::new)?;
        let shared = Arc::new(Shared {
            child: Child::new(spawned.pid),
            launch: LaunchState::default(),
            output: Output::default(),
        });
        // There is no launch that could receive them.
        let (messages, _) = unbounded();
        let closures = Closures::default();
        let thread = supervise(spawned, directories, &closures, None, &shared, &messages)?;
        let _cancel = self.cancel.as_ref().map(|token| {
            let shared = Arc::clone(&shared);
            token.on_cancel(move || drop(shared.child.signal(Signal::SIGKILL)))
        });
        let limit = self.timeout.min(CHECK_LIMIT);
        let exit = shared.child.wait_for(limit);
        let is_late = exit.is_none();
        let exit = match exit {
            Some(exit) => exit,
            None => shared.child.end(self.grace.min(SHORT_GRACE))?.0,
        };
        thread.join_for(THREAD_LIMIT);
        check_token()?;
        let report = LaunchReport { exit_status: exit.ok(), ..shared.output.report() };
        if is_late {
            let problem = LaunchProblem::Timeout(Timeout::new(Wait::Exit, limit));
            return Err(LaunchError::with_report(problem, report).into());
        }
        Ok(report)
    }

    fn not_tor(&self, report: LaunchReport) -> Error {
        let program = self.program.clone();
        LaunchError::with_report(LaunchProblem::NotTor { program }, report).into()
    }
}

/// Whether tor, also with `--verify-config`, would set the mode of an existing directory to 0700.
fn would_be_closed(path: &Path, user: Option<TorUser>) -> bool {
    let owner = user.map_or_else(geteuid, |user| user.uid());
    let is_open = |found: Metadata| found.mode() & 0o077 != 0 && found.uid() == owner.as_raw();
    fs::metadata(path).is_ok_and(is_open)
}

/// Reads `Tor version 0.4.9.11.` or `Tor version 0.4.9.1-alpha (git-0123456789abcdef).`
fn read_version(line: &str) -> Option<TorVersion> {
    let version = line.strip_prefix(VERSION)?;
    version.strip_suffix('.').unwrap_or(version).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::read_version;

    #[test]
    fn the_version_is_read_as_tor_prints_it() {
        for (line, version) in [
            ("Tor version 0.4.9.11.", Some("0.4.9.11")),
            (
                "Tor version 0.4.9.1-alpha-dev (git-f1d4ba3).",
                Some("0.4.9.1-alpha-dev (git-f1d4ba3)"),
            ),
            ("Tor version x.", None),
            ("tor 0.4.9.11", None),
            ("", None),
        ] {
            assert_eq!(read_version(line).map(|version| version.to_string()).as_deref(), version);
        }
    }
}
