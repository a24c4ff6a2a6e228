//! The texts of `help`.

use crate::commands::{COMMANDS, Command, find};
use crate::output::Output;
use crate::vocabulary::Vocabulary;

/// The width of the column of names in the list of commands.
const NAME_WIDTH: usize = 24;

/// Shows the list of commands, or explains a topic. Returns whether the topic is known.
pub(crate) fn show(topic: Option<&str>, vocabulary: &Vocabulary, output: Output) -> bool {
    let Some(topic) = topic else {
        overview(output);
        return true;
    };
    let explanation = explanation(topic, vocabulary);
    match &explanation {
        Some(text) => output.line(text.as_bytes()),
        None => output.problem(&format!("no command, key or option is called {topic:?}")),
    }
    explanation.is_some()
}

fn overview(output: Output) {
    output.line(
        b"Every other line is sent to tor. Tab completes commands, keys, options and events.\n",
    );
    for Command { name, explanation, .. } in COMMANDS {
        output.line(overview_line(name, explanation).as_bytes());
    }
}

/// Returns the explanation of a command, or else of a `GETINFO` key or an option, as tor describes it.
fn explanation(topic: &str, vocabulary: &Vocabulary) -> Option<String> {
    if let Some(Command { name, usage, explanation, .. }) = find(topic) {
        return Some(format!("{name} {usage}\n{explanation}").replace(" \n", "\n"));
    }
    let described = |list: &[(String, String)]| {
        list.iter().find(|(name, _)| name.eq_ignore_ascii_case(topic)).cloned()
    };
    described(vocabulary.info_keys()).map(|(key, text)| format!("GETINFO {key}\n{text}")).or_else(
        || {
            let (option, kind) = described(vocabulary.options())?;
            Some(format!("the option {option}, a value of the type {kind}"))
        },
    )
}

/// Returns a line of the list of commands, with the first sentence of the explanation.
fn overview_line(name: &str, explanation: &str) -> String {
    let first = explanation.split_once(". ").map_or(explanation, |(first, _)| first);
    format!("{name:NAME_WIDTH$} {}", first.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::{explanation, overview_line};
    use crate::commands::COMMANDS;
    use crate::vocabulary::Vocabulary;

    #[test]
    fn commands_keys_and_options_are_explained() {
        let vocabulary = Vocabulary::fallback();
        let text = |topic| explanation(topic, &vocabulary).unwrap_or_default();
        assert!(text("dropguards").starts_with("DROPGUARDS\nDiscards"), "{}", text("dropguards"));
        assert!(text("GETINFO").starts_with("GETINFO KEY ...\nShows"));
        assert!(text("traffic/read").starts_with("GETINFO traffic/read\n"));
        assert!(text("socksport").starts_with("the option SocksPort"));
        assert_eq!(text("nothing"), "");
    }

    #[test]
    fn a_line_of_the_list_has_the_first_sentence_and_fits_the_terminal() {
        assert_eq!(overview_line("X", "Adds x. More."), format!("X{}Adds x", " ".repeat(24)));
        for command in COMMANDS {
            let line = overview_line(command.name, command.explanation);
            assert!(line.len() <= 80, "{line}");
        }
    }
}
