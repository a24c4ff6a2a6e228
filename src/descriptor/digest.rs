//! Digests of documents, each over the bytes that tor digests.
//!
//! A digest or signature begins at the first line of the document, behind annotations, and ends at
//! a keyword, with the line of it or only with the blank behind it.

use data_encoding::HEXUPPER_PERMISSIVE;
use memchr::{memchr, memmem};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::extra_info::ExtraInfo;
use super::item::{Items, base64, take_line};
use super::microdescriptor::Microdescriptor;
use super::server_descriptor::ServerDescriptor;

#[cfg(test)]
mod tests;

/// Returns the SHA-1 digest.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

/// Returns the SHA-256 digest.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns the part of a consensus or vote that authorities sign. `vote-digest` lines and `sha1`
/// signatures are over its SHA-1 digest, `sha256` signatures over its SHA-256 digest.
pub(crate) fn consensus_signed_part(text: &[u8]) -> Option<&[u8]> {
    signed_part(text, b"network-status-version", b"\ndirectory-signature", b' ')
}

/// Returns the part of a key certificate whose SHA-1 digest the identity key signs.
#[cfg(any(test, feature = "verify"))]
pub(crate) fn key_certificate_signed_part(text: &[u8]) -> Option<&[u8]> {
    signed_part(text, b"dir-key-certificate-version", b"\ndir-key-certification", b'\n')
}

/// Returns the part of a server descriptor whose SHA-1 digest the RSA identity key signs.
pub(crate) fn server_descriptor_signed_part(text: &[u8]) -> Option<&[u8]> {
    signed_part(text, b"router ", b"\nrouter-signature", b'\n')
}

/// Returns the part of an extra-info document whose SHA-1 digest the RSA identity key signs.
pub(crate) fn extra_info_signed_part(text: &[u8]) -> Option<&[u8]> {
    signed_part(text, b"extra-info ", b"\nrouter-signature", b'\n')
}

/// Returns the part of a server descriptor or extra-info document that the Ed25519 signature covers,
/// behind the prefix of the signature.
#[cfg(any(test, feature = "verify"))]
pub(crate) fn ed25519_signed_part(text: &[u8]) -> Option<&[u8]> {
    signed_part(text, b"", b"\nrouter-sig-ed25519", b' ')
}

/// Returns the part of a document from its first line, which begins with `first`, to the first byte
/// `end` behind the first `last`. `None` if one of them is missing.
fn signed_part<'a>(text: &'a [u8], first: &[u8], last: &[u8], end: u8) -> Option<&'a [u8]> {
    let text = without_annotations(text);
    let behind = memmem::find(text.strip_prefix(first)?, last)? + first.len() + last.len();
    let length = behind + memchr(end, text.get(behind..)?)? + 1;
    text.get(..length)
}

/// Returns the document without the annotations and blank lines in front of it.
pub(super) fn without_annotations(mut text: &[u8]) -> &[u8] {
    loop {
        let mut rest = text;
        match take_line(&mut rest) {
            Some(line) if line.is_empty() || line.starts_with(b"@") => text = rest,
            _ => return text,
        }
    }
}

/// Returns the digest of a document that CollecTor has sanitized. It has no signature and names the
/// digest of the original in a line.
fn digest_line(text: &[u8]) -> Option<[u8; 20]> {
    let digits = Items::new(text).find_keyword(b"router-digest")?.words().next()?;
    HEXUPPER_PERMISSIVE.decode(digits).ok()?.try_into().ok()
}

/// As [`digest_line`], with SHA-256.
fn digest_sha256_line(text: &[u8]) -> Option<[u8; 32]> {
    Items::new(text).find_keyword(b"router-digest-sha256")?.words().next().and_then(base64)
}

impl Microdescriptor {
    /// Returns the SHA-256 digest, by which the consensus names the microdescriptor. Annotations are
    /// not part of it.
    ///
    /// # Examples
    ///
    /// ```
    /// let text = "onion-key\nntor-onion-key 3iig6fReA1hj5lAPMBZlKPqGTejqoqgBd2SjpJtWQSQ\n";
    /// let descriptor = torcon::descriptor::Microdescriptor::parse(text)?;
    /// let annotated = format!("@last-listed 2026-11-26 14:00:00\n{text}");
    /// let annotated = torcon::descriptor::Microdescriptor::parse(annotated)?;
    /// assert_eq!(annotated.digest(), descriptor.digest());
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let text = without_annotations(self.as_bytes());
        let next = |first| memmem::find(text, first).unwrap_or(text.len());
        let end = next(b"\n@").min(next(b"\nonion-key"));
        // A microdescriptor ends with one line feed. A reply has none behind its last line, and files
        // may have blank lines between the microdescriptors.
        let text = text.get(..end).unwrap_or_default();
        let blank = text.iter().rev().take_while(|byte| **byte == b'\n').count();
        let lines = text.get(..text.len() - blank).unwrap_or_default();
        Sha256::new().chain_update(lines).chain_update(b"\n").finalize().into()
    }
}

impl ServerDescriptor {
    /// Returns the SHA-1 digest, by which a consensus of the flavor `ns`, a vote and
    /// [`Controller::server_descriptor_by_digest`](crate::Controller::server_descriptor_by_digest)
    /// name the descriptor.
    ///
    /// It covers everything from the first line to the line `router-signature`. A descriptor of a
    /// bridge that CollecTor has sanitized has no signature: its digest is that of the line
    /// `router-digest`. `None` if the descriptor has neither.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 20]> {
        let text = self.as_bytes();
        server_descriptor_signed_part(text).map(sha1).or_else(|| digest_line(text))
    }

    /// Returns the SHA-256 digest of the same bytes as [`digest`](Self::digest), or that of the line
    /// `router-digest-sha256`. Documents of tor do not contain it.
    #[must_use]
    pub fn digest_sha256(&self) -> Option<[u8; 32]> {
        let text = self.as_bytes();
        server_descriptor_signed_part(text).map(sha256).or_else(|| digest_sha256_line(text))
    }
}

impl ExtraInfo {
    /// Returns the SHA-1 digest, by which the server descriptor
    /// ([`extra_info_digest`](ServerDescriptor::extra_info_digest)) and
    /// [`Controller::extra_info`](crate::Controller::extra_info) name the document.
    ///
    /// It covers everything from the first line to the line `router-signature`. A document of a
    /// bridge that CollecTor has sanitized has no signature: its digest is that of the line
    /// `router-digest`. `None` if the document has neither.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 20]> {
        let text = self.as_bytes();
        extra_info_signed_part(text).map(sha1).or_else(|| digest_line(text))
    }

    /// Returns the SHA-256 digest, which the server descriptor contains too
    /// ([`extra_info_sha256`](ServerDescriptor::extra_info_sha256)).
    ///
    /// Unlike [`digest`](Self::digest), it covers the RSA signature. For a sanitized document it is
    /// that of the line `router-digest-sha256`.
    #[must_use]
    pub fn digest_sha256(&self) -> Option<[u8; 32]> {
        const END: &[u8] = b"\n-----END SIGNATURE-----";
        let text = without_annotations(self.as_bytes());
        let whole = || {
            let signed = extra_info_signed_part(text)?.len();
            // The last line feed of the signed part precedes the object.
            let object = text.get(signed.checked_sub(1)?..)?;
            let end = signed - 1 + memmem::find(object, END)? + END.len();
            // A reply has no line feed behind the last line.
            let hash = Sha256::new().chain_update(text.get(..end)?).chain_update(b"\n");
            Some(hash.finalize().into())
        };
        whole().or_else(|| digest_sha256_line(text))
    }
}
