use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::names::{Fingerprint, printable};

/// The error of a directory document whose signatures were not verified.
///
/// Needs the Cargo feature `verify`.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
///
/// use torcon::descriptor::ServerDescriptor;
/// use torcon::error::VerifyProblem;
///
/// let descriptor = ServerDescriptor::parse("router moria1 128.31.0.39 9201 0 9231\n")?;
/// let error = descriptor.verify(SystemTime::now()).unwrap_err();
/// assert!(matches!(error.problem(), VerifyProblem::Missing { item: "signing-key" }));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    document: Box<str>,
    problem: VerifyProblem,
}

/// Why a document, certificate or signature was not verified. An `item` is the keyword of a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyProblem {
    /// A line that verification needs is missing.
    #[error("the line {item} is missing")]
    Missing {
        /// The keyword.
        item: &'static str,
    },
    /// A line that must occur once occurs more often.
    #[error("the line {item} occurs more than once")]
    Repeated {
        /// The keyword.
        item: &'static str,
    },
    /// A line, or its key, certificate or signature, has a syntax error or a value that tor does not
    /// accept, such as an RSA key of less than 1024 bits.
    #[error("the line {item} has a syntax error, or its object is not valid")]
    Malformed {
        /// The keyword.
        item: &'static str,
    },
    /// A line stands before or after the part of the text that is signed.
    #[error("no signature covers the line \"{line}\"")]
    NotCovered {
        /// The beginning of the line, escaped.
        line: Box<str>,
    },
    /// A signature does not match what it signs: one of them was changed, or another key signed.
    #[error("the signature in {item} does not match")]
    Signature {
        /// The keyword of the line with the signature or with the signed certificate.
        item: &'static str,
    },
    /// The key in a line is not the key of another line, which it must repeat or certify.
    #[error("the key in {item} is not that of {of}")]
    OtherKey {
        /// The keyword of the line with the wrong key or certificate.
        item: &'static str,
        /// The line or the person whose key is expected.
        of: &'static str,
    },
    /// A line names a fingerprint that is not the digest of the key.
    #[error("the line {item} names the fingerprint {named}, but the key has {digest}")]
    Fingerprint {
        /// The keyword.
        item: &'static str,
        /// The fingerprint in the line.
        named: Fingerprint,
        /// The digest of the key.
        digest: Fingerprint,
    },
    /// A certificate or document was valid until a time before the one that the caller gave.
    #[error("the validity by {item} ended at {}", utc(*.at))]
    Expired {
        /// The keyword of the line with the certificate or the time.
        item: &'static str,
        /// The end of the validity.
        at: SystemTime,
    },
    /// A document is valid from a time after the one that the caller gave.
    #[error("the validity by {item} begins at {}", utc(*.at))]
    NotYetValid {
        /// The keyword of the line with the time.
        item: &'static str,
        /// The beginning of the validity.
        at: SystemTime,
    },
    /// The signer is none of the authorities that the caller trusts.
    #[error("the authority is not trusted")]
    Untrusted,
    /// No certificate of the caller has the key of the signature.
    #[error("no certificate of the authority has the signing key {key}")]
    NoCertificate {
        /// The digest of the signing key.
        key: Fingerprint,
    },
    /// The algorithm of a signature is neither `sha1` nor `sha256`.
    #[error("the digest algorithm {} is not supported", printable(&**.algorithm))]
    Algorithm {
        /// The name in the line.
        algorithm: Box<str>,
    },
    /// Too few trusted authorities signed a consensus.
    #[error("{} of the {needed} signatures of trusted authorities that are needed were verified{}",
        .signers.len(), first_refusal(.refused))]
    TooFewSignatures {
        /// The authorities whose signatures were verified.
        signers: Box<[Fingerprint]>,
        /// The number of authorities that is needed.
        needed: usize,
        /// The other signatures.
        refused: Box<[RefusedSignature]>,
    },
}

/// A signature of a consensus that was not verified.
///
/// Needs the Cargo feature `verify`.
///
/// # Examples
///
/// ```
/// use torcon::error::{VerifyError, VerifyProblem};
///
/// fn print(error: &VerifyError) {
///     if let VerifyProblem::TooFewSignatures { refused, .. } = error.problem() {
///         refused.iter().for_each(|one| eprintln!("{}: {}", one.authority, one.problem));
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedSignature {
    /// The fingerprint of the authority's identity key.
    pub authority: Fingerprint,
    /// Why the signature does not count.
    pub problem: VerifyProblem,
}

impl RefusedSignature {
    pub(crate) fn new(authority: Fingerprint, problem: VerifyProblem) -> Self {
        Self { authority, problem }
    }
}

fn first_refusal(refused: &[RefusedSignature]) -> String {
    // A signature of an authority that is not trusted is not worth a word if another was refused.
    let is_trusted = |one: &&RefusedSignature| one.problem != VerifyProblem::Untrusted;
    match refused.iter().find(is_trusted).or(refused.first()) {
        Some(RefusedSignature { authority, problem }) => format!("; of {authority}: {problem}"),
        None => String::new(),
    }
}

/// Writes a time as documents do, in UTC.
fn utc(time: SystemTime) -> String {
    let Ok(since_1970) = time.duration_since(SystemTime::UNIX_EPOCH) else {
        return "a time before 1970".to_owned();
    };
    let (days, seconds) = (since_1970.as_secs() / 86_400, since_1970.as_secs() % 86_400);
    // Years begin in March here, so that the leap day is the last day.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next_year;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

impl VerifyError {
    pub(crate) fn new(document: &str, problem: VerifyProblem) -> Self {
        Self { inner: Arc::new(Inner { document: document.into(), problem }) }
    }

    /// Returns the name of the document, such as `the server descriptor of moria1`.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.inner.document
    }

    /// Returns why the document was not verified.
    #[must_use]
    pub fn problem(&self) -> &VerifyProblem {
        &self.inner.problem
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { document, problem } = &*self.inner;
        write!(f, "cannot verify {}: {problem}", printable(&**document))
    }
}

impl std::error::Error for VerifyError {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{RefusedSignature, VerifyError, VerifyProblem, utc};
    use crate::names::Fingerprint;

    #[test]
    fn each_problem_names_the_line_and_the_value() {
        let (one, two) = (Fingerprint::from([0x11; 20]), Fingerprint::from([0x22; 20]));
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_426_078);
        let refused = |problem| RefusedSignature::new(one, problem);
        let item = "fingerprint";
        for (problem, text) in [
            (VerifyProblem::Missing { item }, "the line fingerprint is missing"),
            (VerifyProblem::Repeated { item }, "the line fingerprint occurs more than once"),
            (
                VerifyProblem::Malformed { item },
                "the line fingerprint has a syntax error, or its object is not valid",
            ),
            (
                VerifyProblem::NotCovered { line: "contact me".into() },
                "no signature covers the line \"contact me\"",
            ),
            (
                VerifyProblem::Signature { item: "router-signature" },
                "the signature in router-signature does not match",
            ),
            (
                VerifyProblem::OtherKey { item: "master-key-ed25519", of: "identity-ed25519" },
                "the key in master-key-ed25519 is not that of identity-ed25519",
            ),
            (
                VerifyProblem::Fingerprint { item, named: one, digest: two },
                "the line fingerprint names the fingerprint \
                 1111111111111111111111111111111111111111, but the key has \
                 2222222222222222222222222222222222222222",
            ),
            (
                VerifyProblem::Expired { item: "valid-until", at },
                "the validity by valid-until ended at 2026-11-23 09:27:58 UTC",
            ),
            (
                VerifyProblem::NotYetValid { item: "valid-after", at },
                "the validity by valid-after begins at 2026-11-23 09:27:58 UTC",
            ),
            (VerifyProblem::Untrusted, "the authority is not trusted"),
            (
                VerifyProblem::NoCertificate { key: two },
                "no certificate of the authority has the signing key \
                 2222222222222222222222222222222222222222",
            ),
            (
                VerifyProblem::Algorithm { algorithm: "md5".into() },
                "the digest algorithm md5 is not supported",
            ),
            (
                VerifyProblem::TooFewSignatures {
                    signers: [two].into(),
                    needed: 5,
                    refused: [
                        refused(VerifyProblem::Untrusted),
                        refused(VerifyProblem::Signature { item: "directory-signature" }),
                    ]
                    .into(),
                },
                "1 of the 5 signatures of trusted authorities that are needed were verified; of \
                 1111111111111111111111111111111111111111: the signature in directory-signature \
                 does not match",
            ),
        ] {
            let error = VerifyError::new("a consensus", problem);
            assert_eq!(error.to_string(), format!("cannot verify a consensus: {text}"));
            assert_eq!(error.document(), "a consensus");
        }
    }

    #[test]
    fn times_are_written_as_in_documents() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
