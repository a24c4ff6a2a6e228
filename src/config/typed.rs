//! Options as values of Rust.

use std::time::Duration;

use super::Config;
use super::schema::OptionType;
use super::value::{OptionValue, OrAuto};
use crate::error::{InvalidInput, ProtocolError, Result};

impl Config {
    /// Returns an option of the type `Boolean`; `None` if it is not set.
    ///
    /// This and the other functions that return a value of Rust read what [`get`](Self::get)
    /// does.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the option is of another type, or if
    /// a pending text is none of its values; [`Error::Protocol`](crate::Error::Protocol) if what
    /// tor says is none. Otherwise those of [`get`](Self::get).
    pub fn get_bool(&self, name: &str) -> Result<Option<bool>> {
        let is_meant = |kind: &OptionType| *kind == OptionType::Boolean;
        self.read(name, is_meant, "a boolean", OptionValue::to_bool)
    }

    /// Returns an option of the type `Boolean+Auto` or `Boolean`; `None` if it is not set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_auto_bool(&self, name: &str) -> Result<Option<OrAuto<bool>>> {
        let is_meant =
            |kind: &OptionType| matches!(kind, OptionType::AutoBoolean | OptionType::Boolean);
        self.read(name, is_meant, "a boolean or \"auto\"", OptionValue::to_auto_bool)
    }

    /// Returns an option of the type `Integer`, `SignedInteger` or `Port`, as whatever integer
    /// the caller wants; `None` if it is not set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool), also if the value is too large for the integer.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("NumCPUs", 4)?;
    /// assert_eq!(config.get_integer::<u8>("NumCPUs")?, Some(4));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get_integer<T: TryFrom<i128>>(&self, name: &str) -> Result<Option<T>> {
        let is_meant = |kind: &OptionType| {
            matches!(kind, OptionType::Integer | OptionType::SignedInteger | OptionType::Port)
        };
        self.read(name, is_meant, "an integer that is asked for", OptionValue::to_integer)
    }

    /// Returns an option of the type `Float`; `None` if it is not set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_float(&self, name: &str) -> Result<Option<f64>> {
        let is_meant = |kind: &OptionType| *kind == OptionType::Float;
        self.read(name, is_meant, "a float", OptionValue::to_float)
    }

    /// Returns an option of the type `TimeInterval` or `TimeMsecInterval`; `None` if it is not
    /// set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_duration(&self, name: &str) -> Result<Option<Duration>> {
        let is_meant = |kind: &OptionType| {
            matches!(kind, OptionType::TimeInterval | OptionType::TimeMsecInterval)
        };
        self.read(name, is_meant, "a time", OptionValue::to_duration)
    }

    /// Returns an option of the type `DataSize`, in bytes; `None` if it is not set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_bytes(&self, name: &str) -> Result<Option<u64>> {
        let is_meant = |kind: &OptionType| *kind == OptionType::DataSize;
        self.read(name, is_meant, "a number of bytes", OptionValue::to_bytes)
    }

    /// Returns an option of any type that has one line, as text; bytes that are not UTF-8 are
    /// replaced. `None` if it is not set.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_text(&self, name: &str) -> Result<Option<String>> {
        let is_meant = |kind: &OptionType| !kind.is_line_list();
        let read = |value: &OptionValue| value.text().map(std::borrow::Cow::into_owned);
        self.read(name, is_meant, "a text", read)
    }

    /// Returns the entries of a list, of any of the types for which
    /// [`OptionType::is_list`] is true; `None` if it is not set, which is not the same as no
    /// entry.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool).
    pub fn get_list(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.read(name, OptionType::is_list, "a list", OptionValue::entries)
    }

    /// Returns the port in the first line of an option such as `SocksPort`; `None` if it is not
    /// set. `SocksPort 0` has the port 0: there is none.
    ///
    /// A port that tor chooses by itself is not told here, but by
    /// `GETINFO net/listeners/socks`.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get_bool`](Self::get_bool), also if the line names a unix socket.
    pub fn get_port(&self, name: &str) -> Result<Option<OrAuto<u16>>> {
        let is_meant = |kind: &OptionType| kind.is_line_list() || *kind == OptionType::Port;
        self.read(name, is_meant, "a port", OptionValue::to_port)
    }

    /// Reads an option that is set; `wanted` says what it should be.
    fn read<T>(
        &self,
        name: &str,
        is_meant: impl Fn(&OptionType) -> bool,
        wanted: &'static str,
        read: impl Fn(&OptionValue) -> Option<T>,
    ) -> Result<Option<T>> {
        let option = self.schema()?.readable(name)?;
        if option.kind.is_recognized() && !is_meant(&option.kind) {
            let problem = format!("is of the type {} and not {wanted}", option.kind);
            return Err(InvalidInput::new(option.name.to_string(), problem).into());
        }
        let value = self.value(&option)?;
        if !value.is_set() {
            return Ok(None);
        }
        match read(&value) {
            Some(value) => Ok(Some(value)),
            None if self.inner.pending.lock().touches(&option.group) => {
                let problem = format!("is to be set to something that is not {wanted}");
                Err(InvalidInput::new(option.name.to_string(), problem).into())
            }
            None => {
                let reading = format!("the option {}", option.name);
                let found = value.lines().next().unwrap_or_default();
                Err(ProtocolError::new(&reading, wanted, found).into())
            }
        }
    }
}
