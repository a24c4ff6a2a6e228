//! Relays: their fingerprints and nicknames, and the ways to name one.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXUPPER;

use crate::names::{InvalidName, printable, read_from_text};

/// The fingerprint of a relay: 20 bytes that are derived from its identity key.
///
/// `FromStr` accepts 40 hexadecimal digits, with or without tor's `$` before them; `Display` prints
/// 40 upper-case digits without it.
///
/// # Examples
///
/// ```
/// use torcon::names::Fingerprint;
///
/// let fingerprint: Fingerprint = "$e8f78d0cad2e4ab37af2dba543e53e84f7b206ac".parse()?;
/// assert_eq!(fingerprint.to_string(), "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    bytes: [u8; 20],
}

impl Fingerprint {
    /// Reads 40 hexadecimal digits.
    #[inline]
    pub(crate) fn from_hex(digits: &[u8]) -> Option<Self> {
        Self::from_digits(digits.try_into().ok()?)
    }

    /// Every hop of every circuit event is parsed here. There is no branch before the end, so that
    /// the compiler can use vector instructions.
    #[inline]
    fn from_digits(digits: &[u8; 40]) -> Option<Self> {
        const BAD: u8 = 0xff;
        let mut values = *digits;
        let mut all = 0;
        for digit in &mut values {
            let decimal = digit.wrapping_sub(b'0');
            let letter = (*digit | 0x20).wrapping_sub(b'a');
            let of_letter = if letter < 6 { letter + 10 } else { BAD };
            *digit = if decimal < 10 { decimal } else { of_letter };
            all |= *digit;
        }
        if all == BAD {
            return None;
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(values.chunks_exact(2)) {
            if let [high, low] = pair {
                *byte = high << 4 | low;
            }
        }
        Some(Self { bytes })
    }

    /// Returns the 20 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// let fingerprint = torcon::names::Fingerprint::from([7; 20]);
    /// assert_eq!(fingerprint.as_bytes(), &[7; 20]);
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.bytes
    }
}

impl From<[u8; 20]> for Fingerprint {
    fn from(bytes: [u8; 20]) -> Self {
        Self { bytes }
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let digits = text.strip_prefix('$').unwrap_or(text);
        Self::from_hex(digits.as_bytes())
            .ok_or(InvalidName::new("relay fingerprint", "must be 40 hexadecimal digits"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 40];
        HEXUPPER.encode_mut(&self.bytes, &mut digits);
        f.pad(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The nickname of a relay: 1 to 19 letters or digits. Several relays may share one.
///
/// # Examples
///
/// ```
/// let name: torcon::names::Nickname = "moria1".parse()?;
/// assert_eq!(name.as_str(), "moria1");
/// assert!("not a nickname".parse::<torcon::names::Nickname>().is_err());
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nickname {
    /// Invariant: 1 to 19 ASCII letters or digits, then zeros.
    text: [u8; 19],
}

impl Nickname {
    /// `None` if these bytes are not a nickname.
    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut text = [0; 19];
        if bytes.is_empty() || bytes.len() > text.len() {
            return None;
        }
        let mut is_valid = true;
        for (letter, byte) in text.iter_mut().zip(bytes) {
            is_valid &= byte.is_ascii_alphanumeric();
            *letter = *byte;
        }
        is_valid.then_some(Self { text })
    }

    /// Returns the nickname as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.text.iter().position(|byte| *byte == 0).unwrap_or(self.text.len());
        std::str::from_utf8(self.text.get(..length).unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for Nickname {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::from_bytes(text.as_bytes())
            .ok_or(InvalidName::new("relay nickname", "must be 1 to 19 letters or digits"))
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nickname({self})")
    }
}

/// A relay as tor or a user names it: by fingerprint, by nickname, or by both.
///
/// `Display` prints the parsed form: `$FP~nick`, `$FP=nick` (very old versions of tor), `$FP`, `FP`
/// or `nick`; `$FP~` is a relay without a nickname. Any other form that tor sends is kept as text,
/// without fingerprint and nickname.
///
/// # Examples
///
/// ```
/// use torcon::names::RelaySpec;
///
/// let relay: RelaySpec = "$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r".parse()?;
/// assert_eq!(relay.nickname().unwrap().as_str(), "test004r");
/// assert_eq!(
///     relay.fingerprint().unwrap().to_string(),
///     "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC"
/// );
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelaySpec {
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    Identified { fingerprint: Fingerprint, style: Style, nickname: Option<Nickname> },
    Nickname(Nickname),
    Unread(Box<str>),
}

/// The written form of a fingerprint and of the text behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Style {
    /// `FP`
    Bare,
    /// `$FP`
    Dollar,
    /// `$FP~nick` or `$FP~`
    Tilde,
    /// `$FP=nick` or `$FP=`
    Equals,
}

impl RelaySpec {
    /// Keeps any text; bytes that are not UTF-8 are replaced.
    #[inline]
    pub(crate) fn from_bytes(text: &[u8]) -> Self {
        let form =
            Form::read(text).unwrap_or_else(|| Form::Unread(String::from_utf8_lossy(text).into()));
        Self { form }
    }

    /// Returns the fingerprint, if the relay is named by it.
    ///
    /// # Examples
    ///
    /// ```
    /// let relay: torcon::names::RelaySpec = "moria1".parse()?;
    /// assert_eq!(relay.fingerprint(), None);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.form {
            Form::Identified { fingerprint, .. } => Some(*fingerprint),
            Form::Nickname(_) | Form::Unread(_) => None,
        }
    }

    /// Returns the nickname, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let relay: torcon::names::RelaySpec = "moria1".parse()?;
    /// assert_eq!(relay.nickname().unwrap().as_str(), "moria1");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn nickname(&self) -> Option<Nickname> {
        match &self.form {
            Form::Identified { nickname, .. } => *nickname,
            Form::Nickname(nickname) => Some(*nickname),
            Form::Unread(_) => None,
        }
    }

    /// Returns whether both name the same relay, compared by fingerprint if both have one.
    pub(crate) fn is_same_relay(&self, other: &Self) -> bool {
        match (self.fingerprint(), other.fingerprint()) {
            (Some(own), Some(other)) => own == other,
            _ => self == other,
        }
    }
}

impl Form {
    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        let Some(after_dollar) = text.strip_prefix(b"$") else {
            return match Nickname::from_bytes(text) {
                Some(nickname) => Some(Self::Nickname(nickname)),
                None => Some(Self::Identified {
                    fingerprint: Fingerprint::from_hex(text)?,
                    style: Style::Bare,
                    nickname: None,
                }),
            };
        };
        let (digits, after) = after_dollar.split_first_chunk()?;
        let fingerprint = Fingerprint::from_digits(digits)?;
        let (style, nickname) = match after {
            [] => (Style::Dollar, None),
            [b'~'] => (Style::Tilde, None),
            [b'='] => (Style::Equals, None),
            [b'~', nickname @ ..] => (Style::Tilde, Some(Nickname::from_bytes(nickname)?)),
            [b'=', nickname @ ..] => (Style::Equals, Some(Nickname::from_bytes(nickname)?)),
            _ => return None,
        };
        Some(Self::Identified { fingerprint, style, nickname })
    }
}

impl From<Fingerprint> for RelaySpec {
    fn from(fingerprint: Fingerprint) -> Self {
        Self { form: Form::Identified { fingerprint, style: Style::Dollar, nickname: None } }
    }
}

impl From<Nickname> for RelaySpec {
    fn from(nickname: Nickname) -> Self {
        Self { form: Form::Nickname(nickname) }
    }
}

impl From<&Fingerprint> for RelaySpec {
    fn from(fingerprint: &Fingerprint) -> Self {
        Self::from(*fingerprint)
    }
}

impl From<&Nickname> for RelaySpec {
    fn from(nickname: &Nickname) -> Self {
        Self::from(*nickname)
    }
}

read_from_text!(RelaySpec, InvalidName);

impl FromStr for RelaySpec {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let form = Form::read(text.as_bytes()).ok_or(InvalidName::new(
            "relay",
            "must be $fingerprint, $fingerprint~nickname, a fingerprint or a nickname",
        ))?;
        Ok(Self { form })
    }
}

impl fmt::Display for RelaySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Identified { fingerprint, style, nickname } => {
                let (before, after) = match style {
                    Style::Bare => ("", ""),
                    Style::Dollar => ("$", ""),
                    Style::Tilde => ("$", "~"),
                    Style::Equals => ("$", "="),
                };
                let nickname = nickname.as_ref().map_or("", Nickname::as_str);
                write!(f, "{before}{fingerprint}{after}{nickname}")
            }
            Form::Nickname(nickname) => fmt::Display::fmt(nickname, f),
            Form::Unread(text) => f.write_str(&printable(&**text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Fingerprint, Nickname, RelaySpec, printable};

    const FINGERPRINT: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
    const SHORT: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206A";

    #[test]
    fn every_form_of_a_relay_is_read_and_printed_again() {
        for (text, nickname) in [
            (format!("${FINGERPRINT}~test004r"), Some("test004r")),
            (format!("${FINGERPRINT}=test004r"), Some("test004r")),
            (format!("${FINGERPRINT}~"), None),
            (format!("${FINGERPRINT}="), None),
            (format!("${FINGERPRINT}"), None),
            (FINGERPRINT.to_owned(), None),
        ] {
            let relay: RelaySpec = text.parse().unwrap();
            assert_eq!(relay.to_string(), text);
            assert_eq!(relay.fingerprint(), Some(FINGERPRINT.parse().unwrap()));
            assert_eq!(relay.nickname().map(|name| name.to_string()).as_deref(), nickname);
        }
        let relay: RelaySpec = "moria1".parse().unwrap();
        assert_eq!((relay.fingerprint(), relay.to_string()), (None, "moria1".to_owned()));
    }

    #[test]
    fn invalid_relays_are_refused_from_users_and_kept_from_tor() {
        let long = format!("${FINGERPRINT}~{}", "n".repeat(20));
        for text in ["", "$", "$abc", "a b", "a,b", "a\r\nQUIT", SHORT, &long] {
            assert_eq!(
                text.parse::<RelaySpec>().unwrap_err().to_string(),
                "invalid relay: must be $fingerprint, $fingerprint~nickname, a fingerprint or a \
                 nickname"
            );
            let kept = RelaySpec::from_bytes(text.as_bytes());
            assert_eq!(kept.to_string(), *printable(text));
            assert_eq!((kept.fingerprint(), kept.nickname()), (None, None));
        }
    }

    #[test]
    fn refusals_say_what_is_missing() {
        assert_eq!(
            "12".parse::<Fingerprint>().unwrap_err().to_string(),
            "invalid relay fingerprint: must be 40 hexadecimal digits"
        );
        assert_eq!(
            "not a nickname".parse::<Nickname>().unwrap_err().to_string(),
            "invalid relay nickname: must be 1 to 19 letters or digits"
        );
    }

    proptest! {
        #[test]
        fn fingerprints_round_trip(bytes: [u8; 20]) {
            let fingerprint = Fingerprint::from(bytes);
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint));
            assert_eq!(RelaySpec::from(fingerprint).to_string(), format!("${fingerprint}"));
            assert_eq!(fingerprint.as_bytes(), &bytes);
        }

        #[test]
        fn nicknames_round_trip(text in "[0-9A-Za-z]{1,19}") {
            let nickname: Nickname = text.parse().unwrap();
            assert_eq!(nickname.to_string(), text);
            assert_eq!(RelaySpec::from(nickname), text.parse().unwrap());
        }

        #[test]
        fn any_text_of_tor_prints_as_it_was(text in any::<String>()) {
            assert_eq!(RelaySpec::from_bytes(text.as_bytes()).to_string(), *printable(&text));
        }
    }
}
