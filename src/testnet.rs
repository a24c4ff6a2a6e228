//! A private Tor network on 127.0.0.1 for tests and demonstrations; needs the Cargo feature
//! `testnet`.
//!
//! [`PrivateNetwork::launch`] starts a whole Tor network of real `tor` processes: a directory
//! authority and five relays, which are all exits. It takes four to eight seconds and 100 to 250 MB
//! of memory, and needs the programs `tor` and `tor-gencert`. On Debian and Ubuntu both are in the
//! package `tor`.
//!
//! A tor joins the network by [`Launcher::network`], or by the lines of
//! [`PrivateNetwork::client_torrc`] in its configuration, and bootstraps in two or three seconds.
//! Circuits, streams, name resolution and onion services work as in the real network.
//!
//! ```no_run
//! use torcon::Launcher;
//! use torcon::testnet::PrivateNetwork;
//!
//! let network = PrivateNetwork::launch()?;
//! let tor = Launcher::new().network(&network).option("SocksPort", "auto").launch()?;
//! println!("{}", tor.controller()?.get_info_one("circuit-status")?);
//! # Ok::<(), torcon::Error>(())
//! ```
//!
//! Tests share one network by [`PrivateNetwork::shared`], which launches it at the first call:
//!
//! ```no_run
//! use torcon::testnet::PrivateNetwork;
//! use torcon::{Controller, Launcher};
//!
//! fn count_relays(controller: &Controller) -> torcon::Result<usize> {
//!     Ok(controller.relay_statuses()?.iter().count())
//! }
//!
//! // #[test]
//! fn a_client_knows_six_relays() {
//!     let network = PrivateNetwork::shared().unwrap();
//!     let tor = Launcher::new().network(network).launch().unwrap();
//!     assert_eq!(count_relays(tor.controller().unwrap()).unwrap(), 6);
//! }
//! ```
//!
//! Nothing leaves the machine: every tor listens on 127.0.0.1 and connects from it, and the exits
//! use the name server of the network. It resolves every name to 127.0.0.1 and every address to
//! `loopback.test`; names with a label `nx`, such as `a.nx.test`, do not exist. Ports are chosen
//! by the system, so several networks can run at once.
//!
//! Dropping the handle ends the network, and so does the end of the program, since control
//! connections of the program own the tors. A killed program leaves the temporary directories,
//! and sometimes a relay that hangs while it ends, a defect of tor 0.4.9; of the shared network it
//! leaves nothing.
//!
//! The authorities make a consensus once and then every half hour. It is valid for a day, in which
//! a killed relay stays listed.
//!
//! The network is for tests and provides no anonymity: every relay has every flag, and the keys are
//! in temporary directories.

mod bring_up;
mod builder;
mod directory;
mod dns;
mod keys;
mod node;
mod options;
mod progress;
mod remains;
mod shared;
mod stage;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use self::directory::NetworkDirectory;
use self::dns::NameServer;
use self::node::Node;
use self::options::Setting;
use self::remains::Remains;
use self::stage::Stage;
use crate::controller::Controller;
use crate::error::{InvalidInput, Result, TestnetStep, Wait};
use crate::link::CancelToken;
use crate::names::{Fingerprint, Nickname, TorVersion};
use crate::process::Launcher;

pub use self::builder::PrivateNetworkBuilder;
pub use self::progress::NetworkProgress;

/// A running private Tor network.
///
/// Made by [`PrivateNetwork::launch`] and [`PrivateNetworkBuilder::launch`]. All methods can be
/// called from several threads at once; share it in an [`Arc`](std::sync::Arc), or by
/// [`PrivateNetwork::shared`].
///
/// Dropping it kills every tor of the network and deletes the temporary directory, in less than a
/// second. It does not end the tors that joined it.
///
/// Threads: `torcon-dns` is the name server of the exits; each tor has those of a
/// [`TorProcess`](crate::TorProcess).
///
/// # Examples
///
/// ```no_run
/// use torcon::Launcher;
/// use torcon::testnet::PrivateNetwork;
///
/// let network = PrivateNetwork::launch()?;
/// let tor = Launcher::new().network(&network).launch()?;
/// assert_eq!(tor.controller()?.relay_statuses()?.iter().count(), 6);
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the network is ended when this is dropped"]
pub struct PrivateNetwork {
    // Dropped in this order: the relays use the rest.
    nodes: Nodes,
    name_server: NameServer,
    client_options: Vec<Setting>,
    timeout: Duration,
    directory: NetworkDirectory,
    /// For a network that is never dropped.
    remains: Option<Remains>,
}

/// A snapshot of one relay of a private network. Authorities are relays too.
///
/// # Examples
///
/// ```no_run
/// use torcon::testnet::PrivateNetwork;
///
/// let relays = PrivateNetwork::shared()?.relays();
/// let exits = relays.iter().filter(|relay| relay.is_exit);
/// let fingerprints: Vec<_> = exits.map(|relay| relay.fingerprint).collect();
/// assert_eq!(fingerprints.len(), 5);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkRelay {
    /// The nickname: `auth0`, `relay0` and so on.
    pub nickname: Nickname,
    /// The fingerprint of the identity key.
    pub fingerprint: Fingerprint,
    /// The version of its tor.
    pub version: TorVersion,
    /// The `ORPort` at 127.0.0.1.
    pub or_port: u16,
    /// Whether it is a directory authority.
    pub is_authority: bool,
    /// Whether it is an exit.
    pub is_exit: bool,
    /// The process id, or `None` if it was killed and not restarted.
    pub pid: Option<u32>,
}

impl PrivateNetwork {
    /// Launches a network of one authority and five relays, which are all exits.
    ///
    /// Blocks the current thread until every relay knows every other, which takes five to eight
    /// seconds with two free processors, for at most 60 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Testnet`](crate::Error::Testnet), for example if tor is not installed; no process is
    /// left running then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::launch()?;
    /// assert_eq!(network.relays().len(), 6);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn launch() -> Result<Self> {
        Self::builder().launch()
    }

    /// Returns a builder with every option at its default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::builder().relays(3).exits(1).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn builder() -> PrivateNetworkBuilder {
        PrivateNetworkBuilder::new()
    }

    /// Returns the options of a tor that joins this network, in order, with a `DirAuthority` for each
    /// authority. [`Launcher::network`] sets them.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// for (name, value) in network.client_options() {
    ///     println!("{name} {value}");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn client_options(&self) -> &[(String, String)] {
        &self.client_options
    }

    /// Returns [`client_options`](Self::client_options) as the text of a torrc file.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// std::fs::write("/srv/test/torrc", network.client_torrc()).expect("it can be written");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn client_torrc(&self) -> String {
        self.client_options.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// Returns all relays: authorities, then exits, then the others.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// for relay in network.relays() {
    ///     println!("{} {} runs tor {}", relay.nickname, relay.fingerprint, relay.version);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn relays(&self) -> Vec<NetworkRelay> {
        self.nodes.0.iter().filter_map(relay).collect()
    }

    /// Returns a controller of one relay.
    ///
    /// Its connection owns the relay: closing it ends the relay.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay or it was
    /// killed, and [`Error::Testnet`](crate::Error::Testnet) if it has ended otherwise.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// let authority = network.controller("auth0")?;
    /// println!("{}", authority.get_info_one("ns/all")?);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn controller(&self, nickname: &str) -> Result<Controller> {
        let process = self.node(nickname)?.running()?;
        process.controller().cloned()
    }

    /// Kills a relay with SIGKILL. Does nothing if it was killed before.
    ///
    /// The consensus still lists it, so clients still try to use it.
    ///
    /// Blocks the current thread until its process has ended, for at most 10 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay,
    /// [`Error::Launch`](crate::Error::Launch) if the signal cannot be sent, and
    /// [`Error::Timeout`](crate::Error::Timeout) if the process does not end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::launch()?;
    /// network.kill("relay0")?;
    /// assert_eq!(network.relays()[1].pid, None);
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn kill(&self, nickname: &str) -> Result<()> {
        self.node(nickname)?.kill()
    }

    /// Restarts a relay with the same keys and the same port. A running relay is killed first.
    ///
    /// Blocks the current thread until it can build circuits, for at most
    /// [`timeout`](PrivateNetworkBuilder::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay, and
    /// [`Error::Testnet`](crate::Error::Testnet) if it does not start, which leaves it killed.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::launch()?;
    /// network.kill("relay0")?;
    /// network.restart("relay0")?;
    /// assert!(network.relays()[1].pid.is_some());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn restart(&self, nickname: &str) -> Result<()> {
        let node = self.node(nickname)?;
        let stage = Stage::new(TestnetStep::Restart, self.timeout);
        node.restart(stage, || {
            self.directory.record_process(node);
            if let Some(remains) = &self.remains {
                remains.add(node);
            }
            bring_up::wait_until_back(node, stage)
        })
    }

    /// Returns the directory that holds the data directory of each relay, under its nickname.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// let state = network.directory().join("relay0/state");
    /// println!("{}", std::fs::read_to_string(state).expect("tor has written it"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the address of the name server, which listens on UDP.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::shared()?;
    /// assert!(network.name_server().ip().is_loopback());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn name_server(&self) -> SocketAddr {
        self.name_server.address()
    }

    fn node(&self, nickname: &str) -> Result<&Node, InvalidInput> {
        let found = self.nodes.0.iter().find(|node| node.nickname.as_str() == nickname);
        found.ok_or_else(|| InvalidInput::new("nickname", "no relay of this network has this name"))
    }
}

impl fmt::Debug for PrivateNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateNetwork")
            .field("relays", &self.relays())
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}

fn relay(node: &Node) -> Option<NetworkRelay> {
    Some(NetworkRelay {
        nickname: node.nickname,
        fingerprint: node.fingerprint()?,
        version: node.version()?,
        or_port: node.or_port(),
        is_authority: node.is_authority(),
        is_exit: node.is_exit(),
        pid: node.process().map(|process| process.pid()),
    })
}

impl Launcher {
    /// Joins a private network, by adding [`PrivateNetwork::client_options`]. The default is the real
    /// network.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::Launcher;
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::launch()?;
    /// let tor = Launcher::new().network(&network).launch()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn network(self, network: &PrivateNetwork) -> Self {
        let options = network.client_options.iter();
        options.fold(self, |launcher, (name, value)| launcher.option(name, value))
    }
}

/// The tors of a network, authorities first, and the token that cancels their launch. Dropping it
/// kills them.
#[derive(Debug)]
struct Nodes(Vec<Node>, Option<CancelToken>);

impl Nodes {
    fn authorities(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(|node| node.is_authority())
    }

    fn nicknames(&self) -> BTreeSet<&str> {
        self.0.iter().map(|node| node.nickname.as_str()).collect()
    }

    /// Fails if a tor has ended, if the launch is canceled, or at the deadline.
    fn check(&self, stage: Stage) -> Result<()> {
        if let Some(token) = &self.1 {
            token.check(Wait::Network)?;
        }
        self.0.iter().try_for_each(|node| node.check_alive(stage))?;
        if stage.is_over() {
            return Err(stage.error(stage.timeout()));
        }
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // All signals first, so that the tors end at the same time.
        let outcomes = self.0.iter().map(Node::send_kill).collect::<Vec<_>>();
        let gone = self.0.iter().map(Node::take_down);
        for error in outcomes.into_iter().chain(gone).filter_map(Result::err) {
            log::error!("a tor of a private network could not be ended: {error}");
        }
    }
}
