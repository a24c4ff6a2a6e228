//! The configuration of a tor, and that of a tor to be launched.

use super::Tor;
use crate::config::Config;
use crate::error::Result;
use crate::process::Launcher;

impl Tor {
    /// Returns the configuration of this tor. Each call returns the same one, with the values that
    /// were read and the changes that are pending.
    ///
    /// Sends nothing; the methods of [`Config`] name the commands that they send.
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
    #[doc(alias("get_config", "attach_protocol"))]
    pub fn config(&self) -> &Config {
        self.config.get_or_init(|| Config::new(&self.controller))
    }
}

impl Launcher {
    /// Adds each line of a configuration as [`option`](Self::option) does: the lines of
    /// [`Config::to_torrc`].
    ///
    /// The options that a running tor cannot share are left out of its configuration: its data
    /// directory, its control port, socket and cookie, its pid file. Its other ports stay, which a
    /// second tor cannot open unless they are `auto`, and so do its onion services, which only one
    /// tor should serve.
    ///
    /// Sends what [`Config::to_torrc`] does, if the configuration is that of a running tor.
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
