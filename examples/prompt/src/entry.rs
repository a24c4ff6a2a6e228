//! A line that the user has typed.

use torcon::EventKind;

/// The commands whose data follow on the next lines.
const WITH_DATA: [&str; 3] = ["HSPOST", "LOADCONF", "POSTDESCRIPTOR"];

/// A word of old versions of the protocol, which `SETEVENTS` accepts and ignores.
const EXTENDED: &str = "EXTENDED";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A blank line or a comment.
    Empty,
    /// `help` with its topic.
    Help(Option<String>),
    /// `/info` with the relay.
    Info(Option<String>),
    /// `/events` without events.
    ShowEvents,
    /// `SETEVENTS`, or `/events` with events.
    SetEvents(Vec<EventKind>),
    Quit,
    /// A command line, without `+`, whose data follow.
    WithData(String),
    /// A line for tor.
    Command(String),
    /// The name of a command with a slash that does not exist.
    Unknown(String),
}

impl Entry {
    pub(crate) fn read(line: &str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim();
        let topic = (!rest.is_empty()).then(|| rest.to_owned());
        if let Some(name) = word.strip_prefix('/') {
            return match name.to_ascii_lowercase().as_str() {
                "help" => Self::Help(topic),
                "info" => Self::Info(topic),
                "events" if rest.is_empty() => Self::ShowEvents,
                "events" if rest.eq_ignore_ascii_case("none") => Self::SetEvents(Vec::new()),
                "events" => Self::SetEvents(event_kinds(rest)),
                "quit" | "exit" => Self::Quit,
                _ => Self::Unknown(word.to_owned()),
            };
        }
        let keyword = word.strip_prefix('+').unwrap_or(word).to_ascii_uppercase();
        match keyword.as_str() {
            "" if word.is_empty() => Self::Empty,
            _ if word.starts_with('#') => Self::Empty,
            "HELP" => Self::Help(topic),
            "QUIT" => Self::Quit,
            "SETEVENTS" => Self::SetEvents(event_kinds(rest)),
            keyword if word.starts_with('+') || WITH_DATA.contains(&keyword) => {
                Self::WithData(line.strip_prefix('+').unwrap_or(line).to_owned())
            }
            _ => Self::Command(line.to_owned()),
        }
    }
}

/// Returns the kinds of a list, each once.
fn event_kinds(list: &str) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    for word in list.split_whitespace().map(str::to_ascii_uppercase) {
        let kind = EventKind::from(word.as_str());
        if word != EXTENDED && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// Returns the keyword of a command line, in upper case.
pub(crate) fn keyword(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    word.strip_prefix('+').unwrap_or(word).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use torcon::EventKind;

    use super::{Entry, keyword};

    #[test]
    fn a_command_is_sent_as_it_was_typed() {
        assert_eq!(Entry::read(" getinfo version\r"), Entry::Command("getinfo version".to_owned()));
        let quoted = "SETCONF Nickname=\"a  b\"";
        assert_eq!(Entry::read(quoted), Entry::Command(quoted.to_owned()));
        assert_eq!(keyword("+loadconf  x"), "LOADCONF");
    }

    #[test]
    fn blank_lines_and_comments_are_empty() {
        for line in ["", "  ", "\t", "# GETINFO version", "#"] {
            assert_eq!(Entry::read(line), Entry::Empty, "{line:?}");
        }
    }

    #[test]
    fn commands_with_data_are_recognized_with_and_without_plus() {
        assert_eq!(Entry::read("+LOADCONF"), Entry::WithData("LOADCONF".to_owned()));
        assert_eq!(
            Entry::read("postdescriptor cache=no"),
            Entry::WithData("postdescriptor cache=no".to_owned())
        );
        assert_eq!(Entry::read("+NEW x"), Entry::WithData("NEW x".to_owned()));
    }

    #[test]
    fn events_are_a_set_of_kinds() {
        let expected = Entry::SetEvents(vec![EventKind::Circ, EventKind::from("NEW_KIND")]);
        assert_eq!(Entry::read("SETEVENTS EXTENDED circ NEW_KIND CIRC"), expected);
        assert_eq!(Entry::read("/events circ new_kind"), expected);
        assert_eq!(Entry::read("setevents"), Entry::SetEvents(Vec::new()));
        assert_eq!(Entry::read("/events none"), Entry::SetEvents(Vec::new()));
        assert_eq!(Entry::read("/events"), Entry::ShowEvents);
    }

    #[test]
    fn commands_of_the_prompt_are_recognized() {
        assert_eq!(Entry::read("help"), Entry::Help(None));
        assert_eq!(Entry::read("/HELP GETINFO"), Entry::Help(Some("GETINFO".to_owned())));
        assert_eq!(Entry::read("/info  moria1 "), Entry::Info(Some("moria1".to_owned())));
        assert_eq!(Entry::read("quit"), Entry::Quit);
        assert_eq!(Entry::read("/quit"), Entry::Quit);
        assert_eq!(Entry::read("/python"), Entry::Unknown("/python".to_owned()));
    }
}
