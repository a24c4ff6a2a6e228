//! Client authorization of onion services: keys of clients.

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD};
use zeroize::Zeroizing;

use super::OnionAddress;
use crate::names::{InvalidName, read_from_text};

/// The type of the key, as `ONION_CLIENT_AUTH_ADD` writes it.
const BLOB_TYPE: &str = "x25519:";

/// The prefix of a key in tor's files.
const DESCRIPTOR: &str = "descriptor:x25519:";

/// The name of a secret key in errors.
const SECRET: &str = "client authorization key";
/// The name of a public key in errors.
const PUBLIC: &str = "public key of client authorization";
const NO_BASE32: &str = "must be 52 letters and digits from 2 to 7";
const NO_BASE64: &str = "must be 32 bytes in base64";
/// Characters of a key in base32; in base64 it has 43, and 44 with its padding.
const BASE32_LENGTH: usize = 52;

/// The secret key of an authorized client of an onion service: 32 bytes of x25519.
///
/// The client keeps it, and the service needs the [`public`](Self::public) key. `Debug` does not
/// show it, and it is overwritten in memory when it is dropped. The methods whose names begin with
/// `reveal` return it.
///
/// `FromStr` and `TryFrom` read every form in use, with blanks or a line break around it:
///
/// | form | where it is used |
/// | --- | --- |
/// | `x25519:BASE64` | `ONION_CLIENT_AUTH_ADD`, `ONION_CLIENT_AUTH_VIEW` |
/// | `ADDRESS:descriptor:x25519:BASE32` | files `.auth_private` in `ClientOnionAuthDir` |
/// | `descriptor:x25519:BASE32` | the same without the address |
/// | 52 characters of base32 | Tor Browser |
/// | 43 characters of base64, with or without `=` | Stem, programs that generate keys |
///
/// # Examples
///
/// ```
/// use torcon::names::ClientAuthKey;
///
/// let key = ClientAuthKey::from_bytes([7; 32])?;
/// println!("for the service: {}", key.public());
/// assert_eq!(format!("{key:?}"), "ClientAuthKey(..)");
///
/// let same: ClientAuthKey = "A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQ".parse()?;
/// assert_eq!(same.public(), key.public());
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone)]
pub struct ClientAuthKey {
    secret: Box<Zeroizing<[u8; 32]>>,
}

impl ClientAuthKey {
    /// Makes a key of the given 32 bytes, which must be from a cryptographically secure generator;
    /// [`generate`](Self::generate) makes a new key.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if all bytes are zero, which tor refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// assert!(ClientAuthKey::from_bytes([7; 32]).is_ok());
    /// assert!(ClientAuthKey::from_bytes([0; 32]).is_err());
    /// ```
    pub fn from_bytes(secret: [u8; 32]) -> Result<Self, InvalidName> {
        Self::from_secret(Box::new(Zeroizing::new(secret)))
    }

    fn from_secret(secret: Box<Zeroizing<[u8; 32]>>) -> Result<Self, InvalidName> {
        if secret.iter().all(|byte| *byte == 0) {
            return Err(InvalidName::new(SECRET, "must not be zero"));
        }
        Ok(Self { secret })
    }

    /// Parses a key that `read` decodes.
    fn read(
        text: &str,
        read: fn(&str, &mut [u8; 32]) -> Result<(), &'static str>,
    ) -> Result<Self, InvalidName> {
        let mut secret = Box::new(Zeroizing::new([0; 32]));
        read(text, &mut secret).map_err(|problem| InvalidName::new(SECRET, problem))?;
        Self::from_secret(secret)
    }

    /// Parses a key in the form of `ONION_CLIENT_AUTH_ADD` and `ONION_CLIENT_AUTH_VIEW`: `x25519:`
    /// and 32 bytes in base64.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let blob = "x25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    /// assert_eq!(ClientAuthKey::from_blob(blob)?.reveal_blob(), blob);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn from_blob(blob: &str) -> Result<Self, InvalidName> {
        let Some(base64) = super::strip_type(blob, BLOB_TYPE) else {
            return Err(InvalidName::new(SECRET, "must begin with x25519:"));
        };
        Self::read(base64, read_base64)
    }

    /// Parses a key in base32, the form of tor's files and of Tor Browser: 52 characters, with or
    /// without `descriptor:x25519:` before them.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let text = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ";
    /// assert_eq!(ClientAuthKey::from_base32(text)?.reveal_base32(), text);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn from_base32(text: &str) -> Result<Self, InvalidName> {
        Self::read(super::strip_type(text, DESCRIPTOR).unwrap_or(text), read_base32)
    }

    /// Parses the contents of a file `.auth_private`: the address of the service and the key.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let line = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad:descriptor:x25519:\
    ///             AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ";
    /// let (service, key) = ClientAuthKey::from_auth_private(line)?;
    /// assert_eq!(key.reveal_auth_private(service), line);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn from_auth_private(text: &str) -> Result<(OnionAddress, Self), InvalidName> {
        let (service, key) = text.trim().split_once(':').unwrap_or_default();
        let Some(base32) = super::strip_type(key, DESCRIPTOR) else {
            let problem = "must be an address and :descriptor:x25519: before the key";
            return Err(InvalidName::new(SECRET, problem));
        };
        Ok((service.parse()?, Self::read(base32, read_base32)?))
    }

    /// Returns the public key, which the service needs.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let public = ClientAuthKey::from_bytes([7; 32])?.public();
    /// println!("the line of authorized_clients/alice.auth: {}", public.descriptor_line());
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn public(&self) -> ClientAuthPublicKey {
        ClientAuthPublicKey(MontgomeryPoint::mul_base_clamped(**self.secret).to_bytes())
    }

    /// Returns the secret that this key shares with the holder of the secret key of `public`.
    #[cfg(feature = "onion-descriptor")]
    pub(crate) fn shared_secret(&self, public: [u8; 32]) -> Zeroizing<[u8; 32]> {
        let shared = Zeroizing::new(MontgomeryPoint(public).mul_clamped(**self.secret));
        Zeroizing::new(shared.to_bytes())
    }

    /// Returns the key in the form of `ONION_CLIENT_AUTH_ADD`: `x25519:` and the secret in base64.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let key = ClientAuthKey::from_bytes([7; 32])?;
    /// assert_eq!(key.reveal_blob(), "x25519:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn reveal_blob(&self) -> String {
        let mut blob = String::with_capacity(BLOB_TYPE.len() + BASE64.encode_len(32));
        blob.push_str(BLOB_TYPE);
        BASE64.encode_append(&**self.secret, &mut blob);
        blob
    }

    /// Returns the secret in base64, without a prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let key = ClientAuthKey::from_bytes([7; 32])?;
    /// assert_eq!(key.reveal_base64(), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn reveal_base64(&self) -> String {
        BASE64.encode(&**self.secret)
    }

    /// Returns the secret in base32, as users enter it in Tor Browser.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let key = ClientAuthKey::from_bytes([7; 32])?;
    /// assert_eq!(
    ///     key.reveal_base32(),
    ///     "A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYHA4DQ"
    /// );
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn reveal_base32(&self) -> String {
        BASE32_NOPAD.encode(&**self.secret)
    }

    /// Returns the 32 bytes of the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// assert_eq!(ClientAuthKey::from_bytes([7; 32])?.reveal_bytes(), [7; 32]);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn reveal_bytes(&self) -> [u8; 32] {
        **self.secret
    }

    /// Returns the contents of a file `.auth_private` in a client's `ClientOnionAuthDir`, for
    /// this service. [`write_auth_private_file`](Self::write_auth_private_file) writes the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::{ClientAuthKey, OnionKey};
    ///
    /// let service = OnionKey::from_seed([7; 32]).address();
    /// let line = ClientAuthKey::from_bytes([7; 32])?.reveal_auth_private(service);
    /// assert!(line.starts_with(service.service_id()));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn reveal_auth_private(&self, service: OnionAddress) -> String {
        let secret = Zeroizing::new(self.reveal_base32());
        format!("{}:{DESCRIPTOR}{}", service.service_id(), *secret)
    }
}

read_from_text!(ClientAuthKey, InvalidName);

impl FromStr for ClientAuthKey {
    type Err = InvalidName;

    /// Reads a key in any form that is in use.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        match text.split_once(':') {
            Some((_, key)) if super::strip_type(key, DESCRIPTOR).is_some() => {
                Self::from_auth_private(text).map(|(_, key)| key)
            }
            _ => Self::read(text, read_any),
        }
    }
}

impl fmt::Debug for ClientAuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthKey(..)")
    }
}

/// The public key of an authorized client, as the service needs it.
///
/// `Display` prints the base32 form of `ADD_ONION`, after `ClientAuthV3=`. `FromStr` and `TryFrom`
/// read this form, that of the files in `authorized_clients`, with `descriptor:x25519:` before it,
/// and base64 with or without `x25519:` before it.
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
    /// Returns the key of these bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if all bytes are zero, which tor refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::{ClientAuthKey, ClientAuthPublicKey};
    ///
    /// let public = ClientAuthKey::from_bytes([7; 32])?.public();
    /// assert_eq!(ClientAuthPublicKey::from_bytes(public.to_bytes()), Ok(public));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn from_bytes(key: [u8; 32]) -> Result<Self, InvalidName> {
        match key == [0; 32] {
            true => Err(InvalidName::new(PUBLIC, "must not be zero")),
            false => Ok(Self(key)),
        }
    }

    /// Returns the bytes of the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let bytes: [u8; 32] = ClientAuthKey::from_bytes([7; 32])?.public().to_bytes();
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Returns the key in base64, without a prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::{ClientAuthKey, ClientAuthPublicKey};
    ///
    /// let public = ClientAuthKey::from_bytes([7; 32])?.public();
    /// assert_eq!(public.to_base64().parse(), Ok(public));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn to_base64(self) -> String {
        BASE64.encode(&self.0)
    }

    /// Returns the contents of a file `.auth` in the directory `authorized_clients` of a service.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientAuthKey;
    ///
    /// let line = ClientAuthKey::from_bytes([7; 32])?.public().descriptor_line();
    /// assert!(line.starts_with("descriptor:x25519:"));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn descriptor_line(&self) -> String {
        format!("{DESCRIPTOR}{self}")
    }
}

read_from_text!(ClientAuthPublicKey, InvalidName);

impl FromStr for ClientAuthPublicKey {
    type Err = InvalidName;

    /// Reads a key in any form that is in use.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if ClientAuthKey::from_auth_private(text).is_ok() {
            let problem = "must be a public key: this is the line of a file .auth_private, whose \
                           secret key stays with the client";
            return Err(InvalidName::new(PUBLIC, problem));
        }
        let mut key = [0; 32];
        read_any(text, &mut key).map_err(|problem| InvalidName::new(PUBLIC, problem))?;
        Self::from_bytes(key)
    }
}

/// Reads a key in base32 or base64, with or without the prefix of that form.
fn read_any(text: &str, key: &mut [u8; 32]) -> Result<(), &'static str> {
    if let Some(base32) = super::strip_type(text, DESCRIPTOR) {
        return read_base32(base32, key);
    }
    if let Some(base64) = super::strip_type(text, BLOB_TYPE) {
        return read_base64(base64, key);
    }
    match text.len() {
        BASE32_LENGTH => read_base32(text, key),
        43 | 44 => read_base64(text, key),
        _ => Err("must be 32 bytes in base32 (52 characters) or in base64 (43)"),
    }
}

fn read_base32(text: &str, key: &mut [u8; 32]) -> Result<(), &'static str> {
    let upper = Zeroizing::new(text.to_ascii_uppercase());
    let is_read =
        upper.len() == BASE32_LENGTH && BASE32_NOPAD.decode_mut(upper.as_bytes(), key).is_ok();
    is_read.then_some(()).ok_or(NO_BASE32)
}

/// tor accepts base64 without padding too.
fn read_base64(text: &str, key: &mut [u8; 32]) -> Result<(), &'static str> {
    let base64 = text.trim_end_matches('=').as_bytes();
    let is_read = BASE64_NOPAD.decode_len(base64.len()) == Ok(key.len())
        && BASE64_NOPAD.decode_mut(base64, key).is_ok();
    is_read.then_some(()).ok_or(NO_BASE64)
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
