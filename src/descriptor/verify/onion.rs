//! Signatures of descriptors of onion services.

use std::time::SystemTime;

use super::certificate::{self, Signer};
use super::document::{Document, not_covered};
use crate::descriptor::OnionDescriptor;
use crate::descriptor::certificate::CertificateType;
use crate::error::{VerifyError, VerifyProblem};
use crate::names::{OnionAddress, TimePeriod};

impl OnionDescriptor {
    /// Verifies that an onion service signed the descriptor for a time period, or for the one before or
    /// after it.
    ///
    /// It verifies that a blinded key of the service signed the certificate of the signing key, that the
    /// certificate is not expired at the time `at`, and the signature of the whole text, which contains
    /// the encrypted layers. On the public network the time period is [`TimePeriod::at`]`(at)`; a
    /// service publishes for two consecutive ones.
    ///
    /// It does not verify that no later descriptor exists: compare [`revision`](Self::revision). A
    /// descriptor that a tor returned needs no verification.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the line whose signature or certificate is not valid;
    /// [`OtherKey`](VerifyProblem::OtherKey) if the descriptor is another service's, or of another
    /// time.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use torcon::descriptor::OnionDescriptor;
    /// use torcon::names::TimePeriod;
    ///
    /// let service = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
    /// let descriptor = OnionDescriptor::parse(std::fs::read("descriptor")?)?;
    /// let now = SystemTime::now();
    /// descriptor.verify(&service, TimePeriod::at(now), now)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn verify(
        &self,
        service: &OnionAddress,
        period: TimePeriod,
        at: SystemTime,
    ) -> Result<(), VerifyError> {
        let periods = [period.previous(), period, period.next()];
        let is_of_service = |key| periods.iter().any(|period| service.blinded_key(*period) == key);
        verify(self, is_of_service, at)
            .map_err(|problem| VerifyError::new("the descriptor of an onion service", problem))
    }
}

fn verify(
    descriptor: &OnionDescriptor,
    is_of_service: impl Fn([u8; 32]) -> bool,
    at: SystemTime,
) -> Result<(), VerifyProblem> {
    let document = Document::new(descriptor.as_bytes());
    document.begins_with("hs-descriptor")?;
    let item = "descriptor-signing-key-cert";
    let line = document.one(item)?;
    let kind = CertificateType::BlindedIdVSigning;
    let certified = certificate::verify(&line, item, "ED25519 CERT", kind, Signer::Included)?;
    if !is_of_service(certified.signer) {
        return Err(VerifyProblem::OtherKey { item, of: "the onion service" });
    }
    let item = "signature";
    let line = document.one(item)?;
    document.ends_with(&[item])?;
    // An object behind the signature is not signed either.
    if line.object().is_some() {
        return Err(not_covered(&line));
    }
    if descriptor.signature().is_none() {
        return Err(VerifyProblem::Malformed { item });
    }
    if !descriptor.is_signed_by(&certified.key) {
        return Err(VerifyProblem::Signature { item });
    }
    certified.valid_at(at, "descriptor-signing-key-cert").map(|_| ())
}
