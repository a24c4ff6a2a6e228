//! The severity of log messages and statuses.

use std::fmt;
use std::str::FromStr;

use crate::names::InvalidName;

/// The severity of a log message or a status, in ascending order.
///
/// # Examples
///
/// ```
/// use torcon::names::Severity;
///
/// assert!(Severity::Warn > Severity::Notice);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// For debugging tor.
    Debug,
    /// Frequent, normal messages.
    Info,
    /// Rare, normal messages.
    Notice,
    /// A problem that tor survives.
    Warn,
    /// A problem that ends tor.
    Err,
}

impl Severity {
    /// Every severity, in ascending order.
    pub const ALL: &'static [Self] =
        &[Self::Debug, Self::Info, Self::Notice, Self::Warn, Self::Err];

    /// Returns the word as tor writes it in events.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::Severity;
    ///
    /// assert_eq!(Severity::Warn.as_str(), "WARN");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warn => "WARN",
            Self::Err => "ERR",
        }
    }

    pub(crate) fn from_bytes(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|severity| severity.as_str().as_bytes() == word)
    }
}

impl FromStr for Severity {
    type Err = InvalidName;

    /// Recognizes a word in upper and lower case.
    fn from_str(word: &str) -> Result<Self, InvalidName> {
        let known = |severity: &&Self| severity.as_str().eq_ignore_ascii_case(word);
        Self::ALL
            .iter()
            .find(known)
            .copied()
            .ok_or(InvalidName::new("severity", "must be DEBUG, INFO, NOTICE, WARN or ERR"))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Severity;

    #[test]
    fn severities_round_trip_and_are_ordered_by_gravity() {
        for severity in Severity::ALL {
            assert_eq!(severity.to_string().parse(), Ok(*severity));
        }
        assert!(Severity::ALL.is_sorted());
        assert_eq!("Warn".parse(), Ok(Severity::Warn));
        assert_eq!(
            "warning".parse::<Severity>().unwrap_err().to_string(),
            "invalid severity: must be DEBUG, INFO, NOTICE, WARN or ERR"
        );
    }
}
