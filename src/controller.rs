//! The handle of a control connection: every command as a method, events by closure or queue.
//!
//! **Invariant**: keeps no state of circuits, streams or relays, and does not read the socket.

/// Documents a method that sends one command: the command, the blocking, and the errors, which are
/// those of another method of `Controller`.
macro_rules! sends {
    ($command:literal) => {
        sends!($command, get_info)
    };
    ($command:literal, $method:ident) => {
        concat!(
            "\nSends `",
            $command,
            "`. Blocks for at most the [time limit](Self::with_timeout).\n\n# Errors\n\nThose of [`",
            stringify!($method),
            "`](Self::",
            stringify!($method),
            ").",
        )
    };
}

mod connect;
mod file_system;
mod preflight;

// rustdoc lists the methods of `Controller` in the order of these modules, one heading for each:
// the most used first. Blank lines keep rustfmt from sorting them.

mod getinfo;

mod configuration;

mod signals;

mod events;

mod wait;

mod commands;

mod connection;

mod status;

mod circuits;

mod addresses;

mod onion;

mod directory;

mod relay;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

pub use self::commands::pending::PendingReply;
use self::configuration::epoch::ConfEpoch;
pub use self::connect::{ConnectOptions, connect, connect_default};
pub(crate) use self::connection::CloseHookId;
use self::connection::CloseHooks;
pub(crate) use self::events::hook::HookEvent;
pub(crate) use self::events::lasting::EventSink;
pub use self::events::queue::{EventQueue, EventQueueIter};
pub(crate) use self::events::subscription::HookGuard;
use self::events::subscription::Subscription;
use self::file_system::{PathView, TorProcessId};
pub(crate) use self::getinfo::if_allowed;
use crate::command::ProtocolInfo;
use crate::event::EventKind;
use crate::link::{CommandLock, Endpoint, Link, Peer};
use crate::names::Signal;
use crate::sync::{Mutex, ReentrantMutex};

/// A connection to the control port of a running tor.
///
/// Made by [`connect`](crate::connect) or [`ConnectOptions`], or by launching a tor
/// ([`Launcher`](crate::Launcher)).
///
/// Clones are cheap and share the connection. Any number of threads may call any method at once;
/// their commands are pipelined. Each clone has its own time limit for commands
/// ([`with_timeout`](Self::with_timeout), 60 seconds by default). When the last clone is dropped,
/// the connection is closed, without waiting for a listener that is running. An [`EventQueue`], a
/// [`State`](crate::State), a [`Config`](crate::Config) and an onion service also keep it open:
/// [`close`](Self::close) ends it in any case.
///
/// One thread serves the connection: `torcon-reader` reads the socket. The first listener starts
/// another, `torcon-events`, which calls the listeners. Commands are written, and their replies are
/// parsed, on the threads of their callers.
///
/// | to | see |
/// | --- | --- |
/// | query tor | [`version`](Self::version), [`get_info`](Self::get_info), [`get_conf`](Self::get_conf) |
/// | configure it | [`set_conf`](Self::set_conf), [`reset_conf`](Self::reset_conf), [`save_conf`](Self::save_conf); [`Config`](crate::Config) for options with types |
/// | send it a signal | [`signal`](Self::signal) |
/// | listen to events | [`on`](Self::on), [`add_event_listener`](Self::add_event_listener), [`events`](Self::events); [`EventKind`] lists them |
/// | wait for an event | [`wait_for`](Self::wait_for), [`execute_and_wait`](Self::execute_and_wait) |
/// | send any command | [`execute`](Self::execute), [`command`](Self::command), [`queue_command`](Self::queue_command) |
/// | end the connection | [`close`](Self::close), [`quit`](Self::quit), [`on_disconnect`](Self::on_disconnect) |
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let info = controller.get_info(["traffic/read", "traffic/written"])?;
/// println!("tor {}: {info:?}", controller.version());
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the connection is closed when its last handle is dropped"]
#[derive(Clone)]
pub struct Controller {
    inner: Arc<Inner>,
    timeout: Duration,
    /// The end of the call of which the commands of this handle are steps.
    deadline: Option<Instant>,
}

/// A controller that does not keep its connection open, for closures that the connection owns.
///
/// Made by [`Controller::downgrade`].
///
/// # Examples
///
/// ```no_run
/// # let controller = torcon::connect_default()?;
/// let weak = controller.downgrade();
/// controller.on_disconnect(move |_| println!("alive: {}", weak.upgrade().is_some()));
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeakController {
    inner: Weak<Inner>,
    timeout: Duration,
}

struct Inner {
    link: Link,
    endpoint: Endpoint,
    peer: Peer,
    /// The endpoint of [`ConnectOptions::socks_port`].
    socks: Option<Endpoint>,
    /// The process of tor, once its identity is proved.
    process: OnceLock<TorProcessId>,
    protocol_info: ProtocolInfo,
    /// The path of tor's cookie file as this program sees it.
    cookie_path: Option<PathBuf>,
    event_limit: usize,
    subscription: Subscription,
    /// Held while a `RESOLVE` begins; taken before every other lock. Reentrant, since a logger
    /// that the command calls may resolve too.
    resolving: ReentrantMutex<()>,
    /// The pid of the tor that exits with this connection.
    owned: Mutex<Option<u32>>,
    conf_epoch: ConfEpoch,
    /// Held while close hooks run, so taken before the locks that a hook takes.
    closing: CommandLock<()>,
    /// A leaf lock: not held while hooks run.
    close_hooks: Mutex<CloseHooks>,
    /// Values of the rows above, one of each type, which this row cannot name: see
    /// [`shared`](Controller::shared). A leaf lock.
    shared: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
    valid_events: OnceLock<Vec<EventKind>>,
    valid_signals: OnceLock<Vec<Signal>>,
}

impl Controller {
    fn new(
        link: Link,
        endpoint: Endpoint,
        socks: Option<Endpoint>,
        protocol_info: ProtocolInfo,
        cookie_path: Option<PathBuf>,
        timeout: Duration,
        event_limit: usize,
    ) -> Self {
        let inner = Inner {
            peer: link.peer(),
            link,
            endpoint,
            socks,
            process: OnceLock::new(),
            protocol_info,
            cookie_path,
            event_limit,
            subscription: Subscription::default(),
            resolving: ReentrantMutex::new(()),
            owned: Mutex::default(),
            conf_epoch: ConfEpoch::default(),
            closing: CommandLock::default(),
            close_hooks: Mutex::default(),
            shared: Mutex::default(),
            valid_events: OnceLock::new(),
            valid_signals: OnceLock::new(),
        };
        Self { inner: Arc::new(inner), timeout, deadline: None }
    }
}

impl WeakController {
    /// Returns a controller, unless every controller of the connection has been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Controller> {
        let inner = self.inner.upgrade()?;
        Some(Controller { inner, timeout: self.timeout, deadline: None })
    }

    /// Returns whether this is a handle of the connection of `controller`.
    pub(crate) fn is_of(&self, controller: &Controller) -> bool {
        self.inner.as_ptr() == Arc::as_ptr(&controller.inner)
    }
}

impl fmt::Debug for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("endpoint", &self.inner.endpoint)
            .field("version", self.version())
            .field("alive", &self.is_alive())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
#[path = "../tests/schedules/models/controller.rs"]
pub(crate) mod schedules;
