//! The settings of a launcher, as they are checked and compared.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::Launcher;
use crate::error::InvalidInput;
use crate::process::bridges::missing_transport;
use crate::process::control::ControlVia;
use crate::process::launch_state::Ready;
use crate::process::tor_user::{self, TorUser};

impl Launcher {
    /// Returns the settings by which two launchers differ, as names and values. The flag says whether
    /// the value may be shown.
    pub(crate) fn settings(&self) -> Vec<(String, OsString, bool)> {
        let directory = self.data_directory.as_ref().map(|path| {
            std::path::absolute(path).unwrap_or_else(|_| path.clone()).into_os_string()
        });
        let own = [
            ("program".to_owned(), self.program.clone().into_os_string(), true),
            ("data directory".to_owned(), directory.unwrap_or_default(), true),
            ("control connection".to_owned(), format!("{:?}", self.control).into(), true),
        ];
        let environment = self.environment.iter().map(|(name, value)| {
            (format!("environment variable {}", name.to_string_lossy()), value.clone(), false)
        });
        own.into_iter().chain(environment).chain(self.options.shown()).collect()
    }

    /// Returns the settings, with implied lines.
    pub(crate) fn effective_settings(&self) -> Vec<(String, OsString, bool)> {
        let implied = self.options.implied_socks_port();
        let implied = implied.map(|(name, value)| (name.to_owned(), value.into(), true));
        self.settings().into_iter().chain(implied).collect()
    }

    /// Returns whether the launch makes a control connection.
    pub(crate) fn has_control(&self) -> bool {
        !matches!(self.control, ControlVia::None)
    }

    /// Returns how the control connection is made, with the options as they are.
    pub(in crate::process) fn effective_control(&self) -> ControlVia {
        let control = self.control.clone();
        let user = self.options.values("User").last();
        match user.is_some_and(tor_user::defers_unix_sockets) {
            true => control.without_unix_socket(),
            false => control,
        }
    }

    /// Returns the user that tor changes to, if it is not that of this program.
    pub(in crate::process) fn user(&self) -> Option<TorUser> {
        self.options.values("User").last().and_then(TorUser::find)
    }

    /// Refuses a launch that cannot become ready.
    pub(in crate::process) fn check_ready(&self) -> Result<(), InvalidInput> {
        if self.ready == Ready::Bootstrapped && self.options.disable_network() {
            let problem = "with the network disabled tor never finishes bootstrapping: leave the \
                           option out, or wait for Ready::Controller";
            return Err(InvalidInput::new("DisableNetwork", problem));
        }
        if self.ready != Ready::Bootstrapped {
            return Ok(());
        }
        if let Some(transport) = missing_transport(&self.options) {
            let problem = format!(
                "without a program for the transport {transport} tor never finishes bootstrapping: \
                 add it with Launcher::transport_plugin, or wait for Ready::Controller",
            );
            return Err(InvalidInput::new("Bridge", problem));
        }
        Ok(())
    }

    pub(in crate::process) fn check(&self) -> Result<(), InvalidInput> {
        self.options.check()?;
        self.check_environment()?;
        if self.kill_on_stderr && self.options.log_to_stderr() {
            let problem = "tor would be ended for its log on standard error: log to stdout, or \
                           set Launcher::kill_on_stderr(false)";
            return Err(InvalidInput::new("Log", problem));
        }
        if !self.has_control() && self.ready == Ready::Controller {
            let problem = "Ready::Controller cannot be reached with ControlVia::None";
            return Err(InvalidInput::new("wait_for", problem));
        }
        Ok(())
    }

    pub(in crate::process) fn check_environment(&self) -> Result<(), InvalidInput> {
        for (name, value) in &self.environment {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(InvalidInput::new(
                    "env",
                    "is not a valid name of an environment variable",
                ));
            }
            if name.as_bytes().contains(&0) || value.as_bytes().contains(&0) {
                return Err(InvalidInput::new("env", "must not contain NUL"));
            }
        }
        Ok(())
    }
}
