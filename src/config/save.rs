use super::Config;
use super::backend::{Defaults, Read, TorBackend};
use super::pending::GroupState;
use super::schema::{OptionType, TorOption};
use super::service_lines::DIRECTORY;
use crate::command::{ConfSetting, ResetConf, SetConf};
use crate::error::{ConfigError, Error, Result};

impl Config {
    /// Saves the pending changes: all of them, or none.
    ///
    /// `Ok` means that tor accepted every value, including one that it had before: tor then
    /// reopens no listener and sends no `CONF_CHANGED` event.
    ///
    /// Sends one `SETCONF`, and nothing if no change is pending. If options are reset, the command
    /// is `RESETCONF`; if others are cleared at the same time, it is `SETCONF` with the
    /// [defaults](Self::default_value) as values. The options are in the order of their first
    /// changes. For an option of a group the command has all lines of the group, such as those of
    /// `__SocksPort` with those of `SocksPort`, since tor would drop the others.
    ///
    /// A change that depends on the value in tor, such as a pushed entry or a change of an onion
    /// service, is applied to lines that one `GETCONF` reads just before. All threads of this
    /// program share a lock for this, one for each tor, which `GETINFO process/pid process/uid`
    /// identifies. tor has no command that reads and writes at once: an entry that another program
    /// adds between the two commands is lost.
    ///
    /// If tor refuses, nothing is changed in tor and all changes stay pending. Correct the option
    /// that the error names with [`set`](Self::set) or [`revert_option`](Self::revert_option), and
    /// save again. Changes that other threads make during a save are left to the next save.
    ///
    /// Blocks for at most the [time limit](crate::Controller::with_timeout) for each command, and
    /// as long for another thread that saves.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if tor refuses, with the option and the reason; [`Error::InvalidInput`]
    /// without a tor, or for a value that would end tor. Otherwise those of
    /// [`Controller::set_conf`](crate::Controller::set_conf) and [`get`](Self::get). After an
    /// [`Error::Timeout`] tor may have accepted the changes: they stay pending, and
    /// [`in_force`](Self::in_force) reads the options again. An accepted entry that is still
    /// pending would be pushed twice by another save.
    ///
    /// # Examples
    ///
    /// ```no_run
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
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn save(&self) -> Result<()> {
        let tor = self.inner.backend.tor()?;
        let controller = tor.controller();
        let _saving = self.inner.saving.lock_within("SETCONF", controller.timeout())?;
        let pending = self.inner.pending.lock().clone();
        if pending.is_empty() {
            return Ok(());
        }
        let options = pending.changed_options();
        let rewritten: Vec<_> = options
            .iter()
            .map(|option| &option.group)
            .filter(|group| pending.needs_lines(group))
            .collect();
        let lock = if rewritten.is_empty() { None } else { Some(tor.rewrite_lock()?) };
        let _lock = lock.map(|lock| lock.lock(controller)).transpose()?;
        let mut lines = match rewritten.is_empty() {
            true => Vec::new(),
            false => tor.groups(&rewritten, Read::Now, tor.deadline())?,
        }
        .into_iter();
        let states = options.into_iter().map(|option| {
            let lines = pending.needs_lines(&option.group).then(|| lines.next()).flatten();
            let state = pending.apply(&option.group, &lines.unwrap_or_default());
            (option, state)
        });
        send(tor, &states.collect::<Vec<_>>())?;
        self.inner.pending.lock().remove_before(pending.next_number());
        Ok(())
    }
}

fn send(tor: &TorBackend, states: &[(TorOption, GroupState)]) -> Result<()> {
    let form = SaveForm::of(states);
    let defaults = match form {
        SaveForm::SetDefaults => Some(tor.defaults(tor.deadline())?),
        SaveForm::Set | SaveForm::Reset => None,
    };
    let settings = settings(states, defaults);
    let outcome = match form {
        SaveForm::Reset => tor.controller().execute(&ResetConf::new(settings)),
        SaveForm::Set | SaveForm::SetDefaults => tor.controller().execute(&SetConf::new(settings)),
    };
    outcome.map_err(|error| match error {
        Error::Rejected(rejection) => {
            let option = rejected_option(&rejection.text(), states);
            let options: Vec<&str> = states.iter().map(|(option, _)| &*option.name).collect();
            ConfigError::new(option, &options, rejection).into()
        }
        error => error,
    })
}

/// The command that can express all states at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SaveForm {
    /// `SETCONF`, in which an option without a value is cleared.
    Set,
    /// `RESETCONF`, in which an option without a value is reset.
    Reset,
    /// `SETCONF`, in which an option without a value is cleared, and a reset option has its default
    /// as value.
    SetDefaults,
}

impl SaveForm {
    fn of(states: &[(TorOption, GroupState)]) -> Self {
        let has_reset = states.iter().any(|(_, state)| *state == GroupState::Default);
        let has_cleared = states
            .iter()
            .any(|(option, state)| state.is_blank() && !option.kind.is_reset_by_clearing());
        match (has_reset, has_cleared) {
            (false, _) => Self::Set,
            (true, false) => Self::Reset,
            (true, true) => Self::SetDefaults,
        }
    }
}

/// Returns the arguments of the command.
fn settings(
    states: &[(TorOption, GroupState)],
    defaults: Option<&Defaults>,
) -> Vec<(String, ConfSetting)> {
    let mut settings = Vec::new();
    for (option, state) in states {
        let name = if option.is_of_services() { DIRECTORY } else { &*option.name };
        let lines = match state {
            GroupState::Lines(_) if state.is_blank() => Vec::new(),
            GroupState::Lines(lines) => lines.clone(),
            GroupState::Default => {
                let values = defaults.and_then(|defaults| defaults.lines(option));
                let values = values.unwrap_or_default().into_iter();
                values.map(|value| (name.to_owned(), value)).collect()
            }
        };
        if lines.is_empty() {
            settings.push((name.to_owned(), ConfSetting::clear()));
        }
        settings.extend(lines.into_iter().map(|(name, value)| (name, ConfSetting::from(value))));
    }
    settings
}

/// Returns the option that tor refused: the only one, or the one that tor's text names.
fn rejected_option<'a>(text: &str, states: &'a [(TorOption, GroupState)]) -> Option<&'a str> {
    let only = |matches: &dyn Fn(&TorOption) -> bool| {
        let mut meant = states.iter().filter(|(option, _)| matches(option));
        let (option, _) = meant.next()?;
        meant.next().is_none().then_some(&*option.name)
    };
    only(&|_| true)
        .or_else(|| only(&|option| contains_name(text, option.name.trim_start_matches('_'))))
        .or_else(|| {
            let is_services = text.contains("rendezvous");
            only(&|option| is_services && option.is_of_services())
        })
        .or_else(|| {
            let is_relays = text.contains("router list");
            only(&|option| is_relays && option.kind == OptionType::RouterList)
        })
}

/// Whether a text contains a name as a whole word.
fn contains_name(text: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.split(|letter| !is_part(letter)).any(|word| word.trim_start_matches('_') == name)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::thread::{self, JoinHandle};

    use super::{Config, Error, GroupState, SaveForm, rejected_option, settings};
    use crate::config::schema::{Schema, TorOption};
    use crate::controller::{ConnectOptions, Controller};

    fn states(list: &[(&str, GroupState)]) -> Vec<(TorOption, GroupState)> {
        let schema = Schema::known();
        list.iter().map(|(name, state)| (schema.option(name).unwrap(), state.clone())).collect()
    }

    fn lines(name: &str, values: &[&str]) -> GroupState {
        let line = |value: &&str| (name.to_owned(), value.as_bytes().to_vec());
        GroupState::Lines(values.iter().map(line).collect())
    }

    #[test]
    fn one_command_expresses_all_states() {
        let default = GroupState::Default;
        let cleared = |name| lines(name, &[""]);
        for (list, form) in [
            (vec![("ContactInfo", lines("ContactInfo", &["x"]))], SaveForm::Set),
            (vec![("LongLivedPorts", cleared("LongLivedPorts"))], SaveForm::Set),
            (
                vec![("NumCPUs", default.clone()), ("Nickname", lines("Nickname", &["x"]))],
                SaveForm::Reset,
            ),
            (
                vec![("NumCPUs", default.clone()), ("LongLivedPorts", cleared("LongLivedPorts"))],
                SaveForm::SetDefaults,
            ),
            // Their default is to be empty.
            (vec![("NumCPUs", default.clone()), ("Log", cleared("Log"))], SaveForm::Reset),
            (
                vec![("Log", lines("Log", &[])), ("LongLivedPorts", cleared("LongLivedPorts"))],
                SaveForm::Set,
            ),
            (vec![("NumCPUs", default), ("SocksPort", lines("SocksPort", &[]))], SaveForm::Reset),
        ] {
            assert_eq!(SaveForm::of(&states(&list)), form, "{list:?}");
        }
    }

    #[test]
    fn the_lines_of_a_group_are_sent_in_order() {
        let list = [("SocksPort", lines("SocksPort", &["9050", "unix:/x"]))];
        let sent = settings(&states(&list), None);
        let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SocksPort", "SocksPort"]);
        let none = settings(&states(&[("HiddenServicePort", lines("", &[]))]), None);
        assert_eq!(none[0].0, "HiddenServiceDir");
    }

    #[test]
    fn an_empty_value_clears_the_option() {
        for values in [&[""][..], &[]] {
            let sent =
                settings(&states(&[("LongLivedPorts", lines("LongLivedPorts", values))]), None);
            assert_eq!(format!("{sent:?}"), r#"[("LongLivedPorts", ConfSetting(clear))]"#);
        }
    }

    /// Returns the controller of a tor that knows two options and refuses `NumCPUs=2`, and the
    /// commands that it has received when the connection has ended.
    fn tor() -> (Controller, JoinHandle<Vec<String>>) {
        let (stream, mut tor) = UnixStream::pair().unwrap();
        let serve = move || {
            let lines = BufReader::new(tor.try_clone().unwrap()).lines().map_while(Result::ok);
            let answered = lines.inspect(|line| {
                let reply = match line.split(' ').next() {
                    Some("PROTOCOLINFO") => {
                        "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                         250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
                    }
                    Some("GETINFO") => {
                        "250+config/names=\r\nContactInfo String\r\nNumCPUs Integer\r\n.\r\n\
                         250 OK\r\n"
                    }
                    Some("SETCONF") if line.ends_with("NumCPUs=2") => {
                        "513 Unacceptable option value: NumCPUs must be 1\r\n"
                    }
                    _ => "250 OK\r\n",
                };
                // Fails if the connection has ended after the last command.
                let _ = tor.write_all(reply.as_bytes());
            });
            answered.collect()
        };
        let thread = thread::Builder::new().name("tor".to_owned()).spawn(serve).unwrap();
        (ConnectOptions::new().connect_stream(stream).unwrap(), thread)
    }

    #[test]
    fn a_save_sends_one_command_and_a_refused_change_stays_pending() {
        let (controller, tor) = tor();
        let config = Config::new(&controller);
        config.save().unwrap();
        config.set("ContactInfo", "me").unwrap();
        config.set("NumCPUs", "2").unwrap();
        let Err(Error::Config(error)) = config.save() else { panic!("the save was not refused") };
        assert_eq!(error.option(), Some("NumCPUs"));
        config.set("NumCPUs", "1").unwrap();
        config.save().unwrap();
        config.save().unwrap();
        drop((config, controller));
        let mut commands = tor.join().unwrap();
        commands.retain(|command| command.starts_with("SETCONF"));
        let expected = ["SETCONF ContactInfo=me NumCPUs=2", "SETCONF ContactInfo=me NumCPUs=1"];
        assert_eq!(commands, expected, "a save without changes sends nothing");
    }

    #[test]
    fn the_option_of_a_refusal_is_found() {
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
            assert_eq!(rejected_option(words, &states), option, "{words}");
        }
        assert_eq!(rejected_option("anything", &states[4..]), Some("Log"));
    }
}
