//! Client authorization of onion services: keys and names of clients.

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD};
use zeroize::Zeroizing;

use super::OnionAddress;
use crate::names::InvalidName;

/// The type of the key, as `ONION_CLIENT_AUTH_ADD` writes it.
const BLOB_TYPE: &str = "x25519:";

/// The prefix of a key in tor's files.
const DESCRIPTOR: &str = "descriptor:x25519:";

/// The secret key of an authorized client of an onion service: 32 bytes of x25519.
///
/// The client keeps it, and the service needs the [`public`](Self::public) key. `Debug` does not
/// show it, and it is overwritten in memory when it is dropped. The methods whose names begin with
/// `reveal` return it.
///
/// # Examples
///
/// ```
/// use torcon::names::ClientAuthKey;
///
/// let key = ClientAuthKey::from_bytes([7; 32])?;
/// println!("for the service: {}", key.public());
/// assert_eq!(format!("{key:?}"), "ClientAuthKey(..)");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone)]
pub struct ClientAuthKey {
    secret: Box<Zeroizing<[u8; 32]>>,
}

impl ClientAuthKey {
    /// Makes a key of 32 random bytes, from a cryptographically secure generator.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if all bytes are zero, which tor refuses.
    pub fn from_bytes(secret: [u8; 32]) -> Result<Self, InvalidName> {
        Self::from_secret(Box::new(Zeroizing::new(secret)))
    }

    fn from_secret(secret: Box<Zeroizing<[u8; 32]>>) -> Result<Self, InvalidName> {
        if secret.iter().all(|byte| *byte == 0) {
            return Err(InvalidName::new("client authorization key", "must not be zero"));
        }
        Ok(Self { secret })
    }

    /// Parses a key in the form of `ONION_CLIENT_AUTH_ADD` and `ONION_CLIENT_AUTH_VIEW`: `x25519:`
    /// and 32 bytes in base64.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else.
    pub fn from_blob(blob: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("client authorization key", problem));
        let Some(base64) = super::strip_type(blob, BLOB_TYPE) else {
            return refuse("must begin with x25519:");
        };
        // tor accepts it without padding too.
        let base64 = base64.trim_end_matches('=').as_bytes();
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        if BASE64_NOPAD.decode_len(base64.len()) != Ok(secret.len())
            || BASE64_NOPAD.decode_mut(base64, &mut **secret).is_err()
        {
            return refuse("must be 32 bytes in base64");
        }
        Self::from_secret(secret)
    }

    /// Parses a key in base32, the form of tor's files and of Tor Browser: 52 characters, with or
    /// without `descriptor:x25519:` before them.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else.
    pub fn from_base32(text: &str) -> Result<Self, InvalidName> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        if !read_base32(text, &mut secret) {
            return Err(InvalidName::new(
                "client authorization key",
                "must be 52 letters and digits from 2 to 7",
            ));
        }
        Self::from_secret(secret)
    }

    /// Returns the public key, which the service needs.
    #[must_use]
    pub fn public(&self) -> ClientAuthPublicKey {
        ClientAuthPublicKey(MontgomeryPoint::mul_base_clamped(**self.secret).to_bytes())
    }

    /// Returns the key in the form of `ONION_CLIENT_AUTH_ADD`: `x25519:` and the secret in base64.
    #[must_use]
    pub fn reveal_blob(&self) -> String {
        let mut blob = String::with_capacity(BLOB_TYPE.len() + BASE64.encode_len(32));
        blob.push_str(BLOB_TYPE);
        BASE64.encode_append(&**self.secret, &mut blob);
        blob
    }

    /// Returns the secret in base32, as users enter it in Tor Browser.
    #[must_use]
    pub fn reveal_base32(&self) -> String {
        BASE32_NOPAD.encode(&**self.secret)
    }

    /// Returns the contents of a file `.auth_private` in a client's `ClientOnionAuthDir`, for
    /// this service.
    #[must_use]
    pub fn reveal_auth_private(&self, service: OnionAddress) -> String {
        let secret = Zeroizing::new(self.reveal_base32());
        format!("{}:{DESCRIPTOR}{}", service.service_id(), *secret)
    }
}

impl fmt::Debug for ClientAuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthKey(..)")
    }
}

/// The public key of an authorized client, as the service needs it.
///
/// `FromStr` and `Display` use the base32 form of `ADD_ONION`, after `ClientAuthV3=`; `FromStr` also
/// accepts the form of the files in `authorized_clients`, with `descriptor:x25519:` before it.
///
/// # Examples
///
/// ```
/// use torcon::names::ClientAuthPublicKey;
///
/// let key: ClientAuthPublicKey =
///     "descriptor:x25519:DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ".parse()?;
/// assert_eq!(key.to_string(), "DWXU6GWQKULO46HGZLTQCB4G5CDFENHDRY6UCEY2DJXEVPCS6NXQ");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAuthPublicKey([u8; 32]);

impl ClientAuthPublicKey {
    /// Returns the bytes of the key.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Returns the contents of a file `.auth` in the directory `authorized_clients` of a service.
    #[must_use]
    pub fn descriptor_line(&self) -> String {
        format!("{DESCRIPTOR}{self}")
    }
}

impl FromStr for ClientAuthPublicKey {
    type Err = InvalidName;

    /// Reads 52 characters of base32 in any case, with or without `descriptor:x25519:`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("public key of client authorization", problem));
        let mut key = [0; 32];
        if !read_base32(text, &mut key) {
            return refuse("must be 52 letters and digits from 2 to 7");
        }
        if key == [0; 32] {
            return refuse("must not be zero");
        }
        Ok(Self(key))
    }
}

/// Reads 52 characters into `key`; returns whether they were such.
fn read_base32(text: &str, key: &mut [u8; 32]) -> bool {
    let base32 = super::strip_type(text, DESCRIPTOR).unwrap_or(text);
    let upper = Zeroizing::new(base32.to_ascii_uppercase());
    BASE32_NOPAD.decode_len(upper.len()) == Ok(key.len())
        && BASE32_NOPAD.decode_mut(upper.as_bytes(), key).is_ok()
}

impl fmt::Display for ClientAuthPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE32_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for ClientAuthPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientAuthPublicKey({self})")
    }
}

/// The name of a client of an onion service: 1 to 16 letters, digits, `+`, `-` or `_`.
///
/// It names the client's file in `authorized_clients`, and on the client's side the key. It is not
/// sent over the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName {
    /// Invariant: 1 to 16 of these characters, then zeros.
    text: [u8; 16],
}

impl ClientName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.text.iter().position(|byte| *byte == 0).unwrap_or(self.text.len());
        std::str::from_utf8(self.text.get(..length).unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for ClientName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("client name", problem));
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_');
        if !text.bytes().all(is_allowed) {
            return refuse("must be letters, digits, +, - or _");
        }
        let mut name = [0; 16];
        match name.get_mut(..text.len()) {
            Some(place) if !place.is_empty() => place.copy_from_slice(text.as_bytes()),
            _ => return refuse("must have 1 to 16 characters"),
        }
        Ok(Self { text: name })
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientName({})", self.as_str())
    }
}
