//! In which country an address is.

use std::net::IpAddr;

use crate::controller::Controller;
use crate::error::Result;
use crate::info::GeoIpData;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns the code of the country in which tor's data have an address, such as `us`; `None` if
    /// they do not have it.
    ///
    /// Sends `GETINFO ip-to-country/address`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if tor has no such data (see
    /// [`geoip_data`](Self::geoip_data)); otherwise those of [`get_info`](Self::get_info).
    pub fn country(&self, address: IpAddr) -> Result<Option<String>> {
        self.read_info(&format!("ip-to-country/{address}"), |code| {
            Ok((code != b"??").then(|| String::from_utf8_lossy(code).into_owned()))
        })
    }

    /// Returns for which addresses tor has data about countries (`GeoIPFile`, `GeoIPv6File`).
    ///
    /// Sends `GETINFO ip-to-country/ipv4-available ip-to-country/ipv6-available`. Blocks for at
    /// most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    #[doc(alias = "is_geoip_unavailable")]
    pub fn geoip_data(&self) -> Result<GeoIpData> {
        self.read_infos(GeoIpData::KEYS, GeoIpData::read)
    }
}
