use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::Rejection;
use crate::names::printable;

/// The error of a configuration that tor refused to apply. tor's configuration is unchanged, and the
/// changes are still pending.
///
/// # Examples
///
/// ```no_run
/// use torcon::Error;
/// use torcon::config::Config;
///
/// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
/// config.set("ExitNodes", ["{us"])?;
/// match config.save() {
///     Err(Error::Config(error)) => {
///         eprintln!("tor refused {:?}: {}", error.option(), error.rejection().text());
///         config.revert();
///     }
///     outcome => outcome?,
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    option: Option<Box<str>>,
    /// Invariant: not empty.
    options: Box<[Box<str>]>,
    rejection: Rejection,
}

impl ConfigError {
    /// Creates an error. `option` is the refused one, `options` are all options of the save.
    pub(crate) fn new(option: Option<&str>, options: &[&str], rejection: Rejection) -> Self {
        let mut seen = HashSet::with_capacity(options.len());
        let names = options.iter().copied().filter(|name| seen.insert(*name)).map(Into::into);
        let names: Box<[Box<str>]> = names.collect();
        let option = option.map(Into::into);
        Self { inner: Arc::new(Inner { option, options: names, rejection }) }
    }

    /// Returns the option that tor refused: the only option of the save, or the one that tor's text
    /// names. For an onion service this is `HiddenServiceOptions`. `None` if the text names none.
    #[must_use]
    pub fn option(&self) -> Option<&str> {
        self.inner.option.as_deref()
    }

    /// Returns every option of the save, each once.
    pub fn options(&self) -> impl ExactSizeIterator<Item = &str> {
        self.inner.options.iter().map(AsRef::as_ref)
    }

    /// Returns tor's refusal.
    #[must_use]
    pub fn rejection(&self) -> &Rejection {
        &self.inner.rejection
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(option) = self.option() {
            return write!(f, "cannot save {}", printable(option));
        }
        let shown: Vec<&str> = self.options().take(5).collect();
        write!(f, "cannot save {}", printable(&shown.join(", ")))?;
        match self.options().len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.rejection())
    }
}

#[cfg(test)]
mod tests {
    use super::ConfigError;
    use crate::error::{Rejection, RejectionLine};

    #[test]
    fn the_refused_option_is_named_or_all_options() {
        let rejection = Rejection::new("SETCONF", vec![RejectionLine::new(513, b"No")]);
        let error = |option, options: &[&str]| {
            ConfigError::new(option, options, rejection.clone()).to_string()
        };
        assert_eq!(error(Some("Log"), &["Log", "Nickname"]), "cannot save Log");
        assert_eq!(error(None, &["Log", "Log", "Nickname"]), "cannot save Log, Nickname");
        assert_eq!(
            error(None, &["A", "B", "C", "D", "E", "F", "G"]),
            "cannot save A, B, C, D, E and 2 more"
        );
    }

    // Each name was compared with all before it: 20 s for these.
    #[test]
    fn many_options_are_collected_in_linear_time() {
        let names: Vec<String> = (0..200_000).map(|n| format!("Option{n}")).collect();
        let options: Vec<&str> = names.iter().chain(&names).map(String::as_str).collect();
        let rejection = Rejection::new("SETCONF", vec![RejectionLine::new(513, b"No")]);
        let start = std::time::Instant::now();
        assert_eq!(ConfigError::new(None, &options, rejection).options().len(), 200_000);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
