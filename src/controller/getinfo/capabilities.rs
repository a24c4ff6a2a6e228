//! What this tor offers to controllers.

use crate::controller::Controller;
use crate::error::Result;
use crate::event::EventKind;
use crate::names::Signal;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns the kinds of event that this tor can send, by its own account.
    ///
    /// Sends `GETINFO events/names` the first time. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn valid_events(&self) -> Result<&[EventKind]> {
        if let Some(kinds) = self.inner.valid_events.get() {
            return Ok(kinds);
        }
        let names = self.get_info_one("events/names")?;
        let kinds = names.split_ascii_whitespace().map(EventKind::from).collect();
        Ok(self.inner.valid_events.get_or_init(|| kinds))
    }

    /// Returns the signals that this tor takes, by its own account.
    ///
    /// Sends `GETINFO signal/names` the first time. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn valid_signals(&self) -> Result<&[Signal]> {
        if let Some(signals) = self.inner.valid_signals.get() {
            return Ok(signals);
        }
        let names = self.get_info_one("signal/names")?;
        let signals = names.split_ascii_whitespace().map(Signal::from).collect();
        Ok(self.inner.valid_signals.get_or_init(|| signals))
    }

    /// Returns what [`use_feature`](Self::use_feature) can switch on, by tor's own account.
    ///
    /// Sends `GETINFO features/names`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    pub fn valid_features(&self) -> Result<Vec<String>> {
        let names = self.get_info_one("features/names")?;
        Ok(names.split_ascii_whitespace().map(str::to_owned).collect())
    }

    /// Returns what `GETINFO` can be asked for, by tor's own account: each key, or pattern of
    /// keys such as `desc/id/<OR identity>`, with its description.
    ///
    /// Sends `GETINFO info/names`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`get_info`](Self::get_info).
    #[doc(alias = "TorInfo")]
    pub fn info_names(&self) -> Result<Vec<(String, String)>> {
        let names = self.get_info_one("info/names")?;
        let pairs = names.lines().map(|line| line.split_once(" -- ").unwrap_or((line, "")));
        Ok(pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
    }
}
