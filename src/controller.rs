//! The handle that users hold: commands as methods, events by closure or by queue.
//!
//! **Invariant**: keeps no state of circuits, streams or relays, and reads no socket.

mod close_hook;
mod commands;
mod connect;
mod events;
mod file_system;
mod getinfo;
mod onion;
mod relays;
mod wait;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::{Mutex, ReentrantMutex};

pub(crate) use self::close_hook::CloseHookId;
use self::close_hook::CloseHooks;
use self::commands::conf_epoch::ConfEpoch;
pub use self::commands::pending::PendingReply;
pub use self::connect::{ConnectOptions, connect, connect_default};
pub(crate) use self::events::hook::{Seen, if_allowed};
pub use self::events::queue::{EventQueue, EventQueueIter};
pub(crate) use self::events::subscribe::HookGuard;
use self::events::subscribe::Subscriptions;
pub(crate) use self::file_system::PathView;
use self::file_system::TorProcessId;
use crate::command::{Command, ProtocolInfo};
use crate::error::{Disconnect, Result, Timeout, Wait};
use crate::event::EventKind;
use crate::link::{Endpoint, Link, Peer, deadline_after};
use crate::names::{Signal, TorVersion};

/// A connection to a running tor.
///
/// Made by [`connect`](crate::connect), [`ConnectOptions`], or by launching a tor.
///
/// Clones are cheap and share the connection; every method can be called from any number of
/// threads at once, and commands from many threads are pipelined. When the last clone is dropped
/// the connection is closed, without waiting for a listener that is running. Each clone has a time
/// limit of its own for its commands ([`with_timeout`](Self::with_timeout)).
///
/// Two threads serve the connection: `torcon-reader` reads the socket, `torcon-events` calls
/// listeners. Commands are written, and their replies read, on the threads that call.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let info = controller.get_info(["traffic/read", "traffic/written"])?;
/// println!("tor {}: {info:?}", controller.version());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "TorControlProtocol")]
#[derive(Clone)]
pub struct Controller {
    inner: Arc<Inner>,
    timeout: Duration,
}

/// A handle that does not keep its connection open, for closures that the connection owns.
///
/// Made by [`Controller::downgrade`].
#[derive(Clone, Debug)]
pub struct WeakController {
    inner: Weak<Inner>,
    timeout: Duration,
}

struct Inner {
    link: Link,
    endpoint: Endpoint,
    peer: Peer,
    /// Where the options say that this program reaches the `SocksPort`.
    socks: Option<Endpoint>,
    /// The process of tor, once it is proved.
    process: OnceLock<TorProcessId>,
    protocol_info: ProtocolInfo,
    event_limit: usize,
    subscriptions: Subscriptions,
    /// Held while a `RESOLVE` begins, before any other lock. What a command logs may call back, so
    /// that one thread may take it several times.
    resolving: ReentrantMutex<()>,
    /// The pid of the tor that ends with this connection.
    owned: Mutex<Option<u32>>,
    /// Counts the commands that change tor's configuration.
    conf_epoch: ConfEpoch,
    // A leaf lock: taken to take them out, and not held while they are said.
    close_hooks: Mutex<CloseHooks>,
    /// One value of each type, for the rows above. A leaf lock.
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
            event_limit,
            subscriptions: Subscriptions::new(),
            resolving: ReentrantMutex::new(()),
            owned: Mutex::default(),
            conf_epoch: ConfEpoch::default(),
            close_hooks: Mutex::default(),
            shared: Mutex::default(),
            valid_events: OnceLock::new(),
            valid_signals: OnceLock::new(),
        };
        Self { inner: Arc::new(inner), timeout }
    }

    /// Returns a handle of the same connection whose commands wait at most for the given time.
    ///
    /// A command whose time is over fails with [`Error::Timeout`](crate::Error::Timeout). Its
    /// reply is discarded when it arrives. Unless the reply has begun to arrive, tor might also
    /// never send it, so one more command is sent behind it: `GETINFO torcon/sync/` and a number, a
    /// key that no tor knows and whose refusal names it.
    /// Until that refusal comes, replies to other commands are held back, so that none can go to
    /// the wrong caller; if it shows that a reply is missing for which others might be taken, the
    /// connection ends with [`Disconnect::OutOfStep`]. It also does if a filter in front of tor
    /// refuses that command while others are unanswered.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let version = controller.with_timeout(Duration::from_secs(1)).get_info_one("version")?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, limit: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), timeout: limit }
    }

    /// Returns how long the commands of this handle wait.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns a handle that does not keep the connection open.
    ///
    /// A closure that the connection owns, such as a listener, should hold this instead of a
    /// `Controller`: it would keep the connection alive, and the connection the closure.
    #[must_use]
    pub fn downgrade(&self) -> WeakController {
        WeakController { inner: Arc::downgrade(&self.inner), timeout: self.timeout }
    }

    /// Returns the version of tor, as it said when the connection was made.
    #[doc(alias = "get_version")]
    #[must_use]
    pub fn version(&self) -> &TorVersion {
        &self.inner.protocol_info.tor_version
    }

    /// Returns where this controller is connected to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Returns the pid of the tor that this connection owns: that tor ends when the connection
    /// does. `None` if it owns none, or if tor did not tell its pid.
    #[doc(alias = "is_owned")]
    #[must_use]
    pub fn owned_pid(&self) -> Option<u32> {
        *self.inner.owned.lock()
    }

    /// Sends a command, and returns what its answer means.
    ///
    /// The typed methods of this type are all made of this one.
    ///
    /// Blocks for at most the [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if an argument cannot be said, in which case nothing was sent;
    /// [`Error::Rejected`](crate::Error::Rejected) if tor refused; [`Error::Timeout`](crate::Error::Timeout), [`Error::Closed`](crate::Error::Closed),
    /// [`Error::Protocol`](crate::Error::Protocol).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::command::GetInfo;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let info = controller.execute(&GetInfo::new(["version"]))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute<C: Command>(&self, command: &C) -> Result<C::Reply> {
        self.execute_sequenced(command).map(|(reply, _)| reply)
    }

    /// Returns whether the connection is open.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.inner.link.closed_reason().is_none()
    }

    /// Returns why the connection ended; `None` while it is open.
    #[must_use]
    pub fn closed_reason(&self) -> Option<Disconnect> {
        self.inner.link.closed_reason()
    }

    /// Waits for the end of the connection, and returns why it ended.
    ///
    /// Blocks the current thread until then, for at most the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if the connection is still open.
    pub fn wait_closed(&self, limit: Duration) -> Result<Disconnect> {
        let reason = self.inner.link.wait_closed(deadline_after(limit));
        reason.ok_or_else(|| Timeout::new(Wait::Closed, limit).into())
    }

    /// Closes the connection. A tor that it owns ends.
    ///
    /// Every call that is waiting, on whatever thread, and every later one fails with
    /// [`Error::Closed`](crate::Error::Closed). Events that have not been delivered are discarded. Closing again does
    /// nothing. If streams are being attached to circuits by this program, tor is told before to
    /// do that itself again, by the commands of
    /// [`State::set_attacher`](crate::State::set_attacher), each of which waits for its answer at
    /// most for a second.
    ///
    /// Blocks the current thread until the threads of the connection have ended; if a listener is
    /// running, for at most the [time limit](Self::with_timeout), and not at all if called from a
    /// listener.
    pub fn close(&self) {
        self.run_close_hooks();
        self.inner.link.close(self.timeout);
    }

    /// Returns how many bytes of events may wait for those who take them.
    pub(crate) fn event_limit(&self) -> usize {
        self.inner.event_limit
    }

    /// Returns whether another handle is one of the same connection.
    pub(crate) fn is_same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Ends the connection without waiting for anyone; its threads end by themselves.
    pub(crate) fn hang_up(&self) {
        self.inner.link.end(&Disconnect::Closed);
    }
}

impl WeakController {
    /// Returns a controller, if the connection has not been given up by everyone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Controller> {
        let inner = self.inner.upgrade()?;
        Some(Controller { inner, timeout: self.timeout })
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
