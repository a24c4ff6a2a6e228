use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::answer::{Answer, info_lines};
use crate::clock;
use crate::sync::{Condvar, Mutex};

/// The keys of `GETINFO` that are answered by default, as by an idle tor without circuits.
const INFO: &[(&str, &str)] = &[
    ("address-mappings/all", ""),
    ("circuit-status", ""),
    ("dormant", "0"),
    ("entry-guards", ""),
    ("network-liveness", "up"),
    ("ns/all", ""),
    ("orconn-status", ""),
    ("status/bootstrap-phase", "NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\""),
    ("status/circuit-established", "1"),
    ("status/enough-dir-info", "1"),
    ("stream-status", ""),
];

/// The answers of a fake tor, and the commands that it expects.
pub(super) struct Playbook {
    version: String,
    password: Option<String>,
    in_any_order: bool,
    // A leaf lock: no closure of a test is called or dropped under it.
    state: Mutex<State>,
    /// Notified when an expected command arrives, and when a connection ends.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next_id: u64,
    expected: VecDeque<Expected>,
    /// The newest is last.
    rules: Vec<Rule>,
    info: BTreeMap<String, String>,
    /// By the name in lower case: the name, and its values.
    conf: BTreeMap<String, (String, Vec<String>)>,
    /// The number of the connection and the command.
    received: Vec<(usize, String)>,
    /// How many connections are served.
    served: usize,
}

#[derive(Clone)]
struct Expected {
    id: u64,
    pattern: Pattern,
    answer: Answer,
}

type Accept = dyn Fn(&str) -> bool + Send + Sync;
type React = dyn Fn(usize, &str) -> Option<Answer> + Send + Sync;

/// A description of commands.
#[derive(Clone)]
pub(super) enum Pattern {
    Text(String),
    Matching { what: String, accept: Arc<Accept> },
}

impl Pattern {
    pub(super) fn matches(&self, command: &str) -> bool {
        match self {
            Self::Text(text) => text == command,
            Self::Matching { accept, .. } => accept(command),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Matching { what, .. } => f.write_str(what),
        }
    }
}

/// An answer that can be given any number of times.
#[derive(Clone)]
pub(super) enum Rule {
    Answer(Pattern, Answer),
    React(Arc<React>),
}

/// The answer to a command, and the failure of the test if it is not expected.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) failure: Option<String>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, failure: None }
    }
}

impl Playbook {
    pub(super) fn new(version: String, password: Option<String>, in_any_order: bool) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { version, password, in_any_order, state, changed }
    }

    pub(super) fn expect(&self, pattern: Pattern, answer: Answer) {
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.expected.push_back(Expected { id, pattern, answer });
    }

    pub(super) fn add_rule(&self, rule: Rule) {
        self.state.lock().rules.push(rule);
    }

    pub(super) fn set_info(&self, key: &str, value: &str) {
        self.state.lock().info.insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn set_conf(&self, name: &str, values: Vec<String>) {
        let entry = (name.to_owned(), values);
        self.state.lock().conf.insert(name.to_ascii_lowercase(), entry);
    }

    /// Returns the commands that arrived after the authentication, each with the number of its
    /// connection.
    pub(super) fn received(&self) -> Vec<(usize, String)> {
        self.state.lock().received.clone()
    }

    /// Counts a connection until the returned value is dropped.
    pub(super) fn begin_connection(self: &Arc<Self>) -> Served {
        self.state.lock().served += 1;
        Served(Arc::clone(self))
    }

    /// Whether a connection is served.
    pub(super) fn is_serving(&self) -> bool {
        self.state.lock().served > 0
    }

    /// Waits until every expected command has arrived. Returns those that have not at the deadline,
    /// or when no connection is left.
    pub(super) fn wait(&self, until: Instant, only_while_served: bool) -> Vec<String> {
        let mut state = self.state.lock();
        while !state.expected.is_empty() && (state.served > 0 || !only_while_served) {
            if clock::wait_until(&self.changed, &mut state, until) {
                break;
            }
        }
        state.expected.iter().map(|expected| expected.pattern.to_string()).collect()
    }

    /// Returns the answer to a command.
    pub(super) fn answer(
        &self,
        connection: usize,
        command: &str,
        is_authenticated: bool,
    ) -> Outcome {
        let keyword = command.split([' ', '\n']).next().unwrap_or_default();
        let is_greeting = matches!(keyword, "PROTOCOLINFO" | "AUTHENTICATE" | "AUTHCHALLENGE");
        if is_authenticated && !is_greeting {
            self.state.lock().received.push((connection, command.to_owned()));
        }
        if let Some(outcome) = self.expected(command) {
            return outcome;
        }
        if let Some(answer) = self.ruled(connection, command) {
            return answer.into();
        }
        if !is_authenticated && !is_greeting && keyword != "QUIT" {
            let answer = Answer::refused(514, "Authentication required.").then_close();
            let failure = format!("{command:?} arrived before the authentication");
            return Outcome { answer, failure: Some(failure) };
        }
        self.by_default(keyword, command).unwrap_or_else(|| self.unexpected(command))
    }

    /// Takes the expected command that matches. It is a failure if another one is expected first.
    fn expected(&self, command: &str) -> Option<Outcome> {
        loop {
            // The closures of the patterns are called without the lock.
            let candidates = self.state.lock().expected.clone();
            let found = candidates.iter().find(|expected| expected.pattern.matches(command))?;
            let mut state = self.state.lock();
            let place = state.expected.iter().position(|expected| expected.id == found.id);
            // Otherwise another connection has taken it in the meantime.
            let Some(place) = place else { continue };
            let first = state.expected.front().map(|first| first.pattern.to_string());
            let taken = state.expected.remove(place)?;
            drop(state);
            self.changed.notify_all();
            if place == 0 || self.in_any_order {
                return Some(taken.answer.into());
            }
            let first = first.unwrap_or_default();
            let problem = format!("{command:?} arrived before the expected {first}");
            return Some(Outcome { answer: refusal(&problem), failure: Some(problem) });
        }
    }

    fn ruled(&self, connection: usize, command: &str) -> Option<Answer> {
        let rules = self.state.lock().rules.clone();
        rules.iter().rev().find_map(|rule| match rule {
            Rule::Answer(pattern, answer) => pattern.matches(command).then(|| answer.clone()),
            Rule::React(react) => react(connection, command),
        })
    }

    fn by_default(&self, keyword: &str, command: &str) -> Option<Outcome> {
        let arguments = command.get(keyword.len()..).unwrap_or_default().trim_start_matches(' ');
        match keyword {
            "PROTOCOLINFO" => {
                let method = if self.password.is_some() { "HASHEDPASSWORD" } else { "NULL" };
                let lines = [
                    "250-PROTOCOLINFO 1".to_owned(),
                    format!("250-AUTH METHODS={method}"),
                    format!("250-VERSION Tor=\"{}\"", self.version),
                    "250 OK".to_owned(),
                ];
                Some(Answer::lines(lines).into())
            }
            "AUTHENTICATE" => Some(self.authenticate(arguments).into()),
            "QUIT" => Some(Answer::lines(["250 closing connection"]).then_close().into()),
            "SETEVENTS" | "USEFEATURE" => Some(Answer::ok().into()),
            "GETINFO" => self.get_info(arguments),
            "GETCONF" => self.get_conf(arguments),
            _ => None,
        }
    }

    fn authenticate(&self, argument: &str) -> Answer {
        match &self.password {
            Some(password) if !is_password(password, argument) => Answer::refused(
                515,
                "Authentication failed: Password did not match HashedControlPassword value from \
                 configuration",
            ),
            _ => Answer::ok(),
        }
    }

    fn get_info(&self, keys: &str) -> Option<Outcome> {
        // torcon asks for such a key to find out which reply is missing.
        if keys.starts_with("torcon/sync/") {
            return Some(Answer::refused(552, &format!("Unrecognized key \"{keys}\"")).into());
        }
        let state = self.state.lock();
        let value = |key: &str| {
            let by_default = || INFO.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
            let version = (key == "version").then_some(self.version.as_str());
            state.info.get(key).map(String::as_str).or(version).or_else(by_default)
        };
        let mut lines = Vec::new();
        for key in keys.split(' ') {
            lines.extend(info_lines(key, value(key)?));
        }
        lines.push("250 OK".to_owned());
        Some(Answer::lines(lines).into())
    }

    fn get_conf(&self, names: &str) -> Option<Outcome> {
        let state = self.state.lock();
        let mut lines = Vec::new();
        for name in names.split(' ') {
            let (name, values) = state.conf.get(&name.to_ascii_lowercase())?;
            if values.is_empty() {
                lines.push(name.clone());
            }
            lines.extend(values.iter().map(|value| format!("{name}={value}")));
        }
        let last = lines.pop()?;
        let others = lines.iter().map(|line| format!("250-{line}"));
        Some(Answer::lines(others.chain([format!("250 {last}")])).into())
    }

    fn unexpected(&self, command: &str) -> Outcome {
        let next = self.state.lock().expected.front().map(|next| next.pattern.to_string());
        let next = next.map_or_else(
            || "no further command is expected".to_owned(),
            |next| format!("the next expected command is {next}"),
        );
        let problem = format!("unexpected command {command:?}; {next}");
        Outcome { answer: refusal(&problem), failure: Some(problem) }
    }
}

impl fmt::Debug for Playbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playbook").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A connection that is served.
#[derive(Debug)]
pub(super) struct Served(Arc<Playbook>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.state.lock().served -= 1;
        self.0.changed.notify_all();
    }
}

/// Returns the reply to a command that fails the test.
pub(super) fn refusal(problem: &str) -> Answer {
    // Errors print the words of a refusal in double quotes.
    let shown = |letter: char| match letter {
        '"' => '\'',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    let text: String = problem.chars().map(shown).collect();
    Answer::refused(510, &format!("the fake tor fails the test: {text}"))
}

/// Whether an argument of `AUTHENTICATE`, in hex or quoted, is the password.
fn is_password(password: &str, argument: &str) -> bool {
    let Some(quoted) = argument.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        let sent = data_encoding::HEXLOWER_PERMISSIVE.decode(argument.as_bytes());
        return sent.is_ok_and(|sent| sent == password.as_bytes());
    };
    let mut plain = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    plain == password
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Answer, Pattern, Playbook, is_password};

    fn playbook(in_any_order: bool) -> Arc<Playbook> {
        let playbook = Playbook::new("0.4.9.11".to_owned(), None, in_any_order);
        for text in ["A", "B"] {
            playbook.expect(Pattern::Text(text.to_owned()), Answer::ok());
        }
        Arc::new(playbook)
    }

    fn reply(playbook: &Playbook, command: &str) -> (String, bool) {
        let outcome = playbook.answer(1, command, true);
        let text = String::from_utf8_lossy(&outcome.answer.reply).into_owned();
        (text, outcome.failure.is_some())
    }

    #[test]
    fn expected_commands_are_taken_in_their_order() {
        let playbook = playbook(false);
        assert_eq!(reply(&playbook, "A"), ("250 OK\r\n".to_owned(), false));
        let (text, has_failed) = reply(&playbook, "A");
        assert!(has_failed && text.contains("the next expected command is 'B'"), "{text}");
        assert_eq!(reply(&playbook, "B"), ("250 OK\r\n".to_owned(), false));
        let (text, has_failed) = reply(&playbook, "C\nD");
        assert!(has_failed && text.contains("'C\\nD'; no further command"), "{text}");
    }

    #[test]
    fn a_command_that_arrives_too_early_fails_unless_any_order_is_allowed() {
        let (text, has_failed) = reply(&playbook(false), "B");
        assert!(has_failed && text.contains("'B' arrived before the expected 'A'"), "{text}");
        assert_eq!(reply(&playbook(true), "B"), ("250 OK\r\n".to_owned(), false));
    }

    #[test]
    fn a_getinfo_of_several_keys_is_answered_if_every_key_is_known() {
        let playbook = playbook(false);
        playbook.set_info("x", "1\n2");
        let expected = "250+x=\r\n1\r\n2\r\n.\r\n250-version=0.4.9.11\r\n250 OK\r\n";
        assert_eq!(reply(&playbook, "GETINFO x version"), (expected.to_owned(), false));
        assert!(reply(&playbook, "GETINFO x y").1);
        playbook.set_conf("Log", vec!["a".to_owned(), "b".to_owned()]);
        playbook.set_conf("Nickname", Vec::new());
        let expected = "250-Log=a\r\n250-Log=b\r\n250 Nickname\r\n";
        assert_eq!(reply(&playbook, "GETCONF log nickname"), (expected.to_owned(), false));
        assert!(reply(&playbook, "GETCONF Log X").1);
    }

    #[test]
    fn a_password_is_compared_in_hex_and_in_quotes() {
        assert!(is_password("a \"", "612022") && is_password("a \"", r#""a \"""#));
        assert!(!is_password("a", "\"b\"") && !is_password("a", "62") && !is_password("a", ""));
    }
}
