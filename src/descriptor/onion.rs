//! Descriptors of onion services.

#[cfg(feature = "onion-descriptor")]
mod encryption;
#[cfg(feature = "onion-descriptor")]
mod first_layer;
#[cfg(feature = "onion-descriptor")]
mod introduction_point;
#[cfg(feature = "onion-descriptor")]
mod link_specifier;
#[cfg(all(feature = "onion-descriptor", fuzzing))]
pub(crate) mod properties;
#[cfg(feature = "onion-descriptor")]
mod second_layer;
#[cfg(any(feature = "onion-descriptor", feature = "verify"))]
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use data_encoding::BASE64_NOPAD;

#[cfg(feature = "onion-descriptor")]
pub use self::first_layer::{OnionAuthClient, OnionFirstLayer};
#[cfg(feature = "onion-descriptor")]
pub use self::introduction_point::IntroductionPoint;
#[cfg(feature = "onion-descriptor")]
pub use self::link_specifier::LinkSpecifier;
#[cfg(feature = "onion-descriptor")]
pub use self::second_layer::{OnionFlowControl, OnionPowParams, OnionSecondLayer};
use super::certificate::Ed25519Certificate;
use super::item::{DescriptorItem, Items, base64, has_lines, has_rules, number};
use super::list::{Descriptor, sealed::Read};
use super::rule::Rule;
use super::text::Text;
use crate::error::ProtocolError;
use crate::names::{OnionAddress, RelaySpec, TimePeriod};

/// The descriptor of an onion service, version 3, as directories store it.
///
/// [`Controller::fetch_onion_descriptor`](crate::Controller::fetch_onion_descriptor) downloads one,
/// and [`parse`](Self::parse) reads one from a file or from an
/// [`HsDescContentEvent`](crate::event::HsDescContentEvent). It does not name the service. Most of it
/// is encrypted, in two layers: the first for every client that knows the address, the second
/// for the authorized clients, if the service has any. `decrypt` (Cargo feature `onion-descriptor`) returns
/// what is inside: the introduction points and the parameters of the service.
///
/// A clone is cheap, and every line but the first is parsed by the method that returns it. Parsing
/// does not verify the signature; tor has verified that of a descriptor from the control port.
///
/// # Examples
///
/// The introduction points of a service:
///
/// ```no_run
/// use std::time::Duration;
/// use torcon::names::OnionAddress;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service: OnionAddress =
///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
/// println!("revision {:?}, from {:?}", descriptor.revision(), descriptor.hsdir());
/// # #[cfg(feature = "onion-descriptor")]
/// for point in descriptor.decrypt(&service, None)?.introduction_points() {
///     let addresses: Vec<_> = point.or_addresses().collect();
///     println!("{:?} at {addresses:?}", point.fingerprint());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OnionDescriptor {
    text: Text,
    version: u32,
    hsdir: Option<RelaySpec>,
}

const EXPECTED_CERTIFICATE: &str =
    "descriptor-signing-key-cert and an Ed25519 certificate with its signing key";

/// The lines that have methods.
const RULES: &[Rule] = &[
    Rule::once(b"hs-descriptor", "hs-descriptor VERSION", |item| {
        first_number::<u32>(item).is_some()
    }),
    Rule::once(b"descriptor-lifetime", "descriptor-lifetime MINUTES", |item| {
        first_number::<u64>(item).is_some()
    }),
    Rule::once(b"descriptor-signing-key-cert", EXPECTED_CERTIFICATE, |item| {
        certificate(item).is_some_and(|it| it.signing_key().is_some())
    }),
    Rule::once(b"revision-counter", "revision-counter NUMBER", |item| {
        first_number::<u64>(item).is_some()
    }),
    Rule::once(b"superencrypted", "superencrypted and a message in base64", |item| {
        message(item).is_some()
    }),
    Rule::once(b"signature", "signature SIGNATURE in base64", |item| signature(item).is_some()),
];

fn first_number<N: std::str::FromStr>(item: &DescriptorItem<'_>) -> Option<N> {
    item.words().next().and_then(number)
}

fn certificate(item: &DescriptorItem<'_>) -> Option<Ed25519Certificate> {
    Ed25519Certificate::of(item, "ED25519 CERT")
}

fn message(item: &DescriptorItem<'_>) -> Option<Vec<u8>> {
    item.decode_object("MESSAGE")
}

fn signature(item: &DescriptorItem<'_>) -> Option<[u8; 64]> {
    item.words().next().and_then(base64)
}

impl Descriptor for OnionDescriptor {}

impl Read for OnionDescriptor {
    const FIRST: &'static [u8] = b"\nhs-descriptor";

    #[expect(private_interfaces, reason = "the trait is sealed")]
    fn read(text: Text) -> Result<Self, ProtocolError> {
        let bytes = text.as_bytes();
        let first = Items::new(bytes).first().filter(|item| item.is(b"hs-descriptor"));
        match first.as_ref().and_then(first_number) {
            Some(version) => Ok(Self { text, version, hsdir: None }),
            None => {
                let expected = "a line hs-descriptor with a version";
                Err(ProtocolError::new("the descriptor of an onion service", expected, bytes))
            }
        }
    }
}

has_lines!(OnionDescriptor);
has_rules!(OnionDescriptor, "the descriptor of an onion service", RULES);

impl OnionDescriptor {
    /// Parses a descriptor.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] if the first line is not `hs-descriptor` with a version. Descriptors of
    /// version 2, which begin otherwise, no longer exist.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::descriptor::OnionDescriptor;
    ///
    /// let text = "hs-descriptor 3\ndescriptor-lifetime 180\nrevision-counter 2651362741\n";
    /// let descriptor = OnionDescriptor::parse(text)?;
    /// assert_eq!(descriptor.revision(), Some(2_651_362_741));
    /// assert!(descriptor.check().is_err(), "it is cut");
    /// # Ok::<(), torcon::error::ProtocolError>(())
    /// ```
    ///
    /// Every descriptor that tor downloads:
    ///
    /// ```no_run
    /// use torcon::descriptor::OnionDescriptor;
    /// use torcon::{Event, EventKind};
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for event in &controller.events([EventKind::HsDescContent])? {
    ///     let Event::HsDescContent(event) = event else { continue };
    ///     let Some(text) = event.descriptor() else { continue };
    ///     println!("{:?}", OnionDescriptor::parse(text.as_bytes())?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn parse(text: impl Into<Vec<u8>>) -> Result<Self, ProtocolError> {
        Self::read(Text::new(text.into()))
    }

    /// Parses a descriptor that was downloaded from a directory.
    pub(crate) fn downloaded(
        text: impl Into<Vec<u8>>,
        hsdir: RelaySpec,
    ) -> Result<Self, ProtocolError> {
        Ok(Self { hsdir: Some(hsdir), ..Self::parse(text)? })
    }

    /// Returns the directory from which
    /// [`fetch_onion_descriptor`](crate::Controller::fetch_onion_descriptor) downloaded the
    /// descriptor; `None` if it was parsed from other bytes.
    #[must_use]
    pub fn hsdir(&self) -> Option<&RelaySpec> {
        self.hsdir.as_ref()
    }

    /// Returns the version: 3.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns how many minutes directories keep the descriptor.
    #[doc(alias = "lifetime")]
    #[must_use]
    pub fn lifetime_minutes(&self) -> Option<u64> {
        first_number(&self.find(b"descriptor-lifetime")?)
    }

    /// Returns the certificate of the key that signs the descriptor, by the blinded key of the service.
    #[doc(alias = "signing_cert")]
    #[must_use]
    pub fn signing_key_certificate(&self) -> Option<Ed25519Certificate> {
        certificate(&self.find(b"descriptor-signing-key-cert")?)
    }

    /// Returns the key that signs the descriptor.
    #[must_use]
    pub fn signing_key(&self) -> Option<[u8; 32]> {
        Some(self.signing_key_certificate()?.key())
    }

    /// Returns the blinded key of the service in the time period of the descriptor.
    #[must_use]
    pub fn blinded_key(&self) -> Option<[u8; 32]> {
        self.signing_key_certificate()?.signing_key()
    }

    /// Returns the descriptor ID of `HS_DESC` events: the blinded key in base64, without padding.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        Some(BASE64_NOPAD.encode(&self.blinded_key()?))
    }

    /// Returns whether the blinded key is that of a service in a time period.
    ///
    /// It compares keys and verifies no signature: every client that knows the address can write a
    /// descriptor with its blinded key. `verify` (Cargo feature `verify`) verifies that the service
    /// signed it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    /// use torcon::descriptor::OnionDescriptor;
    /// use torcon::names::{OnionAddress, TimePeriod};
    ///
    /// fn is_current(descriptor: &OnionDescriptor, service: &OnionAddress) -> bool {
    ///     let period = TimePeriod::at(SystemTime::now());
    ///     let periods = [period.previous(), period, period.next()];
    ///     periods.iter().any(|period| descriptor.belongs_to(service, *period))
    /// }
    /// ```
    #[must_use]
    pub fn belongs_to(&self, service: &OnionAddress, period: TimePeriod) -> bool {
        self.blinded_key() == Some(service.blinded_key(period))
    }

    /// Returns the revision counter: a newer descriptor of the same ID has a higher one.
    #[doc(alias = "revision_counter")]
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        first_number(&self.find(b"revision-counter")?)
    }

    /// Returns the signature by the [signing key](Self::signing_key).
    #[must_use]
    pub fn signature(&self) -> Option<[u8; 64]> {
        signature(&self.find(b"signature")?)
    }
}

impl fmt::Debug for OnionDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionDescriptor")
            .field("id", &self.id())
            .field("revision", &self.revision())
            .field("hsdir", &self.hsdir)
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}
