//! tor's GeoIP data.

use super::answers::Answers;
use crate::error::ProtocolError;

/// The address families for which tor has GeoIP data.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let data = controller.geoip_data()?;
/// println!("IPv4: {}, IPv6: {}", data.ipv4, data.ipv6);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GeoIpData {
    /// IPv4 (`GeoIPFile`).
    pub ipv4: bool,
    /// IPv6 (`GeoIPv6File`).
    pub ipv6: bool,
}

impl GeoIpData {
    pub(crate) const KEYS: &'static [&'static str] =
        &["ip-to-country/ipv4-available", "ip-to-country/ipv6-available"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        Ok(Self {
            ipv4: answers.flag("ip-to-country/ipv4-available")?,
            ipv6: answers.flag("ip-to-country/ipv6-available")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::GeoIpData;
    use crate::info::answers::tests::read;

    #[test]
    fn both_are_read() {
        let text = "ip-to-country/ipv4-available=1\nip-to-country/ipv6-available=0";
        let data = read(text, GeoIpData::read).unwrap();
        assert_eq!((data.ipv4, data.ipv6), (true, false));
        assert_eq!(
            read("ip-to-country/ipv4-available=1", GeoIpData::read).unwrap_err(),
            "cannot read ip-to-country/ipv6-available: expected 0 or 1, got \"\""
        );
    }
}
