//! The project's sentences use the nouns of the control specification and name their subjects.

use std::fs;
use std::path::Path;

/// Words of a private dialect, with the words to use instead. A space matches any blanks, line ends
/// and punctuation.
const DIALECT: &[(&str, &str)] = &[
    ("whoever", "name the subject: the caller, a program, a controller"),
    ("nobody", "name the subject: no caller, no program, no relay"),
    ("somebody", "name the subject: a caller, a client, a user"),
    ("anybody", "name the subject: a caller, a client, a user"),
    ("everybody", "name the subject: every caller, every client"),
    ("those who", "name the subject: callers that, clients that"),
    ("that which", "name the thing"),
    ("of its own", "separate, private, new, or its own ..."),
    ("of their own", "separate, private, new, or their own ..."),
    ("of one s own", "name the owner"),
    ("is told", "receives, gets an error, is reported"),
    ("are told", "receive, get an error, are reported"),
    ("was told", "received, was reported"),
    ("were told", "received, were reported"),
    ("tells of", "reports"),
    ("tell of", "report"),
    ("became of", "the outcome of, the result of"),
    ("becomes of", "the outcome of, the result of"),
    ("came of", "the outcome of, the result of"),
    ("comes", "arrives, follows, is returned"),
    ("is there", "exists, is available, has arrived"),
    ("are there", "exist, are available, have arrived"),
    ("was there", "existed, was available, had arrived"),
    ("were there", "existed, were available, had arrived"),
    ("let in", "accepts the authentication, authorizes"),
    ("lets in", "accepts the authentication, authorizes"),
    ("lets us in", "accepts the authentication"),
    ("let us in", "accepted the authentication"),
    ("has its way", "say which value applies"),
    ("in vain", "say what fails"),
    ("for ever", "forever"),
    ("kind of authorization", "authorization type"),
];

/// Words with which neither a comment nor the name of a function begins, since they hide the subject
/// of the sentence.
const BEGINNINGS: &[&str] = &["what", "whoever", "that which"];

/// Returns the words of a text in lower case, with single blanks around each.
fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
    {
        words.push_str(&word.to_lowercase());
        words.push(' ');
    }
    words
}

/// A comment, a text of several words in quotes, or the name of a function.
#[derive(Debug, PartialEq, Eq)]
enum Prose {
    Comment(String),
    Text(String),
    Name(String),
}

/// Returns the prose of a Rust source with the number of its first line. Comments on consecutive
/// lines are one comment, and examples in it are code.
fn prose(source: &str) -> Vec<(usize, Prose)> {
    let mut found = Vec::new();
    let mut comment: Option<(usize, String)> = None;
    let mut is_example = false;
    for (number, line) in (1..).zip(source.lines()) {
        let trimmed = line.trim_start();
        let Some(text) = trimmed.strip_prefix("//") else {
            is_example = false;
            found.extend(comment.take().map(|(number, text)| (number, Prose::Comment(text))));
            if let Some((_, after)) = trimmed.split_once("fn ") {
                let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
                let name = after.split(|letter| !is_part(letter)).next().unwrap_or_default();
                found.push((number, Prose::Name(name.to_owned())));
            }
            let texts = trimmed.split('"').skip(1).step_by(2);
            let texts = texts.filter(|text| text.split_whitespace().count() > 2);
            found.extend(texts.map(|text| (number, Prose::Text(text.to_owned()))));
            continue;
        };
        let text = text.trim_start_matches(['/', '!']).trim();
        is_example ^= text.starts_with("```");
        if text.is_empty() {
            found.extend(comment.take().map(|(number, text)| (number, Prose::Comment(text))));
        } else if !is_example {
            let (_, all) = comment.get_or_insert((number, String::new()));
            all.push_str(text);
            all.push(' ');
        }
    }
    found.extend(comment.map(|(number, text)| (number, Prose::Comment(text))));
    found
}

/// Returns a line for each word of the dialect in a Rust source.
fn dialect(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, prose) in prose(source) {
        let (text, may_begin) = match &prose {
            Prose::Comment(text) | Prose::Name(text) => (words(text), false),
            Prose::Text(text) => (words(text), true),
        };
        for (phrase, instead) in DIALECT {
            if text.contains(&format!(" {phrase} ")) {
                found.push(format!("{file}:{line}: \"{phrase}\": {instead}"));
            }
        }
        for beginning in BEGINNINGS {
            let rest = text.strip_prefix(&format!(" {beginning} ")).unwrap_or_default();
            if !may_begin && !rest.is_empty() {
                found.push(format!("{file}:{line}: begins with \"{beginning}\""));
            }
        }
    }
    found
}

/// Returns a line for each word of the dialect in a page.
fn dialect_of_page(file: &str, page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(page.lines()) {
        let text = words(text);
        let phrases = DIALECT.iter().filter(|(phrase, _)| text.contains(&format!(" {phrase} ")));
        found.extend(
            phrases.map(|(phrase, instead)| format!("{file}:{line}: \"{phrase}\": {instead}")),
        );
    }
    found
}

/// Calls `visit` with each Rust source and each page below a folder, except those in a folder
/// `target`, which the packages below `examples/` may have.
fn each_file(folder: &Path, visit: &mut impl FnMut(&str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut entries: Vec<_> =
        fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    for entry in entries {
        let path = folder.join(entry);
        if path.ends_with("target") {
            continue;
        }
        if root.join(&path).is_dir() {
            each_file(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            visit(path.to_str().unwrap(), &fs::read_to_string(root.join(&path)).unwrap());
        }
    }
}

#[test]
fn sentences_and_names_have_no_private_dialect() {
    let (mut found, mut files) = (Vec::new(), 0);
    let mut check = |file: &str, text: &str| {
        files += 1;
        if file.ends_with(".md") {
            found.extend(dialect_of_page(file, text));
        // This file has the list.
        } else if !file.ends_with("plain_language.rs") {
            found.extend(dialect(file, text));
        }
    };
    for folder in [".github", "src", "tests", "examples", "benches"] {
        each_file(Path::new(folder), &mut check);
    }
    check("README.md", include_str!("../../../README.md"));
    assert!(files > 400, "only {files} files were found");
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn dialect_in_comments_texts_and_names_is_found() {
    let source = "/// What a relay sends,\n\
        /// whoever\n/// reads it.\n\
        fn what_is_kept() {\n    assert!(x, \"the caller is told\");\n}\n\
        /// ```\n/// // nobody\n/// ```\n/// A thread of\n/// its own.\n\
        const USER: &str = \"nobody\";\n";
    assert_eq!(
        dialect("a.rs", source),
        [
            "a.rs:1: \"whoever\": name the subject: the caller, a program, a controller",
            "a.rs:1: begins with \"what\"",
            "a.rs:4: begins with \"what\"",
            "a.rs:5: \"is told\": receives, gets an error, is reported",
            "a.rs:9: \"of its own\": separate, private, new, or its own ...",
        ]
    );
}
