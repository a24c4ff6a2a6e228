use std::time::Instant;

use super::Config;
use super::backend::{Backend, Read};
use super::new_value::NewValue;
use super::pending::{Action, GroupState, ListEdit};
use super::schema::{ImpliedDefault, TorOption};
use super::service_lines::ConfiguredLine;
use crate::error::{InvalidInput, Result};
use crate::wire::fields::split_spaced_list;

/// Pending changes. None of these methods changes tor; [`save`](Config::save) does.
impl Config {
    /// Sets an option to a value, which replaces all its lines.
    ///
    /// [`NewValue`] lists the Rust types for each type of option. A list replaces the whole list;
    /// an empty list or text clears the option.
    ///
    /// Blocks as [`options`](Self::options) does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if this tor does not have the option,
    /// the value does not fit its type or contains a line break or NUL, the name is that of a
    /// group, or the option belongs to an onion service. Otherwise those of
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
    /// assert_eq!(config.get("BandwidthBurst")?.to_bytes()?, Some(4 << 20));
    /// assert!(config.set("ConnectionPadding", 0.5).is_err());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "validate")]
    pub fn set(&self, name: &str, value: impl Into<NewValue>) -> Result<()> {
        let option = self.inner.backend.schema()?.settable(name)?;
        let action = match value.into().into_lines(&option)? {
            None => Action::Reset,
            Some(lines) if lines.iter().all(Vec::is_empty) => clear(&option)?,
            Some(lines) => Action::Set(lines),
        };
        self.push_change(option, action, Vec::new());
        Ok(())
    }

    /// Clears an option: a list then has no entries, and a text is not set.
    ///
    /// An option with a default then differs from it; [`reset`](Self::reset) restores the default.
    ///
    /// Blocks as [`options`](Self::options) does.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set); [`Error::InvalidInput`](crate::Error::InvalidInput) also for
    /// a number or boolean, for which tor would read zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("ExitNodes", ["{us}", "{de}"])?;
    /// config.clear("ExitNodes")?;
    /// assert!(config.get("ExitNodes")?.is_empty());
    /// assert!(config.clear("BandwidthRate").is_err());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn clear(&self, name: &str) -> Result<()> {
        let option = self.inner.backend.schema()?.settable(name)?;
        let action = clear(&option)?;
        self.push_change(option, action, Vec::new());
        Ok(())
    }

    /// Resets an option to its default.
    ///
    /// Blocks as [`options`](Self::options) does.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("BandwidthRate", "2 MB")?;
    /// config.reset("BandwidthRate")?;
    /// assert!(!config.get("BandwidthRate")?.is_set());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn reset(&self, name: &str) -> Result<()> {
        let option = self.inner.backend.schema()?.settable(name)?;
        self.push_change(option, Action::Reset, Vec::new());
        Ok(())
    }

    /// Adds an entry at the end of a list.
    ///
    /// While a list is not set, tor uses its default and drops it with the first entry. The default
    /// is therefore saved too: `SocksPort 9050`, `Log notice stdout`, or the built-in lines of
    /// `DirAuthority` and `FallbackDir`. To replace the default, [`set`](Self::set) the entry. In
    /// `SocksPort` and the other options of listeners the entry replaces a `0`. An
    /// [offline](Self::offline) configuration has no defaults.
    ///
    /// Sends `GETINFO config/names` once, and `GETINFO config/defaults` once if it needs the
    /// defaults. Blocks for at most the [time limit](crate::Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set); [`Error::InvalidInput`](crate::Error::InvalidInput) also if
    /// the option is not a list or the value is not one entry.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.push("SocksPort", "9050")?;
    /// config.push("SocksPort", "9150 IsolateDestAddr")?;
    /// assert_eq!(config.to_torrc()?, "SocksPort 9050\nSocksPort 9150 IsolateDestAddr\n");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn push(&self, name: &str, entry: impl Into<NewValue>) -> Result<()> {
        let deadline = self.inner.backend.deadline();
        let option = self.list(name, deadline)?;
        let entry = entry.into().into_entry(&option)?;
        self.push_list_edit(option, ListEdit::Push(entry), deadline)
    }

    /// Removes all occurrences of an entry from a list. Returns whether the list contains it.
    ///
    /// Sends `GETCONF` even if the option is cached. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("Log", ["notice stdout", "info file /var/log/tor/info.log"])?;
    /// assert!(config.remove("Log", "notice stdout")?);
    /// assert!(!config.remove("Log", "notice stdout")?);
    /// assert_eq!(config.to_torrc()?, "Log info file /var/log/tor/info.log\n");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn remove(&self, name: &str, entry: impl Into<NewValue>) -> Result<bool> {
        let deadline = self.inner.backend.deadline();
        let option = self.list(name, deadline)?;
        let entry = entry.into().into_entry(&option)?;
        let contains = self.contains(&option, &entry, deadline)?;
        if contains {
            self.push_list_edit(option, ListEdit::Remove(entry), deadline)?;
        }
        Ok(contains)
    }

    /// Replaces all occurrences of an entry of a list. Returns whether the list contains it.
    ///
    /// Sends `GETCONF` even if the option is cached. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push) and [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::Config;
    ///
    /// let config = Config::offline();
    /// config.set("SocksPort", ["9050", "9150"])?;
    /// assert!(config.replace("SocksPort", "9150", "9250")?);
    /// assert_eq!(config.get("SocksPort")?.entries().unwrap(), ["9050", "9250"]);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn replace(
        &self,
        name: &str,
        old: impl Into<NewValue>,
        new: impl Into<NewValue>,
    ) -> Result<bool> {
        let deadline = self.inner.backend.deadline();
        let option = self.list(name, deadline)?;
        let (old, new) = (old.into().into_entry(&option)?, new.into().into_entry(&option)?);
        let contains = self.contains(&option, &old, deadline)?;
        if contains {
            self.push_list_edit(option, ListEdit::Replace(old, new), deadline)?;
        }
        Ok(contains)
    }

    pub(super) fn push_change(
        &self,
        option: TorOption,
        action: Action,
        implied: Vec<ConfiguredLine>,
    ) {
        self.inner.pending.lock().push(option, action, implied);
    }

    fn push_list_edit(&self, option: TorOption, edit: ListEdit, deadline: Instant) -> Result<()> {
        let implied = self.implied(&option, deadline)?;
        self.push_change(option, Action::List(edit), implied);
        Ok(())
    }

    fn list(&self, name: &str, deadline: Instant) -> Result<TorOption> {
        let option = self.inner.backend.schema_before(deadline)?.settable(name)?;
        if option.kind.is_recognized() && !option.kind.is_list() {
            return Err(InvalidInput::new(option.name.to_string(), "is not a list").into());
        }
        Ok(option)
    }

    /// Returns the lines that tor uses for the group of a list while none is set.
    fn implied(&self, option: &TorOption, deadline: Instant) -> Result<Vec<ConfiguredLine>> {
        let Backend::Tor(tor) = &self.inner.backend else { return Ok(Vec::new()) };
        let is_reset =
            || self.inner.pending.lock().apply(&option.group, &[]) == GroupState::Default;
        match option.implied_default() {
            ImpliedDefault::Line(name, value) => {
                Ok(vec![(name.to_owned(), value.as_bytes().to_vec())])
            }
            ImpliedDefault::None if !is_reset() => Ok(Vec::new()),
            ImpliedDefault::None | ImpliedDefault::InDefaults => {
                let lines = tor.defaults(deadline)?.lines(option).unwrap_or_default();
                Ok(lines.into_iter().map(|value| (option.name.to_string(), value)).collect())
            }
        }
    }

    fn contains(&self, option: &TorOption, entry: &[u8], deadline: Instant) -> Result<bool> {
        let value = self.state(option, Read::Now, deadline)?.value(option);
        let implied = match value.is_set() {
            true => Vec::new(),
            false => self.implied(option, deadline)?,
        };
        let implied = implied.iter().filter(|(name, _)| *name == *option.name);
        let mut lines = value.lines().chain(implied.map(|(_, value)| value.as_slice()));
        Ok(match option.kind.is_comma_list() {
            true => lines.flat_map(split_spaced_list).any(|other| other == entry),
            false => lines.any(|line| line == entry),
        })
    }
}

fn clear(option: &TorOption) -> Result<Action, InvalidInput> {
    if option.kind.is_number() {
        let problem = format!("is of the type {} and cannot be empty", option.kind);
        return Err(InvalidInput::new(option.name.to_string(), problem));
    }
    Ok(Action::clear())
}
