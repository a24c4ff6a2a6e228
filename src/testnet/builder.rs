use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;

use super::PrivateNetwork;
use super::bring_up;
use super::options::Setting;
use super::progress::{NetworkProgress, ProgressListener, Reporter};
use crate::error::{InvalidInput, Result};

/// How many tors a path of circuits needs at least.
const FEWEST: usize = 3;

/// What a private network is to be like.
///
/// Made by [`PrivateNetwork::builder`].
///
/// # Examples
///
/// ```no_run
/// # fn main() -> torcon::Result<()> {
/// use torcon::testnet::PrivateNetwork;
///
/// let network = PrivateNetwork::builder()
///     .relays(8)
///     .exits(2)
///     .on_progress(|progress| eprintln!("{progress}"))
///     .launch()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until launch() is called"]
pub struct PrivateNetworkBuilder {
    pub(super) authorities: usize,
    pub(super) relays: usize,
    pub(super) exits: Option<usize>,
    pub(super) directory: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) tor: PathBuf,
    pub(super) tor_gencert: PathBuf,
    pub(super) authority_options: Vec<Setting>,
    pub(super) relay_options: Vec<Setting>,
    pub(super) client_options: Vec<Setting>,
    // Only so that it can be shared: nothing is ever called through it.
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
            tor_gencert: PathBuf::from("tor-gencert"),
            authority_options: Vec::new(),
            relay_options: Vec::new(),
            client_options: Vec::new(),
            on_progress: Mutex::new(None),
        }
    }

    /// Sets the number of directory authorities, which are relays too. The default is 1.
    ///
    /// Several have to hear each other before they agree, which takes four seconds more.
    pub fn authorities(mut self, count: usize) -> Self {
        self.authorities = count;
        self
    }

    /// Sets the number of relays beside the authorities. The default is 5.
    ///
    /// With the authorities there must be three at least.
    pub fn relays(mut self, count: usize) -> Self {
        self.relays = count;
        self
    }

    /// Sets how many of the relays are exits. The default is all; authorities never are.
    pub fn exits(mut self, count: usize) -> Self {
        self.exits = Some(count);
        self
    }

    /// Sets the directory that holds the data directories of all tors.
    ///
    /// It is made with mode 0700 if it is missing (its parent must exist); it must be empty, and
    /// it is never deleted. The default is a temporary directory that is deleted at the end.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Sets how long the network may take to come up. The default is 60 seconds.
    ///
    /// The same limit holds for [`PrivateNetwork::restart`]. The first vote is never put off by
    /// more than 15 minutes, so a longer limit is of no use.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the program `tor`. A name without a slash is looked for in `PATH`. The default is
    /// `tor`.
    pub fn tor(mut self, program: impl Into<PathBuf>) -> Self {
        self.tor = program.into();
        self
    }

    /// Sets the program `tor-gencert`, which makes the keys of authorities and comes with tor.
    /// The default is `tor-gencert`.
    pub fn tor_gencert(mut self, program: impl Into<PathBuf>) -> Self {
        self.tor_gencert = program.into();
        self
    }

    /// Adds a line to the configuration of every authority. The default is no further line.
    pub fn authority_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.authority_options.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the configuration of every relay that is no authority. The default is no
    /// further line.
    pub fn relay_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.relay_options.push((name.into(), value.into()));
        self
    }

    /// Adds a line to the configuration of every tor: relays, authorities and those that join the
    /// network by [`PrivateNetwork::client_options`]. The default is no further line.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client_options.push((name.into(), value.into()));
        self
    }

    /// Sets a closure that is told of each step. The default is none.
    ///
    /// It is called on the thread that calls [`launch`](Self::launch).
    pub fn on_progress(mut self, listener: impl FnMut(&NetworkProgress) + Send + 'static) -> Self {
        self.on_progress = Mutex::new(Some(Box::new(listener)));
        self
    }

    /// Brings the network up.
    ///
    /// Blocks the current thread until every relay knows every other, which takes five to eight
    /// seconds where two processors are free, and for at most [`timeout`](Self::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for numbers that make no network and
    /// for options that cannot be said, and [`Error::Testnet`](crate::Error::Testnet) if anything
    /// else goes wrong, for one if tor is not installed; no process is left then.
    pub fn launch(self) -> Result<PrivateNetwork> {
        self.check()?;
        let reporter = Reporter::new(self.on_progress.lock().take());
        bring_up::bring_up(&self, reporter)
    }

    fn check(&self) -> Result<(), InvalidInput> {
        if self.authorities == 0 {
            return Err(InvalidInput::new("authorities", "a network needs an authority"));
        }
        if self.authorities.saturating_add(self.relays) < FEWEST {
            return Err(InvalidInput::new("relays", "three tors are the fewest of a network"));
        }
        if self.exits.is_some_and(|exits| exits > self.relays) {
            return Err(InvalidInput::new("exits", "there are fewer relays than exits"));
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
