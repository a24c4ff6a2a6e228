//! Questions of `GETINFO` whose answers are read.

mod capabilities;
mod configuration;
mod directory;
mod downloads;
mod exit_policy;
mod geoip;
mod lists;
mod net_listeners;
mod process_info;
mod relay_self;
mod status;

use crate::command::{GetInfo, InfoMap};
use crate::controller::Controller;
use crate::error::{Error, ProtocolError, Result};
use crate::info::Answers;

impl Controller {
    /// Asks one question, and reads the answer.
    pub(in crate::controller) fn read_info<T>(
        &self,
        key: &str,
        read: impl FnOnce(&[u8]) -> Result<T, ProtocolError>,
    ) -> Result<T> {
        let info = self.execute(&GetInfo::new([key]))?;
        Ok(read(info.bytes(key).unwrap_or_default())?)
    }

    /// Asks several questions at once, and reads the answers.
    pub(in crate::controller) fn read_infos<T>(
        &self,
        keys: &[&str],
        read: impl FnOnce(Answers<'_>) -> Result<T, ProtocolError>,
    ) -> Result<T> {
        let info = self.execute(&GetInfo::new(keys))?;
        Ok(read(Answers::new(&|key| info.bytes(key).unwrap_or_default()))?)
    }

    /// Asks several questions at once, and returns also the number of events that came before the
    /// answers: what those events tell, the answers tell already.
    pub(crate) fn get_info_numbered(&self, keys: &[&str]) -> Result<(InfoMap, u64)> {
        self.execute_sequenced(&GetInfo::new(keys))
    }
}

/// Turns the refusal that says that there is nothing to tell into `None`. It is known by its code
/// and the beginning of its text, since tor has no other codes for what is really wrong.
pub(in crate::controller) fn none_if_refused<T>(
    outcome: Result<T>,
    code: u16,
    beginning: &str,
) -> Result<Option<T>> {
    match outcome {
        Err(Error::Rejected(refusal))
            if refusal.code() == code && refusal.text().starts_with(beginning) =>
        {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}
