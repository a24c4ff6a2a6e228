//! The keys, certificates, signatures and digests of server descriptors.

use std::borrow::Cow;

use data_encoding::BASE64_NOPAD;

use super::ServerDescriptor;
use super::rules::{self, CROSSCERT, RSA_KEY, SIGNATURE};
use crate::descriptor::certificate::Ed25519Certificate;
use crate::names::Fingerprint;

impl ServerDescriptor {
    /// Returns the certificate of the key that signs the descriptor. It contains the Ed25519 identity
    /// as its [`signing_key`](Ed25519Certificate::signing_key).
    #[doc(alias = "certificate")]
    #[must_use]
    pub fn ed25519_certificate(&self) -> Option<Ed25519Certificate> {
        Ed25519Certificate::of_identity(&self.find(b"identity-ed25519")?)
    }

    /// Returns the Ed25519 identity; in a sanitized descriptor its SHA-256 digest.
    #[doc(alias = "ed25519_master_key")]
    #[doc(alias = "master_key_ed25519")]
    #[doc(alias = "ed25519_certificate_hash")]
    #[must_use]
    pub fn ed25519_identity(&self) -> Option<[u8; 32]> {
        self.find(b"master-key-ed25519")?.base64()
    }

    /// Returns the fingerprint of the relay; in a sanitized descriptor its SHA-1 digest.
    #[doc(alias = "identity")]
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        rules::fingerprint(&self.find(b"fingerprint")?)
    }

    /// Returns the TAP onion key, in PEM. New relays have none.
    #[must_use]
    pub fn onion_key(&self) -> Option<Cow<'_, str>> {
        self.object(b"onion-key", RSA_KEY)
    }

    /// Returns the signature by the TAP onion key over the digests of both identities, in PEM.
    #[must_use]
    pub fn onion_key_crosscert(&self) -> Option<Cow<'_, str>> {
        self.object(b"onion-key-crosscert", CROSSCERT)
    }

    /// Returns the RSA identity key, in PEM; its digest is the fingerprint.
    #[must_use]
    pub fn signing_key(&self) -> Option<Cow<'_, str>> {
        self.object(b"signing-key", RSA_KEY)
    }

    /// Returns the ntor onion key.
    #[must_use]
    pub fn ntor_onion_key(&self) -> Option<[u8; 32]> {
        self.find(b"ntor-onion-key")?.base64()
    }

    /// Returns the certificate of the Ed25519 identity by the ntor onion key.
    #[must_use]
    pub fn ntor_onion_key_crosscert(&self) -> Option<Ed25519Certificate> {
        Some(rules::ntor_crosscert(&self.find(b"ntor-onion-key-crosscert")?)?.1)
    }

    /// Returns the sign of the Ed25519 key that belongs to the ntor onion key: whether its x-coordinate is
    /// negative.
    #[doc(alias = "ntor_onion_key_crosscert_bit")]
    #[must_use]
    pub fn ntor_onion_key_crosscert_sign(&self) -> Option<bool> {
        Some(rules::ntor_crosscert(&self.find(b"ntor-onion-key-crosscert")?)?.0)
    }

    /// Returns the certificates of the families of which the relay is a member, each with the key of
    /// the family.
    pub fn family_certificates(&self) -> impl Iterator<Item = Ed25519Certificate> {
        let items = self.items().filter(|item| item.is(b"family-cert"));
        items.filter_map(|item| rules::family_certificate(&item))
    }

    /// Returns the IDs of the families of which the relay is a member, as
    /// [`Microdescriptor::family_ids`](crate::descriptor::Microdescriptor::family_ids): `ed25519:` and the key of the
    /// family in base64.
    pub fn family_ids(&self) -> impl Iterator<Item = String> {
        let keys = self.family_certificates().filter_map(|certificate| certificate.signing_key());
        keys.map(|key| format!("ed25519:{}", BASE64_NOPAD.encode(&key)))
    }

    /// Returns the Ed25519 signature.
    #[must_use]
    pub fn ed25519_signature(&self) -> Option<[u8; 64]> {
        self.find(b"router-sig-ed25519")?.base64()
    }

    /// Returns the RSA signature, in PEM.
    #[must_use]
    pub fn signature(&self) -> Option<Cow<'_, str>> {
        self.object(b"router-signature", SIGNATURE)
    }

    /// Returns the SHA-1 digest of the original descriptor, which only a sanitized descriptor of a bridge
    /// has.
    #[must_use]
    pub fn router_digest(&self) -> Option<[u8; 20]> {
        self.find(b"router-digest")?.sha1()
    }

    /// Returns the SHA-256 digest of the original descriptor, which only a sanitized descriptor of a bridge
    /// has.
    #[must_use]
    pub fn router_digest_sha256(&self) -> Option<[u8; 32]> {
        self.find(b"router-digest-sha256")?.base64()
    }

    fn object(&self, keyword: &[u8], label: &str) -> Option<Cow<'_, str>> {
        self.find(keyword)?.labeled_object(label)
    }
}
