//! The connection itself: its time limit, its end, and the hooks that run before a deliberate
//! close.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Controller, WeakController};
use crate::clock::deadline_after;
use crate::command::Quit;
use crate::error::{Disconnect, Result, Timeout, Wait};
use crate::link::Endpoint;

/// The time limit of each command of a close hook: a program that closes a connection is about to
/// end.
const HOOK_LIMIT: Duration = Duration::from_secs(1);

type CloseHook = Box<dyn FnOnce(&Controller) + Send>;

/// Hooks that run before a deliberate close.
#[derive(Default)]
pub(in crate::controller) struct CloseHooks {
    /// Whether they have run or are about to.
    have_run: bool,
    next: u64,
    hooks: Vec<(u64, CloseHook)>,
}

/// Identifies a close hook, so that it can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseHookId(u64);

/// # The connection
impl Controller {
    /// Returns a handle of the same connection whose commands have the given time limit.
    ///
    /// A command that exceeds it fails with [`Error::Timeout`](crate::Error::Timeout), and its late
    /// reply is discarded. tor has commands that it never answers, so unless the reply has begun to
    /// arrive, one more command is sent behind it: `GETINFO torcon/sync/` and a number, a key that
    /// tor does not know and whose refusal repeats it. Until that refusal arrives, replies to
    /// other commands are held back, so that none reaches the wrong caller. If it proves that a
    /// reply is missing and others could be mistaken for it, the connection ends with
    /// [`Disconnect::OutOfStep`]; likewise if a filter in front of tor refuses that command while
    /// others are unanswered.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// let version = controller.with_timeout(Duration::from_secs(1)).get_info_one("version")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "MSG_TIMEOUT")]
    pub fn with_timeout(&self, limit: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), timeout: limit, deadline: None }
    }

    /// Returns a handle of the same connection for the steps of a call that has one time limit for
    /// all of them. Their errors report the time limit of this handle.
    pub(crate) fn with_deadline(&self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Returns the end of a call that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| deadline_after(self.timeout))
    }

    /// Returns the time limit of the commands of this handle.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns a handle that does not keep the connection open.
    ///
    /// A closure that the connection owns, such as a listener, should hold this instead of a
    /// `Controller`: the connection and the closure would keep each other alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakController {
        WeakController { inner: Arc::downgrade(&self.inner), timeout: self.timeout }
    }

    /// Returns the endpoint to which this controller is connected; see also
    /// [`ConnectOptions::connect_stream`](crate::ConnectOptions::connect_stream).
    #[doc(alias("is_localhost", "get_socket"))]
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Returns the path of tor's cookie file as this program sees it: that of
    /// [`ConnectOptions::cookie_file`](crate::ConnectOptions::cookie_file), or else the one that
    /// tor named while this connection was made. `None` if tor did not offer its cookie.
    ///
    /// The path of a tor on another machine or in a container need not exist here. Sends nothing.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// if let Some(path) = controller.cookie_path() {
    ///     println!("programs that can read {} control this tor", path.display());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn cookie_path(&self) -> Option<&Path> {
        self.inner.cookie_path.as_deref()
    }

    /// Returns whether the connection is open.
    #[doc(alias = "is_authenticated")]
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.closed_reason().is_none()
    }

    /// Returns why the connection ended; `None` while it is open.
    #[must_use]
    pub fn closed_reason(&self) -> Option<Disconnect> {
        self.inner.link.closed_reason()
    }

    /// Waits for the end of the connection, and returns its reason.
    ///
    /// Blocks the current thread until the connection has ended, for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) if the connection is still open.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// use std::time::Duration;
    ///
    /// match controller.wait_closed(Duration::from_secs(3600)) {
    ///     Ok(reason) => println!("the connection has ended: {reason}"),
    ///     Err(error) => println!("it is still open: {error}"),
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("when_disconnected", "get_latest_heartbeat"))]
    pub fn wait_closed(&self, limit: Duration) -> Result<Disconnect> {
        let reason = self.inner.link.wait_closed(deadline_after(limit));
        reason.ok_or_else(|| Timeout::new(Wait::Closed, limit).into())
    }

    /// Calls a closure once when the connection has ended, with the reason; at once, on this
    /// thread, if it has ended already.
    ///
    /// Otherwise it is called on the thread `torcon-events`, after every event has been delivered.
    /// If no listener has started this thread before, it starts at the end of the connection; if
    /// the operating system then starts no thread, the closure is called on `torcon-reader`, which
    /// no call waits for any more.
    /// [`Disconnect::is_clean`] returns whether this program ended the connection, for example by
    /// [`close`](Self::close), so that a closure can report only tor's end.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.on_disconnect(|reason| eprintln!("the connection to tor ended: {reason}"));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "remove_status_listener")]
    #[doc(alias = "add_status_listener")]
    pub fn on_disconnect<F>(&self, closure: F)
    where
        F: FnOnce(&Disconnect) + Send + 'static,
    {
        self.inner.link.on_disconnect(Box::new(closure));
    }

    /// Closes the connection. A tor that it [owns](Self::take_ownership) exits.
    ///
    /// Every pending and every later call, on any thread, fails with
    /// [`Error::Closed`](crate::Error::Closed). Undelivered events are discarded. A second call
    /// does nothing.
    ///
    /// Before that, what this program has changed in tor for a while is taken back: streams are left
    /// to tor again if an attacher is set ([`State::set_attacher`](crate::State::set_attacher)), and
    /// the client's key of a running check of an onion service
    /// ([`OnionService::check`](crate::onion::OnionService::check)) is removed. Each of these
    /// commands has a time limit of one second, as has the wait for a thread that is setting an
    /// attacher or adding such a key at this moment. If another thread is closing the connection,
    /// this call waits for its commands, for at most two seconds.
    ///
    /// Blocks the current thread until the threads of the connection have ended; if a listener is
    /// running, for at most the [time limit](Self::with_timeout), and not at all if called from a
    /// listener.
    ///
    /// # Examples
    ///
    /// Waits for a running listener for at most a second:
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let controller = torcon::connect_default()?;
    /// controller.with_timeout(Duration::from_secs(1)).close();
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn close(&self) {
        self.run_close_hooks();
        self.inner.link.close(self.timeout);
    }

    /// Sends `QUIT` and closes the connection. A tor that it [owns](Self::take_ownership) exits.
    ///
    /// Every pending and every later call fails with [`Disconnect::Quit`]. Before `QUIT`, the
    /// commands of [`close`](Self::close) are sent.
    ///
    /// Blocks the current thread until tor has answered, for at most the
    /// [time limit](Self::with_timeout), and then as [`close`](Self::close) does.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute). The connection is closed in any case.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let controller = torcon::connect_default()?;
    /// controller.quit()?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn quit(&self) -> Result<()> {
        let outcome = self.execute(&Quit::new());
        if outcome.is_ok() {
            self.inner.link.end(&Disconnect::Quit);
        }
        self.close();
        outcome
    }

    /// Ends the connection without waiting for its threads.
    pub(crate) fn hang_up(&self) {
        self.inner.link.end(&Disconnect::Closed);
    }

    /// Returns the limit of every queue of events, in bytes.
    pub(crate) fn event_limit(&self) -> usize {
        self.inner.event_limit
    }

    pub(crate) fn is_same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Calls a closure before this program closes the connection or quits, on the thread that
    /// does, with a controller whose time limit is at most a second.
    ///
    /// It is not called if the connection ends otherwise. It must hold no controller, which would
    /// keep the connection open.
    pub(crate) fn before_close(
        &self,
        hook: impl FnOnce(&Controller) + Send + 'static,
    ) -> CloseHookId {
        let mut close_hooks = self.inner.close_hooks.lock();
        let id = close_hooks.next;
        close_hooks.next += 1;
        close_hooks.hooks.push((id, Box::new(hook)));
        CloseHookId(id)
    }

    /// Removes a close hook. Returns `false` if it has run or is about to.
    pub(crate) fn cancel_close_hook(&self, id: CloseHookId) -> bool {
        let mut close_hooks = self.inner.close_hooks.lock();
        let index = close_hooks.hooks.iter().position(|(other, _)| *other == id.0);
        let hook = index.map(|index| close_hooks.hooks.swap_remove(index));
        drop(close_hooks);
        hook.is_some()
    }

    /// Returns whether this program is closing the connection or quits: a close hook that is added now
    /// is not called.
    pub(crate) fn is_closing(&self) -> bool {
        self.inner.close_hooks.lock().have_run
    }

    pub(in crate::controller) fn run_close_hooks(&self) {
        let limit = self.timeout().min(HOOK_LIMIT);
        // The connection must not end while another thread runs the hooks. A logger of a hook does
        // not wait for itself.
        let _closing = self.inner.closing.lock_within("close", 2 * limit);
        let hooks = {
            let mut close_hooks = self.inner.close_hooks.lock();
            close_hooks.have_run = true;
            mem::take(&mut close_hooks.hooks)
        };
        if hooks.is_empty() || !self.is_alive() {
            return;
        }
        let limited = self.with_timeout(limit);
        for (_, hook) in hooks {
            hook(&limited);
        }
    }

    /// Returns the value of a type that all users of this connection share; the first call makes it.
    ///
    /// The rows above use it, such as the attachment service of `state`. This row cannot name their
    /// types, so it finds the values by type.
    pub(crate) fn shared<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut shared = self.inner.shared.lock();
        let found = shared.iter().find_map(|value| Arc::clone(value).downcast().ok());
        found.unwrap_or_else(|| {
            let value = Arc::new(T::default());
            shared.push(Arc::<T>::clone(&value));
            value
        })
    }
}
