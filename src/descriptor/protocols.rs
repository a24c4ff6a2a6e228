//! Versions of subprotocols.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::item::{Words, number};
use crate::names::InvalidName;

/// The versions of the subprotocols that a relay supports, or that a consensus recommends or
/// requires, such as `Cons=1-2 Desc=1-4 Link=1,3-5`.
///
/// The names are those of the Tor specification: `Link`, `LinkAuth`, `Relay`, `DirCache`, `HSDir`,
/// `HSIntro`, `HSRend`, `Desc`, `Microdesc`, `Cons`, `Padding`, `FlowCtrl`, `Conflux`, and those of
/// later versions of tor. They are compared exactly. The specification limits versions to 63; here
/// every number of 32 bits is read, and a range is kept as its two ends. Two values are equal if
/// they are written alike.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ProtocolVersions;
///
/// let protocols: ProtocolVersions = "Cons=1-2 Link=1,3-5".parse()?;
/// assert!(protocols.supports("Link", 4) && !protocols.supports("Link", 2));
/// assert_eq!(protocols.get("Link").collect::<Vec<_>>(), [1..=1, 3..=5]);
/// assert_eq!(protocols.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Cons", "Link"]);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProtocolVersions {
    /// Invariant: entries that `read_entry` reads, separated by single blanks.
    text: Box<str>,
}

impl ProtocolVersions {
    /// Parses the arguments of a line; `None` if the syntax is wrong.
    pub(super) fn from_bytes(text: &[u8]) -> Option<Self> {
        let mut normalized = String::with_capacity(text.len());
        for word in Words::new(text) {
            let word = std::str::from_utf8(word).ok()?;
            let (_, mut ranges) = read_entry(word)?;
            ranges.all(|range| range.is_some()).then_some(())?;
            if !normalized.is_empty() {
                normalized.push(' ');
            }
            normalized.push_str(word);
        }
        Some(Self { text: normalized.into() })
    }

    /// Returns the versions of a protocol, as ranges in the order of the text; none if it is not
    /// listed.
    ///
    /// # Examples
    ///
    /// ```
    /// let protocols: torcon::descriptor::ProtocolVersions = "Desc=1-4".parse()?;
    /// assert_eq!(protocols.get("Desc").next(), Some(1..=4));
    /// assert_eq!(protocols.get("desc").next(), None);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn get<'a>(&'a self, name: &'a str) -> impl Iterator<Item = RangeInclusive<u32>> + 'a {
        self.iter().filter(move |(found, _)| *found == name).flat_map(|(_, ranges)| ranges)
    }

    /// Returns whether a version of a protocol is listed.
    ///
    /// # Examples
    ///
    /// ```
    /// let protocols: torcon::descriptor::ProtocolVersions = "HSIntro=3-5 Padding=2".parse()?;
    /// assert!(protocols.supports("HSIntro", 5) && !protocols.supports("Padding", 1));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn supports(&self, name: &str, version: u32) -> bool {
        let mut versions = self.iter().filter(|(found, _)| *found == name);
        versions.any(|(_, mut ranges)| ranges.any(|range| range.contains(&version)))
    }

    /// Returns each protocol with its versions, as ranges in the order of the text.
    ///
    /// # Examples
    ///
    /// ```
    /// let protocols: torcon::descriptor::ProtocolVersions = "LinkAuth=1,3 Relay=1-4".parse()?;
    /// let newest: Vec<_> = protocols
    ///     .iter()
    ///     .filter_map(|(name, ranges)| Some((name, *ranges.last()?.end())))
    ///     .collect();
    /// assert_eq!(newest, [("LinkAuth", 3), ("Relay", 4)]);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = RangeInclusive<u32>> + '_)> {
        let entries = self.text.split(' ').filter_map(read_entry);
        entries.map(|(name, ranges)| (name, ranges.flatten()))
    }

    /// Returns whether no protocol is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Reads `Link=1,3-5`. A range with a syntax error is `None`.
fn read_entry(
    entry: &str,
) -> Option<(&str, impl Iterator<Item = Option<RangeInclusive<u32>>> + '_)> {
    let (name, versions) = entry.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let ranges = versions.split(',').take_while(|_| !versions.is_empty());
    is_name.then(|| (name, ranges.map(read_range)))
}

fn read_range(range: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (number(first.as_bytes())?, number(last.as_bytes())?);
    (first <= last).then_some(first..=last)
}

impl FromStr for ProtocolVersions {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let problem = "expected names with versions, such as Cons=1-2 Link=1,3-5";
        Self::from_bytes(text.as_bytes()).ok_or(InvalidName::new("protocol versions", problem))
    }
}

impl fmt::Display for ProtocolVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for ProtocolVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProtocolVersions({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::ProtocolVersions;

    #[test]
    fn the_line_of_a_relay_is_read() {
        let text = "Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 \
                    HSRend=1-2 Link=1-5 LinkAuth=1,3 Microdesc=1-3 Padding=2 Relay=1-4";
        let protocols: ProtocolVersions = text.parse().unwrap();
        assert_eq!(protocols.iter().count(), 13);
        assert_eq!(protocols.get("LinkAuth").collect::<Vec<_>>(), [1..=1, 3..=3]);
        assert!(protocols.supports("LinkAuth", 3) && !protocols.supports("LinkAuth", 2));
        assert!(protocols.supports("HSIntro", 5) && !protocols.supports("hsintro", 5));
        assert!(!protocols.supports("Future", 1) && !protocols.is_empty());
        assert_eq!(protocols.to_string(), text);
        assert_eq!(format!("{:?}", "A=1".parse::<ProtocolVersions>()), "Ok(ProtocolVersions(A=1))");
    }

    #[test]
    fn rare_forms_are_read() {
        let read = |text: &str| text.parse::<ProtocolVersions>().unwrap();
        assert!(read("").is_empty() && read("").iter().next().is_none());
        assert_eq!(read(" Cons=1  Link=2\t"), read("Cons=1 Link=2"));
        assert_eq!(read("None= Cons=1").get("None").count(), 0);
        assert_eq!(read("None= Cons=1").iter().count(), 2);
        assert!(read("Cons=1 Cons=5").supports("Cons", 5));
        let absurd = read("Cons=0-4294967295");
        assert!(absurd.supports("Cons", 0) && absurd.supports("Cons", u32::MAX));
        assert_eq!(absurd.get("Cons").count(), 1);
    }

    #[test]
    fn a_syntax_error_is_refused() {
        for text in [
            "Cons",
            "=1",
            "Cons=1,",
            "Cons=,1",
            "Cons=-",
            "Cons=1-",
            "Cons=-1",
            "Cons=2-1",
            "Cons=1-2-3",
            "Cons=+1",
            "Cons=x",
            "Cons=4294967296",
            "Cons=1 Link",
            "C\u{e4}=1",
        ] {
            assert!(text.parse::<ProtocolVersions>().is_err(), "{text}");
        }
        assert_eq!(
            "x".parse::<ProtocolVersions>().unwrap_err().to_string(),
            "invalid protocol versions: expected names with versions, such as Cons=1-2 Link=1,3-5"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([A-Z]{0,2}=?[-0-9,]{0,6} ?){0,6}|.{0,30}") {
            if let Ok(protocols) = text.parse::<ProtocolVersions>() {
                let again: ProtocolVersions = protocols.to_string().parse().unwrap();
                assert_eq!(again, protocols);
                for (name, ranges) in protocols.iter() {
                    assert!(ranges.into_iter().all(|range| protocols.supports(name, *range.end())));
                }
            }
        }
    }
}
