//! The encryption of the layers of a descriptor: AES-256 in counter mode, SHA3-256 as a MAC, SHAKE-256
//! for the keys.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::digest::CtOutput;
use memchr::memchr;
use sha3::{Digest, Sha3_256};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::{Zeroize, Zeroizing};

use crate::names::OnionAddress;

/// A layer of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    First,
    Second,
}

impl Layer {
    /// The constant from which the keys of the layer are derived.
    fn constant(self) -> &'static [u8] {
        match self {
            Self::First => b"hsdir-superencrypted-data",
            Self::Second => b"hsdir-encrypted-data",
        }
    }
}

/// The secret of a descriptor that only its service and the authorized clients know.
pub(super) type Cookie = Zeroizing<[u8; 16]>;

/// The inputs of the keys of both layers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    blinded_key: [u8; 32],
    subcredential: [u8; 32],
    revision: u64,
}

impl Credentials {
    pub(super) fn new(address: &OnionAddress, blinded_key: [u8; 32], revision: u64) -> Self {
        let credential =
            Sha3_256::new().chain_update(b"credential").chain_update(address.public_key());
        let subcredential = Sha3_256::new()
            .chain_update(b"subcredential")
            .chain_update(credential.finalize())
            .chain_update(blinded_key)
            .finalize()
            .into();
        Self { blinded_key, subcredential, revision }
    }

    /// Decrypts the message of a layer. `None` if its MAC is wrong.
    pub(super) fn decrypt(
        &self,
        layer: Layer,
        cookie: Option<&Cookie>,
        message: &[u8],
    ) -> Option<Vec<u8>> {
        let (salt, rest) = message.split_first_chunk::<16>()?;
        let (encrypted, mac) = rest.split_last_chunk::<32>()?;
        let keys = self.keys(layer, cookie, salt);
        if CtOutput::<Sha3_256>::new((*mac).into()) != keys.mac(salt, encrypted) {
            return None;
        }
        let mut text = encrypted.to_vec();
        keys.apply(&mut text)?;
        // The padding of the first layer.
        text.truncate(memchr(0, &text).unwrap_or(text.len()));
        Some(text)
    }

    fn keys(&self, layer: Layer, cookie: Option<&Cookie>, salt: &[u8; 16]) -> Keys {
        let mut hash = Shake256::default();
        hash.update(&self.blinded_key);
        if let Some(cookie) = cookie {
            hash.update(&**cookie);
        }
        hash.update(&self.subcredential);
        hash.update(&self.revision.to_be_bytes());
        hash.update(salt);
        hash.update(layer.constant());
        let mut output = hash.finalize_xof();
        let mut keys = Keys { key: [0; 32], iv: [0; 16], mac_key: [0; 32] };
        output.read(&mut keys.key);
        output.read(&mut keys.iv);
        output.read(&mut keys.mac_key);
        keys
    }

    /// Derives the ID of an authorized client and the key of its cookie.
    pub(super) fn client_keys(
        &self,
        shared: &Zeroizing<[u8; 32]>,
    ) -> ([u8; 8], Zeroizing<[u8; 32]>) {
        let mut hash = Shake256::default();
        hash.update(&self.subcredential);
        hash.update(&**shared);
        let mut output = hash.finalize_xof();
        let (mut id, mut key) = ([0; 8], Zeroizing::new([0; 32]));
        output.read(&mut id);
        output.read(&mut *key);
        (id, key)
    }
}

/// The keys of one layer.
struct Keys {
    key: [u8; 32],
    iv: [u8; 16],
    mac_key: [u8; 32],
}

impl Keys {
    /// Returns the MAC, which is compared in constant time.
    fn mac(&self, salt: &[u8; 16], encrypted: &[u8]) -> CtOutput<Sha3_256> {
        let mac = Sha3_256::new()
            .chain_update(32_u64.to_be_bytes())
            .chain_update(self.mac_key)
            .chain_update(16_u64.to_be_bytes())
            .chain_update(salt)
            .chain_update(encrypted);
        CtOutput::new(mac.finalize())
    }

    fn apply(&self, bytes: &mut [u8]) -> Option<()> {
        apply(&self.key, &self.iv, bytes)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
        self.mac_key.zeroize();
    }
}

/// Encrypts or decrypts bytes in counter mode.
fn apply(key: &[u8; 32], iv: &[u8; 16], bytes: &mut [u8]) -> Option<()> {
    let mut cipher = Ctr128BE::<Aes256>::new(key.into(), iv.into());
    cipher.try_apply_keystream(bytes).ok()
}

/// Decrypts the cookie of an authorized client.
pub(super) fn decrypt_cookie(key: &[u8; 32], iv: &[u8; 16], encrypted: [u8; 16]) -> Option<Cookie> {
    let mut cookie = Zeroizing::new(encrypted);
    apply(key, iv, &mut *cookie)?;
    Some(cookie)
}

#[cfg(test)]
impl Credentials {
    /// Encrypts the text of a layer.
    pub(super) fn encrypt(
        &self,
        layer: Layer,
        cookie: Option<&Cookie>,
        salt: [u8; 16],
        text: &[u8],
    ) -> Vec<u8> {
        let keys = self.keys(layer, cookie, &salt);
        let mut encrypted = text.to_vec();
        keys.apply(&mut encrypted).unwrap();
        let mac = keys.mac(&salt, &encrypted).into_bytes();
        [&salt[..], &encrypted, &mac[..]].concat()
    }
}
