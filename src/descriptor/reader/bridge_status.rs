//! The header of a status of bridges.

use std::fmt;
use std::time::SystemTime;

use crate::descriptor::item::{DescriptorItem, Items, has_lines, has_rules};
use crate::descriptor::rule::{Rule, any};
use crate::descriptor::text::Text;
use crate::error::ProtocolError;
use crate::names::Fingerprint;
use crate::wire::timestamp::read_time;

/// The lines before the entries of a status of bridges, as the bridge authority writes it and
/// CollecTor publishes it: `bridge-network-status`.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::{AnyDescriptor, DescriptorReader};
///
/// let file = b"@type bridge-network-status 1.2\npublished 2026-11-23 19:05:47\n";
/// match DescriptorReader::<AnyDescriptor, _>::new(&file[..]).next() {
///     Some(Ok(AnyDescriptor::BridgeStatusHeader(header))) => println!("{:?}", header.published()),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BridgeStatusHeader {
    text: Text,
}

const RULES: &[Rule] = &[
    Rule::once(b"published", "published YYYY-MM-DD HH:MM:SS", |item| {
        read_time(item.arguments_bytes()).is_some()
    }),
    Rule::optional(b"flag-thresholds", "flag-thresholds [NAME=VALUE ..]", any),
    Rule::optional(b"fingerprint", "fingerprint FINGERPRINT", |item| fingerprint(item).is_some()),
];

fn fingerprint(item: &DescriptorItem<'_>) -> Option<Fingerprint> {
    Fingerprint::from_hex(item.arguments_bytes())
}

has_lines!(BridgeStatusHeader);
has_rules!(BridgeStatusHeader, "a status of bridges", RULES);

impl BridgeStatusHeader {
    pub(super) fn new(text: Text) -> Self {
        Self { text }
    }

    /// Returns the time of publication.
    #[must_use]
    pub fn published(&self) -> Option<SystemTime> {
        read_time(self.find(b"published")?.arguments_bytes())
    }

    /// Returns the fingerprint of the bridge authority.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        fingerprint(&self.find(b"fingerprint")?)
    }
}

impl fmt::Debug for BridgeStatusHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BridgeStatusHeader({} bytes)", self.as_bytes().len())
    }
}
