//! A private Tor network on 127.0.0.1, for tests and demonstrations.
//!
//! With the Cargo feature `testnet`. [`PrivateNetwork::launch`] brings up a whole Tor network of
//! real `tor` processes: a directory authority and five relays, which are all exits. It takes
//! four to eight seconds and 100 to 250 MB of memory. It needs the programs `tor` and
//! `tor-gencert`; on Debian and Ubuntu both are in the package `tor`.
//!
//! A tor joins it by [`Launcher::network`], or by the lines of
//! [`PrivateNetwork::client_torrc`] in its configuration; it is at 100 % two or three seconds
//! later. Circuits, streams, name resolution and onion services work as in the real network.
//!
//! ```no_run
//! # fn main() -> torcon::Result<()> {
//! use torcon::Launcher;
//! use torcon::testnet::PrivateNetwork;
//!
//! let network = PrivateNetwork::launch()?;
//! let tor = Launcher::new().network(&network).option("SocksPort", "auto").launch()?;
//! println!("{}", tor.controller()?.get_info_one("circuit-status")?);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing leaves the machine: every tor listens on 127.0.0.1 and connects from it, and the exits
//! ask a name server of the network's own, for which every name is 127.0.0.1, every address is
//! `loopback.test`, and names with a label `nx`, such as `a.nx.test`, do not exist. No port is
//! fixed, so several networks can run side by side.
//!
//! The network ends with its handle, also when a panic drops it, and when the program ends in any
//! way: each tor is owned by a control connection of the program. A program that is killed leaves
//! the temporary directories behind, and now and then, often where there is one processor only, a
//! relay that does nothing any more and hangs in its last step, which is a defect of tor 0.4.9.
//!
//! The consensus is made once, and again after half an hour; it is valid for a day. A relay that
//! is killed stays in it until then.
//!
//! It is a network for tests: every relay has every flag from the beginning, and its keys lie
//! about in temporary directories. It protects nobody.

mod bring_up;
mod builder;
mod deadline;
mod dns;
mod keys;
mod node;
mod options;
mod progress;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use self::bring_up::Root;
use self::deadline::Deadline;
use self::dns::NameServer;
use self::node::Node;
use self::options::Setting;
use crate::controller::Controller;
use crate::error::{InvalidInput, Result, TestnetError, TestnetStep};
use crate::names::{Fingerprint, Nickname};
use crate::process::Launcher;

pub use self::builder::PrivateNetworkBuilder;
pub use self::progress::NetworkProgress;

/// A private Tor network that runs.
///
/// Made by [`PrivateNetwork::launch`], or with other numbers by [`PrivateNetwork::builder`]. All
/// methods may be called from many threads at once; share it in an [`Arc`](std::sync::Arc).
///
/// Dropping it kills every tor of the network and deletes the temporary directory; this takes less
/// than a second. The tors that joined it are not its own, and stay.
///
/// Threads: `torcon-dns` is the name server of the exits; each tor has those of a
/// [`TorProcess`](crate::TorProcess).
pub struct PrivateNetwork {
    // Dropped in this order: what the relays use goes after them.
    nodes: Nodes,
    name_server: NameServer,
    client_options: Vec<Setting>,
    timeout: Duration,
    root: Root,
}

/// A relay of a private network, as it was when it was asked for; authorities are relays too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkRelay {
    /// Its name in the network: `auth0`, `relay0` and so on.
    pub nickname: Nickname,
    /// The fingerprint of its identity key, by which circuits name it.
    pub fingerprint: Fingerprint,
    /// The port at 127.0.0.1 where other relays and clients connect.
    pub or_port: u16,
    /// Whether it is a directory authority.
    pub is_authority: bool,
    /// Whether streams can leave the network there.
    pub is_exit: bool,
    /// The number of its process; `None` if it was killed and not restarted.
    pub pid: Option<u32>,
}

impl PrivateNetwork {
    /// Brings up a network of one authority and five relays, all of them exits.
    ///
    /// Blocks the current thread until every relay knows every other, which takes five to eight
    /// seconds where two processors are free, and at most 60 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Testnet`](crate::Error::Testnet), for one if tor is not installed; no process is
    /// left then.
    pub fn launch() -> Result<Self> {
        Self::builder().launch()
    }

    /// Returns a builder with every option at its default.
    pub fn builder() -> PrivateNetworkBuilder {
        PrivateNetworkBuilder::new()
    }

    /// Returns the options that a tor needs to live in this network, in order: names and values.
    ///
    /// [`Launcher::network`] sets them. `DirAuthority` comes once for each authority.
    #[must_use]
    pub fn client_options(&self) -> &[(String, String)] {
        &self.client_options
    }

    /// Returns the same as lines of a torrc.
    #[must_use]
    pub fn client_torrc(&self) -> String {
        self.client_options.iter().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// Returns all relays: first the authorities, then the exits, then the others.
    #[must_use]
    pub fn relays(&self) -> Vec<NetworkRelay> {
        self.nodes.0.iter().filter_map(relay).collect()
    }

    /// Returns a controller of one relay or authority. Never blocks.
    ///
    /// Its connection owns the relay: when it is closed the relay ends.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay, or if it was
    /// killed, and [`Error::Testnet`](crate::Error::Testnet) if it has ended by itself.
    pub fn controller(&self, nickname: &str) -> Result<Controller> {
        let process = self.node(nickname)?.running()?;
        process.controller().cloned()
    }

    /// Kills a relay or authority, by SIGKILL, so that it says goodbye to nobody.
    ///
    /// It stays in the consensus, so clients still try it. Does nothing if it was killed already.
    ///
    /// Blocks the current thread until its process is gone, for at most 10 seconds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay,
    /// [`Error::Launch`](crate::Error::Launch) if the signal cannot be sent, and
    /// [`Error::Timeout`](crate::Error::Timeout) if the process does not end.
    pub fn kill(&self, nickname: &str) -> Result<()> {
        self.node(nickname)?.kill()
    }

    /// Starts a relay or authority again, with the same keys and the same port. One that runs is
    /// killed first.
    ///
    /// Blocks the current thread until it can build circuits, for at most
    /// [`timeout`](PrivateNetworkBuilder::timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if there is no such relay, and
    /// [`Error::Testnet`](crate::Error::Testnet) if it does not come back; it is down then.
    pub fn restart(&self, nickname: &str) -> Result<()> {
        let node = self.node(nickname)?;
        let deadline = Deadline::after(self.timeout);
        node.restart(deadline, || {
            self.root.record_process(node);
            bring_up::wait_until_back(node, deadline)
        })
    }

    /// Returns the directory that holds the data directory of each relay, under its nickname.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.root.path
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
    /// Has the tor join a private network, by adding [`PrivateNetwork::client_options`].
    ///
    /// The default is the real network. Only with the Cargo feature `testnet`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use torcon::Launcher;
    /// use torcon::testnet::PrivateNetwork;
    ///
    /// let network = PrivateNetwork::launch()?;
    /// let tor = Launcher::new().network(&network).launch()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn network(self, network: &PrivateNetwork) -> Self {
        let options = network.client_options.iter();
        options.fold(self, |launcher, (name, value)| launcher.option(name, value))
    }
}

/// The tors of a network, authorities first. Dropping it ends them all.
#[derive(Debug)]
struct Nodes(Vec<Node>);

impl Nodes {
    fn authorities(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(|node| node.is_authority())
    }

    fn nicknames(&self) -> BTreeSet<&str> {
        self.0.iter().map(|node| node.nickname.as_str()).collect()
    }

    /// Fails if a tor has ended or the time is over.
    fn check(&self, step: TestnetStep, deadline: Deadline) -> Result<()> {
        self.0.iter().try_for_each(|node| node.check_alive(step))?;
        if deadline.is_over() {
            return Err(TestnetError::new(step, deadline.problem()).into());
        }
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // All at once, so that they end side by side.
        let outcomes = self.0.iter().map(Node::send_kill).collect::<Vec<_>>();
        let gone = self.0.iter().map(Node::take_down);
        for error in outcomes.into_iter().chain(gone).filter_map(Result::err) {
            log::error!("a tor of a private network could not be ended: {error}");
        }
    }
}
