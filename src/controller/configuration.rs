//! tor's configuration: the values of options, and its files.

pub(super) mod epoch;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Controller;
use crate::command::{
    ConfMap, ConfOptions, ConfSettings, GetConf, LoadConf, ResetConf, SaveConf, SetConf,
};
use crate::error::Result;
use crate::wire::Reply;

/// # Configuration
impl Controller {
    /// Queries the value of one option, or of several in one round trip.
    ///
    /// Returns a [`ConfValue`](crate::command::ConfValue) for one option and a [`ConfMap`] for
    /// several. A name that stands for several options, such as `HiddenServiceOptions`, is queried
    /// as a list.
    ///
    /// The reply uses tor's spelling of the names. It distinguishes an option that is not set from
    /// one that is set to nothing, and holds all values of repeated options.
    ///
    /// Sends `GETCONF option [option ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552),
    /// [`Error::Protocol`](crate::Error::Protocol) for an abbreviation or a former name;
    /// otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// println!("nickname: {:?}", controller.get_conf("Nickname")?.first());
    /// let conf = controller.get_conf(["SocksPort", "ControlPort"])?;
    /// for (option, value) in &conf {
    ///     println!("{option}: {:?}", value.values());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_conf_single")]
    #[doc(alias = "get_conf_map")]
    pub fn get_conf<K, Answer>(&self, options: K) -> Result<Answer>
    where
        K: ConfOptions<Answer>,
    {
        let command = GetConf::new(options);
        K::check(&command)?;
        Ok(K::answer(self.execute(&command)?))
    }

    /// Queries the values of options, and returns the unparsed reply.
    ///
    /// Sends `GETCONF option [option ...]`. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552),
    /// [`Error::Protocol`](crate::Error::Protocol) for a former name, for which tor answers
    /// another; otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.get_conf_raw(["SocksPort"])?.text());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get_conf_raw<K, Answer>(&self, options: K) -> Result<Reply>
    where
        K: ConfOptions<Answer>,
    {
        let command = GetConf::new(options);
        let reply = self.send(&command)?;
        self.checked(command.check(reply))
    }

    /// Changes one option, or several: all of them, or none if tor refuses one.
    ///
    /// A repeated option gets all the given values and loses its former ones; `None` clears it. Any
    /// option of an onion service replaces all onion services of the configuration.
    ///
    /// Sends [`SETCONF`](SetConf) with the options in the given order. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor does not know an option (552), refuses a
    /// value (513) or cannot change the option while it runs (553).
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) also for values that make tor exit
    /// instead of refusing them: an invalid `MetricsPortPolicy`, an empty
    /// `MinimalAcceptedServerVersion`, sizes of `nan`; and, if tor is proved to see the same files
    /// as this program, a `HiddenServiceDir`, `CookieAuthFile` or `ExtORPortCookieAuthFile` that
    /// tor cannot create, a `ServerDNSResolvConfFile` that it cannot read, and a FIFO on which it
    /// would wait; and `CookieAuthentication` and `ExtORPort`, if they are off, for a tor with
    /// `Sandbox 1`, for which `GETCONF Sandbox` and a `GETCONF` of the option are sent before.
    /// Otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.set_conf(("MaxCircuitDirtiness", "300"))?;
    /// controller.set_conf([("ContactInfo", "me@example.org"), ("Nickname", "MyRelay")])?;
    /// controller.set_conf([("ContactInfo", None::<&str>)])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "set_options")]
    pub fn set_conf<S, Form>(&self, settings: S) -> Result<()>
    where
        S: ConfSettings<Form>,
        Form: ?Sized,
    {
        self.execute(&SetConf::new(settings))
    }

    /// Resets options to their defaults (the name alone, or `None`), or to values: all of them, or
    /// none.
    ///
    /// Sends [`RESETCONF`](ResetConf). Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`set_conf`](Self::set_conf).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.reset_conf("MaxCircuitDirtiness")?;
    /// controller.reset_conf(["ContactInfo", "Nickname"])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn reset_conf<S, Form>(&self, settings: S) -> Result<()>
    where
        S: ConfSettings<Form>,
        Form: ?Sized,
    {
        self.execute(&ResetConf::new(settings))
    }

    /// Replaces the whole configuration with the text of a torrc. Options that the text does not
    /// set return to their defaults, also `DataDirectory` and `ControlPort`.
    ///
    /// Sends `+LOADCONF` and the text, dot-stuffed. Blocks for at most the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refuses the text (552, 553); otherwise
    /// those of [`set_conf`](Self::set_conf).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.load_conf("SocksPort 9050\nMaxCircuitDirtiness 300\n")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn load_conf(&self, text: impl AsRef<[u8]>) -> Result<()> {
        self.execute(&LoadConf::new(text))
    }

    /// Writes the configuration to tor's configuration file.
    ///
    /// Sends `SAVECONF`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if the file cannot be written, or has
    /// `%include` lines, which would be lost (551); otherwise those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.set_conf([("MaxCircuitDirtiness", "300")])?;
    /// if controller.can_save_conf()? {
    ///     controller.save_conf()?;
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn save_conf(&self) -> Result<()> {
        self.execute(&SaveConf::new())
    }

    /// Writes the configuration to tor's configuration file, even if `%include` lines are lost.
    ///
    /// Sends `SAVECONF FORCE`. Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if the file cannot be written (551); otherwise
    /// those of [`execute`](Self::execute).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.save_conf_forced()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn save_conf_forced(&self) -> Result<()> {
        self.execute(&SaveConf::forced())
    }

    /// Returns whether tor's configuration can be saved without losing `%include` lines.
    ///
    /// tor does not check here whether it may write the file: [`save_conf`](Self::save_conf) can
    /// fail all the same, as it does with a packaged tor.
    #[doc = sends!("GETINFO config-can-saveconf")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("the torrc can be saved: {}", controller.can_save_conf()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn can_save_conf(&self) -> Result<bool> {
        self.read_flag("config-can-saveconf")
    }

    /// Returns the text that [`save_conf`](Self::save_conf) would write: every option that is not
    /// at its default, one to a line.
    #[doc = sends!("GETINFO config-text")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// print!("{}", controller.config_text()?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn config_text(&self) -> Result<String> {
        self.get_info_one("config-text")
    }

    /// Returns the path of tor's configuration file, which need not exist.
    ///
    /// A tor that was started with `-f -` names the default file, which it has not read.
    #[doc = sends!("GETINFO config-file")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.config_file()?.display());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn config_file(&self) -> Result<PathBuf> {
        self.read_info("config-file", |path| Ok(OsStr::from_bytes(path).into()))
    }

    /// Returns the path of the file of defaults that tor reads before its configuration file. It
    /// need not exist.
    #[doc = sends!("GETINFO config-defaults-file")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// println!("{}", controller.config_defaults_file()?.display());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn config_defaults_file(&self) -> Result<PathBuf> {
        self.read_info("config-defaults-file", |path| Ok(OsStr::from_bytes(path).into()))
    }

    /// Returns the options of this version of tor: each name with its type, such as `Boolean` or
    /// `LineList`.
    #[doc = sends!("GETINFO config/names")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// for (option, kind) in controller.config_names()? {
    ///     println!("{option}: {kind}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn config_names(&self) -> Result<Vec<(String, String)>> {
        self.read_pairs("config/names", " ")
    }

    /// Returns the default values of options, some internal ones included. Options without a default
    /// are left out.
    #[doc = sends!("GETINFO config/defaults")]
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// let defaults = controller.config_defaults()?;
    /// println!("{:?}", defaults.get("MaxCircuitDirtiness"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn config_defaults(&self) -> Result<ConfMap> {
        self.read_info("config/defaults", ConfMap::read_defaults)
    }
}
