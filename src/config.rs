//! tor's configuration: every option with its type, read when it is asked for, changed in one go.
//!
//! A [`Config`] is what a program holds; [`OptionValue`] is what it gives, [`NewValue`] what it
//! takes, and [`ConfiguredService`] an onion service of the configuration.
//!
//! **Invariant**: a cached value is never older than the last command of this connection that
//! changed the configuration, nor than the last event that reported a change. What is saved and
//! what is decided never depends on a cached value. No lock but those for starting, saving and
//! rewriting is held during a command.

mod changes;
mod edit;
mod known;
mod onion;
mod pending;
mod rewrite_lock;
mod save;
mod schema;
mod services;
mod setting;
mod tor_backend;
mod torrc;
mod typed;
mod units;
mod value;

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use self::pending::Pending;
pub use self::pending::{PendingChange, PendingKind};
pub(crate) use self::rewrite_lock::{Identity, RewriteLock};
pub use self::schema::OptionType;
pub(crate) use self::schema::SERVICES as ALL_SERVICES;
use self::schema::{Schema, TorOption, known_schema};
pub use self::services::ConfiguredService;
pub(crate) use self::services::{ConfiguredLine, ServiceLines, is_same_directory, port_value};
pub use self::setting::NewValue;
use self::tor_backend::TorBackend;
pub use self::value::{OptionValue, OrAuto};
use crate::controller::Controller;
use crate::error::Result;

/// The configuration of a tor: options are read and changed here, and what was changed is saved
/// in one go, all of it or nothing.
///
/// Made by [`Config::new`] for a running tor, and by [`Config::offline`] for one that is to be
/// launched. Clones share everything, also the changes that have not been saved.
///
/// # Reading
///
/// Nothing is sent before it is needed. The first call that needs tor sends
/// `SETEVENTS` with `CONF_CHANGED` and `GETINFO config/names`; then each option is asked for when
/// it is first wanted, by `GETCONF`, and cached. [`load`](Self::load) and
/// [`load_all`](Self::load_all) ask for many by one command. Every command of the same connection
/// that changes the configuration ([`save`](Self::save), [`Controller::set_conf`],
/// [`Controller::reset_conf`], [`Controller::load_conf`], `SIGNAL RELOAD`, or one as text)
/// invalidates the cache, so that the next read returns what was set. What another connection changes is known once its
/// `CONF_CHANGED` event arrives; the event invalidates the option, and the next read fetches it
/// again. If a filter in front of tor refuses the event, nothing is cached; if it refuses the names,
/// the options are those that this version of torcon knows. Events are processed on the reader
/// thread, so all of this can also be used inside a
/// listener, which should hold a [`WeakConfig`].
///
/// # Changing
///
/// [`set`](Self::set), [`push`](Self::push), [`remove`](Self::remove),
/// [`replace`](Self::replace), [`clear`](Self::clear), [`reset`](Self::reset) and the functions
/// for onion services say what is to change, and [`save`](Self::save) tells tor.
/// [`get`](Self::get) shows what an option will be, [`in_force`](Self::in_force) what it is in
/// tor. If somebody else changes an option of which a change is pending, the change stays: a
/// value that was set replaces that of the other, and entries that were pushed, removed or
/// replaced are so in the list as the other left it. What tor has written to its file is another
/// matter: see [`Controller::save_conf`].
///
/// Dropping the last clone ends the subscription, and forgets what has not been saved.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// use std::time::Duration;
///
/// use torcon::config::Config;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let config = Config::new(&controller);
/// println!("{:?}", config.get_duration("MaxCircuitDirtiness")?);
/// config.set("MaxCircuitDirtiness", Duration::from_secs(300))?;
/// config.set("ExitNodes", ["{us}", "{de}"])?;
/// config.push("Log", "notice stdout")?;
/// if let Err(error) = config.save() {
///     println!("nothing was changed: {error}");
///     config.revert();
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "TorConfig")]
#[derive(Clone)]
pub struct Config {
    inner: Arc<Inner>,
}

/// A configuration that keeps neither the connection nor the changes alive, for closures that the
/// connection owns.
///
/// Made by [`Config::downgrade`].
#[derive(Clone)]
pub struct WeakConfig {
    inner: Weak<Inner>,
}

struct Inner {
    source: Source,
    /// Held across a whole save.
    saving: Mutex<()>,
    // A leaf lock.
    pending: Mutex<Pending>,
}

enum Source {
    Tor(Box<TorBackend>),
    Nothing,
}

impl Config {
    /// Returns the configuration of the tor of a controller.
    ///
    /// Sends nothing, and never fails. It keeps the connection open; the time limit of its
    /// commands is that of this handle ([`Controller::with_timeout`]).
    #[must_use]
    pub fn new(controller: &Controller) -> Self {
        Self::with(Source::Tor(Box::new(TorBackend::new(controller.clone()))))
    }

    /// Returns a configuration that belongs to no tor, for one that is to be launched or for a
    /// torrc file.
    ///
    /// The options and their types are those of tor 0.4.9; others are taken too, with any kind of
    /// value. Every option begins as not set, and [`save`](Self::save) is refused: see
    /// [`Launcher::config`](crate::Launcher::config) and [`to_torrc`](Self::to_torrc).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use torcon::config::{Config, OrAuto};
    ///
    /// let config = Config::offline();
    /// config.set("SocksPort", OrAuto::<u16>::Auto)?;
    /// config.set("MaxCircuitDirtiness", Duration::from_secs(300))?;
    /// config.set("ExitNodes", ["{us}", "{de}"])?;
    /// assert_eq!(
    ///     config.to_torrc()?,
    ///     "SocksPort auto\nMaxCircuitDirtiness 300\nExitNodes {us},{de}\n"
    /// );
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn offline() -> Self {
        Self::with(Source::Nothing)
    }

    fn with(source: Source) -> Self {
        let inner = Inner { source, saving: Mutex::default(), pending: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Returns a handle that does not keep the connection open.
    ///
    /// A closure that the connection owns, such as a listener, should hold this instead of a
    /// `Config`: it would keep the connection alive, and the connection the closure.
    #[must_use]
    pub fn downgrade(&self) -> WeakConfig {
        WeakConfig { inner: Arc::downgrade(&self.inner) }
    }

    /// Returns every option of this tor with its type, in tor's order.
    ///
    /// Sends `GETINFO config/names`, once.
    ///
    /// Blocks the current thread until tor has answered, if it was not asked before.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get), but for those of an option.
    pub fn options(&self) -> Result<Vec<(String, OptionType)>> {
        let options = self.schema()?.options().iter();
        Ok(options.map(|option| (option.name.to_string(), option.kind.clone())).collect())
    }

    /// Returns the type of an option.
    ///
    /// Blocks the current thread until tor has named its options, if it was not asked before.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn option_type(&self, name: &str) -> Result<OptionType> {
        Ok(self.schema()?.option(name)?.kind)
    }

    /// Returns the value that an option has or, if a change of it is pending, will have.
    ///
    /// Upper and lower case are the same, but the name must be complete. Whatever is returned can
    /// be given to [`set`](Self::set). After [`reset`](Self::reset) the option is shown as not
    /// set, whatever its default is: see [`default_value`](Self::default_value).
    ///
    /// Sends `GETCONF option` if the option is not known yet. Of an option that tor keeps together
    /// with others, it asks for the name that stands for all of them: `SocksPortLines`,
    /// `HiddenServiceOptions`. Blocks for at most the controller's time limit per command.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if this tor has no such option, or if
    /// the name stands for several. Otherwise those of [`Controller::get_conf`], and on the first
    /// call those of [`Controller::add_event_listener`] and [`Controller::config_names`], but not
    /// if tor refuses.
    pub fn get(&self, name: &str) -> Result<OptionValue> {
        let option = self.schema()?.readable(name)?;
        self.value(&option)
    }

    /// Returns the value that an option has in tor, whatever change of it is pending.
    ///
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn in_force(&self, name: &str) -> Result<OptionValue> {
        let option = self.schema()?.readable(name)?;
        let lines = self.group(&option)?;
        Ok(pending::GroupState::Lines(lines.to_vec()).value(&option))
    }

    /// Returns the default of an option, as it is written in tor: perhaps with a unit, `1 GB`.
    ///
    /// Sends `GETINFO config/defaults`, once and not before this is asked for. Blocks for at most
    /// the controller's time limit.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get); [`Error::InvalidInput`](crate::Error::InvalidInput) also
    /// without a tor.
    pub fn default_value(&self, name: &str) -> Result<OptionValue> {
        let option = self.schema()?.readable(name)?;
        let lines = self.live()?.defaults()?.lines(&option);
        // tor shows such a list as empty, and does not name it among its defaults.
        let lines = lines.or_else(|| option.kind.is_comma_list().then(|| vec![Vec::new()]));
        Ok(OptionValue::new(option.kind, lines))
    }

    /// Makes known several options at once, so that reading them sends nothing.
    ///
    /// Sends one `GETCONF` for those that are not known yet. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn load<I>(&self, names: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let schema = self.schema()?;
        let options = names.into_iter().map(|name| schema.readable(name.as_ref()));
        let options = options.collect::<Result<Vec<_>, _>>()?;
        match &self.inner.source {
            Source::Tor(live) => {
                let groups: Vec<_> = options.iter().map(|option| &option.group).collect();
                live.groups(&groups).map(drop)
            }
            Source::Nothing => Ok(()),
        }
    }

    /// Makes known every option at once, as [`load`](Self::load) does.
    ///
    /// Sends one `GETCONF` for those that are not known yet: more than 300 names, if none is.
    /// Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn load_all(&self) -> Result<()> {
        let options = self.schema()?.options().iter();
        let readable = options.filter(|option| option.kind != OptionType::Virtual);
        self.load(readable.map(|option| &option.name))
    }

    /// Returns the changes that have not been saved, in their order.
    #[doc(alias = "needs_save")]
    #[must_use]
    pub fn pending(&self) -> Vec<PendingChange> {
        self.inner.pending.lock().list()
    }

    /// Forgets the changes that have not been saved.
    pub fn revert(&self) {
        self.inner.pending.lock().clear();
    }

    /// Forgets the changes of one option that have not been saved; `HiddenServiceOptions` means
    /// those of the onion services.
    pub fn revert_option(&self, name: &str) {
        self.inner.pending.lock().forget(name);
    }

    fn schema(&self) -> Result<&Schema> {
        match &self.inner.source {
            Source::Tor(live) => live.schema(),
            Source::Nothing => Ok(known_schema()),
        }
    }

    fn live(&self) -> Result<&TorBackend> {
        match &self.inner.source {
            Source::Tor(live) => Ok(live),
            Source::Nothing => Err(tor_backend::no_tor().into()),
        }
    }

    /// Returns the lines that the group of an option has in tor.
    fn group(&self, option: &TorOption) -> Result<Arc<[ConfiguredLine]>> {
        match &self.inner.source {
            Source::Tor(live) => live.group(&option.group),
            Source::Nothing => Ok(Arc::new([])),
        }
    }

    /// Returns the lines that the group of an option has in tor now, whatever is cached.
    fn group_now(&self, option: &TorOption) -> Result<Arc<[ConfiguredLine]>> {
        match &self.inner.source {
            Source::Tor(live) => {
                let groups = live.groups_now(&[&option.group])?;
                Ok(groups.into_iter().next().unwrap_or_else(|| Arc::new([])))
            }
            Source::Nothing => Ok(Arc::new([])),
        }
    }

    /// Returns what an option will be.
    fn value(&self, option: &TorOption) -> Result<OptionValue> {
        self.value_from(option, Self::group)
    }

    fn value_from(
        &self,
        option: &TorOption,
        group: impl FnOnce(&Self, &TorOption) -> Result<Arc<[ConfiguredLine]>>,
    ) -> Result<OptionValue> {
        let pending = self.inner.pending.lock().clone();
        let touched = pending.touched();
        let touched = touched.iter().find(|touched| touched.option.group == option.group);
        let base = match touched {
            Some(touched) if !touched.needs_base => Arc::new([]),
            _ => group(self, option)?,
        };
        Ok(pending.applied(&option.group, &base).value(option))
    }
}

impl WeakConfig {
    /// Returns the configuration, if it has not been given up by everyone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Config> {
        Some(Config { inner: self.inner.upgrade()? })
    }
}

impl fmt::Debug for WeakConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakConfig").finish_non_exhaustive()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let controller = match &self.inner.source {
            Source::Tor(live) => Some(live.controller()),
            Source::Nothing => None,
        };
        f.debug_struct("Config")
            .field("controller", &controller)
            .field("pending", &self.pending())
            .finish()
    }
}
