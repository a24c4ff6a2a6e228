//! Ed25519 signatures and keys of directory documents.

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::BASE64_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};

/// Returns whether the key signed the message.
///
/// Stricter than tor in what no honest key has: a key or a signature of small order, with which one
/// signature fits many messages, and a signature that is not in its only valid encoding.
pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// Reads a signature in base64 without padding.
pub(super) fn read_signature(text: &[u8]) -> Option<[u8; 64]> {
    BASE64_NOPAD.decode(text).ok()?.try_into().ok()
}

/// Returns the Ed25519 key that has the same private key as an ntor key. The sign bit is that of
/// `ntor-onion-key-crosscert`.
pub(super) fn from_ntor_key(key: [u8; 32], sign_bit: u8) -> Option<[u8; 32]> {
    let point = MontgomeryPoint(key).to_edwards(sign_bit)?;
    Some(point.compress().to_bytes())
}
