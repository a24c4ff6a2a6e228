//! One tor for the whole program.

use std::ffi::OsString;
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Tor;
use crate::error::{InvalidInput, OnionError, OnionProblem, Result, Timeout, Wait};
use crate::process::Launcher;

/// The tor that the parts of this program share.
#[derive(Clone)]
struct Shared {
    tor: Weak<Tor>,
    settings: Arc<Settings>,
}

enum State {
    /// None runs, or one that was launched here.
    Known(Option<Shared>),
    /// This thread launches one; the others wait.
    Launching(ThreadId),
}

// A leaf lock: no tor is launched, compared or dropped under it, and nothing is logged. A launch
// calls functions of the user's and the logger, which may ask for the shared tor themselves.
static SHARED: Mutex<State> = Mutex::new(State::Known(None));
static CHANGED: Condvar = Condvar::new();

/// The right to launch the shared tor; if it is dropped, so also after a panic, another thread has
/// it.
struct Turn {
    outcome: Option<Shared>,
}

/// What a caller finds.
enum Found {
    Running(Arc<Tor>, Arc<Settings>),
    Nothing(Turn),
}

impl Found {
    /// Returns the shared tor, or the right to launch one. Waits while another thread launches it,
    /// but not longer than `limit`: that launch may be waiting for this thread.
    fn look(limit: Duration) -> Result<Self> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            let known = {
                let mut state = SHARED.lock();
                loop {
                    match &*state {
                        State::Known(shared) => break shared.clone(),
                        // It would wait for itself.
                        State::Launching(by) if *by == thread::current().id() => {
                            let problem = "is asked for by what its own launch has called";
                            return Err(InvalidInput::new("the shared tor", problem).into());
                        }
                        State::Launching(_) => match deadline {
                            None => CHANGED.wait(&mut state),
                            Some(deadline) => {
                                if CHANGED.wait_until(&mut state, deadline).timed_out() {
                                    return Err(Timeout::new(Wait::Bootstrap, limit).into());
                                }
                            }
                        },
                    }
                }
            };
            if let Some(shared) = &known {
                // One that has died is held by those who do not know it yet.
                if let Some(tor) = shared.tor.upgrade().filter(|tor| tor.controller().is_alive()) {
                    return Ok(Self::Running(tor, Arc::clone(&shared.settings)));
                }
            }
            let mut state = SHARED.lock();
            if matches!(&*state, State::Known(now) if is_same_tor(now, &known)) {
                *state = State::Launching(thread::current().id());
                return Ok(Self::Nothing(Turn { outcome: None }));
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

impl Drop for Turn {
    fn drop(&mut self) {
        *SHARED.lock() = State::Known(self.outcome.take());
        CHANGED.notify_all();
    }
}

impl Tor {
    /// Returns the one tor that all parts of this program share, and launches it if it does not
    /// run: with `SocksPort auto ExtendedErrors`, and everything else at its default.
    ///
    /// It ends when the last part that has it drops it; the next call launches another.
    ///
    /// Blocks the current thread until tor is at 100 %, or until another thread that launches it
    /// has done so, for at most [`Launcher::timeout`] each.
    ///
    /// # Errors
    ///
    /// Those of [`Launcher::launch`]. The next call tries again. [`Error::InvalidInput`] if the
    /// launch itself calls it on the same thread, as a logger can.
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
    #[doc(alias = "get_global_tor")]
    pub fn global() -> Result<Arc<Self>> {
        shared(Launcher::new().option("SocksPort", "auto ExtendedErrors"), false)
    }

    /// Returns the one tor that all parts of this program share, as [`global`](Self::global) does;
    /// if it does not run, it is launched by the given launcher.
    ///
    /// If it runs, it must have been launched with what this launcher asks for: its options, its
    /// program, its data directory, its environment and its control connection, as far as they
    /// are not at their defaults.
    ///
    /// Blocks the current thread as [`global`](Self::global) does.
    ///
    /// # Errors
    ///
    /// [`OnionProblem::Incompatible`] if it runs with something else, and those of
    /// [`global`](Self::global).
    pub fn global_with(launcher: Launcher) -> Result<Arc<Self>> {
        shared(launcher, true)
    }
}

/// Returns the shared tor. `demanded` says whether one that runs must be such a tor.
pub(super) fn shared(launcher: Launcher, demanded: bool) -> Result<Arc<Tor>> {
    match Found::look(launcher.timeout)? {
        Found::Running(tor, settings) => {
            if demanded {
                compare(&settings, &launcher.settings())?;
            }
            Ok(tor)
        }
        Found::Nothing(mut turn) => {
            let settings = launcher.effective_settings().into();
            let tor = Arc::new(Tor::launch(launcher)?);
            turn.outcome = Some(Shared { tor: Arc::downgrade(&tor), settings });
            Ok(tor)
        }
    }
}

type Settings = [(String, OsString, bool)];

/// Refuses what differs from what runs, unless it is at its default.
fn compare(running: &Settings, wanted: &Settings) -> Result<(), OnionError> {
    let default = Launcher::new().settings();
    for (name, ..) in wanted {
        let asked = values(wanted, name);
        let has = values(running, name);
        if asked == has || asked == values(&default, name) {
            continue;
        }
        let is_shown = wanted.iter().chain(running).filter(|(other, ..)| is_same(other, name));
        let shown = is_shown.fold(true, |all, (_, _, shown)| all && *shown);
        let text = |values: &[&OsString]| -> Box<str> {
            let texts: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            match texts.as_slice() {
                [] => "at its default".into(),
                [text] if text.is_empty() => "at its default".into(),
                _ if !shown => "(not shown)".into(),
                texts => texts.join(", ").into(),
            }
        };
        return Err(OnionError::new(OnionProblem::Incompatible {
            option: name.as_str().into(),
            running: text(&has),
            wanted: text(&asked),
        }));
    }
    Ok(())
}

fn values<'a>(settings: &'a Settings, name: &str) -> Vec<&'a OsString> {
    let named = settings.iter().filter(|(other, ..)| is_same(other, name));
    named.map(|(_, value, _)| value).collect()
}

/// tor takes the names of its options in any case.
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
    fn what_is_asked_for_must_be_what_runs() {
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
