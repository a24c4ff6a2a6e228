//! Versions: of tor, and of packages.

use crate::descriptor::item::DescriptorItem;
use crate::descriptor::router_status::pairs;
use crate::names::TorVersion;

/// The recommended version of a package.
///
/// # Examples
///
/// ```no_run
/// let consensus = torcon::descriptor::Consensus::parse(std::fs::read("cached-consensus")?)?;
/// for package in consensus.packages() {
///     println!("{} {} at {}", package.name, package.version, package.url);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PackageVersion {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The address at which it is available.
    pub url: String,
    /// The digests, with the name of the algorithm before each.
    pub digests: Vec<(String, String)>,
}

impl PackageVersion {
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let mut word = || words.next().map(|word| String::from_utf8_lossy(word).into_owned());
        let (name, version, url) = (word()?, word()?, word()?);
        let digests = pairs(words);
        let digests = digests.map(|(name, value)| (name.into_owned(), value.into_owned()));
        Some(Self { name, version, url, digests: digests.collect() })
    }
}

pub(super) fn is_package(item: &DescriptorItem<'_>) -> bool {
    PackageVersion::read(item).is_some()
}

/// Returns the versions in a line, which are separated by commas.
pub(super) fn versions(item: Option<DescriptorItem<'_>>) -> impl Iterator<Item = TorVersion> + '_ {
    let words =
        item.into_iter().flat_map(|item| item.arguments_bytes().split(|byte| *byte == b','));
    let words = words.map(<[u8]>::trim_ascii).filter(|word| !word.is_empty());
    words.map(|word| TorVersion::from_text(&String::from_utf8_lossy(word)))
}
