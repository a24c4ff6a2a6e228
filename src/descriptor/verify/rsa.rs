//! RSA public keys and signatures of directory documents: PKCS #1 v1.5 without the prefix that names
//! the digest algorithm.

use std::fmt;

use num_bigint::BigUint;
use sha1::{Digest, Sha1};

use crate::names::Fingerprint;

/// The sizes of keys, in bits. Relays have 1024, authorities up to 4096.
const SIZES: std::ops::RangeInclusive<u64> = 1024..=8192;

/// The public exponent of every key: 65537.
const EXPONENT: &[u8] = &[1, 0, 1];

/// The tags of DER.
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// An RSA public key.
#[derive(Clone)]
pub(super) struct RsaKey {
    modulus: BigUint,
    /// The length of the modulus, in bytes.
    length: usize,
    digest: Fingerprint,
}

impl RsaKey {
    /// Reads an `RSAPublicKey` of PKCS #1 in DER.
    ///
    /// `None` if it is not in the only valid encoding, so that a key has one digest, or the size or the
    /// exponent is not that of tor's keys.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let (sequence, end) = take(der, SEQUENCE)?;
        let (modulus, rest) = take(sequence, INTEGER)?;
        let (exponent, rest) = take(rest, INTEGER)?;
        let bytes = match modulus {
            // A zero precedes a number whose first bit is set, which would be negative without it.
            [0, bytes @ ..] if bytes.first()? & 0x80 != 0 => bytes,
            [first, ..] if (1..0x80).contains(first) => modulus,
            _ => return None,
        };
        let modulus = BigUint::from_bytes_be(bytes);
        let is_valid = SIZES.contains(&modulus.bits())
            && modulus.bit(0)
            && exponent == EXPONENT
            && end.is_empty()
            && rest.is_empty();
        is_valid.then(|| Self {
            modulus,
            length: bytes.len(),
            digest: Fingerprint::from(<[u8; 20]>::from(Sha1::digest(der))),
        })
    }

    /// Returns the SHA-1 digest of the key: the fingerprint of a relay or an authority.
    pub(super) fn digest(&self) -> Fingerprint {
        self.digest
    }

    /// Returns whether this key signed the message, which mostly is a digest.
    pub(super) fn verify(&self, signature: &[u8], message: &[u8]) -> bool {
        let signature_number = BigUint::from_bytes_be(signature);
        // Eight bytes of padding at least, as PKCS #1 asks for.
        let padding = match self.length.checked_sub(message.len() + 3) {
            Some(padding) if padding >= 8 => padding,
            _ => return false,
        };
        if signature.len() != self.length || signature_number >= self.modulus {
            return false;
        }
        let mut signed = vec![0, 1];
        signed.resize(2 + padding, 0xff);
        signed.push(0);
        signed.extend_from_slice(message);
        self.power(signature_number) == BigUint::from_bytes_be(&signed)
    }

    /// Returns the number to the power of 65537: squared 16 times, then multiplied by the number.
    fn power(&self, number: BigUint) -> BigUint {
        let mut power = number.clone();
        for _ in 0..16 {
            power = &power * &power % &self.modulus;
        }
        power * number % &self.modulus
    }
}

/// Removes a DER value with this tag. Returns its content and the rest.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [found, length @ ..=0x7f, rest @ ..] if *found == tag => (usize::from(*length), rest),
        [found, 0x81, length @ 0x80..=0xff, rest @ ..] if *found == tag => {
            (usize::from(*length), rest)
        }
        [found, 0x82, high @ 1..=0xff, low, rest @ ..] if *found == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.digest)
    }
}
