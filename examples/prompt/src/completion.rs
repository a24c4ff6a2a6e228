//! Completion of the word at the cursor.

use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::commands::{COMMANDS, Words, find};
use crate::vocabulary::{Noted, Vocabulary};

/// A word that can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    word: String,
    note: String,
    /// The text behind the word once it is complete.
    end: &'static str,
}

impl Candidate {
    fn new(word: impl Into<String>) -> Self {
        Self { word: word.into(), note: String::new(), end: " " }
    }

    fn noted((word, note): Noted) -> Self {
        Self { word, note, end: " " }
    }

    fn shown(&self) -> String {
        match self.note.as_str() {
            "" => self.word.clone(),
            note => format!("{} ({note})", self.word),
        }
    }
}

/// Completes lines with the words of a tor.
pub(crate) struct Completion {
    vocabulary: Arc<Vocabulary>,
}

impl Completion {
    pub(crate) fn new(vocabulary: &Arc<Vocabulary>) -> Self {
        Self { vocabulary: Arc::clone(vocabulary) }
    }

    /// Returns the start of the word before the cursor, and its candidates, sorted.
    fn candidates(&self, line: &str) -> (usize, Vec<Candidate>) {
        let start = line.rfind([' ', '\t']).map_or(0, |blank| blank + 1);
        let (before, word) = line.split_at(start);
        let former: Vec<&str> = before.split_whitespace().collect();
        let mut candidates = match former.split_first() {
            None => commands(word.starts_with('+')),
            Some((name, arguments)) => {
                let words = find(name).map_or(Words::None, |command| command.words);
                let mut candidates = self.arguments(words, arguments.len(), word);
                candidates.retain(|candidate| !arguments.contains(&candidate.word.as_str()));
                candidates
            }
        };
        candidates.retain(|candidate| begins_with(&candidate.word, word));
        candidates.sort();
        candidates.dedup_by(|next, former| next.word == former.word);
        (start, candidates)
    }

    /// Returns the candidates for an argument that has `former` arguments before it.
    fn arguments(&self, words: Words, former: usize, word: &str) -> Vec<Candidate> {
        let vocabulary = &*self.vocabulary;
        let plain = |words: Vec<String>| words.into_iter().map(Candidate::new).collect();
        let noted = |words: Vec<Noted>| words.into_iter().map(Candidate::noted).collect();
        match (words, former) {
            (Words::Commands, 0) => self.topics(),
            (Words::Events, _) => plain(vocabulary.events()),
            (Words::Features, _) => plain(vocabulary.features().to_vec()),
            (Words::InfoKeys, _) => self.info_keys(word),
            (Words::Options, _) => self.options(""),
            (Words::Settings, _) if !word.contains('=') => self.options("="),
            (Words::Signals, 0) => plain(vocabulary.signals()),
            (Words::NewKeys, 0) => ["NEW:BEST", "NEW:ED25519-V3"].map(Candidate::new).into(),
            (Words::OnionServices, 0) => plain(vocabulary.onion_services()),
            (Words::Circuits, 0) | (Words::StreamAndCircuit, 1) => noted(vocabulary.circuits()),
            (Words::Streams | Words::StreamAndCircuit, 0) => noted(vocabulary.streams()),
            (Words::Relays, 0) => noted(vocabulary.relays()),
            _ => Vec::new(),
        }
    }

    /// Returns the options, with `=` behind each for a value that must follow.
    fn options(&self, end: &'static str) -> Vec<Candidate> {
        let end = if end.is_empty() { " " } else { end };
        let options = self.vocabulary.options().iter();
        options.map(|(name, _)| Candidate { end, ..Candidate::new(name) }).collect()
    }

    fn topics(&self) -> Vec<Candidate> {
        let keys = self.vocabulary.info_keys().iter().map(|(key, _)| Candidate::new(key));
        commands(false).into_iter().chain(keys).chain(self.options("")).collect()
    }

    /// Returns the keys, and the complete ones of the prefix in the word if its parameters are
    /// known.
    fn info_keys(&self, word: &str) -> Vec<Candidate> {
        let keys = self.vocabulary.info_keys().iter().map(|(key, _)| key_candidate(key));
        let mut candidates: Vec<_> = keys.collect();
        let Some((prefix, _)) = word.rsplit_once('/') else { return candidates };
        let vocabulary = &*self.vocabulary;
        let names =
            |words: Vec<String>| words.into_iter().map(|word| (word, String::new())).collect();
        let parameters: Vec<Noted> = match prefix {
            "config" => {
                vocabulary.options().iter().map(|(name, _)| (name.clone(), String::new())).collect()
            }
            "desc/id" | "md/id" | "ns/id" => vocabulary.relays(),
            "net/listeners" => names(vocabulary.listener_kinds()),
            _ => Vec::new(),
        };
        let complete = |(word, note)| Candidate::noted((format!("{prefix}/{word}"), note));
        candidates.extend(parameters.into_iter().map(complete));
        // Once the parameters are known, the bare prefix is no candidate.
        candidates.retain(|candidate| candidate.word != word || candidate.end == " ");
        candidates
    }
}

/// Returns the commands, those with data with `+` if the word begins with it.
fn commands(has_plus: bool) -> Vec<Candidate> {
    let name = |name: &str| if has_plus { format!("+{name}") } else { name.to_owned() };
    let names = COMMANDS.iter().map(|command| (name(command.name), command.usage));
    let end = |usage: &str| if usage.is_empty() { "" } else { " " };
    names.map(|(name, usage)| Candidate { end: end(usage), ..Candidate::new(name) }).collect()
}

/// Returns the part of a key before its parameter, to which the user adds the parameter.
fn key_candidate(key: &str) -> Candidate {
    match key.find(['*', '<']) {
        None => Candidate::new(key),
        Some(end) => {
            let prefix = key.get(..end).unwrap_or_default().trim_end_matches('/');
            Candidate { end: "", ..Candidate::new(format!("{prefix}/")) }
        }
    }
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = self.candidates(line.get(..position).unwrap_or_default());
        let pairs = candidates.into_iter().map(|candidate| Pair {
            display: candidate.shown(),
            replacement: format!("{}{}", candidate.word, candidate.end),
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Validator for Completion {}

impl Helper for Completion {}

#[cfg(test)]
mod tests;
