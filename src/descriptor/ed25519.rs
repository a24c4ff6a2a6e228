//! Ed25519 signatures of directory documents.

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

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::{Signer, SigningKey};

    use super::verify;

    /// The order of the group, little-endian.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];

    #[test]
    fn only_the_valid_encoding_of_a_signature_is_accepted() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = key.sign(b"message").to_bytes();
        assert!(verify(&public, b"message", &signature));
        assert!(!verify(&public, b"messagf", &signature));
        let mut larger = signature;
        let mut carry = 0;
        for (byte, order) in larger[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert!(!verify(&public, b"message", &larger));
    }

    #[test]
    fn a_key_or_signature_of_small_order_signs_nothing() {
        for point in EIGHT_TORSION {
            let key = point.compress().to_bytes();
            for commitment in EIGHT_TORSION {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(commitment.compress().as_bytes());
                for message in 0..16 {
                    assert!(!verify(&key, &[message], &signature));
                }
            }
        }
    }
}
