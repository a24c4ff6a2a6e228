//! The tor that the parts of a program share.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Tor;
use crate::clock::{self, deadline_after};
use crate::error::{Canceled, InvalidInput, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::link::CancelToken;
use crate::process::Launcher;
use crate::sync::{Condvar, Mutex};

/// The shared tor.
#[derive(Clone)]
struct Shared {
    tor: Weak<Tor>,
    settings: Arc<Settings>,
}

enum State {
    /// The tor that was launched last; `None` if none was.
    Launched(Option<Shared>),
    /// This thread launches one; other threads wait.
    Launching(ThreadId),
}

// A leaf lock: no tor is launched, compared or dropped under it, and nothing is logged. A launch
// calls closures of the user and the logger, which may request the shared tor themselves.
static SHARED: Mutex<State> = Mutex::new(State::Launched(None));
static CHANGED: Condvar = Condvar::new();

/// The right to launch the shared tor. Its drop, also after a panic, passes it to another thread.
struct LaunchTurn {
    launched: Option<Shared>,
}

/// Result of a request for the shared tor.
enum Acquired {
    Running(Arc<Tor>, Arc<Settings>),
    ToLaunch(LaunchTurn),
}

impl Acquired {
    /// Returns the shared tor, or the right to launch one. Waits while another thread launches it,
    /// for at most `limit`: that launch may be waiting for this thread. The token ends this wait.
    fn acquire(limit: Duration, cancel: Option<&CancelToken>) -> Result<Self> {
        let deadline = deadline_after(limit);
        let is_canceled = Arc::new(AtomicBool::new(false));
        let _guard = cancel.map(|token| {
            let is_canceled = Arc::clone(&is_canceled);
            token.on_cancel(move || {
                // Under the lock, so that a thread between its check and its wait is woken.
                let state = SHARED.lock();
                is_canceled.store(true, Ordering::Relaxed);
                drop(state);
                CHANGED.notify_all();
            })
        });
        loop {
            let last = {
                let mut state = SHARED.lock();
                loop {
                    match &*state {
                        State::Launched(shared) => break shared.clone(),
                        // This thread would wait for itself.
                        State::Launching(by) if *by == thread::current().id() => {
                            let problem = "is requested by a closure or logger that its own launch has called";
                            return Err(InvalidInput::new("the shared tor", problem).into());
                        }
                        State::Launching(_) => {
                            if is_canceled.load(Ordering::Relaxed) {
                                return Err(Canceled::new(Wait::Bootstrap).into());
                            }
                            if clock::wait_until(&CHANGED, &mut state, deadline) {
                                return Err(Timeout::new(Wait::Bootstrap, limit).into());
                            }
                        }
                    }
                }
            };
            if let Some(shared) = &last {
                // A tor that has exited may still have users.
                if let Some(tor) = shared.tor.upgrade().filter(|tor| tor.controller().is_alive()) {
                    return Ok(Self::Running(tor, Arc::clone(&shared.settings)));
                }
            }
            let mut state = SHARED.lock();
            if matches!(&*state, State::Launched(now) if is_same_tor(now, &last)) {
                *state = State::Launching(thread::current().id());
                return Ok(Self::ToLaunch(LaunchTurn { launched: None }));
            }
        }
    }
}

fn is_same_tor(one: &Option<Shared>, other: &Option<Shared>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.tor.ptr_eq(&other.tor),
        (one, other) => one.is_none() && other.is_none(),
    }
}

impl Drop for LaunchTurn {
    fn drop(&mut self) {
        *SHARED.lock() = State::Launched(self.launched.take());
        CHANGED.notify_all();
    }
}

impl Tor {
    /// Returns the tor that all parts of this program share. Launches it if it does not run, with
    /// `SocksPort auto ExtendedErrors` and all other options at their defaults.
    ///
    /// It ends when its last user drops it; the next call launches another one.
    ///
    /// Blocks the current thread until tor's bootstrap is at 100 %, or until another thread has
    /// launched it, for at most [`Launcher::timeout`] each.
    ///
    /// # Errors
    ///
    /// Those of [`Launcher::launch`]; the next call tries again. [`Error::InvalidInput`] if it is
    /// called during the launch on the same thread, for example by a logger.
    ///
    /// [`Error::InvalidInput`]: crate::Error::InvalidInput
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::Tor;
    ///
    /// let tor = Tor::global()?;
    /// println!("tor {}", tor.controller().version());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "get_global_tor_instance")]
    #[doc(alias = "get_global_tor")]
    pub fn global() -> Result<Arc<Self>> {
        shared(Launcher::new().option("SocksPort", "auto ExtendedErrors"), false)
    }

    /// Returns the tor that all parts of this program share, as [`global`](Self::global) does, but
    /// launches it with the given launcher.
    ///
    /// If it runs, it must have been launched with the settings of this launcher that are not at
    /// their defaults: options, program, data directory, environment and control connection.
    ///
    /// Blocks the current thread as [`global`](Self::global) does.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Incompatible`] if it runs with another setting; those of
    /// [`global`](Self::global).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{Launcher, Tor};
    ///
    /// let launcher = Launcher::new().option("SocksPort", "auto").option("ExitNodes", "{de}");
    /// let tor = Tor::global_with(launcher)?;
    /// let stream = tor.connect_stream("example.com:80")?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn global_with(launcher: Launcher) -> Result<Arc<Self>> {
        shared(launcher, true)
    }
}

/// Returns the shared tor. `must_match` says whether a running one must have the settings of the
/// launcher.
pub(super) fn shared(launcher: Launcher, must_match: bool) -> Result<Arc<Tor>> {
    let cancel = launcher.canceled_by();
    cancel.map_or(Ok(()), |token| token.check(Wait::Bootstrap))?;
    match Acquired::acquire(launcher.timeout, cancel)? {
        Acquired::Running(tor, settings) => {
            if must_match {
                compare(&settings, &launcher.settings())?;
            }
            Ok(tor)
        }
        Acquired::ToLaunch(mut turn) => {
            let settings = launcher.effective_settings().into();
            let tor = Arc::new(Tor::launch(launcher)?);
            turn.launched = Some(Shared { tor: Arc::downgrade(&tor), settings });
            Ok(tor)
        }
    }
}

type Settings = [(String, OsString, bool)];

/// Checks that the running tor has every wanted setting that is not at its default.
fn compare(running: &Settings, wanted: &Settings) -> Result<(), OnionError> {
    let default = Launcher::new().settings();
    for (name, ..) in wanted {
        let asked_for = values(wanted, name);
        let current = values(running, name);
        if asked_for == current || asked_for == values(&default, name) {
            continue;
        }
        let mut named = wanted.iter().chain(running).filter(|(other, ..)| is_same(other, name));
        let is_shown = named.all(|(_, _, is_shown)| *is_shown);
        let text = |values: &[&OsString]| -> Box<str> {
            let texts: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            match texts.as_slice() {
                [] => "at its default".into(),
                [text] if text.is_empty() => "at its default".into(),
                _ if !is_shown => "(not shown)".into(),
                texts => texts.join(", ").into(),
            }
        };
        return Err(OnionError::new(OnionProblem::Incompatible {
            option: name.as_str().into(),
            running: text(&current),
            wanted: text(&asked_for),
        }));
    }
    Ok(())
}

fn values<'a>(settings: &'a Settings, name: &str) -> Vec<&'a OsString> {
    let named = settings.iter().filter(|(other, ..)| is_same(other, name));
    named.map(|(_, value, _)| value).collect()
}

/// Returns whether two names are those of the same option: tor ignores their case.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::process::Launcher;

    fn difference(running: &Launcher, wanted: &Launcher) -> Option<String> {
        compare(&running.effective_settings(), &wanted.settings())
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_running_tor_must_have_every_setting_that_is_not_at_its_default() {
        let running = || {
            Launcher::new()
                .option("SocksPort", "9050")
                .option("SocksPort", "9052")
                .option("Socks5ProxyPassword", "swordfish")
                .data_directory("/srv/tor")
        };
        assert_eq!(difference(&running(), &Launcher::new()), None);
        assert_eq!(difference(&running(), &running()), None);
        assert_eq!(difference(&running(), &Launcher::new().data_directory("/srv/tor")), None);
        for (wanted, error) in [
            (
                Launcher::new().option("socksport", "auto"),
                "the shared tor runs with socksport 9050, 9052, but auto was requested",
            ),
            (
                Launcher::new().option("Nickname", "x"),
                "the shared tor runs with Nickname at its default, but x was requested",
            ),
            (
                Launcher::new().data_directory("/srv/other"),
                "the shared tor runs with data directory /srv/tor, but /srv/other was requested",
            ),
            (
                Launcher::new().program("/opt/tor"),
                "the shared tor runs with program tor, but /opt/tor was requested",
            ),
            (
                Launcher::new().option("Socks5ProxyPassword", "other"),
                "the shared tor runs with Socks5ProxyPassword (not shown), but (not shown) was \
                 requested",
            ),
            (
                Launcher::new().env("HOME", "/secret"),
                "the shared tor runs with environment variable HOME at its default, but (not \
                 shown) was requested",
            ),
        ] {
            assert_eq!(difference(&running(), &wanted).as_deref(), Some(error));
        }
    }
}
