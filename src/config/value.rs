//! What an option is set to, and how the values of each type are read.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::schema::OptionType;
use super::units::{read_bytes, read_milliseconds, read_seconds};

/// The value of an option: not set, set to nothing, or set to one or several lines of text.
///
/// Got from a [`Config`](crate::config::Config). It can be given back to
/// [`Config::set`](crate::config::Config::set), whatever it is. An option that is at its default
/// may be shown by tor as not set (`ContactInfo`) or with the value of the default
/// (`MaxCircuitDirtiness`).
///
/// It is printed as the text of its lines, divided by `, `; one that is not set as `(not set)`.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use torcon::config::Config;
///
/// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
/// let value = config.get("Log")?;
/// println!("{} of {}", value.lines().count(), value.option_type());
/// config.set("Log", value)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OptionValue {
    kind: OptionType,
    /// `None` if the option is not set.
    lines: Option<Vec<Vec<u8>>>,
}

impl OptionValue {
    pub(super) fn new(kind: OptionType, lines: Option<Vec<Vec<u8>>>) -> Self {
        Self { kind, lines }
    }

    /// Returns the type of the option.
    #[must_use]
    pub fn option_type(&self) -> &OptionType {
        &self.kind
    }

    /// Returns whether the option is set, if only to nothing.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.lines.is_some()
    }

    /// Returns whether the option is set to nothing: a list without entries, which differs from
    /// one that is not set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.iter().all(Vec::is_empty))
    }

    /// Returns the lines, as bytes: one for most options, any number for those of the types
    /// [`LineList`](OptionType::LineList) and [`Dependent`](OptionType::Dependent).
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.lines.as_deref().unwrap_or_default().iter().map(Vec::as_slice)
    }

    /// Returns the first line, which for most options is the only one; bytes that are not UTF-8
    /// are replaced.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.lines().next().map(String::from_utf8_lossy)
    }

    /// Returns the entries of a list, or of another option the lines; bytes that are not UTF-8
    /// are replaced. `None` if it is not set.
    #[must_use]
    pub fn entries(&self) -> Option<Vec<String>> {
        let lines = self.lines.as_ref()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !self.kind.is_comma_list() {
            return Some(lines.iter().map(|line| text(line)).collect());
        }
        let entries = lines.iter().flat_map(|line| comma_entries(line));
        Some(entries.map(text).collect())
    }

    pub(super) fn into_lines(self) -> Option<Vec<Vec<u8>>> {
        self.lines
    }

    /// Returns the value of an option of the type `Boolean`; `None` if it is not set or not one.
    ///
    /// [`Config::get_bool`](crate::config::Config::get_bool) and the others of its kind tell the
    /// two apart, and check the type.
    #[must_use]
    pub fn to_bool(&self) -> Option<bool> {
        match self.lines().next()? {
            b"0" => Some(false),
            b"1" => Some(true),
            _ => None,
        }
    }

    /// Returns the value of an option of the type `Boolean+Auto` or `Boolean`; `None` if it is not
    /// set or not one.
    #[must_use]
    pub fn to_auto_bool(&self) -> Option<OrAuto<bool>> {
        match self.lines().next()? {
            word if word.eq_ignore_ascii_case(b"auto") => Some(OrAuto::Auto),
            _ => self.to_bool().map(OrAuto::Value),
        }
    }

    /// Returns the value of an option of the type `Integer`, `SignedInteger` or `Port`; `None` if
    /// it is not set or not one that fits.
    #[must_use]
    pub fn to_integer<T: TryFrom<i128>>(&self) -> Option<T> {
        T::try_from(self.ascii()?.parse().ok()?).ok()
    }

    /// Returns the value of an option of the type `Float`; `None` if it is not set or not one.
    #[must_use]
    pub fn to_float(&self) -> Option<f64> {
        self.ascii()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Returns the value of an option of the type `TimeInterval` or `TimeMsecInterval`, with or
    /// without a unit of tor's; `None` if it is not set or not one.
    #[must_use]
    pub fn to_duration(&self) -> Option<Duration> {
        let text = self.untrimmed()?;
        match self.kind {
            OptionType::TimeMsecInterval => read_milliseconds(text).map(Duration::from_millis),
            _ => read_seconds(text).map(Duration::from_secs),
        }
    }

    /// Returns the value of an option of the type `DataSize` in bytes, with or without a unit of
    /// tor's: `KB` and `kilobyte` are 1024 bytes, `kbit` 1024 bits, and so on; `None` if it is not
    /// set or not one.
    #[must_use]
    pub fn to_bytes(&self) -> Option<u64> {
        read_bytes(self.untrimmed()?)
    }

    /// Returns the port in the first line of an option such as `SocksPort`: `9050`, `auto`,
    /// `127.0.0.1:9050 IsolateDestAddr`; `None` if it is not set or has none, as with a unix
    /// socket.
    #[must_use]
    pub fn to_port(&self) -> Option<OrAuto<u16>> {
        let place = self.ascii()?.split(' ').next()?;
        if place.starts_with("unix:") {
            return None;
        }
        let port = place.rsplit(':').next()?;
        if port.eq_ignore_ascii_case("auto") {
            return Some(OrAuto::Auto);
        }
        port.parse().ok().map(OrAuto::Value)
    }

    fn ascii(&self) -> Option<&str> {
        self.untrimmed().map(str::trim)
    }

    fn untrimmed(&self) -> Option<&str> {
        std::str::from_utf8(self.lines().next()?).ok()
    }
}

/// The entries of a line that are divided by commas; none if there is nothing.
pub(super) fn comma_entries(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let entries = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    entries.filter(|entry| !entry.is_empty())
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_set() {
            return f.pad("(not set)");
        }
        let lines: Vec<_> = self.lines().map(String::from_utf8_lossy).collect();
        f.pad(&lines.join(", "))
    }
}

impl fmt::Debug for OptionValue {
    /// Shows the number of lines only: without its option a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.as_ref().map(Vec::len);
        f.debug_struct("OptionValue").field("type", &self.kind).field("lines", &lines).finish()
    }
}

/// A value, or that tor is to choose it: the word `auto`.
///
/// # Examples
///
/// ```
/// use torcon::config::OrAuto;
///
/// assert_eq!(OrAuto::Value(9050).to_string(), "9050");
/// assert_eq!(OrAuto::<u16>::Auto.to_string(), "auto");
/// assert_eq!(OrAuto::Value(true).value(), Some(true));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a value is there, or it is not")]
pub enum OrAuto<T> {
    /// tor chooses.
    #[default]
    Auto,
    /// The value.
    Value(T),
}

impl<T> OrAuto<T> {
    /// Returns the value, if it is not for tor to choose.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Auto => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<T> From<T> for OrAuto<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl<T: fmt::Display> fmt::Display for OrAuto<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Value(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{OptionType, OptionValue, OrAuto};

    fn value(kind: OptionType, lines: &[&str]) -> OptionValue {
        OptionValue::new(kind, Some(lines.iter().map(|line| line.as_bytes().to_vec()).collect()))
    }

    fn line(line: &str) -> OptionValue {
        value(OptionType::String, &[line])
    }

    #[test]
    fn each_type_is_read_as_tor_writes_it() {
        assert_eq!([line("0").to_bool(), line("1").to_bool()], [Some(false), Some(true)]);
        assert_eq!([line("2").to_bool(), line("").to_bool()], [None, None]);
        assert_eq!(line("auto").to_auto_bool(), Some(OrAuto::Auto));
        assert_eq!(line("1").to_auto_bool(), Some(OrAuto::Value(true)));
        let descriptor = "18446744073709551615";
        assert_eq!(line(descriptor).to_integer::<i128>(), Some(i128::from(u64::MAX)));
        assert_eq!(line("-100").to_integer::<i128>(), Some(-100));
        assert_eq!(line("-100.000000").to_float(), Some(-100.0));
        assert_eq!(line("nan").to_float(), None);
        assert_eq!(line("600").to_duration(), Some(Duration::from_secs(600)));
        let milliseconds = value(OptionType::TimeMsecInterval, &["1500"]);
        assert_eq!(milliseconds.to_duration(), Some(Duration::from_millis(1500)));
        assert_eq!(line("1099511627776").to_bytes(), Some(1 << 40));
    }

    #[test]
    fn a_port_is_found_where_it_stands() {
        for (text, port) in [
            ("auto", Some(OrAuto::Auto)),
            ("0", Some(OrAuto::Value(0))),
            ("9050 IsolateDestAddr", Some(OrAuto::Value(9050))),
            ("127.0.0.1:9050", Some(OrAuto::Value(9050))),
            ("[::1]:auto NoIPv4Traffic", Some(OrAuto::Auto)),
            ("unix:/run/tor/socks", None),
            ("unix:/tmp/x:9050", None),
            ("unix:\"/tmp/a b:9050\" WorldWritable", None),
            ("65536", None),
            ("", None),
        ] {
            assert_eq!(line(text).to_port(), port, "{text}");
        }
    }

    #[test]
    fn not_set_and_empty_and_set_are_told_apart() {
        let unset = OptionValue::new(OptionType::CommaList, None);
        assert_eq!((unset.is_set(), unset.is_empty(), unset.entries()), (false, false, None));
        assert_eq!(unset.to_string(), "(not set)");
        let empty = value(OptionType::CommaList, &[""]);
        assert_eq!((empty.is_set(), empty.is_empty(), empty.entries()), (true, true, Some(vec![])));
        let commas = value(OptionType::CommaList, &["{us}, {de},"]);
        assert_eq!(commas.entries().unwrap(), ["{us}", "{de}"]);
        let lines = value(OptionType::LineList, &["a, b", "c"]);
        assert_eq!(lines.entries().unwrap(), ["a, b", "c"]);
        assert_eq!(lines.to_string(), "a, b, c");
    }
}
