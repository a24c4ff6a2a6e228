use std::sync::Arc;

use super::{Candidate, Completion, key_candidate};
use crate::vocabulary::Vocabulary;

/// Returns the start of the word and the completed words with their ends.
fn complete(line: &str) -> (usize, Vec<String>) {
    let completion = Completion::new(&Arc::new(Vocabulary::fallback()));
    let (start, candidates) = completion.candidates(line);
    let words = candidates.iter().map(|candidate| format!("{}{}", candidate.word, candidate.end));
    (start, words.collect())
}

fn words(line: &str) -> Vec<String> {
    complete(line).1
}

#[test]
fn commands_are_completed_in_any_case_and_with_plus() {
    assert_eq!(complete("geti"), (0, vec!["GETINFO ".to_owned()]));
    assert_eq!(words("DROP"), ["DROPGUARDS", "DROPOWNERSHIP", "DROPTIMEOUTS"]);
    assert_eq!(words("+LOAD"), ["+LOADCONF"]);
    assert_eq!(words("/"), ["/events ", "/help ", "/info ", "/quit"]);
    assert!(words("").len() > 30);
    assert!(words("NOTHING").is_empty());
}

#[test]
fn the_word_at_the_cursor_is_completed_with_the_words_of_its_command() {
    assert_eq!(
        complete("GETINFO version traffic/"),
        (16, vec!["traffic/read ".to_owned(), "traffic/written ".to_owned()],)
    );
    assert_eq!(words("getconf sockspo"), ["SocksPort "]);
    assert_eq!(words("SETCONF nick"), ["Nickname="]);
    assert!(words("SETCONF Nickname=").is_empty());
    assert_eq!(words("RESETCONF ORP"), ["ORPort "]);
    assert_eq!(words("SIGNAL NEW"), ["NEWNYM "]);
    assert!(words("SIGNAL NEWNYM ").is_empty());
    assert_eq!(words("USEFEATURE v"), ["VERBOSE_NAMES "]);
    assert_eq!(words("/help SAVE"), ["SAVECONF "]);
    assert!(words("DROPGUARDS ").is_empty());
    assert!(words("FOO b").is_empty());
}

#[test]
fn an_argument_that_is_given_already_is_no_candidate() {
    assert_eq!(words("SETEVENTS CIRC"), ["CIRC ", "CIRC_BW ", "CIRC_MINOR "]);
    assert_eq!(words("/events CIRC CIRC_BW CIRC"), ["CIRC_MINOR "]);
}

#[test]
fn keys_with_a_parameter_are_completed_up_to_it_and_known_parameters_too() {
    assert_eq!(key_candidate("ns/id/*"), Candidate { end: "", ..Candidate::new("ns/id/") });
    assert_eq!(key_candidate("hs/client/desc/id*").word, "hs/client/desc/id/");
    assert_eq!(key_candidate("downloads/cert/fp/<fp>/<sk>").word, "downloads/cert/fp/");
    assert_eq!(words("GETINFO ns/"), ["ns/id/", "ns/name/"]);
    assert_eq!(words("GETINFO net/listeners/so"), ["net/listeners/socks "]);
    assert_eq!(words("GETINFO config/exitn"), ["config/ExitNodes "]);
}

#[test]
fn a_cursor_behind_letters_of_several_bytes_is_no_problem() {
    assert_eq!(complete("é"), (0, Vec::new()));
    assert_eq!(complete("GETINFO é"), (8, Vec::new()));
}

#[test]
fn a_note_is_shown_and_not_inserted() {
    let circuit = Candidate::noted(("12".to_owned(), "3 relays".to_owned()));
    assert_eq!(circuit.shown(), "12 (3 relays)");
    assert_eq!(circuit.word, "12");
}
