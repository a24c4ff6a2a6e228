//! Ed25519 certificates: type, signature and expiry.

use std::time::SystemTime;

use crate::descriptor::certificate::{CertificateType, Ed25519Certificate};
use crate::descriptor::ed25519;
use crate::descriptor::item::DescriptorItem;
use crate::error::VerifyProblem;

/// The Ed25519 key that signed a certificate, and the one that it certifies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certified {
    pub(super) signer: [u8; 32],
    pub(super) key: [u8; 32],
    pub(super) expires: SystemTime,
}

/// The expected signer of a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signer {
    /// The key that the certificate contains.
    Included,
    /// A key that the document contains in another line.
    Key([u8; 32]),
}

/// Verifies the certificate that is the object of an item, at any time.
pub(super) fn verify(
    item: &DescriptorItem<'_>,
    keyword: &'static str,
    label: &str,
    kind: CertificateType,
    signer: Signer,
) -> Result<Certified, VerifyProblem> {
    let malformed = VerifyProblem::Malformed { item: keyword };
    let certificate =
        Ed25519Certificate::of_type(item, label, kind).ok_or_else(|| malformed.clone())?;
    let signer = match signer {
        Signer::Included => certificate.signing_key().ok_or(malformed)?,
        Signer::Key(key) => key,
    };
    if !ed25519::verify(&signer, certificate.signed_bytes(), &certificate.signature()) {
        return Err(VerifyProblem::Signature { item: keyword });
    }
    Ok(Certified { signer, key: certificate.key(), expires: certificate.expires() })
}

impl Certified {
    /// Checks that the certificate is valid at a time.
    pub(super) fn valid_at(
        self,
        at: SystemTime,
        item: &'static str,
    ) -> Result<Self, VerifyProblem> {
        match at > self.expires {
            true => Err(VerifyProblem::Expired { item, at: self.expires }),
            false => Ok(self),
        }
    }

    /// Checks that the certified key is another line's.
    pub(super) fn certifies(
        self,
        key: &[u8; 32],
        item: &'static str,
        of: &'static str,
    ) -> Result<Self, VerifyProblem> {
        match self.key == *key {
            true => Ok(self),
            false => Err(VerifyProblem::OtherKey { item, of }),
        }
    }
}
