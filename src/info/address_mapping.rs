//! Address mappings.

use std::time::SystemTime;

use super::answers::lines;
use crate::error::ProtocolError;
use crate::names::keywords;
use crate::wire::quoted::read_cstring;
use crate::wire::timestamp::read_time;

keywords! {
    /// The origin of an address mapping.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::MappingOrigin;
    ///
    /// assert_eq!(MappingOrigin::from("config"), MappingOrigin::Config);
    /// assert_eq!(MappingOrigin::Config.as_str(), "config");
    /// assert!(!MappingOrigin::from("FUTURE").is_recognized());
    /// ```
    pub enum MappingOrigin {
        /// tor's cache of resolved names.
        Cache = "cache",
        /// The option `MapAddress`.
        Config = "config",
        /// A controller ([`map_address`](crate::Controller::map_address)).
        Control = "control",
    }
}

/// An address mapping, from `GETINFO address-mappings/..`.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// for mapping in controller.address_mappings()? {
///     println!("{} -> {}", mapping.address, mapping.new_address);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AddressMapping {
    /// The mapped name or address; `*.example` for all names of a domain.
    pub address: String,
    /// The name or address that replaces it.
    pub new_address: String,
    /// When the mapping expires; `None` if it does not. tor extends a mapping of `TrackHostExits`
    /// without an event.
    pub expires: Option<SystemTime>,
}

impl AddressMapping {
    pub(crate) fn read_list(key: &str, answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        let unreadable =
            |line| ProtocolError::new(key, "an address, a new address and an expiry", line);
        lines(answer).map(|line| Self::read(line).ok_or_else(|| unreadable(line))).collect()
    }

    fn read(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let mut text = || words.next().map(|word| String::from_utf8_lossy(word).into_owned());
        let (address, new_address) = (text()?, text()?);
        let expires = match words.next()? {
            b"NEVER" => None,
            quoted => Some(read_time(&read_cstring(quoted)?.0)?),
        };
        Some(Self { address, new_address, expires })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::AddressMapping;

    #[test]
    fn mappings_with_and_without_an_expiry_are_read() {
        let answer = b".a.example b.example NEVER\nc.test 127.0.0.1 \"2026-11-23 10:14:06\"";
        let mappings = AddressMapping::read_list("address-mappings/all", answer).unwrap();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_846);
        assert_eq!(mappings[0].address, ".a.example");
        assert_eq!(mappings[0].expires, None);
        assert_eq!(mappings[1].new_address, "127.0.0.1");
        assert_eq!(mappings[1].expires, Some(end));
        assert_eq!(AddressMapping::read_list("address-mappings/all", b"").unwrap(), []);
    }

    #[test]
    fn an_invalid_mapping_is_an_error() {
        for line in ["a.test", "a.test b.test", "a.test b.test soon", "a.test b.test \"soon\""] {
            let error = AddressMapping::read_list("address-mappings/all", line.as_bytes());
            let text = error.unwrap_err().to_string();
            assert!(text.contains("expected an address, a new address and an expiry"), "{text}");
        }
    }
}
