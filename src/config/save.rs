//! Telling tor what has changed: one command, all of it or nothing.

use super::Config;
use super::pending::GroupState;
use super::schema::{OptionType, TorOption};
use super::services::{ConfiguredLine, DIRECTORY};
use super::tor_backend::{Defaults, TorBackend};
use crate::command::{ConfSetting, ResetConf, SetConf};
use crate::error::{ConfigError, Error, Result};
use crate::link::lock_within;

impl Config {
    /// Saves the pending changes: all of them, or none.
    ///
    /// `Ok` means that tor has taken every value that was set, also one that it had before:
    /// setting it again reopens no listener and causes no `CONF_CHANGED` event. Another connection
    /// can change an option at any time after that.
    ///
    /// Sends one `SETCONF`, and nothing at all if no change is pending. If options go back to their defaults, the command is `RESETCONF`, for which
    /// an option without a value does just that; if others are cleared at the same time, it is
    /// `SETCONF` with the defaults of tor as values ([`default_value`](Self::default_value)). The
    /// options stand in the order in which they were first changed. Of options that tor keeps
    /// together all lines are said again, those of `__SocksPort` with those of `SocksPort`, since
    /// tor would drop them.
    ///
    /// A change that depends on the value in tor, such as a pushed entry or a change of an onion
    /// service, is applied to lines that are read by one `GETCONF` before, under a lock that all
    /// threads of this program share for one tor (`GETINFO process/pid process/uid` finds out
    /// which, once). Entries that others have added are kept. tor has no command that reads and
    /// writes at once: an entry that another program adds between the two commands is lost.
    ///
    /// If tor refuses, nothing has changed in tor, and all changes are still pending: what the
    /// error names can be mended by another [`set`](Self::set) or by
    /// [`revert_option`](Self::revert_option), and saved again. Changes that other threads make
    /// during a save are for the next.
    ///
    /// Blocks the current thread until tor has answered, for at most the time limit of the
    /// controller for each command and for another thread that saves.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if tor refuses; it names the option and the reason.
    /// [`Error::InvalidInput`] if there is no tor, or for a value that would end tor, as
    /// [`Controller::set_conf`](crate::Controller::set_conf) says. Otherwise those of [`Controller::set_conf`](crate::Controller::set_conf) and [`get`](Self::get); if it
    /// cannot be known whether tor has taken the changes, as after a [`Error::Timeout`], they stay
    /// pending and the options are read again: [`in_force`](Self::in_force) tells. An entry that
    /// was pushed and taken would be there twice after another save.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::Error;
    /// use torcon::config::Config;
    ///
    /// let config = Config::new(&torcon::connect("127.0.0.1:9051")?);
    /// config.set("ContactInfo", "me@example.org")?;
    /// config.set("MaxCircuitDirtiness", "12 parsecs")?;
    /// if let Err(Error::Config(error)) = config.save() {
    ///     assert_eq!(error.option(), Some("MaxCircuitDirtiness"));
    ///     config.set("MaxCircuitDirtiness", "12 minutes")?;
    ///     config.save()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn save(&self) -> Result<()> {
        let live = self.live()?;
        let limit = live.controller().timeout();
        let _saving = lock_within(&self.inner.saving, "SETCONF", limit)?;
        let pending = self.inner.pending.lock().clone();
        if pending.is_empty() {
            return Ok(());
        }
        let touched = pending.touched();
        let rewritten: Vec<_> = touched
            .iter()
            .filter(|touched| touched.needs_base)
            .map(|touched| &touched.option.group)
            .collect();
        let lock = if rewritten.is_empty() { None } else { Some(live.rewrite_lock()?) };
        let _lock = lock.map(|lock| lock.lock(live.controller())).transpose()?;
        let bases = match rewritten.is_empty() {
            true => Vec::new(),
            // Never cached values: another connection may have changed them.
            false => live.groups_now(&rewritten)?,
        };
        let mut states = Vec::new();
        for touched in &touched {
            let group = &touched.option.group;
            let place = rewritten.iter().position(|other| *other == group);
            let base = place.and_then(|place| bases.get(place));
            let state = pending.applied(group, base.map_or(&[][..], |base| base));
            states.push((touched.option.clone(), state));
        }
        Self::send(live, &states)?;
        self.inner.pending.lock().saved(pending.mark());
        Ok(())
    }

    fn send(live: &TorBackend, states: &[(TorOption, GroupState)]) -> Result<()> {
        let plan = Plan::of(states);
        let defaults = match plan {
            Plan::SetDefaults => Some(live.defaults()?),
            Plan::Set | Plan::Reset => None,
        };
        let settings = settings(states, defaults);
        let pairs = settings.iter().map(|(name, setting)| (name, setting.clone()));
        let outcome = match plan {
            Plan::Reset => live.controller().execute(&ResetConf::new(pairs)),
            Plan::Set | Plan::SetDefaults => live.controller().execute(&SetConf::new(pairs)),
        };
        outcome.map_err(|error| match error {
            Error::Rejected(rejection) => {
                let option = blamed(&rejection.text(), states);
                let options: Vec<&str> = states.iter().map(|(option, _)| &*option.name).collect();
                ConfigError::new(option, &options, rejection).into()
            }
            error => error,
        })
    }
}

/// By which command everything can be said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// `SETCONF`, where nothing is a value too.
    Set,
    /// `RESETCONF`, where nothing is the default.
    Reset,
    /// `SETCONF`, with the defaults as values.
    SetDefaults,
}

impl Plan {
    fn of(states: &[(TorOption, GroupState)]) -> Self {
        let is_reset = |(option, state): &(TorOption, GroupState)| {
            *state == GroupState::Default && !option.kind.is_reset_by_clearing()
        };
        let is_cleared = |(option, state): &(TorOption, GroupState)| state.is_cleared(&option.kind);
        match (states.iter().any(is_reset), states.iter().any(is_cleared)) {
            (false, _) => Self::Set,
            (true, false) => Self::Reset,
            (true, true) => Self::SetDefaults,
        }
    }
}

/// What the command says.
fn settings(
    states: &[(TorOption, GroupState)],
    defaults: Option<&Defaults>,
) -> Vec<(String, ConfSetting)> {
    let mut settings = Vec::new();
    for (option, state) in states {
        let name = if option.is_of_services() { DIRECTORY } else { &*option.name };
        match state {
            GroupState::Lines(lines) if !lines.is_empty() => {
                let line = |(name, value): &ConfiguredLine| {
                    (name.clone(), ConfSetting::from(value.as_slice()))
                };
                settings.extend(lines.iter().map(line));
            }
            GroupState::Default if !option.kind.is_reset_by_clearing() => {
                match defaults.and_then(|defaults| defaults.lines(option)) {
                    Some(lines) => {
                        settings
                            .extend(lines.into_iter().map(|value| (name.to_owned(), value.into())));
                    }
                    None => settings.push((name.to_owned(), ConfSetting::clear())),
                }
            }
            GroupState::Lines(_) | GroupState::Cleared | GroupState::Default => {
                settings.push((name.to_owned(), ConfSetting::clear()));
            }
        }
    }
    settings
}

/// Finds the option that a refusal is about: the only one, or the one that tor's words name.
fn blamed<'a>(words: &str, states: &'a [(TorOption, GroupState)]) -> Option<&'a str> {
    let only = |is_meant: &dyn Fn(&TorOption) -> bool| {
        let mut meant = states.iter().filter(|(option, _)| is_meant(option));
        let (option, _) = meant.next()?;
        meant.next().is_none().then_some(&*option.name)
    };
    only(&|_| true)
        .or_else(|| only(&|option| is_word_of(words, option.name.trim_start_matches('_'))))
        .or_else(|| {
            let is_services = words.contains("rendezvous");
            only(&|option| is_services && option.is_of_services())
        })
        .or_else(|| {
            let is_relays = words.contains("router list");
            only(&|option| is_relays && option.kind == OptionType::RouterList)
        })
}

/// Whether a name stands in a text by itself and not as a part of another.
fn is_word_of(text: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_part(letter)).any(|word| word.trim_start_matches('_') == name)
}

#[cfg(test)]
mod tests {
    use super::{GroupState, Plan, blamed, settings};
    use crate::config::schema::{Schema, TorOption};

    fn states(list: &[(&str, GroupState)]) -> Vec<(TorOption, GroupState)> {
        let schema = Schema::known();
        list.iter().map(|(name, state)| (schema.option(name).unwrap(), state.clone())).collect()
    }

    fn lines(name: &str, values: &[&str]) -> GroupState {
        let line = |value: &&str| (name.to_owned(), value.as_bytes().to_vec());
        GroupState::Lines(values.iter().map(line).collect())
    }

    #[test]
    fn the_command_is_one_that_can_say_everything() {
        let (cleared, default) = (GroupState::Cleared, GroupState::Default);
        for (list, plan) in [
            (vec![("ContactInfo", lines("ContactInfo", &["x"]))], Plan::Set),
            (vec![("LongLivedPorts", cleared.clone())], Plan::Set),
            (
                vec![("NumCPUs", default.clone()), ("Nickname", lines("Nickname", &["x"]))],
                Plan::Reset,
            ),
            (
                vec![("NumCPUs", default.clone()), ("LongLivedPorts", cleared.clone())],
                Plan::SetDefaults,
            ),
            // For these, nothing is the default.
            (vec![("NumCPUs", default.clone()), ("Log", cleared.clone())], Plan::Reset),
            (vec![("Log", default.clone()), ("LongLivedPorts", cleared.clone())], Plan::Set),
            (vec![("NumCPUs", default), ("SocksPort", lines("SocksPort", &[]))], Plan::Reset),
        ] {
            assert_eq!(Plan::of(&states(&list)), plan, "{list:?}");
        }
    }

    #[test]
    fn lines_of_a_group_are_said_in_their_order() {
        let list = [("SocksPort", lines("SocksPort", &["9050", "unix:/x"]))];
        let said = settings(&states(&list), None);
        let names: Vec<_> = said.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SocksPort", "SocksPort"]);
        let none = settings(&states(&[("HiddenServicePort", lines("", &[]))]), None);
        assert_eq!(none[0].0, "HiddenServiceDir");
    }

    #[test]
    fn the_option_that_tor_means_is_found() {
        let list = [
            ("ContactInfo", lines("ContactInfo", &["x"])),
            ("ExitNodes", lines("ExitNodes", &["x"])),
            ("HiddenServiceOptions", lines("HiddenServiceDir", &["/x"])),
            ("__SocksPort", lines("__SocksPort", &["x"])),
            ("Log", lines("Log", &["x", "y"])),
        ];
        let states = states(&list);
        for (words, option) in [
            ("Unacceptable option value: Invalid SocksPort configuration", Some("__SocksPort")),
            ("Transition not allowed: While Tor is running, changing Log is not", Some("Log")),
            ("Unacceptable option value: Invalid router list.", Some("ExitNodes")),
            ("Failed to configure rendezvous options. See logs.", Some("HiddenServiceOptions")),
            ("ContactInfo and Log do not go together", None),
            ("Logs are ContactInfos", None),
        ] {
            assert_eq!(blamed(words, &states), option, "{words}");
        }
        assert_eq!(blamed("anything", &states[4..]), Some("Log"));
    }
}
