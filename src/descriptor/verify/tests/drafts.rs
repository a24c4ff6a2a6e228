//! Documents that the tests sign themselves, so that each has one fault below the signature of the
//! whole.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use data_encoding::{BASE64, BASE64_NOPAD};
use ed25519_dalek::{Signer as _, SigningKey};
use num_bigint::BigUint;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::descriptor::ServerDescriptor;
use crate::descriptor::verify::rsa::RsaKey;
use crate::error::VerifyProblem;

/// A private RSA key of 1024 bits.
#[derive(Clone)]
struct PrivateKey {
    modulus: BigUint,
    exponent: BigUint,
}

impl PrivateKey {
    /// Returns one of four keys, made for these tests.
    fn of_test(number: usize) -> Self {
        let mut lines = include_str!("keys.txt").lines().skip(2 * number);
        let mut number = || BigUint::parse_bytes(lines.next().unwrap().as_bytes(), 16).unwrap();
        Self { modulus: number(), exponent: number() }
    }

    fn der(&self) -> Vec<u8> {
        let number = self.modulus.to_bytes_be();
        [&[0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0][..], &number, &[0x02, 3, 1, 0, 1]].concat()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut padded = vec![0, 1];
        padded.resize(127 - message.len(), 0xff);
        padded.push(0);
        padded.extend(message);
        let signature = BigUint::from_bytes_be(&padded).modpow(&self.exponent, &self.modulus);
        let bytes = signature.to_bytes_be();
        [vec![0; 128 - bytes.len()], bytes].concat()
    }

    fn fingerprint(&self) -> [u8; 20] {
        Sha1::digest(self.der()).into()
    }
}

fn object(label: &str, bytes: &[u8]) -> String {
    format!("\n-----BEGIN {label}-----\n{}\n-----END {label}-----", BASE64.encode(bytes))
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The hour at which certificates expire.
const HOUR: u32 = 500_000;

fn expiry() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(HOUR) * 3600)
}

fn certificate(signer: &SigningKey, kind: u8, key: &SigningKey, hour: u32) -> Vec<u8> {
    let mut bytes = vec![1, kind];
    bytes.extend(hour.to_be_bytes());
    bytes.push(1);
    bytes.extend(key.verifying_key().to_bytes());
    bytes.extend([1, 0, 32, 4, 0]);
    bytes.extend(signer.verifying_key().to_bytes());
    bytes.extend(signer.sign(&bytes).to_bytes());
    bytes
}

/// The items of a server descriptor without its signatures. A test changes some of them.
struct Draft {
    items: Vec<(&'static str, String)>,
    rsa: PrivateKey,
    signer: SigningKey,
}

impl Draft {
    /// A descriptor that is valid. The ntor key has this seed.
    fn with_ntor_key(seed: u8) -> Self {
        let (rsa, onion) = (PrivateKey::of_test(0), PrivateKey::of_test(1));
        let (master, signer, ntor) = (signing_key(1), signing_key(2), signing_key(seed));
        let master_key = master.verifying_key().to_bytes();
        let ntor_key = ntor.verifying_key();
        let sign_bit = ntor_key.to_bytes()[31] >> 7;
        let cert =
            |signer, kind, key| object("ED25519 CERT", &certificate(signer, kind, key, HOUR));
        let fingerprint = rsa.fingerprint();
        let signed_by_onion = onion.sign(&[&fingerprint[..], &master_key].concat());
        let spaced = fingerprint.chunks(2).fold(String::new(), |mut text, pair| {
            write!(text, "{:02X}{:02X} ", pair[0], pair[1]).unwrap();
            text
        });
        let family = certificate(&signing_key(9), 12, &master, HOUR);
        let items = vec![
            ("router", "draft 127.0.0.1 9001 0 0".to_owned()),
            ("identity-ed25519", cert(&master, 4, &signer)),
            ("master-key-ed25519", BASE64_NOPAD.encode(&master_key)),
            ("fingerprint", spaced.trim_end().to_owned()),
            ("onion-key", object("RSA PUBLIC KEY", &onion.der())),
            ("signing-key", object("RSA PUBLIC KEY", &rsa.der())),
            ("onion-key-crosscert", object("CROSSCERT", &signed_by_onion)),
            ("family-cert", object("FAMILY CERT", &family)),
            ("ntor-onion-key", BASE64.encode(&ntor_key.to_montgomery().to_bytes())),
            ("ntor-onion-key-crosscert", format!("{sign_bit}{}", cert(&ntor, 10, &master))),
        ];
        Self { items, rsa, signer }
    }

    fn new() -> Self {
        Self::with_ntor_key(3)
    }

    fn set(mut self, keyword: &str, value: impl Into<String>) -> Self {
        let item = self.items.iter_mut().find(|(item, _)| *item == keyword).unwrap();
        item.1 = value.into();
        self
    }

    fn without(mut self, keyword: &str) -> Self {
        self.items.retain(|(item, _)| *item != keyword);
        self
    }

    fn text(&self) -> String {
        self.items.iter().fold(String::new(), |mut text, (keyword, value)| {
            let blank = if value.starts_with('\n') || value.is_empty() { "" } else { " " };
            writeln!(text, "{keyword}{blank}{value}").unwrap();
            text
        })
    }

    /// Signs the items with both keys.
    fn signed(&self) -> String {
        let mut text = self.text() + "router-sig-ed25519 ";
        let digest = Sha256::new_with_prefix("Tor router descriptor signature v1");
        let digest = digest.chain_update(&text).finalize();
        let signature = self.signer.sign(&digest).to_bytes();
        text += &BASE64_NOPAD.encode(&signature);
        self.signed_with_rsa(&(text + "\n"))
    }

    fn signed_with_rsa(&self, text: &str) -> String {
        let text = format!("{text}router-signature\n");
        let signature = self.rsa.sign(&Sha1::digest(&text));
        format!("{}{}\n", text.trim_end(), object("SIGNATURE", &signature))
    }

    #[track_caller]
    fn refused(&self, problem: &VerifyProblem) {
        refused(&self.signed(), problem);
    }
}

#[track_caller]
fn refused(text: &str, problem: &VerifyProblem) {
    let error = ServerDescriptor::parse(text).unwrap().verify(expiry()).unwrap_err();
    assert_eq!(error.problem(), problem, "{text}");
}

fn cert(signer: u8, kind: u8, key: u8, hour: u32) -> String {
    object("ED25519 CERT", &certificate(&signing_key(signer), kind, &signing_key(key), hour))
}

#[test]
fn a_draft_is_verified_with_either_sign_bit() {
    let mut sign_bits = [0; 2];
    for seed in 3..9 {
        let text = Draft::with_ntor_key(seed).signed();
        let relay = ServerDescriptor::parse(text).unwrap().verify(expiry()).unwrap();
        assert_eq!(relay.ed25519_identity(), Some(signing_key(1).verifying_key().to_bytes()));
        assert_eq!(relay.family_keys(), [signing_key(9).verifying_key().to_bytes()]);
        assert_eq!(relay.expires(), Some(expiry()));
        sign_bits[usize::from(signing_key(seed).verifying_key().to_bytes()[31] >> 7)] += 1;
    }
    assert!(sign_bits.iter().all(|count| *count > 0), "{sign_bits:?}");
}

#[test]
fn lines_that_may_be_absent_are_not_needed() {
    for keyword in ["master-key-ed25519", "fingerprint", "family-cert"] {
        let text = Draft::new().without(keyword).signed();
        ServerDescriptor::parse(text).unwrap().verify(expiry()).expect(keyword);
    }
    // Relays of today have no TAP key.
    let text = Draft::new().without("onion-key").without("onion-key-crosscert").signed();
    ServerDescriptor::parse(text).unwrap().verify(expiry()).unwrap();
}

#[test]
fn a_missing_or_repeated_line_is_refused() {
    for item in [
        "identity-ed25519",
        "signing-key",
        "onion-key-crosscert",
        "ntor-onion-key",
        "ntor-onion-key-crosscert",
    ] {
        Draft::new().without(item).refused(&VerifyProblem::Missing { item });
    }
    for (item, value) in Draft::new().items {
        if !["router", "family-cert"].contains(&item) {
            let mut draft = Draft::new();
            draft.items.push((item, value));
            draft.refused(&VerifyProblem::Repeated { item });
        }
    }
    // Without the Ed25519 signature, and with a line between both signatures.
    let draft = Draft::new();
    let item = "router-sig-ed25519";
    refused(&draft.signed_with_rsa(&draft.text()), &VerifyProblem::Missing { item });
    let text = draft.signed();
    let (text, _) = text.split_once("router-signature").unwrap();
    let added = draft.signed_with_rsa(&format!("{text}contact me\n"));
    refused(&added, &VerifyProblem::NotCovered { line: "contact me".into() });
    let other = Draft { signer: signing_key(7), ..Draft::new() };
    other.refused(&VerifyProblem::Signature { item });
    let broken = draft.signed_with_rsa(&text.replacen("sig-ed25519 ", "sig-ed25519 A", 1));
    refused(&broken, &VerifyProblem::Malformed { item });
}

#[test]
fn a_key_or_certificate_of_another_relay_is_refused() {
    let item = "identity-ed25519";
    // Another type, another signer than the key in it, an object of another kind.
    Draft::new().set(item, cert(1, 5, 2, HOUR)).refused(&VerifyProblem::Malformed { item });
    let label = cert(1, 4, 2, HOUR).replace("ED25519 CERT", "FAMILY CERT");
    Draft::new().set(item, label).refused(&VerifyProblem::Malformed { item });
    let mut wrong = certificate(&signing_key(1), 4, &signing_key(2), HOUR);
    wrong[5] ^= 1;
    let wrong = object("ED25519 CERT", &wrong);
    Draft::new().set(item, wrong).refused(&VerifyProblem::Signature { item });
    // Another relay's master key: the signing key is certified, and nothing else names it.
    let of = "identity-ed25519";
    let draft = || Draft::new().set(item, cert(7, 4, 2, HOUR));
    let master = "master-key-ed25519";
    draft().refused(&VerifyProblem::OtherKey { item: master, of });
    let draft = || draft().without(master);
    draft().refused(&VerifyProblem::Signature { item: "onion-key-crosscert" });
    let draft = || draft().without("onion-key");
    draft().refused(&VerifyProblem::OtherKey { item: "ntor-onion-key-crosscert", of });
    let draft = || {
        let bit = signing_key(3).verifying_key().to_bytes()[31] >> 7;
        let crosscert = format!("{bit}{}", cert(3, 10, 7, HOUR));
        draft().set("ntor-onion-key-crosscert", crosscert)
    };
    draft().refused(&VerifyProblem::OtherKey { item: "family-cert", of });
    let relay = draft().without("family-cert").signed();
    ServerDescriptor::parse(relay).unwrap().verify(expiry()).unwrap();

    Draft::new().set(master, "AAAA").refused(&VerifyProblem::Malformed { item: master });
    let digest = PrivateKey::of_test(0).fingerprint().into();
    let named = [0x11; 20].into();
    let item = "fingerprint";
    Draft::new().set(item, "1111 ".repeat(10)).refused(&VerifyProblem::Fingerprint {
        item,
        named,
        digest,
    });
    Draft::new().set(item, "1111").refused(&VerifyProblem::Malformed { item });
    let draft = Draft { rsa: PrivateKey::of_test(2), ..Draft::new() };
    draft.refused(&VerifyProblem::Signature { item: "router-signature" });
}

#[test]
fn a_crosscert_of_another_onion_key_is_refused() {
    let item = "onion-key";
    let other = object("RSA PUBLIC KEY", &PrivateKey::of_test(2).der());
    let crosscert = "onion-key-crosscert";
    Draft::new().set(item, other).refused(&VerifyProblem::Signature { item: crosscert });
    let short = object("CROSSCERT", &[1; 64]);
    Draft::new().set(crosscert, short).refused(&VerifyProblem::Signature { item: crosscert });
    Draft::new().set(item, "").refused(&VerifyProblem::Malformed { item });

    let item = "ntor-onion-key-crosscert";
    let bit = signing_key(3).verifying_key().to_bytes()[31] >> 7;
    let valid = cert(3, 10, 1, HOUR);
    for (value, problem) in [
        (format!("{}{valid}", 1 - bit), VerifyProblem::Signature { item }),
        (format!("2{valid}"), VerifyProblem::Malformed { item }),
        (valid.clone(), VerifyProblem::Malformed { item }),
        (format!("{bit}{}", cert(4, 10, 1, HOUR)), VerifyProblem::Signature { item }),
        (format!("{bit}{}", cert(3, 4, 1, HOUR)), VerifyProblem::Malformed { item }),
    ] {
        Draft::new().set(item, value).refused(&problem);
    }
    let item = "ntor-onion-key";
    Draft::new().set(item, "AAAA").refused(&VerifyProblem::Malformed { item });
}

#[test]
fn an_expired_crosscert_is_refused_and_an_expired_family_left_out() {
    let at = expiry() - Duration::from_secs(3600);
    let item = "identity-ed25519";
    let expired = cert(1, 4, 2, HOUR - 1);
    Draft::new().set(item, expired).refused(&VerifyProblem::Expired { item, at });
    let item = "ntor-onion-key-crosscert";
    let bit = signing_key(3).verifying_key().to_bytes()[31] >> 7;
    let expired = format!("{bit}{}", cert(3, 10, 1, HOUR - 1));
    Draft::new().set(item, expired).refused(&VerifyProblem::Expired { item, at });
    let item = "family-cert";
    let family = |kind, hour| {
        object("FAMILY CERT", &certificate(&signing_key(9), kind, &signing_key(1), hour))
    };
    let text = Draft::new().set(item, family(12, HOUR - 1)).signed();
    let relay = ServerDescriptor::parse(text).unwrap().verify(expiry()).unwrap();
    assert!(relay.family_keys().is_empty());
    Draft::new().set(item, family(4, HOUR)).refused(&VerifyProblem::Malformed { item });
    let wrong = family(12, HOUR).replace("BAAA", "BAAB");
    let problem = VerifyProblem::Signature { item };
    if wrong != family(12, HOUR) {
        Draft::new().set(item, wrong).refused(&problem);
    }
}

#[test]
fn only_the_valid_encoding_of_a_key_is_read() {
    let key = PrivateKey::of_test(0);
    let der = key.der();
    assert_eq!(RsaKey::from_der(&der).unwrap().digest(), key.fingerprint().into());
    for length in 0..der.len() {
        assert!(RsaKey::from_der(&der[..length]).is_none(), "{length}");
    }
    let number = key.modulus.to_bytes_be();
    let key = |modulus: &[u8], exponent: &[u8]| {
        let length = |length: usize| {
            let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
            [0x82, high, low]
        };
        let modulus = [&[2][..], &length(modulus.len()), modulus].concat();
        let exponent = [&[2, exponent.len().try_into().unwrap()][..], exponent].concat();
        let content = [modulus, exponent].concat();
        RsaKey::from_der(&[&[0x30][..], &length(content.len()), &content].concat())
    };
    let modulus = |length: usize| [&[0][..], &number[..1], &vec![0x55; length - 3], &[1]].concat();
    assert!(key(&modulus(513), &[1, 0, 1]).is_some());
    assert!(key(&modulus(1025), &[1, 0, 1]).is_some());
    assert!(key(&modulus(513), &[3]).is_none(), "the exponent 3");
    assert!(key(&modulus(513), &[0, 1, 0, 1]).is_none(), "a zero too many");
    assert!(key(&modulus(513)[1..], &[1, 0, 1]).is_none(), "a negative number");
    assert!(key(&[&[0][..], &modulus(513)].concat(), &[1, 0, 1]).is_none(), "a zero too many");
    assert!(key(&modulus(1026), &[1, 0, 1]).is_none(), "too long");
    assert!(key(&modulus(128), &[1, 0, 1]).is_none(), "too short");
    let even = [&modulus(513)[..512], &[0]].concat();
    assert!(key(&even, &[1, 0, 1]).is_none(), "an even number");
    // Lengths that fit in fewer bytes.
    let long = [&[0x30, 0x82, 0, 0x89][..], &der[3..]].concat();
    assert!(RsaKey::from_der(&long).is_none());
    assert!(RsaKey::from_der(&[&der[..], &[0]].concat()).is_none());
}

#[test]
fn a_signature_has_one_form() {
    let key = PrivateKey::of_test(0);
    let public = RsaKey::from_der(&key.der()).unwrap();
    let signature = key.sign(b"digest");
    assert!(public.verify(&signature, b"digest"));
    assert!(!public.verify(&signature, b"digest2"));
    assert!(!public.verify(&[&[0][..], &signature].concat(), b"digest"), "longer than the key");
    assert!(!public.verify(&signature[1..], b"digest"));
    assert!(!public.verify(&[], b"digest") && !public.verify(&[0; 128], b""));
    // The same number plus the modulus, where it fits.
    let larger = (BigUint::from_bytes_be(&signature) + &key.modulus).to_bytes_be();
    assert!(!public.verify(&larger, b"digest"));
    // No room for eight bytes of padding.
    assert!(public.verify(&key.sign(&[7; 117]), &[7; 117]));
    assert!(!public.verify(&key.sign(&[7; 118]), &[7; 118]));
    assert!(!public.verify(&signature, &[7; 200]));
}
