//! Onion services: addresses, ports, keys and client authorization.

mod client_auth;
mod client_name;
mod key;
mod port;
mod time_period;

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::BASE32_NOPAD;
use sha3::{Digest, Sha3_256};

pub use self::client_auth::ClientAuthKey;
pub use self::client_auth::ClientAuthPublicKey;
pub use self::client_name::ClientName;
pub use self::key::OnionKey;
pub use self::port::{OnionPort, PortTarget};
pub use self::time_period::TimePeriod;
use crate::names::{InvalidName, read_from_text};

/// The only version of onion addresses that tor still supports.
const VERSION: u8 = 3;

/// Characters before `.onion`.
const LENGTH: usize = 56;

/// Characters before `.onion` of an address of version 2.
const LENGTH_2: usize = 16;

/// The address of an onion service, version 3: its public key, a checksum and the version.
///
/// `FromStr` accepts it with or without `.onion`, in any case; `Display` prints it in lower case
/// with `.onion`. The control protocol omits `.onion`: see [`service_id`](Self::service_id).
///
/// # Examples
///
/// ```
/// use torcon::names::OnionAddress;
///
/// let address: OnionAddress =
///     "DUCKDUCKGOGG42XJOC72X3SJASOWOARFBGCMVFIMAFTT6TWAGSWZCZAD".parse()?;
/// assert_eq!(
///     address.to_string(),
///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion"
/// );
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnionAddress {
    /// Invariant: lower-case base32 of `key`, its checksum and the version.
    text: [u8; LENGTH],
    /// A point of the group of the base point, checked here or derived from a secret by tor.
    key: [u8; 32],
}

impl OnionAddress {
    /// Returns the address of the service with this ed25519 public key.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the bytes are not a public key that tor would accept.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::{OnionAddress, OnionKey};
    ///
    /// let address = OnionKey::from_seed([7; 32]).address();
    /// assert_eq!(OnionAddress::from_public_key(address.public_key()), Ok(address));
    /// ```
    pub fn from_public_key(key: [u8; 32]) -> Result<Self, InvalidName> {
        Self::of_key(key).check_key()
    }

    /// Parses the address of an onion service that tor runs, as tor reports it.
    ///
    /// The form and the checksum are checked, but not that the key is valid, which takes 350,000
    /// instructions: tor has derived the key from the secret of the service. Other addresses that
    /// tor reports may be invalid: it does not check those in the files of `ClientOnionAuthDir`.
    pub(crate) fn of_running(text: &str) -> Result<Self, InvalidName> {
        Self::read(text)
    }

    /// Refuses a key that tor refuses: one that is not a point of the curve, or not in the group of
    /// the base point.
    fn check_key(self) -> Result<Self, InvalidName> {
        match CompressedEdwardsY(self.key).decompress() {
            Some(point) if point.is_torsion_free() && !point.is_small_order() => Ok(self),
            _ => Err(InvalidName::new("onion address", "contains no valid public key")),
        }
    }

    /// Returns the address of a key, which is not checked.
    fn of_key(key: [u8; 32]) -> Self {
        let mut bytes = [0; 35];
        let parts = key.into_iter().chain(checksum(&key)).chain([VERSION]);
        bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        let mut text = [0; LENGTH];
        BASE32_NOPAD.encode_mut(&bytes, &mut text);
        text.make_ascii_lowercase();
        Self { text, key }
    }

    /// Returns the address without `.onion`, as the control protocol writes it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let address = OnionKey::from_seed([7; 32]).address();
    /// assert_eq!(address.to_string(), format!("{}.onion", address.service_id()));
    /// ```
    #[doc(alias = "get_permanent_id")]
    #[must_use]
    pub fn service_id(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the ed25519 public key of the service.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let key: [u8; 32] = OnionKey::from_seed([7; 32]).address().public_key();
    /// ```
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key
    }
}

fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let hash = Sha3_256::new().chain_update(b".onion checksum").chain_update(key);
    let hash: [u8; 32] = hash.chain_update([VERSION]).finalize().into();
    let [first, second, ..] = hash;
    [first, second]
}

read_from_text!(OnionAddress, InvalidName);

impl FromStr for OnionAddress {
    type Err = InvalidName;

    /// Reads the address with or without `.onion`, in any case.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::read(text)?.check_key()
    }
}

impl OnionAddress {
    /// Parses the text, and checks everything but the point.
    fn read(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("onion address", problem));
        let dot = text.len().saturating_sub(".onion".len());
        let name = match text.split_at_checked(dot) {
            Some((name, suffix)) if suffix.eq_ignore_ascii_case(".onion") => name,
            _ => text,
        };
        let is_base32 = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'2'..=b'7');
        if !name.bytes().all(is_base32) {
            return refuse("must be letters and digits from 2 to 7, with or without .onion");
        }
        if name.len() == LENGTH_2 {
            return refuse("is of version 2, which tor no longer supports");
        }
        let Ok(mut text) = <[u8; LENGTH]>::try_from(name.as_bytes()) else {
            return refuse("must have 56 characters before .onion");
        };
        let mut bytes = [0; 35];
        text.make_ascii_uppercase();
        let is_read = BASE32_NOPAD.decode_mut(&text, &mut bytes) == Ok(bytes.len());
        text.make_ascii_lowercase();
        let Some((key, [sum @ .., version])) = bytes.split_first_chunk::<32>().filter(|_| is_read)
        else {
            return refuse("must have 56 characters before .onion");
        };
        if *version != VERSION {
            return refuse("must be of version 3");
        }
        if *sum != checksum(key) {
            return refuse("has a wrong checksum: a character is wrong");
        }
        Ok(Self { text, key: *key })
    }
}

impl fmt::Display for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written at once, so that width and alignment apply to the whole.
        let mut text = [0; LENGTH + ".onion".len()];
        let letters = self.text.iter().chain(b".onion");
        text.iter_mut().zip(letters).for_each(|(place, letter)| *place = *letter);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for OnionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnionAddress({self})")
    }
}

/// Strips the type from a key; tor ignores its case.
fn strip_type<'a>(key: &'a str, kind: &str) -> Option<&'a str> {
    let (start, rest) = key.split_at_checked(kind.len())?;
    start.eq_ignore_ascii_case(kind).then_some(rest)
}

#[cfg(test)]
mod tests;
