//! The recommendation of the directory authorities for tor's version.

use super::answers::Answers;
use crate::names::{TorVersion, keywords};
use crate::wire::fields::split_list;

keywords! {
    /// The standing of a version of tor with the directory authorities.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::VersionStanding;
    ///
    /// assert_eq!(VersionStanding::from("new"), VersionStanding::New);
    /// assert_eq!(VersionStanding::New.as_str(), "new");
    /// assert!(!VersionStanding::from("FUTURE").is_recognized());
    /// ```
    pub enum VersionStanding {
        /// Recommended.
        Recommended = "recommended",
        /// Newer than every recommended version.
        New = "new",
        /// Newer than every recommended version of its series.
        NewInSeries = "new in series",
        /// Older than every recommended version. tor 0.4.9 calls this
        /// [obsolete](Self::Obsolete).
        Old = "old",
        /// Obsolete.
        Obsolete = "obsolete",
        /// Not recommended, but neither older nor newer than all recommended versions.
        Unrecommended = "unrecommended",
        /// The authorities recommend no version.
        NoneRecommended = "none recommended",
        /// tor has no consensus.
        Unknown = "unknown",
    }
}

/// tor's version with the recommendation of the directory authorities.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let status = controller.version_status()?;
/// println!("{}", status.current);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct VersionStatus {
    /// The standing of the running version.
    pub current: VersionStanding,
    /// The recommended versions, for relays if this is one; empty if tor has no consensus.
    pub recommended: Vec<TorVersion>,
}

impl VersionStatus {
    pub(crate) const KEYS: &'static [&'static str] =
        &["status/version/current", "status/version/recommended"];

    pub(crate) fn read(answers: Answers<'_>) -> Self {
        // A question mark means that there is no consensus.
        let versions = split_list(answers.bytes("status/version/recommended"))
            .filter(|version| *version != b"?")
            .map(|version| TorVersion::from_text(&String::from_utf8_lossy(version)));
        Self {
            current: VersionStanding::from_bytes(answers.bytes("status/version/current")),
            recommended: versions.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{VersionStanding, VersionStatus};
    use crate::info::answers::tests::read;
    use crate::names::TorVersion;

    #[test]
    fn versions_and_the_words_with_blanks_are_read() {
        let status = |current: &str, recommended: &str| {
            let text = format!(
                "status/version/current={current}\nstatus/version/recommended={recommended}"
            );
            read(&text, |answers| Ok(VersionStatus::read(answers))).unwrap()
        };
        let known = status("new in series", "0.4.8.10,0.4.9.1-alpha");
        assert_eq!(known.current, VersionStanding::NewInSeries);
        assert_eq!(known.recommended[0], TorVersion::new(0, 4, 8, 10));
        assert_eq!(known.recommended[1].status_tag(), "alpha");
        let none = status("none recommended", "");
        assert_eq!(none.current, VersionStanding::NoneRecommended);
        assert_eq!(none.recommended, []);
        let unknown = status("unknown", "?");
        assert_eq!(unknown.current, VersionStanding::Unknown);
        assert_eq!(unknown.recommended, []);
        assert_eq!(status("excellent", "?").current.to_string(), "excellent");
    }
}
