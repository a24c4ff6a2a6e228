//! The configuration of a tor of this row, and one for a tor to come.

use super::Tor;
use crate::config::Config;
use crate::error::Result;
use crate::process::Launcher;

impl Tor {
    /// Returns the configuration of this tor, always the same: what has been read of it and what
    /// is pending is there the next time.
    ///
    /// Sends nothing; see [`Config`] for what is sent when it is used.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::Tor;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// tor.config().set("MaxCircuitDirtiness", "5 minutes")?;
    /// tor.config().save()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> &Config {
        self.config.get_or_init(|| Config::new(&self.controller))
    }
}

impl Launcher {
    /// Adds the lines of a configuration, as [`option`](Self::option) does each.
    ///
    /// They are those of [`Config::to_torrc`]. Of a configuration that belongs to a running tor,
    /// what that tor has for itself is left out: its data directory, its control port, socket and
    /// cookie, its pid file. Its other ports are not, which no second tor can open unless they are
    /// `auto`, and neither are its onion services, which only one tor should serve.
    ///
    /// Blocks the current thread until tor has answered, if the configuration belongs to one.
    ///
    /// # Errors
    ///
    /// Those of [`Config::to_torrc`]; none for a configuration made by [`Config::offline`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::Launcher;
    /// use torcon::config::{Config, OrAuto};
    ///
    /// let config = Config::offline();
    /// config.set("SocksPort", OrAuto::<u16>::Auto)?;
    /// config.set("ExitNodes", ["{us}", "{de}"])?;
    /// let tor = Launcher::new().config(&config)?.launch()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(self, config: &Config) -> Result<Self> {
        let options = config.launch_options()?.into_iter();
        Ok(options.fold(self, |launcher, (name, value)| launcher.option(name, value)))
    }
}
