use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::schema::{OptionType, TorOption};
use super::units::{parse_bytes, parse_milliseconds, parse_seconds};
use crate::error::{InvalidInput, ProtocolError, Result};
#[cfg(feature = "serde")]
use crate::names::secret::{REDACTED, is_secret};
use crate::wire::fields::split_spaced_list;

/// The value of an option: not set, or one or several lines of text.
///
/// Returned by [`Config::get`](crate::config::Config::get), and accepted by
/// [`Config::set`](crate::config::Config::set) unchanged. tor shows some options that are at their
/// default as not set (`ContactInfo`), others with the value of the default
/// (`MaxCircuitDirtiness`).
///
/// The methods `to_…` parse the value, and return `None` if the option is not set. An option of an
/// unrecognized type can be parsed by all of them.
///
/// `Display` prints the lines, separated by `, `, or `(not set)`.
///
/// # Examples
///
/// ```no_run
/// use torcon::config::Config;
///
/// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
/// println!("{:?}", config.get("MaxCircuitDirtiness")?.to_duration()?);
/// let log = config.get("Log")?;
/// println!("{} lines of {}", log.lines().count(), log.option_type());
/// config.set("Log", log)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OptionValue {
    name: Arc<str>,
    kind: OptionType,
    /// `None` if the option is not set.
    lines: Option<Vec<Vec<u8>>>,
}

impl OptionValue {
    pub(super) fn new(option: &TorOption, lines: Option<Vec<Vec<u8>>>) -> Self {
        Self { name: Arc::clone(&option.name), kind: option.kind.clone(), lines }
    }

    /// Returns the type of the option.
    #[must_use]
    pub fn option_type(&self) -> &OptionType {
        &self.kind
    }

    /// Returns whether the option is set. An empty list is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.lines.is_some()
    }

    /// Returns whether the option is set to nothing, such as a list without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.iter().all(Vec::is_empty))
    }

    /// Returns the lines, as bytes: any number for the types [`LineList`](OptionType::LineList) and
    /// [`Dependent`](OptionType::Dependent), at most one for the others.
    #[doc(alias = "LineList")]
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.lines.as_deref().unwrap_or_default().iter().map(Vec::as_slice)
    }

    /// Returns the first line, for most options the only one. Bytes that are not UTF-8 are
    /// replaced.
    #[doc(alias("Filename", "String"))]
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.lines().next().map(String::from_utf8_lossy)
    }

    /// Returns the entries of a list, or the lines of another option; `None` if it is not set.
    /// Bytes that are not UTF-8 are replaced.
    #[doc(alias("CommaList", "TimeIntervalCommaList", "RouterList"))]
    #[must_use]
    pub fn entries(&self) -> Option<Vec<String>> {
        let lines = self.lines.as_ref()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !self.kind.is_comma_list() {
            return Some(lines.iter().map(|line| text(line)).collect());
        }
        let entries = lines.iter().flat_map(|line| split_spaced_list(line));
        Some(entries.map(text).collect())
    }

    pub(super) fn into_lines(self) -> Option<Vec<Vec<u8>>> {
        self.lines
    }

    /// Returns the value of an option of the type `Boolean`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the option has another type,
    /// [`Error::Protocol`](crate::Error::Protocol) if the text cannot be parsed.
    #[doc(alias = "Boolean")]
    pub fn to_bool(&self) -> Result<Option<bool>> {
        self.parse(&[OptionType::Boolean], "a boolean", parse_bool)
    }

    /// Returns the value of an option of the type `Boolean+Auto` or `Boolean`.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool).
    #[doc(alias = "Boolean_Auto")]
    pub fn to_auto_bool(&self) -> Result<Option<OrAuto<bool>>> {
        let kinds = [OptionType::AutoBoolean, OptionType::Boolean];
        self.parse(&kinds, "a boolean or \"auto\"", |text| match text {
            text if text.eq_ignore_ascii_case("auto") => Some(OrAuto::Auto),
            text => parse_bool(text).map(OrAuto::Value),
        })
    }

    /// Returns the value of an option of the type `Integer`, `SignedInteger` or `Port`.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool). [`Error::Protocol`](crate::Error::Protocol) also if `T`
    /// cannot represent the number.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("NumCPUs", 4)?;
    /// assert_eq!(config.get("NumCPUs")?.to_integer::<u8>()?, Some(4));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("Integer", "SignedInteger"))]
    pub fn to_integer<T: TryFrom<i128>>(&self) -> Result<Option<T>> {
        let kinds = [OptionType::Integer, OptionType::SignedInteger, OptionType::Port];
        self.parse(&kinds, "an integer in range", |text| {
            T::try_from(text.trim().parse().ok()?).ok()
        })
    }

    /// Returns the value of an option of the type `Float`.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool).
    #[doc(alias = "Float")]
    pub fn to_float(&self) -> Result<Option<f64>> {
        let is_finite = |number: &f64| number.is_finite();
        self.parse(&[OptionType::Float], "a float", |text| {
            text.trim().parse().ok().filter(is_finite)
        })
    }

    /// Returns the value of an option of the type `TimeInterval` or `TimeMsecInterval`, in any of
    /// tor's units.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool).
    #[doc(alias("TimeInterval", "TimeMsecInterval"))]
    pub fn to_duration(&self) -> Result<Option<Duration>> {
        let kinds = [OptionType::TimeInterval, OptionType::TimeMsecInterval];
        self.parse(&kinds, "a duration", |text| match self.kind {
            OptionType::TimeMsecInterval => parse_milliseconds(text).map(Duration::from_millis),
            _ => parse_seconds(text).map(Duration::from_secs),
        })
    }

    /// Returns the value of an option of the type `DataSize` in bytes, from any of tor's units:
    /// `KB` is 1024 bytes, `kbit` 1024 bits.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool).
    #[doc(alias = "DataSize")]
    pub fn to_bytes(&self) -> Result<Option<u64>> {
        self.parse(&[OptionType::DataSize], "a number of bytes", parse_bytes)
    }

    /// Returns the port in the first line of an option such as `SocksPort`: `9050`, `auto`,
    /// `127.0.0.1:9050 IsolateDestAddr`. Port 0 opens no listener.
    ///
    /// See [`Controller::listeners`](crate::Controller::listeners) for the port that tor
    /// chose for `auto`.
    ///
    /// # Errors
    ///
    /// Those of [`to_bool`](Self::to_bool). [`Error::Protocol`](crate::Error::Protocol) also for the
    /// path of a unix socket.
    pub fn to_port(&self) -> Result<Option<OrAuto<u16>>> {
        let kinds = [OptionType::LineList, OptionType::Dependent, OptionType::Port];
        self.parse(&kinds, "a port", |text| {
            let address = text.trim().split(' ').next()?;
            if address.starts_with("unix:") {
                return None;
            }
            match address.rsplit(':').next()? {
                port if port.eq_ignore_ascii_case("auto") => Some(OrAuto::Auto),
                port => port.parse().ok().map(OrAuto::Value),
            }
        })
    }

    fn parse<T>(
        &self,
        kinds: &[OptionType],
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        if self.kind.is_recognized() && !kinds.contains(&self.kind) {
            let problem = format!("is of the type {} and not {expected}", self.kind);
            return Err(InvalidInput::new(self.name.to_string(), problem).into());
        }
        let Some(line) = self.lines().next() else { return Ok(None) };
        match std::str::from_utf8(line).ok().and_then(parse) {
            Some(value) => Ok(Some(value)),
            None => {
                let reading = format!("the option {}", self.name);
                Err(ProtocolError::new(&reading, expected, line).into())
            }
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
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

/// Serializes `null` if the option is not set; otherwise a list of the lines for an option that can
/// have several, of the entries for a list, or else the text. An option that holds a secret has the
/// text `[redacted]`.
#[cfg(feature = "serde")]
impl serde::Serialize for OptionValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.is_set() {
            return serializer.serialize_none();
        }
        if is_secret(&*self.name) {
            return serializer.serialize_str(REDACTED);
        }
        match self.kind.is_list() {
            true => serializer.collect_seq(self.entries().unwrap_or_default()),
            false => serializer.serialize_str(&self.text().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for OptionValue {
    /// Leaves the lines out: they can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.as_ref().map(Vec::len);
        f.debug_struct("OptionValue")
            .field("name", &self.name)
            .field("type", &self.kind)
            .field("lines", &lines)
            .finish()
    }
}

/// A value, or the word `auto`, by which tor chooses the value.
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
#[expect(clippy::exhaustive_enums, reason = "the format has no third form")]
pub enum OrAuto<T> {
    /// tor chooses the value.
    #[default]
    Auto,
    /// This value.
    Value(T),
}

impl<T> OrAuto<T> {
    /// Returns the value, or `None` for `auto`.
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

/// Serializes the value, or the text `auto`.
#[cfg(feature = "serde")]
impl<T: serde::Serialize> serde::Serialize for OrAuto<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Value(value) => value.serialize(serializer),
        }
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

    use super::{OptionType, OptionValue, OrAuto, TorOption};

    fn option(kind: OptionType) -> TorOption {
        TorOption { name: "Name".into(), kind, group: "Name".into() }
    }

    fn value(kind: OptionType, lines: &[&str]) -> OptionValue {
        let lines = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        OptionValue::new(&option(kind), Some(lines))
    }

    #[test]
    fn each_type_is_parsed_as_tor_writes_it() {
        let boolean = |text| value(OptionType::Boolean, &[text]);
        for (text, expected) in [("0", false), ("1", true)] {
            assert_eq!(boolean(text).to_bool().unwrap(), Some(expected));
        }
        assert!(boolean("2").to_bool().is_err() && boolean("").to_bool().is_err());
        let auto = |text| value(OptionType::AutoBoolean, &[text]).to_auto_bool().unwrap();
        assert_eq!([auto("auto"), auto("1")], [Some(OrAuto::Auto), Some(OrAuto::Value(true))]);
        let integer = |text| value(OptionType::SignedInteger, &[text]);
        let descriptor = "18446744073709551615";
        assert_eq!(integer(descriptor).to_integer::<u64>().unwrap(), Some(u64::MAX));
        assert_eq!(integer("-100").to_integer::<i8>().unwrap(), Some(-100));
        assert!(integer("256").to_integer::<u8>().is_err());
        let float = |text| value(OptionType::Float, &[text]);
        assert_eq!(float("-100.000000").to_float().unwrap(), Some(-100.0));
        assert!(float("nan").to_float().is_err());
        let seconds = value(OptionType::TimeInterval, &["600"]);
        assert_eq!(seconds.to_duration().unwrap(), Some(Duration::from_secs(600)));
        let milliseconds = value(OptionType::TimeMsecInterval, &["1500"]);
        assert_eq!(milliseconds.to_duration().unwrap(), Some(Duration::from_millis(1500)));
        let size = value(OptionType::DataSize, &["1099511627776"]);
        assert_eq!(size.to_bytes().unwrap(), Some(1 << 40));
    }

    #[test]
    fn a_method_for_another_type_is_refused_unless_the_type_is_unrecognized() {
        let error = value(OptionType::Boolean, &["1"]).to_bytes().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid argument \"Name\": is of the type Boolean and not a number of bytes"
        );
        let future = value(OptionType::from("Quantum"), &["1"]);
        assert_eq!(future.to_bytes().unwrap(), Some(1));
        assert_eq!(future.to_bool().unwrap(), Some(true));
    }

    #[test]
    fn a_port_is_found_in_its_line() {
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
            let parsed = value(OptionType::Dependent, &[text]).to_port();
            assert_eq!(parsed.ok().flatten(), port, "{text}");
        }
    }

    #[test]
    fn not_set_and_empty_and_set_differ() {
        let unset = OptionValue::new(&option(OptionType::CommaList), None);
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

    #[cfg(feature = "serde")]
    #[test]
    fn a_value_is_serialized_as_text_or_as_a_list_without_secrets() {
        let json = |name: &str, kind: OptionType, lines: Option<&[&str]>| {
            let option = TorOption { name: name.into(), ..option(kind) };
            let lines =
                lines.map(|lines| lines.iter().map(|line| line.as_bytes().to_vec()).collect());
            serde_json::to_string(&OptionValue::new(&option, lines)).unwrap()
        };
        let log: &[&str] = &["notice stdout", "warn file /x"];
        assert_eq!(
            json("Log", OptionType::LineList, Some(log)),
            r#"["notice stdout","warn file /x"]"#
        );
        assert_eq!(json("Log", OptionType::LineList, Some(&[])), "[]");
        assert_eq!(json("Nickname", OptionType::String, Some(&["Ada"])), r#""Ada""#);
        assert_eq!(
            json("ExcludeNodes", OptionType::RouterList, Some(&["a, {de}"])),
            r#"["a","{de}"]"#
        );
        assert_eq!(json("ContactInfo", OptionType::String, None), "null");
        let secret = json("HashedControlPassword", OptionType::LineList, Some(&["16:01"]));
        assert_eq!(secret, r#""[redacted]""#);
        let (auto, port) = (OrAuto::<u16>::Auto, OrAuto::Value(9050));
        let both = serde_json::to_string(&[auto, port]).unwrap();
        assert_eq!(both, r#"["auto",9050]"#);
    }
}
