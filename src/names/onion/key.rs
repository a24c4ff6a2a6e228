//! The secret key of an onion service.

use std::fmt;
use std::sync::{Arc, OnceLock};

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use data_encoding::{BASE64, BASE64_NOPAD};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::OnionAddress;
use crate::names::InvalidName;

/// The header of the file `hs_ed25519_secret_key`.
const SECRET_HEADER: &[u8; 32] = b"== ed25519v1-secret: type0 ==\0\0\0";

/// The header of the file `hs_ed25519_public_key`.
const PUBLIC_HEADER: &[u8; 32] = b"== ed25519v1-public: type0 ==\0\0\0";

/// The type of the key, as `ADD_ONION` writes it.
const BLOB_TYPE: &str = "ED25519-V3:";

/// The secret key of an onion service: an expanded ed25519 key of 64 bytes.
///
/// Any holder of the key can run the service. It is made without tor, so that the address is
/// known before tor has the service. `Debug` does not show it. Clones share it in memory, where it
/// is overwritten when the last of them is dropped. The methods whose names begin with `reveal`
/// return it.
///
/// # Examples
///
/// ```
/// use torcon::names::OnionKey;
///
/// let key = OnionKey::from_seed([7; 32]);
/// let again = OnionKey::from_blob(&key.reveal_blob())?;
/// assert_eq!(again.address(), key.address());
/// assert_eq!(format!("{key:?}"), "OnionKey(..)");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone)]
pub struct OnionKey(Arc<Shared>);

struct Shared {
    secret: Box<Zeroizing<[u8; 64]>>,
    /// Derived from the secret when it is first needed: most of the cost of a key.
    address: OnceLock<OnionAddress>,
}

impl OnionKey {
    /// Derives the key from a seed of 32 random bytes, from a cryptographically secure generator,
    /// which are as secret as the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// // Random bytes: OnionKey::generate() takes them from the operating system.
    /// let key = OnionKey::from_seed([7; 32]);
    /// println!("http://{}", key.address());
    /// ```
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; 64]));
        let hash = Sha512::new().chain_update(seed);
        seed.zeroize();
        hash.finalize_into((&mut **secret).into());
        // RFC 8032: a multiple of the cofactor, with the highest bit but one set.
        if let Some(first) = secret.first_mut() {
            *first &= 0b1111_1000;
        }
        if let Some(last) = secret.get_mut(31) {
            *last = (*last & 0b0111_1111) | 0b0100_0000;
        }
        // Such a scalar is never a multiple of the order.
        Self::from_valid_secret(secret)
    }

    fn from_secret(secret: Box<Zeroizing<[u8; 64]>>) -> Result<Self, InvalidName> {
        // A multiple of the order makes the neutral element, which tor refuses as a public key.
        match *scalar(&secret) == Scalar::ZERO {
            true => Err(refusal("must not be zero")),
            false => Ok(Self::from_valid_secret(secret)),
        }
    }

    fn from_valid_secret(secret: Box<Zeroizing<[u8; 64]>>) -> Self {
        Self(Arc::new(Shared { secret, address: OnceLock::new() }))
    }

    /// Parses a key in the form of `ADD_ONION`: `ED25519-V3:` and 64 bytes in base64.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the text is anything else, such as a key of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let blob = OnionKey::from_seed([7; 32]).reveal_blob();
    /// assert!(blob.starts_with("ED25519-V3:"));
    /// assert_eq!(OnionKey::from_blob(&blob)?.reveal_blob(), blob);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[doc(alias("GenKeyFromBlob", "ED25519KeyFromBlob"))]
    pub fn from_blob(blob: &str) -> Result<Self, InvalidName> {
        let Some(base64) = super::strip_type(blob, BLOB_TYPE) else {
            return Err(refusal("must begin with ED25519-V3:"));
        };
        // tor accepts it without padding too.
        let base64 = base64.trim_end_matches('=').as_bytes();
        let mut secret = Box::new(Zeroizing::new([0; 64]));
        if BASE64_NOPAD.decode_len(base64.len()) != Ok(secret.len())
            || BASE64_NOPAD.decode_mut(base64, &mut **secret).is_err()
        {
            return Err(refusal("must be 64 bytes in base64"));
        }
        Self::from_secret(secret)
    }

    /// Parses the contents of the file `hs_ed25519_secret_key` of a service's directory.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the bytes are anything else, such as the file of the public key.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let key = OnionKey::from_seed([7; 32]);
    /// let same = OnionKey::from_file_bytes(&key.reveal_file_bytes())?;
    /// assert_eq!(same.address(), key.address());
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, InvalidName> {
        let Some((header, key)) = bytes.split_first_chunk::<32>() else {
            return Err(refusal("must be a file of 96 bytes"));
        };
        if header == PUBLIC_HEADER {
            return Err(refusal("must be the file of the secret key, not that of the public one"));
        }
        if header != SECRET_HEADER {
            return Err(refusal("must be a file that begins with == ed25519v1-secret: type0 =="));
        }
        let mut secret = Box::new(Zeroizing::new([0; 64]));
        if key.len() != secret.len() {
            return Err(refusal("must be a file of 96 bytes"));
        }
        secret.copy_from_slice(key);
        Self::from_secret(secret)
    }

    /// Returns the address of the service.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let address = OnionKey::from_seed([7; 32]).address();
    /// assert!(address.to_string().ends_with(".onion"));
    /// ```
    #[must_use]
    pub fn address(&self) -> OnionAddress {
        // Every multiple of the base point but the neutral element is a valid key.
        let derive = || OnionAddress::of_key(public_key(&self.0.secret));
        *self.0.address.get_or_init(derive)
    }

    #[cfg(test)]
    pub(crate) fn is_address_derived(&self) -> bool {
        self.0.address.get().is_some()
    }

    /// Returns the key in the form of `ADD_ONION`: `ED25519-V3:` and the secret in base64.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// assert!(OnionKey::from_seed([7; 32]).reveal_blob().starts_with("ED25519-V3:"));
    /// ```
    #[doc(alias = "Blob")]
    #[must_use]
    pub fn reveal_blob(&self) -> String {
        // In one allocation, so that none is left behind with a part of the secret.
        let mut blob = String::with_capacity(BLOB_TYPE.len() + BASE64.encode_len(64));
        blob.push_str(BLOB_TYPE);
        BASE64.encode_append(&**self.0.secret, &mut blob);
        blob
    }

    /// Returns the contents of the file `hs_ed25519_secret_key`.
    /// [`write_file`](Self::write_file) writes a private one.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let file = OnionKey::from_seed([7; 32]).reveal_file_bytes();
    /// assert!(file.starts_with(b"== ed25519v1-secret: type0 =="));
    /// ```
    #[must_use]
    pub fn reveal_file_bytes(&self) -> [u8; 96] {
        let mut file = [0; 96];
        let bytes = SECRET_HEADER.iter().chain(self.0.secret.iter());
        file.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        file
    }

    /// Returns the contents of the file `hs_ed25519_public_key`, which holds no secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionKey;
    ///
    /// let file = OnionKey::from_seed([7; 32]).public_file_bytes();
    /// assert!(file.starts_with(b"== ed25519v1-public: type0 =="));
    /// ```
    #[must_use]
    pub fn public_file_bytes(&self) -> [u8; 64] {
        let mut file = [0; 64];
        let bytes = PUBLIC_HEADER.iter().copied().chain(self.address().public_key());
        file.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        file
    }
}

/// Returns the scalar: the first half of the secret. The second half is for signing only.
fn scalar(secret: &[u8; 64]) -> Zeroizing<Scalar> {
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.iter_mut().zip(secret).for_each(|(place, byte)| *place = *byte);
    Zeroizing::new(Scalar::from_bytes_mod_order(*bytes))
}

fn public_key(secret: &[u8; 64]) -> [u8; 32] {
    EdwardsPoint::mul_base(&scalar(secret)).compress().to_bytes()
}

fn refusal(problem: &'static str) -> InvalidName {
    InvalidName::new("onion key", problem)
}

impl fmt::Debug for OnionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::OnionKey;

    #[test]
    fn the_address_of_a_key_is_derived_once_and_when_it_is_needed() {
        let key = OnionKey::from_blob(&OnionKey::from_seed([7; 32]).reveal_blob()).unwrap();
        assert!(!key.is_address_derived());
        let clone = key.clone();
        assert!(Arc::ptr_eq(&key.0, &clone.0), "the secret is copied");
        let address = clone.address();
        assert_eq!(key.0.address.get(), Some(&address));
    }
}
