//! tor's configuration: options with their types, read when they are needed and saved in one
//! command.
//!
//! [`Config`] is the configuration of one tor. It returns each option as an [`OptionValue`] and
//! accepts a [`NewValue`]; a [`ConfiguredService`] is an onion service of the configuration.
//!
//! **Invariant**: a cached value is never older than the last command of this connection that
//! changed the configuration, nor than the last `CONF_CHANGED` event. No save and no decision uses a
//! cached value. Only the locks for subscribing, saving and rewriting are held during a command.

mod backend;
mod cache;
mod configured_service;
mod edit;
mod known_options;
mod new_value;
mod onion_services;
mod pending;
mod port_line;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod rewrite_lock;
mod save;
mod schema;
mod service_lines;
mod torrc;
mod units;
mod value;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use self::backend::{Backend, Read, TorBackend};

#[doc(alias = "HiddenService")]
pub use self::configured_service::ConfiguredService;
pub use self::new_value::NewValue;
use self::pending::{GroupState, Pending};
pub(crate) use self::port_line::port_value;
pub(crate) use self::rewrite_lock::{Identity, RewriteGuard, RewriteLock};
#[doc(alias("TorConfigType", "config_types"))]
pub use self::schema::OptionType;
use self::schema::TorOption;
pub(crate) use self::service_lines::{ConfiguredLine, ServiceLines, is_same_directory};
pub use self::value::{OptionValue, OrAuto};
use crate::command::Names;
use crate::controller::Controller;
use crate::error::Result;
use crate::link::CommandLock;
use crate::sync::Mutex;

/// The configuration of one tor: reads options, collects changes, and saves all of them or none.
///
/// [`Config::new`] returns that of a running tor, [`Config::offline`] one for a tor that is not
/// launched yet. Clones share everything, including the pending changes.
///
/// # Reading
///
/// The first call that needs tor sends `SETEVENTS` with `CONF_CHANGED` and `GETINFO config/names`.
/// Each option is then read by `GETCONF` on first use and cached; [`load`](Self::load) reads many
/// in one command. A command of the same connection that changes the configuration
/// ([`save`](Self::save), [`Controller::set_conf`], [`Controller::reset_conf`],
/// [`Controller::load_conf`], `SIGNAL RELOAD`, or a raw command) invalidates the cache. A change
/// that another controller made is noticed with its `CONF_CHANGED` event: the event invalidates
/// the option, and the next read fetches it again.
///
/// If a filtering proxy refuses the event, nothing is cached; if it refuses `config/names`, the
/// options are those that torcon knows. Events are processed on the reader thread, so a `Config`
/// can be used in a listener, which should own a [`WeakConfig`].
///
/// # Changing
///
/// [`set`](Self::set), [`push`](Self::push), [`remove`](Self::remove), [`replace`](Self::replace),
/// [`clear`](Self::clear), [`reset`](Self::reset) and the methods for onion services add a pending
/// change, and [`save`](Self::save) sends all pending changes. [`get`](Self::get) returns an option
/// with its pending changes, [`in_force`](Self::in_force) its value in tor. A pending change stays
/// if another controller changes the option: a value that was set overrides the other's, and an
/// entry is pushed, removed or replaced in the other's list. [`Controller::save_conf`] writes tor's
/// configuration to its file.
///
/// Dropping the last clone ends the subscription and discards the pending changes.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::config::Config;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let config = Config::new(&controller);
/// println!("{:?}", config.get("MaxCircuitDirtiness")?.to_duration()?);
/// config.set("MaxCircuitDirtiness", Duration::from_secs(300))?;
/// config.set("ExitNodes", ["{us}", "{de}"])?;
/// config.push("Log", "notice stdout")?;
/// if let Err(error) = config.save() {
///     println!("nothing was changed: {error}");
///     config.revert();
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[doc(alias("CACHEABLE_GETINFO_PARAMS", "is_caching_enabled", "set_caching", "clear_cache"))]
#[doc(alias = "TorConfig")]
#[derive(Clone)]
pub struct Config {
    inner: Arc<Inner>,
}

/// A handle to a [`Config`] that keeps neither the connection nor the pending changes alive, for
/// closures that the connection owns.
///
/// Returned by [`Config::downgrade`].
///
/// # Examples
///
/// ```no_run
/// use torcon::config::Config;
/// use torcon::event::ConfChangedEvent;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let config = Config::new(&controller);
/// let weak = config.downgrade();
/// controller.on(move |_: &ConfChangedEvent| {
///     // `None` after the last `Config` is dropped.
///     if let Some(config) = weak.upgrade() {
///         println!("still to be saved: {:?}", config.pending());
///     }
/// })?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct WeakConfig {
    inner: Weak<Inner>,
}

struct Inner {
    backend: Backend,
    /// Locked during a whole save.
    saving: CommandLock<()>,
    // A leaf lock.
    pending: Mutex<Pending>,
}

impl Config {
    /// Returns the configuration of the tor of a controller.
    ///
    /// Sends nothing and cannot fail. The configuration keeps the connection open, and its
    /// commands have the [time limit](Controller::with_timeout) of this handle.
    #[must_use]
    pub fn new(controller: &Controller) -> Self {
        Self::with(Backend::Tor(Box::new(TorBackend::new(controller.clone()))))
    }

    /// Returns a configuration without a tor, for [`Launcher::config`](crate::Launcher::config) or
    /// a torrc file ([`to_torrc`](Self::to_torrc)).
    ///
    /// It has the options and types of tor 0.4.9; other options are accepted with a value of any
    /// kind. At first no option is set. [`save`](Self::save) is an error.
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
        Self::with(Backend::Offline)
    }

    fn with(backend: Backend) -> Self {
        let inner = Inner { backend, saving: CommandLock::default(), pending: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Returns a handle that does not keep the connection open.
    ///
    /// A listener should own this handle instead of a `Config`: the connection owns the listener,
    /// and would then keep itself open.
    #[must_use]
    pub fn downgrade(&self) -> WeakConfig {
        WeakConfig { inner: Arc::downgrade(&self.inner) }
    }

    /// Returns all options of this tor with their types, in tor's order.
    ///
    /// Sends `GETINFO config/names` once. Blocks for at most the
    /// [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`] and [`Controller::config_names`], except a
    /// refusal by tor.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::{Config, OptionType};
    ///
    /// let options = Config::offline().options()?;
    /// assert!(options.contains(&("BandwidthRate".to_owned(), OptionType::DataSize)));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn options(&self) -> Result<Vec<(String, OptionType)>> {
        let options = self.inner.backend.schema()?.options().iter();
        Ok(options.map(|option| (option.name.to_string(), option.kind.clone())).collect())
    }

    /// Returns the type of an option.
    ///
    /// Blocks as [`options`](Self::options) does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if this tor does not have the option.
    /// Otherwise those of [`options`](Self::options).
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::{Config, OptionType};
    ///
    /// let config = Config::offline();
    /// assert_eq!(config.option_type("MaxCircuitDirtiness")?, OptionType::TimeInterval);
    /// assert_eq!(config.option_type("exitnodes")?, OptionType::RouterList);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "get_type")]
    pub fn option_type(&self, name: &str) -> Result<OptionType> {
        Ok(self.inner.backend.schema()?.option(name)?.kind)
    }

    /// Returns the value of an option with its pending changes.
    ///
    /// The case of the name does not matter, but it must be complete. The value can be given to
    /// [`set`](Self::set). After a pending [`reset`](Self::reset) the option is not set; see
    /// [`default_value`](Self::default_value).
    ///
    /// Sends `GETCONF` unless the option is cached. For an option of a group it names the group:
    /// `SocksPortLines`, `HiddenServiceOptions`. Blocks for at most the
    /// [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if this tor does not have the option or
    /// the name is that of a group. Otherwise those of [`Controller::get_conf`] and
    /// [`options`](Self::options).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// let dirtiness = config.get("MaxCircuitDirtiness")?.to_duration()?;
    /// println!("a circuit gets new streams for {dirtiness:?}");
    /// for socks_port in config.get("SocksPort")?.entries().unwrap_or_default() {
    ///     println!("SOCKS at {socks_port}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Result<OptionValue> {
        let deadline = self.inner.backend.deadline();
        let option = self.inner.backend.schema_before(deadline)?.readable(name)?;
        Ok(self.state(&option, Read::Cached, deadline)?.value(&option))
    }

    /// Returns the value of an option in tor, without its pending changes.
    ///
    /// Sends `GETCONF`, and blocks, as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    #[doc(alias = "get_effective_rate")]
    pub fn in_force(&self, name: &str) -> Result<OptionValue> {
        let deadline = self.inner.backend.deadline();
        let option = self.inner.backend.schema_before(deadline)?.readable(name)?;
        let lines = self.inner.backend.group(&option.group, Read::Cached, deadline)?;
        Ok(GroupState::Lines(lines.to_vec()).value(&option))
    }

    /// Returns the default of an option, in tor's words, perhaps with a unit: `1 GB`.
    ///
    /// Sends `GETINFO config/defaults` once. Blocks for at most the
    /// [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no tor. Otherwise those of
    /// [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// println!("{:?}", config.default_value("BandwidthRate")?.text()); // 1 GB
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn default_value(&self, name: &str) -> Result<OptionValue> {
        let deadline = self.inner.backend.deadline();
        let option = self.inner.backend.schema_before(deadline)?.readable(name)?;
        let lines = self.inner.backend.tor()?.defaults(deadline)?.lines(&option);
        // tor shows such a list as empty, and leaves it out of its defaults.
        let lines = lines.or_else(|| option.kind.is_comma_list().then(|| vec![Vec::new()]));
        Ok(OptionValue::new(&option, lines))
    }

    /// Caches several options, so that reading them sends nothing.
    ///
    /// Sends one `GETCONF` for those that are not cached. Blocks as [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// config.load(["Nickname", "ORPort", "ExitPolicy"])?; // one GETCONF
    /// for name in ["Nickname", "ORPort", "ExitPolicy"] {
    ///     println!("{name} {}", config.get(name)?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn load<N, Form>(&self, names: N) -> Result<()>
    where
        N: Names<Form>,
        Form: ?Sized,
    {
        let deadline = self.inner.backend.deadline();
        let schema = self.inner.backend.schema_before(deadline)?;
        let options = names.into_names().into_iter().map(|name| schema.readable(&name));
        let options = options.collect::<Result<Vec<_>, _>>()?;
        let groups: Vec<_> = options.iter().map(|option| &option.group).collect();
        self.load_groups(&groups, deadline)
    }

    /// Caches every option, as [`load`](Self::load) does.
    ///
    /// Sends one `GETCONF` for those that are not cached, up to 300 names. Blocks as
    /// [`get`](Self::get) does.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// config.load_all()?;
    /// for (name, _) in config.options()? {
    ///     if let Ok(value) = config.get(&name) {
    ///         println!("{name}: {value}");
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn load_all(&self) -> Result<()> {
        let deadline = self.inner.backend.deadline();
        let options = self.inner.backend.schema_before(deadline)?.options().iter();
        let readable = options.filter(|option| option.kind != OptionType::Virtual);
        let groups: Vec<_> = readable.map(|option| &option.group).collect();
        self.load_groups(&groups, deadline)
    }

    fn load_groups(&self, groups: &[&Arc<str>], deadline: Instant) -> Result<()> {
        if let Backend::Tor(tor) = &self.inner.backend {
            tor.groups(groups, Read::Cached, deadline)?;
        }
        Ok(())
    }

    /// Returns the names of the options with pending changes, in the order of the first changes;
    /// `HiddenServiceOptions` stands for the onion services.
    #[doc(alias = "mark_unsaved")]
    #[doc(alias = "needs_save")]
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        self.inner.pending.lock().names()
    }

    /// Discards the pending changes.
    pub fn revert(&self) {
        self.inner.pending.lock().clear();
    }

    /// Discards the pending changes of one option; `HiddenServiceOptions` stands for the onion
    /// services.
    pub fn revert_option(&self, name: &str) {
        self.inner.pending.lock().remove_option(name);
    }

    /// Returns the state of the group of an option with its pending changes.
    fn state(&self, option: &TorOption, read: Read, deadline: Instant) -> Result<GroupState> {
        let pending = self.inner.pending.lock().clone();
        self.state_after(&pending, option, read, deadline)
    }

    /// Returns the state of the group of an option after the given changes.
    fn state_after(
        &self,
        pending: &Pending,
        option: &TorOption,
        read: Read,
        deadline: Instant,
    ) -> Result<GroupState> {
        let lines = match pending.needs_lines(&option.group) {
            true => self.inner.backend.group(&option.group, read, deadline)?,
            false => Arc::default(),
        };
        Ok(pending.apply(&option.group, &lines))
    }
}

impl WeakConfig {
    /// Returns the configuration, or `None` if its last clone was dropped.
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
        f.debug_struct("Config")
            .field("controller", &self.inner.backend.tor().ok().map(TorBackend::controller))
            .field("pending", &self.pending())
            .finish()
    }
}
