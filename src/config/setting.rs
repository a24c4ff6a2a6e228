//! What options are given: values of Rust, as the lines that tor takes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::schema::{OptionType, TorOption};
use super::value::{OptionValue, OrAuto};
use crate::error::InvalidInput;
use crate::wire::line_problem;

/// A value for an option.
///
/// Made by `From` from what fits the type of the option:
///
/// | type of the option | values |
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
/// | `LineList`, `Dependent` | the same; integers and `OrAuto<u16>` for one port |
/// | all of them | text as tor reads it, `"15 minutes"`; `OsStr` for bytes; an [`OptionValue`] |
///
/// A text is for tor to judge. `Debug` does not show the value, which may be a secret.
#[derive(Clone, PartialEq)]
pub struct NewValue(Given);

#[derive(Clone, PartialEq)]
enum Given {
    Boolean(bool),
    Auto,
    Port(u16),
    Integer(i128),
    Float(f64),
    Duration(Duration),
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Value(OptionValue),
}

impl fmt::Debug for NewValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewValue({})", self.0.described())
    }
}

/// What a value is as lines; `None` takes the option back to its default.
pub(super) type Lines = Option<Vec<Vec<u8>>>;

impl NewValue {
    /// Returns the lines for an option.
    ///
    /// # Errors
    ///
    /// A value that is not of the type of the option, or that no line can hold.
    pub(super) fn into_lines(self, option: &TorOption) -> Result<Lines, InvalidInput> {
        let refuse = |problem: String| Err(InvalidInput::new(option.name.to_string(), problem));
        let kind = &option.kind;
        let one = |text: String| Ok(Some(vec![text.into_bytes()]));
        let recognized = kind.is_recognized();
        let described = self.0.described();
        match self.0 {
            Given::Value(value) if value.option_type() == kind || !recognized => {
                let lines = value.into_lines();
                lines.iter().flatten().try_for_each(|line| check_line(&option.name, line))?;
                Ok(lines)
            }
            Given::Text(text) => {
                check_line(&option.name, &text)?;
                Ok(Some(vec![text]))
            }
            Given::List(entries) => list(option, entries),
            Given::Boolean(value)
                if !recognized || matches!(kind, OptionType::Boolean | OptionType::AutoBoolean) =>
            {
                one(u8::from(value).to_string())
            }
            Given::Auto if takes_auto(kind) || !recognized => one("auto".to_owned()),
            Given::Port(port) if takes_port(kind) || !recognized => one(port.to_string()),
            Given::Integer(number) if takes_integer(kind) || !recognized => {
                if number < 0 && !matches!(kind, OptionType::SignedInteger | OptionType::Float) {
                    return refuse(format!("is of the type {kind} and cannot be negative"));
                }
                one(number.to_string())
            }
            Given::Float(number) if *kind == OptionType::Float || !recognized => {
                match number.is_finite() {
                    true => one(number.to_string()),
                    false => refuse("must be a finite number".to_owned()),
                }
            }
            Given::Duration(time) if *kind == OptionType::TimeMsecInterval => {
                match time.subsec_nanos() % 1_000_000 {
                    0 => one(time.as_millis().to_string()),
                    _ => refuse("must be in whole milliseconds".to_owned()),
                }
            }
            Given::Duration(time) if *kind == OptionType::TimeInterval || !recognized => {
                match time.subsec_nanos() {
                    0 => one(time.as_secs().to_string()),
                    _ => refuse("must be in whole seconds".to_owned()),
                }
            }
            _ => refuse(format!("is of the type {kind} and does not take {described}")),
        }
    }

    /// Returns the one entry for a list.
    pub(super) fn into_entry(self, option: &TorOption) -> Result<Vec<u8>, InvalidInput> {
        let refuse = |problem| Err(InvalidInput::new(option.name.to_string(), problem));
        let lines = self.into_lines(option)?.unwrap_or_default();
        let Ok([entry]) = <[_; 1]>::try_from(lines) else { return refuse("takes one entry here") };
        if entry.is_empty() {
            return refuse("has no entry that is empty");
        }
        if option.kind.is_comma_list() && entry.contains(&b',') {
            return refuse("cannot have a comma in an entry");
        }
        Ok(entry)
    }
}

impl Given {
    fn described(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Auto => "\"auto\"",
            Self::Port(_) => "a port",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Duration(_) => "a duration",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Value(_) => "a value of another type",
        }
    }
}

fn takes_auto(kind: &OptionType) -> bool {
    matches!(kind, OptionType::AutoBoolean) || takes_port(kind)
}

fn takes_port(kind: &OptionType) -> bool {
    kind.is_line_list() || matches!(kind, OptionType::Port)
}

fn takes_integer(kind: &OptionType) -> bool {
    takes_port(kind)
        || matches!(
            kind,
            OptionType::Integer
                | OptionType::SignedInteger
                | OptionType::DataSize
                | OptionType::Float
        )
}

/// The lines of a list: one for each entry, or one for all of them.
fn list(option: &TorOption, entries: Vec<Vec<u8>>) -> Result<Lines, InvalidInput> {
    let refuse = |problem| Err(InvalidInput::new(option.name.to_string(), problem));
    entries.iter().try_for_each(|entry| check_line(&option.name, entry))?;
    if entries.iter().any(Vec::is_empty) {
        return refuse("has no entry that is empty");
    }
    if option.kind.is_comma_list() {
        if entries.iter().any(|entry| entry.contains(&b',')) {
            return refuse("cannot have a comma in an entry");
        }
        return Ok(Some(vec![entries.join(&b',')]));
    }
    if !option.kind.is_line_list() && option.kind.is_recognized() {
        return refuse("is not a list");
    }
    match entries.is_empty() {
        true => Ok(Some(vec![Vec::new()])),
        false => Ok(Some(entries)),
    }
}

/// Refuses what ends a line.
pub(super) fn check_line(option: &str, value: &[u8]) -> Result<(), InvalidInput> {
    let refuse = |problem| Err(InvalidInput::new(option.to_owned(), problem));
    line_problem(value).map_or(Ok(()), refuse)
}

macro_rules! from_each {
    ($( $given:ident: $($from:ty),+ => $convert:expr; )*) => {
        $( $(
            impl From<$from> for NewValue {
                fn from(value: $from) -> Self {
                    Self(Given::$given($convert(value)))
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
    Value: OptionValue => std::convert::identity;
    Value: &OptionValue => OptionValue::clone;
    Text: &String => |text: &String| text.as_bytes().to_vec();
    Text: &OsStr, &OsString, OsString, &Path, &PathBuf, PathBuf => os_bytes;
}

fn os_bytes(text: impl AsRef<OsStr>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}

impl From<usize> for NewValue {
    fn from(number: usize) -> Self {
        // No machine has numbers of more bits.
        Self(Given::Integer(i128::try_from(number).unwrap_or(i128::MAX)))
    }
}

impl From<OrAuto<bool>> for NewValue {
    fn from(value: OrAuto<bool>) -> Self {
        Self(value.value().map_or(Given::Auto, Given::Boolean))
    }
}

impl From<OrAuto<u16>> for NewValue {
    fn from(value: OrAuto<u16>) -> Self {
        Self(value.value().map_or(Given::Auto, Given::Port))
    }
}

/// The entries of a list.
fn entries<I: IntoIterator<Item: AsRef<str>>>(entries: I) -> NewValue {
    let bytes = |entry: I::Item| entry.as_ref().as_bytes().to_vec();
    NewValue(Given::List(entries.into_iter().map(bytes).collect()))
}

impl<T: AsRef<str>, const N: usize> From<[T; N]> for NewValue {
    fn from(list: [T; N]) -> Self {
        entries(list)
    }
}

impl<T: AsRef<str>> From<&[T]> for NewValue {
    fn from(list: &[T]) -> Self {
        entries(list)
    }
}

impl<T: AsRef<str>> From<Vec<T>> for NewValue {
    fn from(list: Vec<T>) -> Self {
        entries(list)
    }
}

impl<T: AsRef<str>> From<&Vec<T>> for NewValue {
    fn from(list: &Vec<T>) -> Self {
        entries(list)
    }
}

#[cfg(test)]
mod tests;
