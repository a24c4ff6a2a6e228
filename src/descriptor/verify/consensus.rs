//! Signatures of consensus documents and votes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::authority::{self, AuthorityKeys};
use super::document::{Document, not_covered};
use crate::descriptor::digest::{consensus_signed_part, sha1, sha256};
use crate::descriptor::item::{Items, is_annotation};
use crate::descriptor::{Consensus, DirectorySignature, KeyCertificate, Vote};
use crate::error::{RefusedSignature, VerifyError, VerifyProblem};
use crate::names::{DigestAlgorithm, Fingerprint};

const SIGNATURE: &str = "directory-signature";

/// The authorities whose signatures of a consensus were verified: the result of
/// [`Consensus::verify`].
///
/// Needs the Cargo feature `verify`.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::ConsensusSigners;
///
/// fn print(signers: &ConsensusSigners) {
///     for authority in signers.authorities() {
///         println!("signed by {authority}");
///     }
///     for refused in signers.refused() {
///         println!("not by {}: {}", refused.authority, refused.problem);
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusSigners {
    authorities: Vec<Fingerprint>,
    needed: usize,
    refused: Vec<RefusedSignature>,
}

impl ConsensusSigners {
    /// Returns the fingerprints of the identity keys of the authorities that signed, each once. All of
    /// them are trusted, and they are at least [`needed`](Self::needed).
    #[must_use]
    pub fn authorities(&self) -> &[Fingerprint] {
        &self.authorities
    }

    /// Returns how many authorities must sign: more than half of the trusted ones.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Returns the signatures that were not verified: those of other authorities, those without a valid
    /// certificate, and wrong ones.
    #[must_use]
    pub fn refused(&self) -> &[RefusedSignature] {
        &self.refused
    }
}

/// The identities of the authorities of the public network, and tor's names of them.
const PUBLIC: [(&str, &str); 9] = [
    ("moria1", "F533C81CEF0BC0267857C99B2F471ADF249FA232"),
    ("tor26", "2F3DF9CA0E5D36F2685A2DA67184EB8DCB8CBA8C"),
    ("dizum", "E8A9C45EDE6D711294FADF8E7951F4DE6CA56B58"),
    ("gabelmoo", "ED03BB616EB2F60BEC80151114BB25CEF515B226"),
    ("dannenberg", "0232AF901C31A04EE9848595AF9BB7620D4C5B2E"),
    ("maatuska", "49015F787433103580E3B66A1707A00E60F2D15B"),
    ("longclaw", "23D15D965BC35114467363C165C4F724B64B4F66"),
    ("bastet", "27102BC123E7AF1D4741AE047E160C91ADC76B21"),
    ("faravahar", "70849B868D606BAECFB6128C5E3D782029AA394F"),
];

/// Returns the fingerprints of the identity keys of the directory authorities of the public network:
/// the nine that tor 0.4.9.11 trusts.
///
/// tor has this list in its program (`auth_dirs.inc`; the words `v3ident`) and changes it now and then
/// with a release; torcon follows with its own releases. tor does not return the list over the control
/// port. The [authorities](Consensus::authorities) of a consensus that a running tor returned are those
/// that this tor trusts and that took part.
///
/// Needs the Cargo feature `verify`.
///
/// # Examples
///
/// ```
/// let authorities: Vec<_> = torcon::descriptor::public_authorities().collect();
/// assert_eq!(authorities.len(), 9);
/// ```
pub fn public_authorities() -> impl Iterator<Item = Fingerprint> {
    PUBLIC.iter().filter_map(|(_, identity)| Fingerprint::from_hex(identity.as_bytes()))
}

impl Consensus {
    /// Verifies that more than half of the trusted authorities signed the consensus, and that it is
    /// valid at a time.
    ///
    /// `authorities` are the fingerprints of the identity keys to trust, such as
    /// [`public_authorities`]. `certificates` contain the keys that signed: those of tor's file
    /// `cached-certs`. Each that is needed is verified as by [`KeyCertificate::verify`]. `at` must be
    /// from [`valid_after`](Self::valid_after) to [`valid_until`](Self::valid_until), and not after the
    /// expiry of the certificates: the present, or, for a consensus of an archive, its `valid_after`.
    ///
    /// Every line is signed, of the header, the entries and the footer: then a digest in it is too. So a
    /// microdescriptor, which has no signature, is verified if its
    /// [`digest`](super::super::Microdescriptor::digest) is that of an entry of a verified consensus.
    ///
    /// A signature by an authority that is not trusted, without a valid certificate, or that is wrong
    /// does not count, and is no error if enough others do. A consensus that a tor returned needs no
    /// verification: that tor has done it, with its own authorities.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`]: mostly [`TooFewSignatures`](VerifyProblem::TooFewSignatures), with the reason
    /// of each signature that does not count.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use torcon::descriptor::{Consensus, KeyCertificates, public_authorities};
    ///
    /// let certificates = KeyCertificates::new(std::fs::read("cached-certs")?);
    /// let certificates: Vec<_> = certificates.iter().flatten().collect();
    /// let authorities: Vec<_> = public_authorities().collect();
    /// let consensus = Consensus::parse(std::fs::read("cached-microdesc-consensus")?)?;
    /// let signers = consensus.verify(&certificates, &authorities, SystemTime::now())?;
    /// println!("signed by {} of {}", signers.authorities().len(), authorities.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "validate_signatures")]
    pub fn verify(
        &self,
        certificates: &[KeyCertificate],
        authorities: &[Fingerprint],
        at: SystemTime,
    ) -> Result<ConsensusSigners, VerifyError> {
        let check = || {
            let signers = verify_consensus(self.as_bytes(), certificates, authorities, at)?;
            self.check_time(at)?;
            Ok(signers)
        };
        check().map_err(|problem| VerifyError::new("a consensus", problem))
    }

    fn check_time(&self, at: SystemTime) -> Result<(), VerifyProblem> {
        let item = "valid-after";
        let after = self.valid_after().ok_or(VerifyProblem::Missing { item })?;
        if at < after {
            return Err(VerifyProblem::NotYetValid { item, at: after });
        }
        let item = "valid-until";
        let until = self.valid_until().ok_or(VerifyProblem::Missing { item })?;
        if at > until {
            return Err(VerifyProblem::Expired { item, at: until });
        }
        Ok(())
    }
}

impl Vote {
    /// Verifies that one of the trusted authorities signed the vote. Returns the fingerprint of its
    /// identity key.
    ///
    /// A vote contains the certificate of its authority. It is verified as by
    /// [`KeyCertificate::verify`] at the time `at`, and the authority must be the one that the vote
    /// names (`dir-source`). The times of the vote are not checked.
    ///
    /// Needs the Cargo feature `verify`.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] with the line whose signature, key or certificate is not valid;
    /// [`Untrusted`](VerifyProblem::Untrusted) if the authority is not one of `authorities`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    ///
    /// use torcon::descriptor::{Votes, public_authorities};
    ///
    /// let authorities: Vec<_> = public_authorities().collect();
    /// for vote in &Votes::new(std::fs::read("v3-status-votes")?) {
    ///     println!("{}", vote?.verify(&authorities, SystemTime::now())?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn verify(
        &self,
        authorities: &[Fingerprint],
        at: SystemTime,
    ) -> Result<Fingerprint, VerifyError> {
        self.verify_signature(authorities, at)
            .map_err(|problem| VerifyError::new("a vote", problem))
    }

    fn verify_signature(
        &self,
        authorities: &[Fingerprint],
        at: SystemTime,
    ) -> Result<Fingerprint, VerifyProblem> {
        let item = "dir-source";
        let authority = self.authority().ok_or(VerifyProblem::Missing { item })?;
        let item = "dir-key-certificate-version";
        let certificate = authority.key_certificate().ok_or(VerifyProblem::Missing { item })?;
        let (mut digests, signatures) = split(self.as_bytes())?;
        let [signature] = signatures.as_slice() else {
            return Err(VerifyProblem::Repeated { item: SIGNATURE });
        };
        if signature.identity != authority.identity() {
            return Err(VerifyProblem::OtherKey { item: SIGNATURE, of: "dir-source" });
        }
        let certificates = std::slice::from_ref(&certificate);
        Certificates::new(certificates, at).verify(signature, &mut digests)?;
        match authorities.contains(&signature.identity) {
            true => Ok(signature.identity),
            false => Err(VerifyProblem::Untrusted),
        }
    }
}

fn verify_consensus(
    text: &[u8],
    certificates: &[KeyCertificate],
    authorities: &[Fingerprint],
    at: SystemTime,
) -> Result<ConsensusSigners, VerifyProblem> {
    let trusted: BTreeSet<_> = authorities.iter().collect();
    let needed = trusted.len() / 2 + 1;
    let mut certificates = Certificates::new(certificates, at);
    let (mut digests, signatures) = split(text)?;
    let mut signers = ConsensusSigners { authorities: Vec::new(), needed, refused: Vec::new() };
    for signature in signatures {
        let authority = signature.identity;
        if signers.authorities.contains(&authority) {
            continue;
        }
        let outcome = match trusted.contains(&authority) {
            true => certificates.verify(&signature, &mut digests),
            false => Err(VerifyProblem::Untrusted),
        };
        match outcome {
            Ok(()) => signers.authorities.push(authority),
            Err(problem) => signers.refused.push(RefusedSignature::new(authority, problem)),
        }
    }
    if signers.authorities.len() < needed {
        let (signers, refused) = (signers.authorities.into(), signers.refused.into());
        return Err(VerifyProblem::TooFewSignatures { signers, needed, refused });
    }
    Ok(signers)
}

/// Splits a document into the part that is signed and its signatures. There is nothing else.
fn split(text: &[u8]) -> Result<(Digests<'_>, Vec<DirectorySignature>), VerifyProblem> {
    let item = SIGNATURE;
    let signed = consensus_signed_part(text).ok_or(VerifyProblem::Missing { item })?;
    // The keyword of the first signature and the blank are signed.
    let before = signed.strip_suffix(b" ").and_then(|text| text.strip_suffix(item.as_bytes()));
    let before = before.filter(|before| before.ends_with(b"\n"));
    let before = before.ok_or(VerifyProblem::Malformed { item })?;
    // The signed part is a slice of the text, behind annotations.
    let start = signed.as_ptr().addr() - text.as_ptr().addr();
    let signatures = Items::new(text.get(start + before.len()..).unwrap_or_default());
    let read = |line| match !is_annotation(&line) && line.is(item.as_bytes()) {
        true => DirectorySignature::read(&line).ok_or(VerifyProblem::Malformed { item }),
        false => Err(not_covered(&line)),
    };
    let signatures = signatures.map(read).collect::<Result<_, _>>()?;
    Ok((Digests { signed, sha1: None, sha256: None }, signatures))
}

/// The certificates of the caller. Each is verified at most once, so that many signatures by one key
/// and many certificates of it take linear time.
struct Certificates<'a> {
    /// By the digests of the identity and of the signing key.
    by_keys: BTreeMap<(Fingerprint, Fingerprint), Candidates<'a>>,
    at: SystemTime,
}

/// The certificates with the same keys.
#[derive(Default)]
struct Candidates<'a> {
    documents: Vec<Document<'a>>,
    /// The keys, if one of the certificates is valid; otherwise the problem of the last one.
    keys: Option<Result<AuthorityKeys, VerifyProblem>>,
}

impl<'a> Certificates<'a> {
    fn new(certificates: &'a [KeyCertificate], at: SystemTime) -> Self {
        let mut by_keys = BTreeMap::<_, Candidates<'_>>::new();
        for certificate in certificates {
            let document = Document::new(certificate.as_bytes());
            if let Ok(keys) = AuthorityKeys::read(&document) {
                let keys = (keys.identity.digest(), keys.signing_key.digest());
                by_keys.entry(keys).or_default().documents.push(document);
            }
        }
        Self { by_keys, at }
    }

    /// Verifies a signature with a valid certificate of its authority and its key.
    fn verify(
        &mut self,
        signature: &DirectorySignature,
        digests: &mut Digests<'_>,
    ) -> Result<(), VerifyProblem> {
        let digest = digests.get(&signature.algorithm)?;
        let key = Fingerprint::from(signature.signing_key_digest);
        let candidates = self.by_keys.get_mut(&(signature.identity, key));
        let candidates = candidates.ok_or(VerifyProblem::NoCertificate { key })?;
        let keys = candidates.keys(self.at).clone()?;
        match keys.signing_key.verify(&signature.signature, digest) {
            true => Ok(()),
            false => Err(VerifyProblem::Signature { item: SIGNATURE }),
        }
    }
}

impl Candidates<'_> {
    fn keys(&mut self, at: SystemTime) -> &Result<AuthorityKeys, VerifyProblem> {
        self.keys.get_or_insert_with(|| {
            let item = "dir-key-certificate-version";
            let mut keys = Err(VerifyProblem::Missing { item });
            for document in &self.documents {
                keys = authority::verify(document, at);
                if keys.is_ok() {
                    break;
                }
            }
            keys
        })
    }
}

/// The digests of the signed part, each computed when a signature needs it.
struct Digests<'a> {
    signed: &'a [u8],
    sha1: Option<[u8; 20]>,
    sha256: Option<[u8; 32]>,
}

impl Digests<'_> {
    fn get(&mut self, algorithm: &DigestAlgorithm) -> Result<&[u8], VerifyProblem> {
        let signed = self.signed;
        match algorithm {
            DigestAlgorithm::Sha1 => Ok(self.sha1.get_or_insert_with(|| sha1(signed))),
            DigestAlgorithm::Sha256 => Ok(self.sha256.get_or_insert_with(|| sha256(signed))),
            other => Err(VerifyProblem::Algorithm { algorithm: other.as_str().into() }),
        }
    }
}
