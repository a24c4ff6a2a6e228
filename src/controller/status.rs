//! The status of tor: bootstrap, liveness, version; its process and its listeners.

mod listeners;
mod process;

use super::Controller;
use crate::error::Result;
use crate::event::Bootstrap;
use crate::info::VersionStatus;
use crate::names::NetworkLiveness;

/// # The status of tor
impl Controller {
    /// Returns tor's bootstrap progress.
    #[doc = sends!("GETINFO status/bootstrap-phase")]
    pub fn bootstrap_phase(&self) -> Result<Bootstrap> {
        self.read_info("status/bootstrap-phase", Bootstrap::from_bytes)
    }

    /// Returns whether tor has built a circuit, so that it can be used, and has not lost the network
    /// since.
    #[doc = sends!("GETINFO status/circuit-established")]
    pub fn is_circuit_established(&self) -> Result<bool> {
        self.read_flag("status/circuit-established")
    }

    /// Returns whether tor has enough directory information to build circuits.
    #[doc = sends!("GETINFO status/enough-dir-info")]
    pub fn has_enough_dir_info(&self) -> Result<bool> {
        self.read_flag("status/enough-dir-info")
    }

    /// Returns whether tor has stopped building circuits pre-emptively because it has been idle for
    /// about an hour.
    ///
    /// [`Signal::Dormant`](crate::Signal::Dormant) does not change this value, although tor then
    /// does not use the network.
    #[doc = sends!("GETINFO dormant")]
    pub fn is_dormant(&self) -> Result<bool> {
        self.read_flag("dormant")
    }

    /// Returns whether tor believes the network to be reachable. tor does so only after a relay has
    /// answered.
    #[doc = sends!("GETINFO network-liveness")]
    pub fn network_liveness(&self) -> Result<NetworkLiveness> {
        // The event has the same words in upper case.
        let word = |value: &[u8]| Ok(NetworkLiveness::from_bytes(&value.to_ascii_uppercase()));
        self.read_info("network-liveness", word)
    }

    /// Returns how the directory authorities rate tor's version, and which versions they recommend.
    #[doc = sends!("GETINFO status/version/current status/version/recommended")]
    pub fn version_status(&self) -> Result<VersionStatus> {
        self.read_infos(VersionStatus::KEYS, |answers| Ok(VersionStatus::read(answers)))
    }
}
