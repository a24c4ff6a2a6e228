//! Names and addresses: mapping, resolving, countries.

mod lookup;

use std::net::IpAddr;
use std::time::Instant;

use super::Controller;
use crate::command::{AddressPair, GetInfo, MapAddress, MapOutcome};
use crate::controller::getinfo::none_if_refused;
use crate::error::{ProtocolError, Result};
use crate::info::{AddressMapping, GeoIpData, MappingOrigin};
use crate::names::CountryCode;

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
    #[doc(alias = "MapAddresses")]
    pub fn map_address<I>(&self, pairs: I) -> Result<Vec<MapOutcome>>
    where
        I: IntoIterator,
        I::Item: AddressPair,
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

    /// Returns the country of an address by tor's GeoIP data; `None` if the data do not contain the
    /// address, or if tor has no data for its family (see [`geoip_data`](Self::geoip_data)).
    ///
    /// [`State::country`](crate::State::country) keeps the answers.
    ///
    /// Sends `GETINFO ip-to-country/address`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// match controller.country([8, 8, 8, 8].into())? {
    ///     Some(country) => println!("in {country}"),
    ///     None => println!("unknown"),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("get_location", "location", "create_geoip", "city", "NetLocation"))]
    pub fn country(&self, address: IpAddr) -> Result<Option<CountryCode>> {
        let countries = self.countries_before(&[address], self.deadline())?;
        Ok(countries.first().copied().flatten())
    }

    /// Returns the countries of several addresses of one family, in their order, before the
    /// deadline.
    pub(crate) fn countries_before(
        &self,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<Vec<Option<CountryCode>>> {
        let keys = addresses.iter().map(|address| format!("ip-to-country/{address}"));
        let answer = self.execute_before(&GetInfo::new(keys), deadline);
        let Some((info, _)) = none_if_refused(answer, 551, "GeoIP data not loaded")? else {
            return Ok(vec![None; addresses.len()]);
        };
        let read = |(key, value): (&str, &[u8])| match value {
            b"??" => Ok(None),
            code => match CountryCode::from_bytes(code) {
                Some(country) => Ok(Some(country)),
                None => Err(ProtocolError::new(key, "a country code", code).into()),
            },
        };
        info.iter_bytes().map(read).collect()
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
    #[doc(alias = "maybe_create_db")]
    #[doc(alias = "is_geoip_unavailable")]
    pub fn geoip_data(&self) -> Result<GeoIpData> {
        self.read_infos(GeoIpData::KEYS, GeoIpData::read)
    }
}
