//! The second layer of encryption of a descriptor.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::SystemTime;

use super::first_layer::OnionFirstLayer;
use super::introduction_point::IntroductionPoint;
use crate::descriptor::item::{DescriptorItem, Items, base64, has_lines, number};
use crate::descriptor::list::find;
use crate::descriptor::rule::{self, Rule};
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
#[cfg(feature = "serde")]
use crate::names::serialize::base64_bytes as serialize_base64;
use crate::wire::timestamp::read_time;

/// The second layer of an [`OnionDescriptor`](super::OnionDescriptor): the introduction points of the
/// service and its parameters. Needs the Cargo feature `onion-descriptor`.
///
/// A clone is cheap, and every line is parsed by the method that returns it. The text is not
/// overwritten in memory when it is dropped; the keys of the decryption are.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use torcon::names::OnionAddress;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let service: OnionAddress =
///     "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad".parse()?;
/// let descriptor = controller.fetch_onion_descriptor(service, Duration::from_secs(60))?;
/// let layer = descriptor.decrypt(&service, None)?;
/// println!("single onion service: {}", layer.is_single_onion_service());
/// for point in layer.introduction_points() {
///     println!("{:?}", point.fingerprint());
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OnionSecondLayer {
    first_layer: OnionFirstLayer,
    text: Text,
}

/// The parameters of the proof of work of a service (`HiddenServicePoWDefensesEnabled`), in an
/// [`OnionSecondLayer`]. Needs the Cargo feature `onion-descriptor`.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::OnionSecondLayer;
///
/// fn effort(layer: &OnionSecondLayer) -> Option<u32> {
///     let v1 = layer.pow_params().find(|params| &*params.scheme == "v1")?;
///     Some(v1.suggested_effort)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OnionPowParams {
    /// The scheme: `v1`, until there are others.
    pub scheme: Box<str>,
    /// The seed of the puzzle.
    #[cfg_attr(feature = "serde", serde(serialize_with = "serialize_base64"))]
    pub seed: [u8; 32],
    /// The effort that the service suggests for the first attempt of a client; 0 if it needs none
    /// now.
    pub suggested_effort: u32,
    /// The time until which the seed is valid.
    pub expires: SystemTime,
}

impl OnionPowParams {
    fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let scheme = words.next()?;
        Some(Self {
            scheme: String::from_utf8_lossy(scheme).into(),
            seed: base64(words.next()?)?,
            suggested_effort: number(words.next()?)?,
            expires: read_time(words.next()?)?,
        })
    }
}

/// The congestion control of a service, in an [`OnionSecondLayer`].
/// Needs the Cargo feature `onion-descriptor`.
///
/// # Examples
///
/// ```no_run
/// use torcon::descriptor::OnionSecondLayer;
///
/// fn has_congestion_control(layer: &OnionSecondLayer) -> bool {
///     layer.flow_control().is_some_and(|flow_control| flow_control.versions.contains(&2))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OnionFlowControl {
    /// The versions of the protocol `FlowCtrl` that the service supports.
    pub versions: RangeInclusive<u32>,
    /// After how many cells the service sends a `SENDME` cell.
    pub sendme_increment: u8,
}

impl OnionFlowControl {
    fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let mut bounds = words.next()?.splitn(2, |byte| *byte == b'-');
        let first = number(bounds.next()?)?;
        let last = bounds.next().map_or(Some(first), number)?;
        let sendme_increment = number(words.next()?)?;
        (first <= last).then_some(Self { versions: first..=last, sendme_increment })
    }
}

const READING: &str = "the second layer of the descriptor of an onion service";

/// The lines that have methods, before the first introduction point.
const RULES: &[Rule] = &[
    Rule::once(b"create2-formats", "create2-formats NUMBER ..", |item| {
        item.words().next().is_some() && item.words().all(|word| number::<u16>(word).is_some())
    }),
    Rule::optional(b"intro-auth-required", "intro-auth-required TYPE ..", |item| {
        item.words().next().is_some()
    }),
    Rule::optional(b"single-onion-service", "single-onion-service", rule::any),
    Rule::optional(b"flow-control", "flow-control VERSIONS SENDME-INCREMENT", |item| {
        OnionFlowControl::read(item).is_some()
    }),
    // A later scheme may have other arguments.
    Rule::repeated(b"pow-params", "pow-params SCHEME SEED EFFORT TIME", |item| {
        item.words().next().is_some_and(|scheme| scheme != b"v1")
            || OnionPowParams::read(item).is_some()
    }),
];

has_lines!(OnionSecondLayer);

impl OnionSecondLayer {
    pub(super) fn read(first_layer: OnionFirstLayer, text: Text) -> Result<Self, ProtocolError> {
        match Items::new(text.as_bytes()).next() {
            Some(item) if item.is(b"create2-formats") => Ok(Self { first_layer, text }),
            _ => Err(ProtocolError::new(READING, "the line create2-formats", text.as_bytes())),
        }
    }

    /// Returns the first layer, from which this one was decrypted.
    #[doc(alias = "outer")]
    #[must_use]
    pub fn first_layer(&self) -> &OnionFirstLayer {
        &self.first_layer
    }

    /// Returns the types of the handshake of circuits that the service supports; 2 is ntor.
    #[doc(alias = "formats")]
    pub fn create2_formats(&self) -> impl Iterator<Item = u16> {
        self.words_of(b"create2-formats").filter_map(number)
    }

    /// Returns the types of authentication at the introduction points, such as `ed25519`. If it is not
    /// empty, a client must support one of them.
    #[doc(alias = "intro_auth")]
    pub fn intro_auth_required(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.words_of(b"intro-auth-required").map(String::from_utf8_lossy)
    }

    /// Returns whether the service is a single onion service, which is not anonymous itself
    /// (`HiddenServiceNonAnonymousMode`).
    #[doc(alias = "is_single_service")]
    #[must_use]
    pub fn is_single_onion_service(&self) -> bool {
        self.find(b"single-onion-service").is_some()
    }

    /// Returns the parameters of the proof of work, one for each scheme. A scheme with other arguments
    /// than `v1` is left out; [`items`](Self::items) has it.
    pub fn pow_params(&self) -> impl Iterator<Item = OnionPowParams> {
        let items = self.items().filter(|item| item.is(b"pow-params"));
        items.filter_map(|item| OnionPowParams::read(&item))
    }

    /// Returns the congestion control that the service supports, if any.
    #[must_use]
    pub fn flow_control(&self) -> Option<OnionFlowControl> {
        OnionFlowControl::read(&self.find(b"flow-control")?)
    }

    /// Returns the introduction points, in the order of the descriptor. A service that does not want
    /// clients now has none.
    pub fn introduction_points(&self) -> impl Iterator<Item = IntroductionPoint> {
        let parts = find::<IntroductionPoint>(self.text.as_bytes());
        parts.into_iter().map(|range| IntroductionPoint::new(self.text.part(range)))
    }

    /// Returns the items before the first introduction point whose keyword this version of torcon does
    /// not know.
    pub fn unrecognized(&self) -> impl Iterator<Item = DescriptorItem<'_>> {
        self.items()
            .take_while(|item| !item.is(b"introduction-point"))
            .filter(|item| !rule::is_known(RULES, item))
    }

    /// Checks every line, also those of the introduction points: each that this version of torcon
    /// knows has the syntax of the specification and occurs as often as it may, and no line is missing
    /// that every such document has. The methods read a line with a syntax error as an absent one.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`] with the [number](ProtocolError::line) of the first wrong line.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let text = self.text.as_bytes();
        let parts = find::<IntroductionPoint>(text);
        let header = parts.first().map_or(text.len(), |first| first.start);
        rule::check(READING, RULES, text.get(..header).unwrap_or_default())?;
        for range in parts {
            IntroductionPoint::check_part(text, text.get(range).unwrap_or_default())?;
        }
        Ok(())
    }

    fn words_of(&self, keyword: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.find(keyword).into_iter().flat_map(|item| item.words())
    }
}

impl fmt::Debug for OnionSecondLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnionSecondLayer")
            .field("address", &self.first_layer.address())
            .field("introduction_points", &self.introduction_points().count())
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}
