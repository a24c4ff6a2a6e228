//! Names and addresses: mapping, resolving, countries.

mod lookup;

use std::net::IpAddr;

use super::Controller;
use crate::command::{MapAddress, MapOutcome};
use crate::error::Result;
use crate::info::{AddressMapping, GeoIpData, MappingOrigin};

/// # Address mappings
impl Controller {
    /// Maps the first address of each pair to the second, and returns the outcome of each pair, in
    /// their order.
    ///
    /// An address that is mapped to itself is unmapped. For virtual addresses see [`MapAddress`].
    ///
    /// Sends `MAPADDRESS from=to [from=to ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no pair, or an address is not
    /// ASCII or contains quotes or `=`; otherwise those of [`execute`](Self::execute). An address
    /// that tor refuses is not an error but a [`MapOutcome::Refused`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// // Streams to `old.example` go to `new.example` from now on.
    /// controller.map_address([("old.example", "new.example")])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn map_address<I, F, T>(&self, pairs: I) -> Result<Vec<MapOutcome>>
    where
        I: IntoIterator<Item = (F, T)>,
        F: Into<String>,
        T: Into<String>,
    {
        self.execute(&MapAddress::new(pairs))
    }

    /// Returns the active address mappings: those of the configuration, those of tor's DNS cache,
    /// and those of [`map_address`](Self::map_address).
    #[doc = sends!("GETINFO address-mappings/all")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for mapping in controller.address_mappings()? {
    ///     println!("{} is {}", mapping.address, mapping.new_address);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn address_mappings(&self) -> Result<Vec<AddressMapping>> {
        self.read_mappings("address-mappings/all")
    }

    /// Returns the active address mappings of one origin.
    #[doc = sends!("GETINFO address-mappings/origin")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use torcon::info::MappingOrigin;
    ///
    /// let mappings = controller.address_mappings_from(&MappingOrigin::Control)?;
    /// println!("{} mappings by MAPADDRESS", mappings.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn address_mappings_from(&self, origin: &MappingOrigin) -> Result<Vec<AddressMapping>> {
        self.read_mappings(&format!("address-mappings/{}", origin.as_str()))
    }

    fn read_mappings(&self, key: &str) -> Result<Vec<AddressMapping>> {
        self.read_info(key, |list| AddressMapping::read_list(key, list))
    }

    /// Returns the country code of an address, such as `us`, by tor's GeoIP data; `None` if the
    /// data do not contain the address.
    ///
    /// Sends `GETINFO ip-to-country/address`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) with code 551 if tor has no
    /// [`geoip_data`](Self::geoip_data); otherwise those of [`get_info`](Self::get_info).
    pub fn country(&self, address: IpAddr) -> Result<Option<String>> {
        self.read_info(&format!("ip-to-country/{address}"), |code| {
            Ok((code != b"??").then(|| String::from_utf8_lossy(code).into_owned()))
        })
    }

    /// Returns whether tor has GeoIP data for IPv4 and for IPv6 (`GeoIPFile`, `GeoIPv6File`).
    #[doc = sends!("GETINFO ip-to-country/ipv4-available ip-to-country/ipv6-available")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{:?}", controller.geoip_data()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "is_geoip_unavailable")]
    pub fn geoip_data(&self) -> Result<GeoIpData> {
        self.read_infos(GeoIpData::KEYS, GeoIpData::read)
    }
}
