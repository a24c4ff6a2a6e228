//! The version of a tor.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::names::{InvalidName, printable};

/// The version of a tor, such as `0.4.9.11` or `0.4.9.1-alpha-dev (git-f1d4ba3)`.
///
/// Versions are ordered as tor orders them: by their four numbers, then by the status tag as text.
/// Additional text, such as the commit a tor was built from, is kept and printed, but does not
/// affect order or equality.
///
/// `Display` prints it as tor wrote it, with characters that do not print escaped.
///
/// A text from tor that is not a version is kept too: it sorts before every version, and
/// [`is_recognized`](Self::is_recognized) returns `false`.
///
/// # Examples
///
/// ```
/// use torcon::names::TorVersion;
///
/// let version: TorVersion = "0.4.9.11 (git-f1d4ba3)".parse()?;
/// assert!(version >= TorVersion::new(0, 4, 8, 0));
/// assert_eq!(version.to_string(), "0.4.9.11 (git-f1d4ba3)");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone)]
pub struct TorVersion {
    text: Box<str>,
    /// Invariant: the result of `Parts::read` for `text`.
    parts: Option<Parts>,
}

/// The parts that are compared, in the order of comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    numbers: [u32; 4],
    status_tag: Box<str>,
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        let (version, extra) = match text.split_once(' ') {
            Some((version, extra)) => (version, Some(extra.trim())),
            None => (text, None),
        };
        if extra.is_some_and(|extra| !extra.starts_with('(') || !extra.ends_with(')')) {
            return None;
        }
        let (numbers, status_tag) = version.split_once('-').unwrap_or((version, ""));
        if status_tag.is_empty() && version.ends_with('-') {
            return None;
        }
        let mut read = [0; 4];
        let mut count = 0;
        for number in numbers.split('.') {
            // `parse` would accept a sign.
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            *read.get_mut(count)? = number.parse().ok()?;
            count += 1;
        }
        (count >= 3).then(|| Self { numbers: read, status_tag: status_tag.into() })
    }
}

impl TorVersion {
    /// Returns the release with these four numbers, for comparisons.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TorVersion;
    ///
    /// assert!("0.4.9.11".parse::<TorVersion>()? > TorVersion::new(0, 4, 8, 0));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn new(major: u32, minor: u32, micro: u32, patch: u32) -> Self {
        Self {
            text: format!("{major}.{minor}.{micro}.{patch}").into(),
            parts: Some(Parts { numbers: [major, minor, micro, patch], status_tag: "".into() }),
        }
    }

    /// Keeps any text; a text that is not a version is not recognized.
    pub(crate) fn from_text(text: &str) -> Self {
        Self { text: text.into(), parts: Parts::read(text) }
    }

    /// Returns the version as tor wrote it.
    ///
    /// # Examples
    ///
    /// ```
    /// let version: torcon::names::TorVersion = "0.4.9.11".parse()?;
    /// assert_eq!(version.as_str(), "0.4.9.11");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the text could be read as a version.
    ///
    /// # Examples
    ///
    /// ```
    /// let version: torcon::names::TorVersion = "0.4.9.11".parse()?;
    /// assert!(version.is_recognized());
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn is_recognized(&self) -> bool {
        self.parts.is_some()
    }

    /// Returns major, minor, micro and patch level, if the text could be read as a version.
    ///
    /// A missing patch level is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let version: torcon::names::TorVersion = "0.4.9.11".parse()?;
    /// assert_eq!(version.numbers(), Some([0, 4, 9, 11]));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn numbers(&self) -> Option<[u32; 4]> {
        self.parts.as_ref().map(|parts| parts.numbers)
    }

    /// Returns the status tag, such as `alpha-dev`, or the empty text.
    ///
    /// # Examples
    ///
    /// ```
    /// let version: torcon::names::TorVersion = "0.5.0.1-alpha".parse()?;
    /// assert_eq!(version.status_tag(), "alpha");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn status_tag(&self) -> &str {
        self.parts.as_ref().map_or("", |parts| &parts.status_tag)
    }

    /// The key of comparison: a text that is no version sorts before every version.
    fn key(&self) -> (Option<&Parts>, &str) {
        match &self.parts {
            Some(parts) => (Some(parts), ""),
            None => (None, &self.text),
        }
    }
}

impl FromStr for TorVersion {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let version = Self::from_text(text);
        if !version.is_recognized() {
            return Err(InvalidName::new(
                "tor version",
                "must be three or four numbers with dots, then perhaps -status and (more)",
            ));
        }
        Ok(version)
    }
}

impl fmt::Display for TorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&*self.text))
    }
}

impl fmt::Debug for TorVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TorVersion").field(&self.text).finish()
    }
}

impl PartialEq for TorVersion {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for TorVersion {}

impl PartialOrd for TorVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TorVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for TorVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::TorVersion;

    #[test]
    fn versions_are_ordered_as_tor_orders_them() {
        let ascending = [
            "0.2.9.17",
            "0.4.8.9",
            "0.4.8.10",
            "0.4.9",
            "0.4.9.1-alpha",
            "0.4.9.1-alpha-dev",
            "0.4.9.2-alpha",
            "0.4.9.4-rc",
            "0.4.9.11",
            "0.4.10.0",
            "1.0.0",
        ];
        for pair in ascending.windows(2) {
            let [low, high] = [TorVersion::from_text(pair[0]), TorVersion::from_text(pair[1])];
            assert!(low < high, "{low} < {high}");
            assert_ne!(low, high);
        }
    }

    #[test]
    fn additional_text_is_printed_and_not_compared() {
        let built: TorVersion = "0.4.9.11 (git-f1d4ba3)".parse().unwrap();
        assert_eq!(built, TorVersion::new(0, 4, 9, 11));
        assert_eq!(built.to_string(), "0.4.9.11 (git-f1d4ba3)");
        assert_eq!(built.numbers(), Some([0, 4, 9, 11]));
        let tagged: TorVersion = "0.4.9.1-alpha-dev (git-1) (Debian)".parse().unwrap();
        assert_eq!(tagged.status_tag(), "alpha-dev");
    }

    #[test]
    fn a_version_with_characters_that_do_not_print_is_escaped() {
        let version = TorVersion::from_text("0.4.9.11 (a\n\u{1b}[31m\u{202e})");
        assert_eq!(version.to_string(), r"0.4.9.11 (a\n\u{1b}[31m\u{202e})");
        assert_eq!(format!("{version:?}"), format!("TorVersion({:?})", version.as_str()));
    }

    #[test]
    fn invalid_versions_are_refused_from_users_and_kept_from_tor() {
        for text in ["", "0.4", "0.4.9.11.2", "0.4.x", "0.+4.1", "0.4.9-", "0.4.9 x", "v0.4.9"] {
            let error = text.parse::<TorVersion>().unwrap_err();
            assert_eq!(
                error.to_string(),
                "invalid tor version: must be three or four numbers with dots, then perhaps \
                 -status and (more)"
            );
            let kept = TorVersion::from_text(text);
            assert_eq!(kept.as_str(), text);
            assert!(!kept.is_recognized());
            assert!(kept < TorVersion::new(0, 0, 0, 0));
            assert_eq!(kept.numbers(), None);
        }
    }
}
