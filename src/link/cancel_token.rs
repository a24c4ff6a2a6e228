//! Canceling calls that block on other threads.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::listener::{drop_quietly, panic_text};
use crate::clock::{self, deadline_after};
use crate::error::{Canceled, Wait};
use crate::sync::Mutex;
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Cancels calls that block on other threads, for example at Ctrl-C.
///
/// Builders take a token by their method `cancel_token`:
/// [`ConnectOptions`](crate::ConnectOptions::cancel_token),
/// [`Launcher`](crate::Launcher::cancel_token),
/// [`OnionEndpoint`](crate::OnionEndpoint::cancel_token) and, with the feature `testnet`, that of a
/// private network; [`State::build_circuit_cancelable`](crate::State::build_circuit_cancelable) takes
/// one too. A call that [`cancel`](Self::cancel) ends fails with [`Error::Canceled`](crate::Error::Canceled) after it
/// has removed what it began: a launched tor has ended, its temporary files are deleted, an onion
/// service is removed. Later calls with the same token fail at once. What succeeded before the
/// cancellation is left as it is; of an onion service, only the waits for clients end. The token of a [`Supervisor`](crate::Supervisor) stops it: its
/// calls fail with [`SupervisorProblem::Stopped`](crate::error::SupervisorProblem::Stopped).
///
/// Clones share one state; a canceled token stays canceled. All methods can be called from several
/// threads at once.
///
/// # Signals
///
/// torcon installs no signal handler: a program has only one handler for each signal, and it belongs
/// to the program. A program that ends by an unhandled signal drops nothing, so temporary
/// directories remain (see [`TorProcess`](crate::TorProcess)). Use the crate
/// [`ctrlc`](https://docs.rs/ctrlc), whose closure runs on a thread and may call
/// [`cancel`](Self::cancel); a signal handler itself must not. With its feature `termination`, it
/// handles SIGTERM and SIGHUP too.
///
/// # Examples
///
/// The first Ctrl-C ends the program in good order, the second one at once:
///
/// ```no_run
/// use torcon::{CancelToken, Error, Launcher, Tor};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let token = CancelToken::new();
///     let at_signal = token.clone();
///     ctrlc::set_handler(move || {
///         if !at_signal.cancel() {
///             std::process::exit(130);
///         }
///     })?;
///     let tor = match Tor::launch(Launcher::new().cancel_token(&token)) {
///         Err(Error::Canceled(_)) => return Ok(()),
///         launched => launched?,
///     };
///     println!("tor {}, until Ctrl-C", tor.controller().version());
///     token.wait();
///     tor.close()?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

type Closure = Box<dyn FnOnce() + Send>;

struct Shared {
    /// A leaf lock: no closure is called or dropped under it.
    state: Mutex<State>,
    /// Disconnected at the cancellation.
    canceled: Receiver<Infallible>,
}

struct State {
    /// `None` once the token is canceled.
    sender: Option<Sender<Infallible>>,
    closures: BTreeMap<u64, Closure>,
    next: u64,
}

impl CancelToken {
    /// Creates a token that is not canceled.
    #[must_use]
    pub fn new() -> Self {
        let (sender, canceled) = bounded(0);
        let state = State { sender: Some(sender), closures: BTreeMap::new(), next: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), canceled }) }
    }

    /// Cancels the calls that use this token. Returns whether this call did it: `false` if the token
    /// was canceled before.
    ///
    /// Calls the closures of [`on_cancel`](Self::on_cancel) on the current thread, in the order in
    /// which they were added. Does not wait until the canceled calls have returned. Must not be
    /// called inside a signal handler, since it locks and allocates.
    ///
    /// # Examples
    ///
    /// ```
    /// let token = torcon::CancelToken::new();
    /// assert!(token.cancel());
    /// assert!(!token.cancel());
    /// ```
    #[allow(clippy::must_use_candidate, reason = "canceling is the effect")]
    pub fn cancel(&self) -> bool {
        let mut state = self.shared.state.lock();
        let sender = state.sender.take();
        let closures = std::mem::take(&mut state.closures);
        drop(state);
        let is_first = sender.is_some();
        drop(sender);
        closures.into_values().for_each(call);
        is_first
    }

    /// Returns whether the token is canceled.
    ///
    /// # Examples
    ///
    /// ```
    /// let token = torcon::CancelToken::new();
    /// assert!(!token.is_canceled());
    /// ```
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.shared.state.lock().sender.is_none()
    }

    /// Adds a closure that is called once, at the cancellation; at once if the token is canceled
    /// already. Dropping the returned guard removes it.
    ///
    /// The closure runs on the thread that cancels, so it should not block. It may call the token. A
    /// closure that panics is logged, and does not prevent the others.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::CancelToken;
    ///
    /// let controller = torcon::connect("unix:/run/tor/control")?;
    /// let token = CancelToken::new();
    /// // It waits for a running listener for at most a second.
    /// let to_close = controller.with_timeout(Duration::from_secs(1));
    /// let guard = token.on_cancel(move || to_close.close());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "register")]
    pub fn on_cancel(&self, closure: impl FnOnce() + Send + 'static) -> CancelGuard {
        let closure: Closure = Box::new(closure);
        let mut state = self.shared.state.lock();
        let id = state.next;
        state.next = id.wrapping_add(1);
        let at_once = match state.sender {
            Some(_) => {
                state.closures.insert(id, closure);
                None
            }
            None => Some(closure),
        };
        drop(state);
        if let Some(closure) = at_once {
            call(closure);
        }
        CancelGuard { shared: Arc::downgrade(&self.shared), id }
    }

    /// Blocks the current thread until the token is canceled, without a limit.
    ///
    /// # Examples
    ///
    /// ```
    /// let token = torcon::CancelToken::new();
    /// let other = token.clone();
    /// std::thread::spawn(move || other.cancel());
    /// token.wait();
    /// ```
    pub fn wait(&self) {
        // Nothing is ever sent.
        let _ = self.shared.canceled.recv();
    }

    /// Blocks the current thread until the token is canceled, for at most `limit`. Returns whether
    /// it is canceled.
    ///
    /// # Examples
    ///
    /// Work that is repeated until Ctrl-C:
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use torcon::CancelToken;
    ///
    /// let controller = torcon::connect("unix:/run/tor/control")?;
    /// let token = CancelToken::new();
    /// while !token.wait_timeout(Duration::from_secs(10)) {
    ///     println!("{} bytes read", controller.get_info_one("traffic/read")?);
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[allow(clippy::must_use_candidate, reason = "a pause that ends early is a use")]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        match clock::recv_until(&self.shared.canceled, deadline_after(limit)) {
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
            Ok(never) => match never {},
        }
    }

    /// Returns an error if the token is canceled.
    pub(crate) fn check(&self, wait: Wait) -> Result<(), Canceled> {
        if self.is_canceled() { Err(Canceled::new(wait)) } else { Ok(()) }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

fn call(closure: Closure) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(closure)) {
        log::error!("a closure of a cancel token panicked: {}", panic_text(&*panic));
        drop_quietly(panic);
    }
}

/// Keeps a closure of [`CancelToken::on_cancel`]. Dropping it removes the closure.
///
/// The drop does not wait for a closure that is running. The guard does not keep the token.
///
/// # Examples
///
/// ```
/// use torcon::CancelToken;
///
/// let token = CancelToken::new();
/// let guard = token.on_cancel(|| println!("canceled"));
/// // The operation has ended: a later cancellation does not concern it.
/// drop(guard);
/// token.cancel();
/// ```
#[must_use = "dropping the guard removes the closure: call `keep` to leave it"]
pub struct CancelGuard {
    shared: Weak<Shared>,
    id: u64,
}

impl CancelGuard {
    /// Leaves the closure with the token until the cancellation, or until the last clone of the token
    /// is dropped. A closure that holds a clone of the token keeps both in memory until the
    /// cancellation.
    pub fn keep(mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let removed = shared.state.lock().closures.remove(&self.id);
        drop_quietly(removed);
    }
}

impl fmt::Debug for CancelGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelGuard").finish_non_exhaustive()
    }
}

/// A descriptor that is readable once a token is canceled, for a wait with `poll`.
pub(crate) struct CancelFd {
    socket: UnixStream,
    _guard: CancelGuard,
}

impl CancelFd {
    pub(crate) fn new(token: &CancelToken) -> io::Result<Self> {
        let (socket, peer) = UnixStream::pair()?;
        let guard = token.on_cancel(move || drop(peer));
        Ok(Self { socket, _guard: guard })
    }
}

impl AsFd for CancelFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
