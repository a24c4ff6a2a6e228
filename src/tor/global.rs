//! One tor for the whole program.

use std::ffi::OsString;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Tor;
use crate::error::{OnionError, OnionProblem, Result};
use crate::process::Launcher;

/// The tor that the parts of this program share.
struct Shared {
    tor: Weak<Tor>,
    settings: Vec<(String, OsString, bool)>,
}

/// Held while the tor is launched, so that there is only one.
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

impl Tor {
    /// Returns the one tor that all parts of this program share, and launches it if it does not
    /// run: with `SocksPort auto ExtendedErrors`, and everything else at its default.
    ///
    /// It ends when the last part that has it drops it; the next call launches another.
    ///
    /// Blocks the current thread until tor is at 100 %, or until another thread that launches it
    /// has done so, at most for the limits of a [`Launcher`] each.
    ///
    /// # Errors
    ///
    /// Those of [`Launcher::launch`]. The next call tries again.
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
    let mut shared = SHARED.lock();
    if let Some(shared) = &*shared {
        // One that has died is held by those who do not know it yet.
        if let Some(tor) = shared.tor.upgrade().filter(|tor| tor.controller().is_alive()) {
            if demanded {
                compare(&shared.settings, &launcher.settings())?;
            }
            return Ok(tor);
        }
    }
    let settings = launcher.settings();
    let tor = Arc::new(Tor::launch(launcher)?);
    *shared = Some(Shared { tor: Arc::downgrade(&tor), settings });
    Ok(tor)
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
        compare(&running.settings(), &wanted.settings()).err().map(|error| error.to_string())
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
                "the shared tor runs with socksport 9050, 9052, and auto is asked for",
            ),
            (
                Launcher::new().option("Nickname", "x"),
                "the shared tor runs with Nickname at its default, and x is asked for",
            ),
            (
                Launcher::new().data_directory("/srv/other"),
                "the shared tor runs with data directory /srv/tor, and /srv/other is asked for",
            ),
            (
                Launcher::new().program("/opt/tor"),
                "the shared tor runs with program tor, and /opt/tor is asked for",
            ),
            (
                Launcher::new().option("Socks5ProxyPassword", "other"),
                "the shared tor runs with Socks5ProxyPassword (not shown), and (not shown) is \
                 asked for",
            ),
            (
                Launcher::new().env("HOME", "/secret"),
                "the shared tor runs with environment variable HOME at its default, and (not \
                 shown) is asked for",
            ),
        ] {
            assert_eq!(difference(&running(), &wanted).as_deref(), Some(error));
        }
    }
}
