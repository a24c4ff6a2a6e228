//! What the directory thinks of tor's version.

use super::answers::Answers;
use crate::names::{TorVersion, keywords};

keywords! {
    /// What the directory authorities think of the version of a tor.
    pub enum VersionStanding {
        /// It is recommended.
        Recommended = "recommended",
        /// It is newer than every version that is recommended.
        New = "new",
        /// It is newer than every version of its series that is recommended.
        NewInSeries = "new in series",
        /// It is older than every version that is recommended. tor 0.4.9 calls this
        /// [obsolete](Self::Obsolete).
        Old = "old",
        /// It is too old.
        Obsolete = "obsolete",
        /// It is not recommended, but neither older nor newer than all that are.
        Unrecommended = "unrecommended",
        /// The authorities recommend no version.
        NoneRecommended = "none recommended",
        /// tor has no consensus.
        Unknown = "unknown",
    }
}

/// What the directory authorities think of tor's version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionStatus {
    /// What they think of the one that runs.
    pub current: VersionStanding,
    /// Those that they recommend, for relays if this is one; none if tor has no consensus.
    pub recommended: Vec<TorVersion>,
}

impl VersionStatus {
    pub(crate) const KEYS: &'static [&'static str] =
        &["status/version/current", "status/version/recommended"];

    pub(crate) fn read(answers: Answers<'_>) -> Self {
        let list = String::from_utf8_lossy(answers.bytes("status/version/recommended"));
        // A question mark means that there is no consensus.
        let versions = list.split(',').filter(|version| !matches!(*version, "" | "?"));
        Self {
            current: VersionStanding::from_bytes(answers.bytes("status/version/current")),
            recommended: versions.map(TorVersion::from_text).collect(),
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
