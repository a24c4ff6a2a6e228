//! Ed25519 certificates of relays and onion services.

use std::fmt;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;

use super::item::{DescriptorItem, decode_pem};
use super::rule::{Place, Rule};
use crate::error::ProtocolError;

#[cfg(test)]
mod tests;

/// The bytes before the extensions: version, type, expiration, type of the key, key, and the number of
/// extensions.
const HEAD: usize = 40;
const SIGNATURE: usize = 64;

/// The type of the extension that contains the key of the signature.
const SIGNED_WITH_ED25519_KEY: u8 = 4;

/// An Ed25519 certificate: a key that another key signed, until a time.
///
/// It is an object in server descriptors, extra-info documents and descriptors of onion services.
/// Reading it does not verify its signature.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{CertificateType, Ed25519Certificate};
///
/// let pem = "-----BEGIN ED25519 CERT-----\n\
///     AQQABhtZAaW2GoBED1IjY3A6f6GNqBEl5A83fD2Za9upGke51JGqAQAgBABnprVR\n\
///     ptIr43bWPo2fIzo3uOywfoMrryprpbm4HhCkZMaO064LP+1KNuLvlc8sGG8lTjx1\n\
///     g4k3ELuWYgHYWU5rAia7nl4gUfBZOEfHAfKES7l3d63dBEjEX98Ljhdp2w4=\n\
///     -----END ED25519 CERT-----\n";
/// let certificate = Ed25519Certificate::from_pem(pem)?;
/// assert_eq!(certificate.certificate_type(), CertificateType::IdentityVSigning);
/// assert!(certificate.signing_key().is_some());
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Ed25519Certificate {
    /// Invariant: `HEAD` bytes, the extensions, `SIGNATURE` bytes.
    bytes: Box<[u8]>,
}

/// The type of an [`Ed25519Certificate`]: which key signs, and which key is certified.
///
/// The names are those of the specification. In `XVY`, key X signs key Y; `Cc` means a
/// cross-certificate.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::CertificateType;
///
/// assert_eq!(CertificateType::from(4), CertificateType::IdentityVSigning);
/// assert_eq!(CertificateType::FamilyVIdentity.number(), 12);
/// assert_eq!(CertificateType::from(99), CertificateType::Unrecognized(99));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum CertificateType {
    /// 4: the signing key of a relay, by its identity.
    IdentityVSigning,
    /// 5: a TLS certificate of a relay, by its signing key.
    SigningVTlsCert,
    /// 6: a key for the authentication of a connection, by the relay's signing key.
    SigningVLinkAuth,
    /// 8: the key that signs the descriptor of an onion service, by the blinded identity.
    BlindedIdVSigning,
    /// 9: the authentication key of an introduction point, by the key that signs the descriptor.
    HsIpVSigning,
    /// 10: the identity of a relay, by its ntor onion key.
    NtorCcIdentity,
    /// 11: the encryption key of an introduction point, by the key that signs the descriptor.
    HsIpCcSigning,
    /// 12: the identity of a relay, by the key of its family.
    FamilyVIdentity,
    /// A type that this version of torcon does not know, or that is reserved for certificates of
    /// another format.
    Unrecognized(u8),
}

/// The type of the key in an [`Ed25519Certificate`].
///
/// # Examples
///
/// ```
/// use torcon::descriptor::CertifiedKeyType;
///
/// assert_eq!(CertifiedKeyType::from(1), CertifiedKeyType::Ed25519);
/// assert_eq!(CertifiedKeyType::from(9).number(), 9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum CertifiedKeyType {
    /// 1: an Ed25519 key. Versions of tor before 0.4.5 wrote this type for every key.
    Ed25519,
    /// 2: the SHA-256 digest of an RSA key.
    RsaSha256,
    /// 3: the SHA-256 digest of an X.509 certificate.
    X509Sha256,
    /// A type that this version of torcon does not know.
    Unrecognized(u8),
}

/// Implements the conversions between an enumeration and its numbers.
macro_rules! numbered {
    ($name:ident { $($variant:ident = $number:literal),* $(,)? }) => {
        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                match number {
                    $( $number => Self::$variant, )*
                    other => Self::Unrecognized(other),
                }
            }
        }

        impl $name {
            /// Returns the number in the certificate.
            #[must_use]
            pub fn number(self) -> u8 {
                match self {
                    $( Self::$variant => $number, )*
                    Self::Unrecognized(number) => number,
                }
            }
        }
    };
}

numbered! { CertificateType {
    IdentityVSigning = 4,
    SigningVTlsCert = 5,
    SigningVLinkAuth = 6,
    BlindedIdVSigning = 8,
    HsIpVSigning = 9,
    NtorCcIdentity = 10,
    HsIpCcSigning = 11,
    FamilyVIdentity = 12,
} }

numbered! { CertifiedKeyType { Ed25519 = 1, RsaSha256 = 2, X509Sha256 = 3 } }

/// An extension of an [`Ed25519Certificate`].
///
/// # Examples
///
/// ```
/// # let pem = "-----BEGIN ED25519 CERT-----\n\
/// #     AQQABhtZAaW2GoBED1IjY3A6f6GNqBEl5A83fD2Za9upGke51JGqAQAgBABnprVR\n\
/// #     ptIr43bWPo2fIzo3uOywfoMrryprpbm4HhCkZMaO064LP+1KNuLvlc8sGG8lTjx1\n\
/// #     g4k3ELuWYgHYWU5rAia7nl4gUfBZOEfHAfKES7l3d63dBEjEX98Ljhdp2w4=\n\
/// #     -----END ED25519 CERT-----\n";
/// # let certificate = torcon::descriptor::Ed25519Certificate::from_pem(pem)?;
/// for extension in certificate.extensions() {
///     assert_eq!(extension.extension_type(), 4, "the key of the signature");
///     assert_eq!((extension.data().len(), extension.affects_validation()), (32, false));
/// }
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateExtension<'a> {
    extension_type: u8,
    flags: u8,
    data: &'a [u8],
}

impl<'a> CertificateExtension<'a> {
    /// Returns the type: 4 for the key of the signature.
    #[must_use]
    pub fn extension_type(&self) -> u8 {
        self.extension_type
    }

    /// Returns all flags.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns whether a certificate with this extension is invalid for a program that does not know
    /// the type.
    #[must_use]
    pub fn affects_validation(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Returns the data.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Takes the extension at the start of the bytes.
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let (&[high, low, extension_type, flags], rest) = bytes.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        *bytes = rest;
        Some(Self { extension_type, flags, data })
    }
}

/// The certificate in server descriptors and extra-info documents, which tor accepts in this place only
/// and with the signature.
pub(super) const IDENTITY: Rule = Rule::once_if(
    b"router-sig-ed25519",
    b"identity-ed25519",
    "identity-ed25519 and an object ED25519 CERT of type 4 with the identity",
    |item| Ed25519Certificate::of_identity(item).is_some(),
)
.at(Place::Second);

/// The signature by the key of the certificate.
pub(super) const ED25519_SIGNATURE: Rule = Rule::once_if(
    b"identity-ed25519",
    b"router-sig-ed25519",
    "router-sig-ed25519 SIGNATURE in base64",
    |item| item.base64::<64>().is_some(),
)
.at(Place::NextToLast);

impl Ed25519Certificate {
    /// Parses the bytes of a certificate.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the length or the version (1) is wrong, if an extension is truncated or
    /// bytes are left over, if the key of the signature occurs twice or has not 32 bytes, or if an
    /// unknown extension affects the validation.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::Ed25519Certificate;
    ///
    /// let error = Ed25519Certificate::from_bytes(&[1, 4]).unwrap_err();
    /// assert_eq!(error.expected(), "at least 104 bytes");
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProtocolError> {
        match invalid_part(bytes) {
            None => Ok(Self { bytes: bytes.into() }),
            Some(expected) => Err(ProtocolError::new("an Ed25519 certificate", expected, bytes)),
        }
    }

    /// Parses a certificate in PEM: `-----BEGIN ED25519 CERT-----`, or `FAMILY CERT`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the text is not a complete object with one of these labels, and for the
    /// reasons of [`from_bytes`](Self::from_bytes).
    pub fn from_pem(text: &str) -> Result<Self, ProtocolError> {
        let text = text.trim().as_bytes();
        let bytes = decode_pem(text, "ED25519 CERT").or_else(|| decode_pem(text, "FAMILY CERT"));
        match bytes {
            Some(bytes) => Self::from_bytes(&bytes),
            None => {
                let expected = "an object ED25519 CERT or FAMILY CERT in base64";
                Err(ProtocolError::new("an Ed25519 certificate", expected, text))
            }
        }
    }

    /// Reads the object of an item.
    pub(super) fn of(item: &DescriptorItem<'_>, label: &str) -> Option<Self> {
        Self::from_bytes(&item.decode_object(label)?).ok()
    }

    /// Reads the object of an item if it is a certificate of this type.
    pub(super) fn of_type(
        item: &DescriptorItem<'_>,
        label: &str,
        expected: CertificateType,
    ) -> Option<Self> {
        Self::of(item, label).filter(|certificate| certificate.certificate_type() == expected)
    }

    /// Reads the object of an item `identity-ed25519`, which contains the identity of a relay.
    pub(super) fn of_identity(item: &DescriptorItem<'_>) -> Option<Self> {
        Self::of_type(item, "ED25519 CERT", CertificateType::IdentityVSigning)
            .filter(|certificate| certificate.signing_key().is_some())
    }

    /// Returns the type, which says which key signs and which is certified.
    #[must_use]
    pub fn certificate_type(&self) -> CertificateType {
        self.bytes.get(1).copied().unwrap_or_default().into()
    }

    /// Returns the time after which the certificate is not valid, a full hour.
    #[doc(alias = "expiration")]
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        let hours = u64::from(u32::from_be_bytes(self.part(2)));
        SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600)
    }

    /// Returns the type of the certified key.
    #[must_use]
    pub fn key_type(&self) -> CertifiedKeyType {
        self.bytes.get(6).copied().unwrap_or_default().into()
    }

    /// Returns the certified key, or its digest.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.part(7)
    }

    /// Returns the extensions.
    pub fn extensions(&self) -> impl Iterator<Item = CertificateExtension<'_>> {
        let mut rest = self.signed_bytes().get(HEAD..).unwrap_or_default();
        std::iter::from_fn(move || CertificateExtension::take(&mut rest))
    }

    /// Returns the Ed25519 key of the signature, if the certificate contains it. A family certificate
    /// contains the key of the family, the certificate of a relay's signing key the identity.
    #[must_use]
    pub fn signing_key(&self) -> Option<[u8; 32]> {
        let key = self.extensions().find(|part| part.extension_type == SIGNED_WITH_ED25519_KEY)?;
        key.data.try_into().ok()
    }

    /// Returns the bytes that are signed: all before the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        self.bytes.get(..self.bytes.len().saturating_sub(SIGNATURE)).unwrap_or_default()
    }

    /// Returns the signature.
    #[must_use]
    pub fn signature(&self) -> [u8; 64] {
        self.part(self.bytes.len().saturating_sub(SIGNATURE))
    }

    /// Returns all bytes.
    #[doc(alias = "pack")]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the certificate in PEM, with the label that its type has in descriptors.
    #[doc(alias = "to_base64")]
    #[must_use]
    pub fn to_pem(&self) -> String {
        let label = match self.certificate_type() {
            CertificateType::FamilyVIdentity => "FAMILY CERT",
            _ => "ED25519 CERT",
        };
        let mut pem = format!("-----BEGIN {label}-----\n");
        // 48 bytes are 64 digits.
        for bytes in self.bytes.chunks(48) {
            BASE64.encode_append(bytes, &mut pem);
            pem.push('\n');
        }
        pem + "-----END " + label + "-----\n"
    }

    /// Returns `N` bytes, which exist by the invariant.
    fn part<const N: usize>(&self, start: usize) -> [u8; N] {
        let part = self.bytes.get(start..).and_then(<[u8]>::first_chunk);
        part.copied().unwrap_or([0; N])
    }
}

/// Returns what the bytes of a certificate should have and do not have.
fn invalid_part(bytes: &[u8]) -> Option<&'static str> {
    let parts = bytes.split_last_chunk::<SIGNATURE>();
    let parts = parts.and_then(|(signed, _)| signed.split_first_chunk::<HEAD>());
    let Some((head, mut rest)) = parts else {
        return Some("at least 104 bytes");
    };
    if head.first() != Some(&1) {
        return Some("version 1");
    }
    let mut has_signing_key = false;
    for _ in 0..head.last().copied().unwrap_or_default() {
        let Some(extension) = CertificateExtension::take(&mut rest) else {
            return Some("whole extensions");
        };
        if extension.extension_type == SIGNED_WITH_ED25519_KEY {
            if has_signing_key || extension.data.len() != 32 {
                return Some("one signing key of 32 bytes");
            }
            has_signing_key = true;
        } else if extension.affects_validation() {
            return Some("no unknown extension that affects the validation");
        }
    }
    (!rest.is_empty()).then_some("the signature after the extensions")
}

impl fmt::Debug for Ed25519Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Certificate")
            .field("certificate_type", &self.certificate_type())
            .field("expires", &self.expires())
            .field("key_type", &self.key_type())
            .finish_non_exhaustive()
    }
}
