//! Codes of countries.

use std::fmt;
use std::str::FromStr;

use crate::names::InvalidName;

/// The code of a country in tor's GeoIP data: two letters or digits, in lower case, such as `de`.
///
/// `FromStr` ignores the case and accepts the braces that tor's options have around a code, `{de}`;
/// it does not know which countries exist. tor's `??`, an unknown country, is not a code.
///
/// # Examples
///
/// ```
/// use torcon::names::CountryCode;
///
/// let country: CountryCode = "{DE}".parse()?;
/// assert_eq!(country.as_str(), "de");
/// assert!("??".parse::<CountryCode>().is_err());
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode {
    /// Invariant: lower-case ASCII letters or digits.
    code: [u8; 2],
}

impl CountryCode {
    /// `None` if these bytes are not a code.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let code: [u8; 2] = bytes.try_into().ok()?;
        code.iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(Self { code: code.map(|byte| byte.to_ascii_lowercase()) })
    }

    /// Returns the code, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_default()
    }
}

impl AsRef<str> for CountryCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for CountryCode {
    fn eq(&self, other: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for CountryCode {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl FromStr for CountryCode {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let code = text.strip_prefix('{').and_then(|code| code.strip_suffix('}')).unwrap_or(text);
        Self::from_bytes(code.as_bytes())
            .ok_or(InvalidName::new("country code", "must be two letters, such as de"))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountryCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::CountryCode;

    #[test]
    fn codes_are_read_without_case_and_braces() {
        for text in ["de", "DE", "{de}", "{dE}"] {
            let code: CountryCode = text.parse().unwrap();
            assert_eq!((code.to_string(), code == "De"), ("de".to_owned(), true));
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        for text in ["", "??", "d", "deu", "{de", "d e", "{}", "\u{e9}"] {
            assert_eq!(
                text.parse::<CountryCode>().unwrap_err().to_string(),
                "invalid country code: must be two letters, such as de"
            );
        }
    }
}
