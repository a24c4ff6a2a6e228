//! The condition of tor: how far its start has come, and whether it can be used.

use crate::controller::Controller;
use crate::error::Result;
use crate::event::Bootstrap;
use crate::info::{VersionStatus, read_flag};
use crate::names::NetworkLiveness;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Asks tor how far its start has come.
    ///
    /// Sends `GETINFO status/bootstrap-phase`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    pub fn bootstrap_phase(&self) -> Result<Bootstrap> {
        let phase = self.get_info_one("status/bootstrap-phase")?;
        Ok(Bootstrap::from_bytes(phase.as_bytes())?)
    }

    /// Returns whether tor has made a circuit, so that it can be used, and has not found since that
    /// it cannot.
    ///
    /// Sends `GETINFO status/circuit-established`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`bootstrap_phase`](Self::bootstrap_phase).
    pub fn is_circuit_established(&self) -> Result<bool> {
        self.read_flag("status/circuit-established")
    }

    /// Returns whether tor knows enough of the network to make circuits.
    ///
    /// Sends `GETINFO status/enough-dir-info`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`bootstrap_phase`](Self::bootstrap_phase).
    pub fn has_enough_dir_info(&self) -> Result<bool> {
        self.read_flag("status/enough-dir-info")
    }

    /// Returns whether tor has stopped to make circuits in advance, since nobody has used it for
    /// about an hour.
    ///
    /// This is not what [`Signal::Dormant`](crate::Signal::Dormant) brings about: after it, tor does
    /// nothing at all on the network, and still gives the same answer here.
    ///
    /// Sends `GETINFO dormant`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`bootstrap_phase`](Self::bootstrap_phase).
    pub fn is_dormant(&self) -> Result<bool> {
        self.read_flag("dormant")
    }

    /// Returns whether tor thinks that the network is there. It is not before the first answer of
    /// a relay.
    ///
    /// Sends `GETINFO network-liveness`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn network_liveness(&self) -> Result<NetworkLiveness> {
        // The event has the same words in upper case.
        let word = |answer: &[u8]| Ok(NetworkLiveness::from_bytes(&answer.to_ascii_uppercase()));
        self.read_info("network-liveness", word)
    }

    /// Returns what the directory authorities think of tor's version, and which they recommend.
    ///
    /// Sends `GETINFO status/version/current status/version/recommended`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn version_status(&self) -> Result<VersionStatus> {
        self.read_infos(VersionStatus::KEYS, |answers| Ok(VersionStatus::read(answers)))
    }

    /// Asks a question whose answer is 0 or 1.
    pub(in crate::controller) fn read_flag(&self, key: &str) -> Result<bool> {
        self.read_info(key, |answer| read_flag(key, answer))
    }
}
