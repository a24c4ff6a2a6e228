//! What tor tells about its configuration, besides the values of options.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::command::ConfMap;
use crate::controller::Controller;
use crate::error::Result;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns the options of this tor, by its own account: each name with its type, such as
    /// `Boolean` or `LineList`.
    ///
    /// Sends `GETINFO config/names`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn config_names(&self) -> Result<Vec<(String, String)>> {
        let names = self.get_info_one("config/names")?;
        let pairs = names.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
        Ok(pairs.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect())
    }

    /// Returns the values that options have if nobody sets them, also those of some options that
    /// are not for users. Options without such a value are not there.
    ///
    /// Sends `GETINFO config/defaults`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn config_defaults(&self) -> Result<ConfMap> {
        self.read_info("config/defaults", ConfMap::read_defaults)
    }

    /// Returns the file from which tor reads its configuration, and to which
    /// [`save_conf`](Self::save_conf) writes it. It does not have to be there.
    ///
    /// A tor that was started with `-f -` names the file of the system, which it has not read.
    ///
    /// Sends `GETINFO config-file`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn config_file(&self) -> Result<PathBuf> {
        self.read_info("config-file", |path| Ok(OsStr::from_bytes(path).into()))
    }

    /// Returns the file that tor reads before its configuration, if it is there.
    ///
    /// Sends `GETINFO config-defaults-file`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn config_defaults_file(&self) -> Result<PathBuf> {
        self.read_info("config-defaults-file", |path| Ok(OsStr::from_bytes(path).into()))
    }

    /// Returns the text that [`save_conf`](Self::save_conf) would write to tor's configuration
    /// file: every option that is not at its default, one to a line.
    ///
    /// Sends `GETINFO config-text`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn config_text(&self) -> Result<String> {
        self.get_info_one("config-text")
    }

    /// Returns whether [`save_conf`](Self::save_conf) is possible: not if the configuration file
    /// has `%include` lines, which would be lost.
    ///
    /// Sends `GETINFO config-can-saveconf`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn can_save_conf(&self) -> Result<bool> {
        self.read_flag("config-can-saveconf")
    }
}
