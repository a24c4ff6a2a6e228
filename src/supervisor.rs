//! A connection to tor that is made again when it ends, with everything that the program set up on it.
//!
//! tor restarts, and its control connection breaks. A [`Controller`](crate::Controller) is one
//! connection and ends with it. A [`Supervisor`] connects again, or launches its tor again, and
//! restores in this order, each in the order in which the program gave it:
//!
//! 1. the options of [`Supervisor::set_conf`],
//! 2. the client authorization keys of [`Supervisor::add_onion_client_auth`],
//! 3. the listeners and queues of [`Supervisor::on`], [`Supervisor::add_event_listener`],
//!    [`Supervisor::add_text_listener`] and [`Supervisor::events`],
//! 4. the [`State`](crate::State) of [`Supervisor::state`] with its listeners and attachers,
//! 5. the onion services of [`Supervisor::onion_endpoint`], with the same address; their local
//!    listeners stay open.
//!
//! It hides no loss. A call that is in flight when the connection ends fails with
//! [`Error::Closed`]; [`Event::Reconnected`](crate::Event::Reconnected)
//! marks the place where events are missing; [`Supervisor::status`] names each part that could not be
//! restored, which does not stop the others.
//!
//! # Examples
//!
//! An onion service that survives its tor:
//!
//! ```no_run
//! # fn main() -> torcon::Result<()> {
//! use std::time::Duration;
//!
//! use torcon::{Launcher, Supervisor};
//!
//! let supervisor = Supervisor::launch(Launcher::new())?;
//! supervisor.on_status(|status| eprintln!("{status}"))?;
//! supervisor.wait_tor(Duration::from_secs(300))?;
//! let listener = supervisor.onion_endpoint(80).listen()?;
//! println!("http://{}", listener.onion_address());
//! for stream in listener.incoming() {
//!     println!("{:?}", stream?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Threads that use Tor meanwhile, each with the tor of the moment:
//!
//! ```no_run
//! # fn main() -> torcon::Result<()> {
//! use std::sync::Arc;
//! use std::thread;
//! use std::time::Duration;
//!
//! use torcon::{ConnectOptions, Supervisor};
//!
//! let supervisor = Supervisor::connect(["unix:/run/tor/control"], ConnectOptions::new())?;
//! let supervisor = Arc::new(supervisor);
//! for _ in 0..4 {
//!     let supervisor = Arc::clone(&supervisor);
//!     thread::spawn(move || {
//!         let limit = Duration::from_secs(60);
//!         // May be repeated, so it survives the end of a tor.
//!         supervisor.repeat_with_tor(limit, |tor| tor.resolve("example.com"))
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # From a controller to a supervisor
//!
//! | with a [`Controller`](crate::Controller) or a [`Tor`](crate::Tor) | with a [`Supervisor`] |
//! | --- | --- |
//! | [`connect`](crate::connect), [`Tor::launch`](crate::Tor::launch) | [`Supervisor::connect`], [`Supervisor::launch`], then [`Supervisor::wait_tor`] |
//! | a field with the controller | a field with the supervisor; [`Supervisor::tor`] for each piece of work |
//! | a retry loop | [`Supervisor::repeat_with_tor`] |
//! | `controller.set_conf(..)` at the start | [`Supervisor::set_conf`] |
//! | `controller.on(..)`, `controller.events(..)` | [`Supervisor::on`], [`Supervisor::events`] |
//! | `controller.on_disconnect(..)` | [`Supervisor::on_status`], [`Supervisor::on_reconnected`] |
//! | `tor.state()` | [`Supervisor::wait_tor`], then [`Supervisor::state`] |
//! | `tor.onion_endpoint(80)` | [`Supervisor::onion_endpoint`] |
//! | `tor.close()` | [`Supervisor::stop`] |
//!
//! Circuits, streams, `MAPADDRESS` mappings and everything else that a program sends through
//! [`Supervisor::tor`] belong to that tor and end with it.
//!
//! # Which failures end it
//!
//! | failure of an attempt | then |
//! | --- | --- |
//! | refused connection, no socket yet, no answer in time, another program at the endpoint | tries again |
//! | cookie missing, unreadable, of another size, or refused | tries again: tor may be starting |
//! | the server's proof is wrong | tries again, and ends at the fifth in a row |
//! | wrong or missing password, no usable authentication method | ends |
//! | invalid argument; the program to launch is missing or cannot be executed | ends |
//! | the launched tor ends or does not become ready | tries again, and ends at the limit of [`SupervisorOptions::crash_loop`] |
//!
//! Each attempt reads the cookie and asks for the password anew. Delays and limits are those of
//! [`SupervisorOptions`].
//!
//! # Threads
//!
//! `torcon-restore` connects and restores. `torcon-notify`, which the first closure starts, calls the
//! closures. The connections have their own threads.

mod backoff;
mod keeper;
mod listeners;
mod notify;
mod options;
mod parts;
mod restorer;
mod services;
mod settings;
mod shared;
mod source;
mod status;
mod subscription;
mod tor_access;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::options::{IfChanged, SupervisorOptions};
pub use self::status::{SupervisedPart, SupervisorStatus, UnrestoredPart};

use self::keeper::Keeper;
use self::shared::Shared;
use self::source::Source;
use crate::controller::ConnectOptions;
use crate::error::{Error, InvalidInput, Result};
use crate::link::{CancelGuard, Endpoint};
use crate::process::Launcher;
use crate::sync::Mutex;
use crate::sync::thread::{self, JoinHandle, ThreadId};

/// How long the end of a supervisor waits for the replies to commands.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// How long it then waits for an attempt to connect, or for the exit of tor.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// Keeps a connection to tor, and everything that the program set up on it.
///
/// Made by [`Supervisor::connect`], [`Supervisor::launch`] or [`SupervisorOptions`]. All methods can
/// be called from several threads at once; share it in an [`Arc`].
///
/// Dropping it does what [`stop`](Self::stop) does.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::{ConnectOptions, Supervisor};
///
/// let supervisor = Supervisor::connect(["unix:/run/tor/control"], ConnectOptions::new())?;
/// supervisor.on_status(|status| eprintln!("{status}"))?;
/// // Also on every later connection.
/// supervisor.set_conf(("MaxCircuitDirtiness", "300"))?;
/// let address = supervisor.wait_tor(Duration::from_secs(30))?.resolve("example.com")?;
/// println!("{address}");
/// # Ok::<(), torcon::Error>(())
/// ```
#[must_use = "the supervisor and its tor are ended when this is dropped"]
pub struct Supervisor {
    shared: Arc<Shared>,
    /// Whether the supervisor launches its tor.
    launches: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
    /// Stops the supervisor when the token of its options is canceled.
    _cancel: Option<CancelGuard>,
}

impl Supervisor {
    /// Returns a supervisor of a running tor, at the first of several endpoints that answers, with
    /// the default [options](SupervisorOptions).
    ///
    /// Does not wait for the connection; see [`wait_tor`](Self::wait_tor). Sends on each connection
    /// what [`ConnectOptions::connect`] and the methods send whose effects are restored.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if there is no endpoint or one is malformed, or if no thread can be
    /// started.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// use std::time::Duration;
    ///
    /// use torcon::{ConnectOptions, Supervisor};
    ///
    /// let supervisor = Supervisor::connect(["unix:/run/tor/control"], ConnectOptions::new())?;
    /// let tor = supervisor.wait_tor(Duration::from_secs(30))?;
    /// println!("tor {}", tor.controller().version());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "reconnect")]
    pub fn connect<I>(endpoints: I, options: ConnectOptions) -> Result<Self>
    where
        I: IntoIterator,
        I::Item: TryInto<Endpoint>,
        Error: From<<I::Item as TryInto<Endpoint>>::Error>,
    {
        SupervisorOptions::new().connect(endpoints, options)
    }

    /// Returns a supervisor of a tor that it launches, with the default
    /// [options](SupervisorOptions).
    ///
    /// Each launch uses the same data directory, and so the same keys and guards: the given one, or a
    /// temporary one that is deleted with the supervisor. The closure and the writers of the launcher
    /// serve every launch.
    ///
    /// Does not wait for the launch; see [`wait_tor`](Self::wait_tor).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the launcher is invalid or has
    /// [`ControlVia::None`](crate::process::ControlVia::None), or if no thread can be started;
    /// [`Error::Launch`] if the temporary data directory cannot be created.
    pub fn launch(launcher: Launcher) -> Result<Self> {
        SupervisorOptions::new().launch(launcher)
    }

    fn start(options: SupervisorOptions, source: Source) -> Result<Self> {
        let shared = Arc::new(Shared::new(options, source.event_limit()));
        let launches = source.launches();
        let guard = source.canceled_by().map(|token| {
            let shared = Arc::downgrade(&shared);
            token.on_cancel(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.stop();
                }
            })
        });
        let source = source.with_cancel(&shared.cancel);
        let keeper = Keeper::new(Arc::clone(&shared), source);
        let thread = thread::Builder::new().name("torcon-restore".to_owned());
        let thread = thread.spawn(move || keeper.run()).map_err(|error| {
            let problem = format!("cannot work, since no thread can be started: {error}");
            InvalidInput::new("supervisor", problem)
        })?;
        let thread_id = thread.thread().id();
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, launches, thread, thread_id, _cancel: guard })
    }

    /// Ends the supervisor: the connection is closed, a launched tor ends, the services are removed
    /// from tor unless they are detached, and the listeners are removed.
    ///
    /// Every waiting and every later call fails with
    /// [`SupervisorProblem::Stopped`](crate::error::SupervisorProblem::Stopped). The listeners of the
    /// status get [`SupervisorStatus::Stopped`]; events that are queued are not delivered. A second
    /// call waits for the first. Can be called on every thread; on those of the supervisor, inside a
    /// closure, it does not wait for that closure.
    ///
    /// Blocks the current thread until tor has answered, for at most five seconds; until a launched tor
    /// has exited, as [`TorProcess::quit`](crate::TorProcess::quit) does; for at most one second each
    /// until the running closures of the supervisor and of its tor's controller have returned. An
    /// attempt that is running is canceled, but not a password closure. Blocks for at most 96 seconds
    /// in all.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # let supervisor = torcon::Supervisor::launch(torcon::Launcher::new())?;
    /// use torcon::supervisor::SupervisorStatus;
    ///
    /// supervisor.stop();
    /// assert!(matches!(supervisor.status(), SupervisorStatus::Stopped));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn stop(&self) {
        self.shared.stop();
        // A thread cannot wait for itself: a password closure or a logger may stop the supervisor.
        if thread::current().id() == self.thread_id {
            return;
        }
        if !self.shared.wait_done(REPLY_LIMIT) {
            // A command that tor does not answer fails at once.
            if let Some((controller, _)) = self.shared.connected() {
                controller.hang_up();
            }
            if !self.shared.wait_done(STOP_LIMIT) {
                log::error!("a supervisor that was stopped could not end in time");
                return;
            }
        }
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the thread of a supervisor panicked");
        }
        self.shared.remove_listeners();
        self.shared.notifications.wait_ended();
    }

    fn check_running(&self) -> Result<()> {
        self.shared.ending().map_or(Ok(()), Err)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, shuttle))]
#[path = "../tests/schedules/models/supervisor.rs"]
mod schedules;
