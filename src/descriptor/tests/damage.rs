//! Documents of a relay, a service and an authority, damaged: cut at every line, and with every line changed.

use std::collections::BTreeSet;

use crate::descriptor::{
    ExtraInfo, KeyCertificate, Microdescriptor, OnionDescriptor, ServerDescriptor,
};
use crate::error::ProtocolError;

/// A valid document.
struct Sample {
    text: &'static str,
    /// Parses and checks a document, and calls its methods.
    check: fn(&[u8]) -> Result<(), ProtocolError>,
    /// The keywords of lines that this type of document can end before.
    optional: &'static [&'static str],
    /// The keywords of lines with free text or lists, and changes of others that are valid.
    free: &'static [&'static str],
}

macro_rules! check {
    ($document:ident) => {
        |text| {
            let document = $document::parse(text)?;
            #[cfg(feature = "serde")]
            serde_json::to_string(&document).unwrap();
            let items = document.items().count();
            assert!(document.unrecognized().count() <= items);
            document.check()
        }
    };
}

const SAMPLES: &[Sample] = &[
    Sample {
        text: include_str!("damage/onion.txt"),
        check: check!(OnionDescriptor),
        optional: &[],
        free: &[],
    },
    Sample {
        text: include_str!("server.txt"),
        check: check!(ServerDescriptor),
        optional: &[],
        free: &["accept", "contact", "extra-info-digest word 2 removed", "platform", "proto"],
    },
    Sample {
        text: include_str!("damage/extra-info.txt"),
        check: check!(ExtraInfo),
        optional: &[],
        free: &[],
    },
    Sample {
        text: include_str!("damage/microdescriptor.txt"),
        check: check!(Microdescriptor),
        optional: &["-----BEGIN", "ntor-onion-key", "family", "p", "p6", "id"],
        free: &["family", "id"],
    },
    Sample {
        text: include_str!("damage/key-certificate.txt"),
        check: check!(KeyCertificate),
        optional: &[],
        free: &[],
    },
];

impl Sample {
    /// Returns the lines, each with its line end.
    fn lines(&self) -> Vec<&'static str> {
        self.text.split_inclusive('\n').collect()
    }

    fn check(&self, lines: &[impl AsRef<[u8]>]) -> Result<(), ProtocolError> {
        let text: Vec<u8> = lines.iter().flat_map(|line| line.as_ref().to_vec()).collect();
        (self.check)(&text)
    }

    fn name(&self) -> &'static str {
        let first = self.lines().into_iter().find(|line| !line.starts_with('@')).unwrap();
        first.split([' ', '\n']).next().unwrap()
    }

    /// Returns the position of the line to which each line belongs: itself, or that before an object.
    fn items(&self) -> Vec<usize> {
        let mut item = 0;
        let mut in_object = false;
        let mut items = Vec::new();
        for (position, line) in self.lines().into_iter().enumerate() {
            in_object |= line.starts_with("-----BEGIN ");
            if !in_object {
                item = position;
            }
            in_object &= !line.starts_with("-----END ");
            items.push(item);
        }
        items
    }
}

fn keyword(line: &str) -> &str {
    line.split([' ', '\n']).next().unwrap()
}

#[test]
fn the_documents_are_valid() {
    for sample in SAMPLES {
        (sample.check)(sample.text.as_bytes()).unwrap();
    }
}

#[test]
fn a_document_that_is_cut_at_a_line_is_invalid() {
    for sample in SAMPLES {
        let lines = sample.lines();
        for length in 0..lines.len() {
            let may_end = sample.optional.contains(&keyword(lines[length]));
            let outcome = sample.check(&lines[..length]);
            if !may_end {
                let error = outcome.expect_err(&format!("{} cut to {length}", sample.name()));
                let line = error.line().unwrap_or(1);
                assert!(line <= length.max(1), "{error}");
            }
            // Within a line.
            if let Some(line) = lines[length].get(..lines[length].len() / 2) {
                let _ = sample.check(&[&lines[..length], &[line]].concat());
            }
        }
    }
}

/// Changes of one line, each with a name.
fn changes(line: &str) -> Vec<(String, Vec<u8>)> {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let words: Vec<&str> = text.split(' ').collect();
    let with = |words: &[&str]| format!("{}\n", words.join(" ")).into_bytes();
    let mut changes = vec![
        ("removed".to_owned(), Vec::new()),
        ("doubled".to_owned(), line.repeat(2).into_bytes()),
        ("another keyword".to_owned(), format!("x{line}").into_bytes()),
        ("without arguments".to_owned(), with(&words[..1])),
        ("much longer".to_owned(), with(&[text, &"9".repeat(70_000)])),
        ("NUL behind".to_owned(), format!("{text}\0\n").into_bytes()),
        ("not UTF-8".to_owned(), [text.as_bytes(), b"\xff\n"].concat()),
    ];
    for position in 1..words.len().min(9) {
        let mut changed = words.clone();
        changed[position] = "!";
        changes.push((format!("word {position} changed"), with(&changed)));
        changed.remove(position);
        changes.push((format!("word {position} removed"), with(&changed)));
        let mut cut = words.clone();
        cut[position] = cut[position].get(..cut[position].len() / 2).unwrap_or_default();
        changes.push((format!("word {position} cut"), with(&cut)));
    }
    changes
}

#[test]
fn the_error_of_a_changed_line_names_it() {
    for sample in SAMPLES {
        let lines = sample.lines();
        let items = sample.items();
        let mut unnoticed = BTreeSet::new();
        for (position, line) in lines.iter().enumerate() {
            let item = items[position];
            let first = lines.iter().position(|line| !line.starts_with('@')).unwrap();
            for (change, changed) in changes(line) {
                let mut damaged: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
                damaged[position] = &changed;
                let what = || format!("{}, line {}, {change}", sample.name(), position + 1);
                let Err(error) = sample.check(&damaged) else {
                    // A shorter word can be valid, and a line can have more words than are read.
                    let is_valid = ["removed", "another keyword", "much longer"]
                        .contains(&&*change)
                        || change.ends_with(" cut")
                        || !line.contains(' ');
                    if !line.starts_with('@') && !is_valid {
                        let object = if item == position { "" } else { "object of " };
                        unnoticed.insert(format!("{object}{} {change}", keyword(lines[item])));
                    }
                    continue;
                };
                // A NUL byte behind a keyword is part of it.
                let is_missing = ["removed", "another keyword"].contains(&&*change)
                    || (!line.contains(' ') && change != "doubled");
                match error.line() {
                    None => assert!(is_missing || item <= first, "{}: {error}", what()),
                    // A line that is missing can make another one wrong.
                    Some(line) if is_missing || item != position => {
                        assert!(line <= lines.len() + 1, "{}: {error}", what());
                    }
                    Some(line) => {
                        let expected = [item + 1, item + 2];
                        let expected = &expected[usize::from(change == "doubled")..];
                        assert!(
                            expected.first() == Some(&line) || change == "doubled",
                            "{}: {error}",
                            what()
                        );
                    }
                }
            }
        }
        unnoticed.retain(|found: &String| {
            let keyword = found.split(' ').next().unwrap_or_default();
            let is_free = sample.free.iter().any(|free| *free == keyword || free == found);
            !is_free && !found.starts_with("object of ")
        });
        assert!(unnoticed.is_empty(), "{}: {unnoticed:#?}", sample.name());
    }
}
