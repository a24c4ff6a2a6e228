use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::TorProcess;
use super::directory::{DataDirectory, create_kept};
use super::launch_machine::SHORT_GRACE;
use super::launcher::Launcher;
use super::tor_process::Shared;
use crate::error::{LaunchError, LaunchProblem, Result};
use crate::link::CancelToken;
use crate::sync::Mutex;
use crate::temporary;

/// Launches the same tor again and again, one process after the other.
///
/// All launches have the same data directory, with tor's keys and state in it, and the same closure
/// and writers. If the launcher has no data directory, the temporary one is removed when this value
/// is dropped and the last process has ended.
///
/// A closure or writer that still runs for an earlier process is not called for the next one until
/// it returns: that progress, or that output, is left out.
pub(crate) struct RepeatableLauncher {
    launcher: Launcher,
    data: DataDirectory,
    // A leaf lock.
    previous: Mutex<Weak<Shared>>,
}

impl Launcher {
    /// Returns a launcher that can launch more than once.
    ///
    /// # Errors
    ///
    /// Those of [`launch`](Self::launch) for the settings and the temporary directory.
    pub(crate) fn repeatable(mut self) -> Result<RepeatableLauncher> {
        self.check_ready()?;
        self.check()?;
        // The program may change its current directory between two launches.
        if self.program.as_os_str().as_bytes().contains(&b'/') {
            self.program = absolute(&self.program)?;
        }
        let data = match &self.data_directory {
            Some(data) => DataDirectory::Given(absolute(data)?),
            None => {
                let kept = create_kept(&temporary::root(), self.user());
                DataDirectory::Kept(kept.map_err(LaunchError::new)?)
            }
        };
        Ok(RepeatableLauncher { launcher: self, data, previous: Mutex::default() })
    }

    /// Returns a launcher with the same settings, closure and writers.
    fn share(&self) -> Self {
        Self {
            program: self.program.clone(),
            data_directory: self.data_directory.clone(),
            options: self.options.clone(),
            environment: self.environment.clone(),
            control: self.control.clone(),
            closures: self.closures.clone(),
            ready: self.ready,
            timeout: self.timeout,
            stall_timeout: self.stall_timeout,
            grace: self.grace,
            kill_on_stderr: self.kill_on_stderr,
            cancel: self.cancel.clone(),
        }
    }
}

impl RepeatableLauncher {
    /// Returns the token of the launcher.
    pub(crate) fn canceled_by(&self) -> Option<&CancelToken> {
        self.launcher.canceled_by()
    }

    /// Sets the token that cancels each launch.
    pub(crate) fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.launcher = self.launcher.cancel_token(token);
        self
    }

    /// Starts tor, as [`Launcher::spawn`] does. Is called by one thread at a time.
    ///
    /// Ends the process of the launch before, if it still runs, as a drop of its [`TorProcess`] does:
    /// two tors cannot have the same data directory. Blocks the current thread until that process has
    /// ended, for at most 15 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`](crate::Error::Launch) if the program cannot be started or the process of the
    /// launch before does not end.
    pub(crate) fn spawn(&self) -> Result<TorProcess> {
        let previous = self.previous.lock().upgrade();
        if let Some(previous) = previous {
            let _exit = previous.child.end(self.launcher.grace.min(SHORT_GRACE))?;
        }
        let tor = self.launcher.share().start(self.data.clone())?;
        *self.previous.lock() = Arc::downgrade(&tor.shared);
        Ok(tor)
    }
}

impl TorProcess {
    /// Returns whether tor is ready as [`Launcher::launch`] waits for it, after at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Launch`](crate::Error::Launch) if the launch failed.
    pub(crate) fn wait_ready_for(&self, limit: Duration) -> Result<bool> {
        self.shared.launch.wait_ready(limit)
    }
}

impl fmt::Debug for RepeatableLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepeatableLauncher")
            .field("launcher", &self.launcher)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

fn absolute(given: &Path) -> Result<PathBuf, LaunchError> {
    path::absolute(given).map_err(|error| {
        let path = given.to_owned();
        LaunchError::new(LaunchProblem::Directory { path, source: Arc::new(error) })
    })
}

#[cfg(test)]
mod tests;
