use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::PrivateNetwork;
use super::bring_up;
use super::options::Setting;
use super::progress::{NetworkProgress, ProgressListener, Reporter};
use crate::error::{Canceled, InvalidInput, Result, Wait};
use crate::link::CancelToken;
use crate::sync::Mutex;

/// The length of a circuit's path.
const MINIMUM: usize = 3;
/// The most tors of a network: each takes 20 to 40 MB of memory and four threads of the program.
const MAXIMUM: usize = 40;
/// The most authorities: as many as the real network has.
const MAXIMUM_OF_AUTHORITIES: usize = 9;

/// Configures and launches a [`PrivateNetwork`].
///
/// Returned by [`PrivateNetwork::builder`].
///
/// # Examples
///
/// ```no_run
/// use torcon::testnet::PrivateNetwork;
///
/// let network = PrivateNetwork::builder()
///     .relays(8)
///     .exits(2)
///     .on_progress(|progress| eprintln!("{progress}"))
///     .launch()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "nothing happens until launch() is called"]
pub struct PrivateNetworkBuilder {
    pub(super) authorities: usize,
    pub(super) relays: usize,
    pub(super) exits: Option<usize>,
    pub(super) directory: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) tor: PathBuf,
    /// The programs of single tors, by their number.
    authority_tors: BTreeMap<usize, PathBuf>,
    relay_tors: BTreeMap<usize, PathBuf>,
    pub(super) tor_gencert: PathBuf,
    pub(super) authority_options: Vec<Setting>,
    pub(super) relay_options: Vec<Setting>,
    pub(super) client_options: Vec<Setting>,
    pub(super) cancel: Option<CancelToken>,
    // Makes the builder `Sync`.
    on_progress: Mutex<Option<ProgressListener>>,
}

impl PrivateNetworkBuilder {
    pub(super) fn new() -> Self {
        Self {
            authorities: 1,
            relays: 5,
            exits: None,
            directory: None,
            timeout: Duration::from_secs(60),
            tor: PathBuf::from("tor"),
            authority_tors: BTreeMap::new(),
            relay_tors: BTreeMap::new(),
            tor_gencert: PathBuf::from("tor-gencert"),
            authority_options: Vec::new(),
            relay_options: Vec::new(),
            client_options: Vec::new(),
            cancel: None,
            on_progress: Mutex::new(None),
        }
    }

    /// Sets the number of directory authorities, which are relays too. The default is 1, the most 9.
    ///
    /// Several authorities exchange votes and signatures, which takes four seconds more.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().authorities(3).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorities(mut self, count: usize) -> Self {
        self.authorities = count;
        self
    }

    /// Sets the number of relays in addition to the authorities. The default is 5.
    ///
    /// Relays and authorities together must be at least 3 and at most 40. Each takes 20 to 40 MB of
    /// memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().relays(8).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relays(mut self, count: usize) -> Self {
        self.relays = count;
        self
    }

    /// Sets how many relays are exits. The default is all. Authorities are never exits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().exits(2).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn exits(mut self, count: usize) -> Self {
        self.exits = Some(count);
        self
    }

    /// Sets the directory that holds the data directories of all tors.
    ///
    /// A missing directory is created with mode 0700; its parent must exist. An existing one must
    /// be empty. It is never deleted. The default is a temporary directory, which is deleted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().directory("/srv/test/network").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Sets the time limit of [`launch`](Self::launch) and [`PrivateNetwork::restart`]. The default
    /// is 60 seconds.
    ///
    /// The first vote is at most 15 minutes after the start, so a longer limit has no effect.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().timeout(Duration::from_secs(120)).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the program `tor`. A name without a slash is searched in `PATH`. The default is `tor`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().tor("/opt/tor-0.4.8/bin/tor").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn tor(mut self, program: impl Into<PathBuf>) -> Self {
        self.tor = program.into();
        self
    }

    /// Sets the program `tor` of one relay, counted from 0: that of `relay0` and so on. The default is
    /// [`tor`](Self::tor).
    ///
    /// With several versions of tor, a network is mixed as the real one is. [`NetworkRelay::version`]
    /// has the version of each.
    ///
    /// [`NetworkRelay::version`]: super::NetworkRelay::version
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder()
    ///     .relay_tor(0, "/opt/tor-0.4.8/bin/tor")
    ///     .relay_tor(1, "/opt/tor-0.4.9/bin/tor")
    ///     .launch()?;
    /// for relay in network.relays() {
    ///     println!("{} runs tor {}", relay.nickname, relay.version);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relay_tor(mut self, index: usize, program: impl Into<PathBuf>) -> Self {
        self.relay_tors.insert(index, program.into());
        self
    }

    /// Sets the program `tor` of one authority, counted from 0: that of `auth0` and so on. The default
    /// is [`tor`](Self::tor).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let old = "/opt/tor-0.4.8/bin/tor";
    /// let network = PrivateNetwork::builder().authority_tor(0, old).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authority_tor(mut self, index: usize, program: impl Into<PathBuf>) -> Self {
        self.authority_tors.insert(index, program.into());
        self
    }

    pub(super) fn authority_tor_path(&self, index: usize) -> &Path {
        self.authority_tors.get(&index).unwrap_or(&self.tor)
    }

    pub(super) fn relay_tor_path(&self, index: usize) -> &Path {
        self.relay_tors.get(&index).unwrap_or(&self.tor)
    }

    /// Sets the program `tor-gencert`, which creates the keys of authorities and is part of tor. The
    /// default is `tor-gencert`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().tor_gencert("/opt/tor-0.4.8/bin/tor-gencert").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn tor_gencert(mut self, program: impl Into<PathBuf>) -> Self {
        self.tor_gencert = program.into();
        self
    }

    /// Adds a line to the configuration of every authority. The default is no further line.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().authority_option("ContactInfo", "a@example.com").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authority_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.authority_options.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the configuration of every relay except the authorities. The default is no
    /// further line.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().relay_option("IPv6Exit", "1").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relay_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.relay_options.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the configuration of every tor, including clients that use
    /// [`PrivateNetwork::client_options`]. The default is no further line.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().option("ConnectionPadding", "0").launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client_options.push((name.into(), value.into()));
        self
    }

    /// Sets a closure that [`launch`](Self::launch) calls at each step, on the calling thread. The
    /// default is none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().on_progress(|progress| eprintln!("{progress}")).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn on_progress(mut self, listener: impl FnMut(&NetworkProgress) + Send + 'static) -> Self {
        self.on_progress = Mutex::new(Some(Box::new(listener)));
        self
    }

    /// Sets a token by which another thread cancels the launch. The default is none.
    ///
    /// [`launch`](Self::launch) then fails with [`Error::Canceled`](crate::Error::Canceled), after every
    /// tor has ended and the temporary directory is deleted. A tor has up to five seconds to end, and
    /// is killed then. A network that is launched already stays.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::CancelToken;
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let token = CancelToken::new();
    /// let at_signal = token.clone();
    /// ctrlc::set_handler(move || { at_signal.cancel(); }).expect("the only handler");
    /// let network = PrivateNetwork::builder().cancel_token(&token).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn cancel_token(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Launches the network.
    ///
    /// Blocks the current thread until every relay knows every other, which takes five to eight
    /// seconds with two free processors, and for at most [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for invalid numbers and options.
    /// Otherwise [`Error::Testnet`](crate::Error::Testnet), for example if tor is not installed;
    /// no process is left running then; and [`Error::Canceled`](crate::Error::Canceled) if the
    /// [token](Self::cancel_token) was canceled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().relays(3).launch()?;
    /// assert_eq!(network.relays().len(), 4);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn launch(self) -> Result<PrivateNetwork> {
        self.check()?;
        let reporter = Reporter::new(self.on_progress.lock().take());
        self.check_canceled()?;
        bring_up::bring_up(&self, reporter).map_err(|error| match self.check_canceled() {
            Err(canceled) => canceled.into(),
            Ok(()) => error,
        })
    }

    fn check_canceled(&self) -> Result<(), Canceled> {
        self.cancel.as_ref().map_or(Ok(()), |token| token.check(Wait::Network))
    }

    fn check(&self) -> Result<(), InvalidInput> {
        if self.authorities == 0 {
            return Err(InvalidInput::new("authorities", "must be at least 1"));
        }
        if self.authorities.saturating_add(self.relays) < MINIMUM {
            return Err(InvalidInput::new(
                "relays",
                "must be at least 3 together with the authorities",
            ));
        }
        if self.authorities > MAXIMUM_OF_AUTHORITIES {
            return Err(InvalidInput::new("authorities", "must be at most 9"));
        }
        if self.authorities.saturating_add(self.relays) > MAXIMUM {
            let problem = "must be at most 40 together with the authorities";
            return Err(InvalidInput::new("relays", problem));
        }
        let is_beyond = |tors: &BTreeMap<usize, PathBuf>, count| {
            tors.last_key_value().is_some_and(|(last, _)| *last >= count)
        };
        if is_beyond(&self.relay_tors, self.relays) {
            let problem = "must be less than the number of relays";
            return Err(InvalidInput::new("relay_tor", problem));
        }
        if is_beyond(&self.authority_tors, self.authorities) {
            let problem = "must be less than the number of authorities";
            return Err(InvalidInput::new("authority_tor", problem));
        }
        if self.exits.is_some_and(|exits| exits > self.relays) {
            return Err(InvalidInput::new("exits", "must not exceed the number of relays"));
        }
        Ok(())
    }
}

impl fmt::Debug for PrivateNetworkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateNetworkBuilder")
            .field("authorities", &self.authorities)
            .field("relays", &self.relays)
            .field("exits", &self.exits)
            .field("directory", &self.directory)
            .field("timeout", &self.timeout)
            .field("tor", &self.tor)
            .field("tor_gencert", &self.tor_gencert)
            .finish_non_exhaustive()
    }
}
