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
//! Nothing leaves the machine: every tor listens on 127.0.0.1 and connects from it, and the exits
//! use the name server of the network. It resolves every name to 127.0.0.1 and every address to
//! `loopback.test`; names with a label `nx`, such as `a.nx.test`, do not exist. Ports are chosen
//! by the system, so several networks can run at once.
//!
//! Dropping the handle ends the network, and so does the end of the program, since control
//! connections of the program own the tors. A killed program leaves the temporary directories,
//! and sometimes a relay that hangs while it ends, a defect of tor 0.4.9.
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
use self::stage::Stage;
use crate::controller::Controller;
use crate::error::{InvalidInput, Result, TestnetStep, Wait};
use crate::link::CancelToken;
use crate::names::{Fingerprint, Nickname};
use crate::process::Launcher;

pub use self::builder::PrivateNetworkBuilder;
pub use self::progress::NetworkProgress;

/// A running private Tor network.
///
/// Made by [`PrivateNetwork::launch`] and [`PrivateNetworkBuilder::launch`]. All methods can be
/// called from several threads at once; share it in an [`Arc`](std::sync::Arc).
///
/// Dropping it kills every tor of the network and deletes the temporary directory, in less than a
/// second. It does not end the tors that joined it.
///
/// Threads: `torcon-dns` is the name server of the exits; each tor has those of a
/// [`TorProcess`](crate::TorProcess).
#[must_use = "the network is ended when this is dropped"]
pub struct PrivateNetwork {
    // Dropped in this order: the relays use the rest.
    nodes: Nodes,
    name_server: NameServer,
    client_options: Vec<Setting>,
    timeout: Duration,
    directory: NetworkDirectory,
}

/// A snapshot of one relay of a private network. Authorities are relays too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkRelay {
    /// The nickname: `auth0`, `relay0` and so on.
    pub nickname: Nickname,
    /// The fingerprint of the identity key.
    pub fingerprint: Fingerprint,
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
    pub fn launch() -> Result<Self> {
        Self::builder().launch()
    }

    /// Returns a builder with every option at its default.
    pub fn builder() -> PrivateNetworkBuilder {
        PrivateNetworkBuilder::new()
    }

    /// Returns the options of a tor that joins this network, in order, with a `DirAuthority` for each
    /// authority. [`Launcher::network`] sets them.
    #[must_use]
    pub fn client_options(&self) -> &[(String, String)] {
        &self.client_options
    }

    /// Returns [`client_options`](Self::client_options) as the text of a torrc file.
    #[must_use]
    pub fn client_torrc(&self) -> String {
        self.client_options.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// Returns all relays: authorities, then exits, then the others.
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
    pub fn restart(&self, nickname: &str) -> Result<()> {
        let node = self.node(nickname)?;
        let stage = Stage::new(TestnetStep::Restart, self.timeout);
        node.restart(stage, || {
            self.directory.record_process(node);
            bring_up::wait_until_back(node, stage)
        })
    }

    /// Returns the directory that holds the data directory of each relay, under its nickname.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the address of the name server, which listens on UDP.
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
