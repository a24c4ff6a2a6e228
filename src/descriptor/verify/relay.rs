//! Signatures of server descriptors and extra-info documents.

use std::fmt;
use std::time::SystemTime;

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::BASE64_NOPAD;
use sha2::{Digest, Sha256};

use super::certificate::{self, Signer};
use super::document::{Document, object};
use super::rsa::RsaKey;
use crate::descriptor::certificate::CertificateType;
use crate::descriptor::digest::{
    ed25519_signed_part, extra_info_signed_part, server_descriptor_signed_part, sha1,
};
use crate::descriptor::ed25519;
use crate::descriptor::item::{DescriptorItem, base64};
use crate::descriptor::{ExtraInfo, ServerDescriptor};
use crate::error::{VerifyError, VerifyProblem};
use crate::names::Fingerprint;

/// The text before what a relay signs with its Ed25519 signing key.
const PREFIX: &[u8] = b"Tor router descriptor signature v1";

const CERTIFICATE: &str = "ED25519 CERT";

/// The identity of the relay that signed a server descriptor: the result of
/// [`ServerDescriptor::verify`].
///
/// Needs the Cargo feature `verify`.
///
/// # Examples
///
/// ```no_run
/// use std::time::SystemTime;
///
/// use torcon::descriptor::ServerDescriptors;
///
/// let text = std::fs::read("cached-descriptors")?;
/// for descriptor in &ServerDescriptors::new(text) {
///     match descriptor?.verify(SystemTime::now()) {
///         Ok(relay) => println!("{}", relay.fingerprint()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct RelayIdentity {
    rsa: RsaKey,
    ed25519: Option<[u8; 32]>,
    families: Vec<[u8; 32]>,
    expires: Option<SystemTime>,
}

impl RelayIdentity {
    /// Returns the fingerprint of the relay: the digest of its RSA identity key, which signed the
    /// descriptor.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.rsa.digest()
    }

    /// Returns the Ed25519 identity, which certified the key that signed the descriptor. `None` if the
    /// descriptor has no Ed25519 signature, as those of tor before 0.2.7.
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        self.ed25519
    }

    /// Returns the keys of the families that certified the relay, with certificates that are valid at
    /// the time of the verification.
    #[must_use]
    pub fn family_keys(&self) -> &[[u8; 32]] {
        &self.families
    }

    /// Returns the earliest time at which a certificate of the descriptor expires, those of families
    /// aside. `None` if it has no certificate.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

impl fmt::Debug for RelayIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ed25519 = self.ed25519.map(|key| BASE64_NOPAD.encode(&key));
        f.debug_struct("RelayIdentity")
            .field("fingerprint", &self.fingerprint())
            .field("ed25519_identity", &ed25519)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl ServerDescriptor {
    /// Verifies that the relay with this fingerprint, and with this Ed25519 identity, signed the
    /// descriptor.
    ///
    /// As tor, it verifies the RSA signature of the whole text, and that `fingerprint` is the digest of
    /// the RSA key. If the descriptor has Ed25519 lines, it also verifies the Ed25519 signature, the
    /// certificate of the signing key, that `master-key-ed25519` is the key that signed the
    /// certificate, the cross-certificates by which the owner of the onion keys names the identity,
    /// and the signatures of family certificates. `at` is the time at which the certificates must be
    /// valid: the present, or, for a descriptor of an archive, the time of its publication.
    ///
    /// It does not verify that the relay is in a consensus, and that the descriptor is recent.
    /// Annotations are not signed. A descriptor that a tor returned needs no verification: that tor
    /// has done it.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the line whose signature, key or certificate is not valid.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// let descriptor = torcon::descriptor::ServerDescriptor::parse(std::fs::read("descriptor")?)?;
    /// let relay = descriptor.verify(SystemTime::now())?;
    /// assert_eq!(Some(relay.fingerprint()), descriptor.fingerprint());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "validate")]
    pub fn verify(&self, at: SystemTime) -> Result<RelayIdentity, VerifyError> {
        verify_server(self.as_bytes(), at).map_err(|problem| {
            VerifyError::new(&format!("the server descriptor of {}", self.nickname()), problem)
        })
    }
}

impl ExtraInfo {
    /// Verifies that a relay signed the document. The relay is the result of
    /// [`ServerDescriptor::verify`], since only the server descriptor contains the RSA key.
    ///
    /// It verifies the RSA signature of the whole text, that the document names the fingerprint of the
    /// relay, and, if the relay has an Ed25519 identity, the Ed25519 signature and the certificate of
    /// the signing key. `at` is the time at which the certificate must be valid.
    ///
    /// It does not verify that the server descriptor names the digest of this document. A document
    /// that a tor returned needs no verification.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the line whose signature, key or certificate is not valid.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use torcon::descriptor::{ExtraInfo, ServerDescriptor};
    ///
    /// let now = SystemTime::now();
    /// let relay = ServerDescriptor::parse(std::fs::read("descriptor")?)?.verify(now)?;
    /// ExtraInfo::parse(std::fs::read("extra-info")?)?.verify(&relay, now)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "validate")]
    pub fn verify(&self, relay: &RelayIdentity, at: SystemTime) -> Result<(), VerifyError> {
        verify_extra_info(self.as_bytes(), self.fingerprint(), relay, at).map_err(|problem| {
            VerifyError::new(&format!("the extra-info document of {}", self.nickname()), problem)
        })
    }
}

fn verify_server(text: &[u8], at: SystemTime) -> Result<RelayIdentity, VerifyProblem> {
    let document = Document::new(text);
    let rsa = read_key(&document.one("signing-key")?, "signing-key")?;
    check_fingerprint(&document, &rsa)?;
    verify_rsa(&document, "router", server_descriptor_signed_part, &rsa)?;
    let mut identity = RelayIdentity { rsa, ed25519: None, families: Vec::new(), expires: None };
    if let Some(signed) = verify_ed25519(&document, at)? {
        let master_key = signed.signer;
        if let Some(item) = document.optional("master-key-ed25519")? {
            let malformed = VerifyProblem::Malformed { item: "master-key-ed25519" };
            let named: [u8; 32] = item.words().next().and_then(base64).ok_or(malformed)?;
            if named != master_key {
                let (item, of) = ("master-key-ed25519", "identity-ed25519");
                return Err(VerifyProblem::OtherKey { item, of });
            }
        }
        verify_onion_key(&document, identity.fingerprint(), &master_key)?;
        let onion_key_expires = verify_ntor_key(&document, &master_key, at)?;
        identity.families = verify_families(&document, &master_key, at)?;
        identity.ed25519 = Some(master_key);
        identity.expires = Some(signed.expires.min(onion_key_expires));
    }
    Ok(identity)
}

fn verify_extra_info(
    text: &[u8],
    named: Fingerprint,
    relay: &RelayIdentity,
    at: SystemTime,
) -> Result<(), VerifyProblem> {
    let document = Document::new(text);
    let digest = relay.fingerprint();
    if named != digest {
        return Err(VerifyProblem::Fingerprint { item: "extra-info", named, digest });
    }
    verify_rsa(&document, "extra-info", extra_info_signed_part, &relay.rsa)?;
    let signer = verify_ed25519(&document, at)?.map(|signed| signed.signer);
    match (signer, relay.ed25519) {
        (signer, identity) if signer == identity => Ok(()),
        (None, _) => Err(VerifyProblem::Missing { item: "identity-ed25519" }),
        _ => {
            let (item, of) = ("identity-ed25519", "the server descriptor");
            Err(VerifyProblem::OtherKey { item, of })
        }
    }
}

/// Reads an RSA key.
pub(super) fn read_key(
    item: &DescriptorItem<'_>,
    keyword: &'static str,
) -> Result<RsaKey, VerifyProblem> {
    let der = object(item, keyword, "RSA PUBLIC KEY")?;
    RsaKey::from_der(&der).ok_or(VerifyProblem::Malformed { item: keyword })
}

/// Checks that the line `fingerprint`, which may be absent, names the digest of the key.
pub(super) fn check_fingerprint(
    document: &Document<'_>,
    key: &RsaKey,
) -> Result<(), VerifyProblem> {
    let item = "fingerprint";
    let Some(line) = document.optional(item)? else {
        return Ok(());
    };
    let digits: Vec<u8> = line.words().flatten().copied().collect();
    let named = Fingerprint::from_hex(&digits).ok_or(VerifyProblem::Malformed { item })?;
    let digest = key.digest();
    match named == digest {
        true => Ok(()),
        false => Err(VerifyProblem::Fingerprint { item, named, digest }),
    }
}

/// Verifies `router-signature`, which covers all lines from the first to its own.
fn verify_rsa(
    document: &Document<'_>,
    first: &'static str,
    signed_part: fn(&[u8]) -> Option<&[u8]>,
    key: &RsaKey,
) -> Result<(), VerifyProblem> {
    let item = "router-signature";
    let line = document.one(item)?;
    document.begins_with(first)?;
    document.ends_with(&[item])?;
    let signature = object(&line, item, "SIGNATURE")?;
    let text = document.up_to(&line, item, signed_part(document.text()))?;
    match key.verify(&signature, &sha1(text)) {
        true => Ok(()),
        false => Err(VerifyProblem::Signature { item }),
    }
}

/// Verifies `identity-ed25519` and `router-sig-ed25519`, if the document has both or one. Returns the
/// certificate of the key that signed.
fn verify_ed25519(
    document: &Document<'_>,
    at: SystemTime,
) -> Result<Option<certificate::Certified>, VerifyProblem> {
    let keywords = ["identity-ed25519", "master-key-ed25519", "router-sig-ed25519"];
    if keywords.into_iter().all(|keyword| document.all(keyword).next().is_none()) {
        return Ok(None);
    }
    let item = "identity-ed25519";
    let line = document.one(item)?;
    let kind = CertificateType::IdentityVSigning;
    let signed = certificate::verify(&line, item, CERTIFICATE, kind, Signer::Included)?;
    let item = "router-sig-ed25519";
    let line = document.one(item)?;
    document.ends_with(&[item, "router-signature"])?;
    let malformed = VerifyProblem::Malformed { item };
    let signature = line.words().next().and_then(base64);
    let signature = signature.ok_or(malformed)?;
    let text = document.up_to(&line, item, ed25519_signed_part(document.text()))?;
    let digest = Sha256::new().chain_update(PREFIX).chain_update(text).finalize();
    if !ed25519::verify(&signed.key, &digest, &signature) {
        return Err(VerifyProblem::Signature { item });
    }
    signed.valid_at(at, "identity-ed25519").map(Some)
}

/// Verifies that the owner of the TAP onion key, if there is one, named both identities.
fn verify_onion_key(
    document: &Document<'_>,
    fingerprint: Fingerprint,
    master_key: &[u8; 32],
) -> Result<(), VerifyProblem> {
    let item = "onion-key-crosscert";
    let key = match document.optional("onion-key")? {
        Some(line) => read_key(&line, "onion-key")?,
        None => return Ok(()),
    };
    let signature = object(&document.one(item)?, item, "CROSSCERT")?;
    let signed = [&fingerprint.as_bytes()[..], &master_key[..]].concat();
    match key.verify(&signature, &signed) {
        true => Ok(()),
        false => Err(VerifyProblem::Signature { item }),
    }
}

/// Verifies that the owner of the ntor onion key named the Ed25519 identity. Returns until when.
fn verify_ntor_key(
    document: &Document<'_>,
    master_key: &[u8; 32],
    at: SystemTime,
) -> Result<SystemTime, VerifyProblem> {
    let item = "ntor-onion-key";
    let words = document.one(item)?;
    let key = words.words().next().and_then(base64).ok_or(VerifyProblem::Malformed { item })?;
    let item = "ntor-onion-key-crosscert";
    let line = document.one(item)?;
    let sign_bit = match line.words().next() {
        Some(b"0") => 0,
        Some(b"1") => 1,
        _ => return Err(VerifyProblem::Malformed { item }),
    };
    let malformed = VerifyProblem::Malformed { item: "ntor-onion-key" };
    let signer = Signer::Key(from_ntor_key(key, sign_bit).ok_or(malformed)?);
    certificate::verify(&line, item, CERTIFICATE, CertificateType::NtorCcIdentity, signer)?
        .certifies(master_key, item, "identity-ed25519")?
        .valid_at(at, item)
        .map(|certified| certified.expires)
}

/// Returns the Ed25519 key that has the same private key as an ntor key. The sign bit is that of
/// `ntor-onion-key-crosscert`.
fn from_ntor_key(key: [u8; 32], sign_bit: u8) -> Option<[u8; 32]> {
    let point = MontgomeryPoint(key).to_edwards(sign_bit)?;
    Some(point.compress().to_bytes())
}

/// Verifies the certificates of families. Returns the keys of those that are valid at the time; tor
/// accepts a descriptor with an expired one.
fn verify_families(
    document: &Document<'_>,
    master_key: &[u8; 32],
    at: SystemTime,
) -> Result<Vec<[u8; 32]>, VerifyProblem> {
    let item = "family-cert";
    let mut keys = Vec::new();
    for line in document.all(item) {
        let kind = CertificateType::FamilyVIdentity;
        let certified = certificate::verify(&line, item, "FAMILY CERT", kind, Signer::Included)?
            .certifies(master_key, item, "identity-ed25519")?;
        if certified.valid_at(at, item).is_ok() {
            keys.push(certified.signer);
        }
    }
    Ok(keys)
}
