//! Saying what is to change.

use super::pending::Action;
use super::schema::{Implied, TorOption};
use super::services::ConfiguredLine;
use super::setting::NewValue;
use super::value::comma_entries;
use super::{Config, Source};
use crate::error::{InvalidInput, Result};

impl Config {
    /// Sets an option to a value, which replaces all it has.
    ///
    /// [`NewValue`] says which values of Rust fit which type. A list replaces the whole list; an
    /// empty one, and an empty text, clear the option. Nothing is sent before
    /// [`save`](Self::save).
    ///
    /// Blocks the current thread until tor has named its options, if it was not asked before.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if this tor has no such option, if the
    /// value does not fit its type or holds a line break or NUL, if the name stands for several
    /// options, or if the option belongs to an onion service. Otherwise those of
    /// [`options`](Self::options).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("BandwidthRate", 2_u32 << 20)?;
    /// config.set("BandwidthBurst", "4 MB")?;
    /// config.set("ConnectionPadding", true)?;
    /// assert_eq!(config.get_bytes("BandwidthBurst")?, Some(4 << 20));
    /// assert!(config.set("ConnectionPadding", 0.5).is_err());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn set(&self, name: &str, value: impl Into<NewValue>) -> Result<()> {
        let option = self.schema()?.settable(name)?;
        let action = match value.into().into_lines(&option)? {
            None => Action::Reset,
            Some(lines) if lines.iter().all(Vec::is_empty) => self.clearing(&option)?,
            Some(lines) => Action::Set(lines),
        };
        self.push_change(option, action);
        Ok(())
    }

    /// Clears an option: a list then has no entry, and a text is not set.
    ///
    /// This is not the default of an option that has one: see [`reset`](Self::reset).
    ///
    /// Blocks the current thread until tor has named its options, if it was not asked before.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set); [`Error::InvalidInput`](crate::Error::InvalidInput) also for
    /// a number or boolean, which tor would take for zero.
    pub fn clear(&self, name: &str) -> Result<()> {
        let option = self.schema()?.settable(name)?;
        let action = self.clearing(&option)?;
        self.push_change(option, action);
        Ok(())
    }

    /// Takes an option back to its default.
    ///
    /// Blocks the current thread until tor has named its options, if it was not asked before.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set).
    pub fn reset(&self, name: &str) -> Result<()> {
        let option = self.schema()?.settable(name)?;
        self.push_change(option, Action::Reset);
        Ok(())
    }

    /// Adds an entry at the end of a list.
    ///
    /// Of a list that is not set, tor drops its default as soon as there is an entry. So that
    /// nothing is lost by an entry more, the default is saved with it: `SocksPort 9050`,
    /// `Log notice stdout`, and the built-in lines of `DirAuthority` and `FallbackDir`. To have the
    /// new entry alone, [`set`](Self::set) it. Where `SocksPort` or another listener is off (`0`),
    /// the new entry takes the place of the `0`. A configuration that belongs to no tor has no
    /// defaults.
    ///
    /// Blocks the current thread until tor has named its options, and its defaults if this needs
    /// them, unless it was asked before.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set); [`Error::InvalidInput`](crate::Error::InvalidInput) also if
    /// the option is no list, or if the entry is not one.
    pub fn push(&self, name: &str, entry: impl Into<NewValue>) -> Result<()> {
        let option = self.list(name)?;
        let entry = entry.into().into_entry(&option)?;
        self.push_edit(option, Action::Push(entry))
    }

    /// Removes an entry from a list, as often as it is there. Returns whether it was.
    ///
    /// Sends `GETCONF`: the cache does not decide. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and [`get`](Self::get).
    pub fn remove(&self, name: &str, entry: impl Into<NewValue>) -> Result<bool> {
        let option = self.list(name)?;
        let entry = entry.into().into_entry(&option)?;
        let is_there = self.has_entry(&option, &entry)?;
        if is_there {
            self.push_edit(option, Action::Remove(entry))?;
        }
        Ok(is_there)
    }

    /// Replaces an entry of a list by another, in its place, as often as it is there. Returns
    /// whether it was.
    ///
    /// Sends `GETCONF`: the cache does not decide. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and [`get`](Self::get).
    pub fn replace(
        &self,
        name: &str,
        old: impl Into<NewValue>,
        new: impl Into<NewValue>,
    ) -> Result<bool> {
        let option = self.list(name)?;
        let (old, new) = (old.into().into_entry(&option)?, new.into().into_entry(&option)?);
        let is_there = self.has_entry(&option, &old)?;
        if is_there {
            self.push_edit(option, Action::Replace(old, new))?;
        }
        Ok(is_there)
    }

    pub(super) fn push_change(&self, option: TorOption, action: Action) {
        self.inner.pending.lock().push(option, action);
    }

    fn clearing(&self, option: &TorOption) -> Result<Action, InvalidInput> {
        if option.kind.is_number() {
            let problem = format!("is of the type {} and cannot be empty", option.kind);
            return Err(InvalidInput::new(option.name.to_string(), problem));
        }
        Ok(Action::Clear)
    }

    fn push_edit(&self, option: TorOption, action: Action) -> Result<()> {
        let implied = self.implied(&option)?;
        self.inner.pending.lock().push_edit(option, action, implied);
        Ok(())
    }

    /// Returns an option whose entries can be edited.
    fn list(&self, name: &str) -> Result<TorOption> {
        let option = self.schema()?.settable(name)?;
        if option.kind.is_recognized() && !option.kind.is_list() {
            return Err(InvalidInput::new(option.name.to_string(), "is not a list").into());
        }
        Ok(option)
    }

    /// Returns the lines that stand for the group of a list in tor while none is set.
    fn implied(&self, option: &TorOption) -> Result<Vec<ConfiguredLine>> {
        let Source::Tor(live) = &self.inner.source else { return Ok(Vec::new()) };
        let is_reset = || {
            !option.kind.is_reset_by_clearing() && self.inner.pending.lock().is_reset(&option.name)
        };
        match option.implied() {
            Implied::Line(name, value) => Ok(vec![(name.to_owned(), value.as_bytes().to_vec())]),
            Implied::Nothing if !is_reset() => Ok(Vec::new()),
            Implied::Nothing | Implied::ToldByTor => {
                let lines = live.defaults()?.lines(option).unwrap_or_default();
                Ok(lines.into_iter().map(|value| (option.name.to_string(), value)).collect())
            }
        }
    }

    fn has_entry(&self, option: &TorOption, entry: &[u8]) -> Result<bool> {
        let value = self.value_from(option, Self::group_now)?;
        let implied = match value.is_set() {
            true => Vec::new(),
            false => self.implied(option)?,
        };
        let implied = implied.iter().filter(|(name, _)| *name == *option.name);
        let mut lines = value.lines().chain(implied.map(|(_, value)| value.as_slice()));
        Ok(match option.kind.is_comma_list() {
            true => lines.flat_map(comma_entries).any(|other| other == entry),
            false => lines.any(|line| line == entry),
        })
    }
}
