//! Saying what is to change.

use super::pending::Action;
use super::schema::TorOption;
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
    /// Blocks the current thread until tor has answered, if it was not asked before; an option
    /// that is to be reset gets its default first, for which tor is asked.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set); [`Error::InvalidInput`](crate::Error::InvalidInput) also if
    /// the option is no list, or if the entry is not one.
    pub fn push(&self, name: &str, entry: impl Into<NewValue>) -> Result<()> {
        let option = self.list(name)?;
        let entry = entry.into().into_entry(&option)?;
        self.push_change(option, Action::Push(entry));
        Ok(())
    }

    /// Removes an entry from a list, as often as it is there. Returns whether it was.
    ///
    /// Sends `GETCONF`: the cache does not decide.
    ///
    /// Blocks the current thread until tor has answered, as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and [`get`](Self::get).
    pub fn remove(&self, name: &str, entry: impl Into<NewValue>) -> Result<bool> {
        let option = self.list(name)?;
        let entry = entry.into().into_entry(&option)?;
        let is_there = self.has_entry(&option, &entry)?;
        if is_there {
            self.push_change(option, Action::Remove(entry));
        }
        Ok(is_there)
    }

    /// Replaces an entry of a list by another, in its place, as often as it is there. Returns
    /// whether it was.
    ///
    /// Sends `GETCONF`: the cache does not decide.
    ///
    /// Blocks the current thread until tor has answered, as [`get`](Self::get) does.
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
            self.push_change(option, Action::Replace(old, new));
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

    /// Returns an option whose entries can be edited.
    fn list(&self, name: &str) -> Result<TorOption> {
        let option = self.schema()?.settable(name)?;
        if option.kind.is_recognized() && !option.kind.is_list() {
            return Err(InvalidInput::new(option.name.to_string(), "is not a list").into());
        }
        let is_reset = self.inner.pending.lock().is_reset(&option.name);
        if let (true, Source::Tor(live)) = (is_reset, &self.inner.source) {
            // The list that is edited is the default, so it has to be known.
            if !option.kind.is_reset_by_clearing() {
                if let Some(lines) = live.defaults()?.lines(&option) {
                    self.push_change(option.clone(), Action::Set(lines));
                }
            }
        }
        Ok(option)
    }

    fn has_entry(&self, option: &TorOption, entry: &[u8]) -> Result<bool> {
        let value = self.value_from(option, Self::group_now)?;
        let is_there = match option.kind.is_comma_list() {
            true => value.lines().flat_map(comma_entries).any(|other| other == entry),
            false => value.lines().any(|line| line == entry),
        };
        Ok(is_there)
    }
}
