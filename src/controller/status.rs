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
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let bootstrap = controller.bootstrap_phase()?;
    /// println!("{} % {}", bootstrap.progress, bootstrap.summary);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn bootstrap_phase(&self) -> Result<Bootstrap> {
        self.read_info("status/bootstrap-phase", Bootstrap::from_bytes)
    }

    /// Returns whether tor has built a circuit, so that it can be used, and has not lost the network
    /// since.
    #[doc = sends!("GETINFO status/circuit-established")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("usable: {}", controller.is_circuit_established()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn is_circuit_established(&self) -> Result<bool> {
        self.read_flag("status/circuit-established")
    }

    /// Returns whether tor has enough directory information to build circuits.
    #[doc = sends!("GETINFO status/enough-dir-info")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("enough directory information: {}", controller.has_enough_dir_info()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn has_enough_dir_info(&self) -> Result<bool> {
        self.read_flag("status/enough-dir-info")
    }

    /// Returns whether tor has stopped building circuits pre-emptively because it has been idle for
    /// about an hour.
    ///
    /// [`Signal::Dormant`](crate::Signal::Dormant) does not change this value, although tor then
    /// does not use the network.
    #[doc = sends!("GETINFO dormant")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("dormant: {}", controller.is_dormant()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn is_dormant(&self) -> Result<bool> {
        self.read_flag("dormant")
    }

    /// Returns whether tor believes the network to be reachable. tor does so only after a relay has
    /// answered.
    #[doc = sends!("GETINFO network-liveness")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("the network is {}", controller.network_liveness()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn network_liveness(&self) -> Result<NetworkLiveness> {
        // The event has the same words in upper case.
        let word = |value: &[u8]| Ok(NetworkLiveness::from_bytes(&value.to_ascii_uppercase()));
        self.read_info("network-liveness", word)
    }

    /// Returns how the directory authorities rate tor's version, and which versions they recommend.
    #[doc = sends!("GETINFO status/version/current status/version/recommended")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.version_status()?.current);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn version_status(&self) -> Result<VersionStatus> {
        self.read_infos(VersionStatus::KEYS, |answers| Ok(VersionStatus::read(answers)))
    }
}
