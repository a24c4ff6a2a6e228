//! Signatures of key certificates of directory authorities.

use std::time::SystemTime;

use super::document::{Document, object};
use super::relay::{check_fingerprint, read_key};
use super::rsa::RsaKey;
use crate::descriptor::KeyCertificate;
use crate::descriptor::digest::{key_certificate_signed_part, sha1};
use crate::error::{VerifyError, VerifyProblem};
use crate::wire::timestamp::read_time;

impl KeyCertificate {
    /// Verifies that the identity key of an authority signed the certificate, and that the certificate
    /// is valid at a time.
    ///
    /// It verifies that [`fingerprint`](Self::fingerprint) is the digest of the identity key, the
    /// signature of the whole text by that key, the signature by which the owner of the signing key
    /// names the identity, and that `at` is not after [`expires`](Self::expires). As in tor, the
    /// certificate may be published after `at`: an authority can certify an older key again.
    ///
    /// It does not verify that the authority is one to trust: compare its fingerprint.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the line whose signature, key or time is not valid.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use torcon::descriptor::{KeyCertificates, public_authorities};
    ///
    /// for certificate in &KeyCertificates::new(std::fs::read("cached-certs")?) {
    ///     let certificate = certificate?;
    ///     certificate.verify(SystemTime::now())?;
    ///     let is_known = |authority| Some(authority) == certificate.fingerprint();
    ///     assert!(public_authorities().any(is_known));
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "validate")]
    pub fn verify(&self, at: SystemTime) -> Result<(), VerifyError> {
        match verify(&Document::new(self.as_bytes()), at) {
            Ok(_) => Ok(()),
            Err(problem) => Err(VerifyError::new("a key certificate", problem)),
        }
    }
}

/// The keys of an authority, as a certificate names them.
#[derive(Clone, Debug)]
pub(super) struct AuthorityKeys {
    pub(super) identity: RsaKey,
    pub(super) signing_key: RsaKey,
}

impl AuthorityKeys {
    /// Reads the keys of a certificate, which is not verified.
    pub(super) fn read(document: &Document<'_>) -> Result<Self, VerifyProblem> {
        let key = |keyword| read_key(&document.one(keyword)?, keyword);
        Ok(Self { identity: key("dir-identity-key")?, signing_key: key("dir-signing-key")? })
    }
}

/// Verifies a key certificate, at a time. Returns its keys.
pub(super) fn verify(
    document: &Document<'_>,
    at: SystemTime,
) -> Result<AuthorityKeys, VerifyProblem> {
    let keys = AuthorityKeys::read(document)?;
    let item = "dir-key-certificate-version";
    document.begins_with(item)?;
    if document.one(item)?.words().next() != Some(b"3") {
        return Err(VerifyProblem::Malformed { item });
    }
    document.one("fingerprint")?;
    check_fingerprint(document, &keys.identity)?;

    let item = "dir-key-certification";
    let line = document.one(item)?;
    document.ends_with(&[item])?;
    let signature = object(&line, item, "SIGNATURE")?;
    let text = document.up_to(&line, item, key_certificate_signed_part(document.text()))?;
    if !keys.identity.verify(&signature, &sha1(text)) {
        return Err(VerifyProblem::Signature { item });
    }

    let item = "dir-key-crosscert";
    let line = document.one(item)?;
    let signature = object(&line, item, "ID SIGNATURE");
    let signature = signature.or_else(|_| object(&line, item, "SIGNATURE"))?;
    if !keys.signing_key.verify(&signature, keys.identity.digest().as_bytes()) {
        return Err(VerifyProblem::Signature { item });
    }

    let item = "dir-key-expires";
    let expires = read_time(document.one(item)?.arguments_bytes());
    let expires = expires.ok_or(VerifyProblem::Malformed { item })?;
    match at > expires {
        true => Err(VerifyProblem::Expired { item, at: expires }),
        false => Ok(keys),
    }
}
