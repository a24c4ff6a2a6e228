use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::schema::{OptionType, TorOption};
use super::value::{OptionValue, OrAuto};
use crate::error::InvalidInput;
use crate::wire::line_problem;

/// A new value for an option.
///
/// `From` makes it from these Rust types:
///
/// | type of the option | Rust types |
/// | --- | --- |
/// | `Boolean` | `bool` |
/// | `Boolean+Auto` | `bool`, `OrAuto<bool>` |
/// | `Integer`, `SignedInteger`, `Port` | integers |
/// | `DataSize` | integers: a number of bytes |
/// | `TimeInterval` | [`Duration`], in whole seconds |
/// | `TimeMsecInterval` | [`Duration`], in whole milliseconds |
/// | `Float` | `f64`, integers |
/// | `Filename` | paths |
/// | `CommaList`, `RouterList` | arrays, slices and vectors of text |
/// | `LineList`, `Dependent` | the same; for a port integers and `OrAuto<u16>` |
/// | all | text in tor's form, `"15 minutes"`; `OsStr` for bytes; an [`OptionValue`] |
///
/// Only tor checks a text. `Debug` does not show the value, which can be a secret.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use torcon::config::{Config, OrAuto};
///
/// let config = Config::offline();
/// config.set("ConnectionPadding", OrAuto::<bool>::Auto)?;
/// config.set("MaxCircuitDirtiness", Duration::from_secs(300))?;
/// config.set("BandwidthRate", 1_u32 << 20)?;
/// config.set("LongLivedPorts", ["21", "22"])?;
/// assert!(config.set("MaxCircuitDirtiness", true).is_err());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct NewValue(Value);

#[derive(Clone, PartialEq)]
enum Value {
    Boolean(bool),
    Auto,
    Integer(i128),
    Float(f64),
    Duration(Duration),
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Option(OptionValue),
}

impl fmt::Debug for NewValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewValue({})", self.0.description())
    }
}

/// The lines of a value; `None` resets the option.
pub(super) type Lines = Option<Vec<Vec<u8>>>;

impl NewValue {
    /// Returns the lines for an option.
    ///
    /// # Errors
    ///
    /// A value that does not fit the type of the option, or that no line can contain.
    pub(super) fn into_lines(self, option: &TorOption) -> Result<Lines, InvalidInput> {
        let refuse = |problem: String| Err(InvalidInput::new(option.name.to_string(), problem));
        let kind = &option.kind;
        let is_one_of = |kinds: &[OptionType]| !kind.is_recognized() || kinds.contains(kind);
        let is_number = is_one_of(&[
            OptionType::Integer,
            OptionType::SignedInteger,
            OptionType::DataSize,
            OptionType::Float,
        ]);
        let is_port = is_one_of(&[OptionType::LineList, OptionType::Dependent, OptionType::Port]);
        let description = self.0.description();
        let text = match self.0 {
            Value::Option(value) if is_one_of(&[value.option_type().clone()]) => {
                let lines = value.into_lines();
                lines.iter().flatten().try_for_each(|line| check_line(&option.name, line))?;
                return Ok(lines);
            }
            Value::Text(text) => {
                check_line(&option.name, &text)?;
                return Ok(Some(vec![text]));
            }
            Value::List(entries) => return list(option, entries),
            Value::Boolean(value) if is_one_of(&[OptionType::Boolean, OptionType::AutoBoolean]) => {
                u8::from(value).to_string()
            }
            Value::Auto if is_port || is_one_of(&[OptionType::AutoBoolean]) => "auto".to_owned(),
            Value::Integer(number) if is_number || is_port => {
                if number < 0 && !matches!(kind, OptionType::SignedInteger | OptionType::Float) {
                    return refuse(format!("is of the type {kind} and cannot be negative"));
                }
                number.to_string()
            }
            Value::Float(number) if is_one_of(&[OptionType::Float]) => match number.is_finite() {
                true => number.to_string(),
                false => return refuse("must be a finite number".to_owned()),
            },
            Value::Duration(time) if *kind == OptionType::TimeMsecInterval => {
                match time.subsec_nanos() % 1_000_000 {
                    0 => time.as_millis().to_string(),
                    _ => return refuse("must be in whole milliseconds".to_owned()),
                }
            }
            Value::Duration(time) if is_one_of(&[OptionType::TimeInterval]) => {
                match time.subsec_nanos() {
                    0 => time.as_secs().to_string(),
                    _ => return refuse("must be in whole seconds".to_owned()),
                }
            }
            _ => {
                let accepted = match kind {
                    OptionType::TimeInterval | OptionType::TimeMsecInterval => {
                        ": give a Duration, or a text with a unit such as \"10 minutes\""
                    }
                    _ => "",
                };
                let problem = format!("does not accept {description}{accepted}");
                return refuse(format!("is of the type {kind} and {problem}"));
            }
        };
        Ok(Some(vec![text.into_bytes()]))
    }

    /// Returns the value as one entry of a list.
    pub(super) fn into_entry(self, option: &TorOption) -> Result<Vec<u8>, InvalidInput> {
        let lines = self.into_lines(option)?.unwrap_or_default();
        let Ok([entry]) = <[_; 1]>::try_from(lines) else {
            return Err(InvalidInput::new(option.name.to_string(), "needs exactly one entry"));
        };
        check_entry(option, &entry)?;
        Ok(entry)
    }
}

impl Value {
    fn description(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Auto => "\"auto\"",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Duration(_) => "a duration",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Option(_) => "a value of another type",
        }
    }
}

/// Returns the lines of a list: one for each entry, or one for all.
fn list(option: &TorOption, entries: Vec<Vec<u8>>) -> Result<Lines, InvalidInput> {
    entries.iter().try_for_each(|entry| check_line(&option.name, entry))?;
    entries.iter().try_for_each(|entry| check_entry(option, entry))?;
    if option.kind.is_comma_list() {
        return Ok(Some(vec![entries.join(&b',')]));
    }
    if !option.kind.is_line_list() && option.kind.is_recognized() {
        return Err(InvalidInput::new(option.name.to_string(), "is not a list"));
    }
    match entries.is_empty() {
        true => Ok(Some(vec![Vec::new()])),
        false => Ok(Some(entries)),
    }
}

fn check_entry(option: &TorOption, entry: &[u8]) -> Result<(), InvalidInput> {
    let refuse = |problem| Err(InvalidInput::new(option.name.to_string(), problem));
    if entry.is_empty() {
        return refuse("cannot have an empty entry");
    }
    if option.kind.is_comma_list() && entry.contains(&b',') {
        return refuse("cannot have a comma in an entry");
    }
    Ok(())
}

/// Refuses a value that would end the line.
pub(super) fn check_line(option: &str, value: &[u8]) -> Result<(), InvalidInput> {
    let refuse = |problem| Err(InvalidInput::new(option.to_owned(), problem));
    line_problem(value).map_or(Ok(()), refuse)
}

macro_rules! from_each {
    ($( $variant:ident: $($from:ty),+ => $convert:expr; )*) => {
        $( $(
            impl From<$from> for NewValue {
                fn from(value: $from) -> Self {
                    Self(Value::$variant($convert(value)))
                }
            }
        )+ )*
    };
}

from_each! {
    Boolean: bool => std::convert::identity;
    Integer: u8, u16, u32, u64, i8, i16, i32, i64 => i128::from;
    Float: f32, f64 => f64::from;
    Duration: Duration => std::convert::identity;
    Text: &str, String => Vec::from;
    Option: OptionValue => std::convert::identity;
    Option: &OptionValue => OptionValue::clone;
    Text: &String => |text: &String| text.as_bytes().to_vec();
    Text: &OsStr, &OsString, OsString, &Path, &PathBuf, PathBuf => os_bytes;
}

fn os_bytes(text: impl AsRef<OsStr>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}

impl From<usize> for NewValue {
    fn from(number: usize) -> Self {
        // No platform has a larger `usize`.
        Self(Value::Integer(i128::try_from(number).unwrap_or(i128::MAX)))
    }
}

impl From<OrAuto<bool>> for NewValue {
    fn from(value: OrAuto<bool>) -> Self {
        Self(value.value().map_or(Value::Auto, Value::Boolean))
    }
}

impl From<OrAuto<u16>> for NewValue {
    fn from(value: OrAuto<u16>) -> Self {
        Self(value.value().map_or(Value::Auto, |port| Value::Integer(port.into())))
    }
}

fn list_of<I: IntoIterator<Item: AsRef<str>>>(entries: I) -> NewValue {
    let bytes = |entry: I::Item| entry.as_ref().as_bytes().to_vec();
    NewValue(Value::List(entries.into_iter().map(bytes).collect()))
}

impl<T: AsRef<str>, const N: usize> From<[T; N]> for NewValue {
    fn from(list: [T; N]) -> Self {
        list_of(list)
    }
}

impl<T: AsRef<str>> From<&[T]> for NewValue {
    fn from(list: &[T]) -> Self {
        list_of(list)
    }
}

impl<T: AsRef<str>> From<Vec<T>> for NewValue {
    fn from(list: Vec<T>) -> Self {
        list_of(list)
    }
}

impl<T: AsRef<str>> From<&Vec<T>> for NewValue {
    fn from(list: &Vec<T>) -> Self {
        list_of(list)
    }
}

#[cfg(test)]
mod tests;
