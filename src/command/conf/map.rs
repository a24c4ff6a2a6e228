//! The reply to `GETCONF`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::error::ProtocolError;
use crate::names::secret::{REDACTED, is_secret};
use crate::wire::quoted::decode_value;

/// The values of options, in tor's spelling and order.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::ConfValue;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let conf = controller.get_conf(["SocksPort", "ContactInfo"])?;
/// match conf.get("SocksPort") {
///     Some(ConfValue::Set(ports)) => println!("configured: {ports:?}"),
///     _ => println!("not set: tor uses its default"),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfMap {
    lines: Vec<ConfLine>,
    /// Invariant: the values of the lines, by option.
    options: Vec<(Box<str>, ConfValue)>,
    /// Invariant: the index in `options` of each name in lower case.
    indices: HashMap<String, usize>,
}

#[derive(Clone, PartialEq, Eq)]
struct ConfLine {
    name: Box<str>,
    value: Option<Box<[u8]>>,
}

/// The value of an option.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::ConfValue;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// match controller.get_conf("ExitNodes")? {
///     ConfValue::Set(nodes) => println!("exits: {}", nodes.join(",")),
///     _ => println!("tor chooses any exit"),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfValue {
    /// The option is not set.
    Default,
    /// The values, in order; most options have one. An empty value (`250 Key=`) differs from an
    /// option that is not set.
    Set(Vec<String>),
}

impl ConfValue {
    /// Returns the values; none if the option is not set.
    #[must_use]
    pub fn values(&self) -> &[String] {
        match self {
            Self::Default => &[],
            Self::Set(values) => values,
        }
    }

    /// Returns the first value; most options have one.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        self.values().first().map(String::as_str)
    }

    /// Returns whether the option is not set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default)
    }
}

impl ConfMap {
    /// Parses `GETINFO config/defaults`: `Name "value"`, one to a line.
    pub(crate) fn read_defaults(answer: &[u8]) -> Result<Self, ProtocolError> {
        let mut defaults = Self::default();
        for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let parse = || {
                let blank = memchr::memchr(b' ', line)?;
                let (name, value) = line.split_at_checked(blank)?;
                Some((std::str::from_utf8(name).ok()?, decode_value(value.strip_prefix(b" ")?)))
            };
            let malformed = || ProtocolError::new("config/defaults", "an option and a value", line);
            let (name, value) = parse().ok_or_else(malformed)?;
            defaults.push(name, Some(value));
        }
        Ok(defaults)
    }

    pub(super) fn push(&mut self, name: &str, value: Option<Cow<'_, [u8]>>) {
        let text = value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
        let index = *self.indices.entry(name.to_ascii_lowercase()).or_insert_with(|| {
            self.options.push((name.into(), ConfValue::Default));
            self.options.len() - 1
        });
        if let (Some((_, known)), Some(text)) = (self.options.get_mut(index), text) {
            match known {
                ConfValue::Set(values) => values.push(text),
                ConfValue::Default => *known = ConfValue::Set(vec![text]),
            }
        }
        let value = value.map(|value| value.into_owned().into_boxed_slice());
        self.lines.push(ConfLine { name: name.into(), value });
    }

    /// Returns the value of an option; its name is case-insensitive.
    ///
    /// Bytes that are not UTF-8 are replaced; [`lines`](Self::lines) returns them unchanged.
    #[must_use]
    pub fn get(&self, option: &str) -> Option<&ConfValue> {
        let index = *self.indices.get(&option.to_ascii_lowercase())?;
        self.options.get(index).map(|(_, value)| value)
    }

    /// Returns the options and their values, each option once.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &ConfValue)> {
        self.options.iter().map(|(name, value)| (&**name, value))
    }

    /// Returns the lines of the reply, one per value, in tor's order; without a value, the option
    /// is not set.
    ///
    /// Nothing is lost: bytes are unchanged, and the options of one onion service stay together.
    /// [`SetConf::new`](super::SetConf::new) accepts them.
    #[must_use]
    pub fn lines(&self) -> impl ExactSizeIterator<Item = (&str, Option<&[u8]>)> {
        self.lines.iter().map(|line| (&*line.name, line.value.as_deref()))
    }

    /// Returns the number of options.
    #[must_use]
    pub fn len(&self) -> usize {
        self.options.len()
    }

    /// Returns whether there is no option. A reply of tor always has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.options.is_empty()
    }
}

/// Serializes a map: each option with the list of its values, or with `null` if it is not set. The
/// values of an option that holds a secret are the text `[redacted]`.
#[cfg(feature = "serde")]
impl serde::Serialize for ConfMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| {
            let shown =
                |text: &String| if is_secret(name) { REDACTED.into() } else { text.clone() };
            let values: Vec<String> = value.values().iter().map(shown).collect();
            (name, (!value.is_default()).then_some(values))
        }))
    }
}

impl fmt::Debug for ConfValue {
    /// Shows only the number of values: without the name of its option, any may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("Default"),
            Self::Set(values) => write!(f, "Set({} values)", values.len()),
        }
    }
}

impl fmt::Debug for ConfMap {
    /// Shows the values, but for those of options that hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(name, value)| match is_secret(name) {
            true => (name, REDACTED.to_owned()),
            false => (name, format!("{:?}", value.values())),
        });
        f.debug_map().entries(entries.map(|(name, value)| (name, Shown(value)))).finish()
    }
}

/// A text that `Debug` prints without quotes.
struct Shown(String);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> IntoIterator for &'a ConfMap {
    type Item = (&'a str, &'a ConfValue);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::ConfMap;

    #[test]
    fn defaults_are_unquoted() {
        let answer =
            b"BandwidthRate \"1 GB\"\nAuthDirBadExitCCs \"\"\nDirAuthority \"a \\\"x\\\"\"\n\
                       DirAuthority \"b\"\n";
        let defaults = ConfMap::read_defaults(answer).unwrap();
        assert_eq!(defaults.get("bandwidthrate").unwrap().first(), Some("1 GB"));
        assert_eq!(defaults.get("AuthDirBadExitCCs").unwrap().first(), Some(""));
        assert_eq!(defaults.get("DirAuthority").unwrap().values(), ["a \"x\"", "b"]);
        assert_eq!((defaults.len(), defaults.lines().len()), (3, 4));
        assert!(ConfMap::read_defaults(b"").unwrap().is_empty());
        let error = ConfMap::read_defaults(b"BandwidthRate").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read config/defaults: expected an option and a value, got \"BandwidthRate\""
        );
    }
}
