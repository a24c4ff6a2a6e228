//! The shape of a line: each value is replaced by its kind.

use std::fmt;

/// The words and kinds of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The event, the key of `GETINFO` or the status code that the line belongs to.
    pub(super) topic: String,
    pub(super) words: String,
    pub(super) fields: Vec<(String, Vec<String>)>,
}

/// Answers that have the form of events.
const EVENTS: [(&str, &str); 4] = [
    ("circuit-status", "CIRC"),
    ("stream-status", "STREAM"),
    ("orconn-status", "ORCONN"),
    ("status/bootstrap-phase", "STATUS_CLIENT"),
];
/// Events whose text may be any.
const MESSAGES: [&str; 5] = ["DEBUG", "INFO", "NOTICE", "WARN", "ERR"];
/// The beginnings of documents of many lines. Of a line in a document, the first word counts.
const DOCUMENTS: [&str; 12] = [
    "NS",
    "NEWCONSENSUS",
    "HS_DESC_CONTENT",
    "ns/",
    "md/",
    "desc/",
    "desc-annotations/",
    "dir/",
    "extra-info/",
    "hs/",
    "config",
    "info/names",
];

/// Returns the topic of a key: the key itself, with kinds in the place of values.
pub(super) fn topic(key: &str) -> String {
    if let Some((_, event)) = EVENTS.iter().find(|(answer, _)| *answer == key) {
        return (*event).to_owned();
    }
    let mut is_nickname = false;
    let part = |part| {
        let is_value = std::mem::replace(&mut is_nickname, part == "name");
        if is_value { "nickname".to_owned() } else { kind(part) }
    };
    key.split('/').map(part).collect::<Vec<_>>().join("/")
}

impl Shape {
    pub(super) fn of(topic: &str, text: &str) -> Self {
        let (mut words, mut fields) = (Vec::new(), Vec::new());
        if !MESSAGES.contains(&topic) {
            for token in tokens(text) {
                match token.split_once('=') {
                    Some((keyword, value)) if is_keyword(keyword) => {
                        fields.push((keyword.to_owned(), kinds(value)));
                    }
                    _ => words.push(kind(token)),
                }
            }
        }
        // There may be any number of relays and texts.
        words.dedup_by(|next, last| next == last && ["$", "Q"].contains(&next.as_str()));
        Self { topic: topic.to_owned(), words: words.join(" "), fields }
    }

    /// Returns the shape of a line of a data block.
    pub(super) fn of_data(topic: &str, line: &str) -> Self {
        let line = line.strip_prefix('.').unwrap_or(line);
        if DOCUMENTS.iter().any(|start| topic.starts_with(start)) {
            let first = line.split(' ').next().unwrap_or_default();
            return Self { topic: "document".to_owned(), words: kind(first), fields: Vec::new() };
        }
        Self::of(topic, line)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.words)?;
        for (keyword, values) in &self.fields {
            write!(f, " {keyword}={}", values.join(","))?;
        }
        Ok(())
    }
}

fn is_keyword(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Splits at spaces outside of quotes.
fn tokens(text: &str) -> Vec<&str> {
    let (mut in_quotes, mut is_escaped) = (false, false);
    let is_end = move |character| {
        let is_literal = std::mem::replace(&mut is_escaped, false);
        match character {
            _ if is_literal => {}
            '\\' => is_escaped = in_quotes,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
        character == ' ' && !in_quotes
    };
    text.split(is_end).collect()
}

/// Returns the kinds of a list, or of the single value.
fn kinds(value: &str) -> Vec<String> {
    if value.starts_with(['"', '$']) {
        return vec![kind(value)];
    }
    value.split(',').map(kind).collect()
}

/// Returns the kind of a value; a word is its own kind.
pub(super) fn kind(token: &str) -> String {
    let all = |of: fn(u8) -> bool| token.bytes().all(of);
    let is_number = |number: &str| number.parse::<f64>().is_ok_and(f64::is_finite);
    let is_number = token.len() <= 20 && token.split(',').all(is_number);
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    let shown = if let Some(number) = token.strip_prefix("UNKNOWN_") {
        return format!("UNKNOWN_{}", kind(number));
    } else if let Some((start, _)) = token.split_once(':').filter(|(_, key)| kind(key) == "B") {
        return format!("{start}:B");
    } else if token.is_empty() {
        ""
    } else if token.starts_with(['"', '\'']) {
        "Q"
    } else if is_number {
        "#"
    } else if token.split(',').all(is_relay) {
        "$"
    } else if [32, 40, 64].contains(&token.len()) && all(|byte| byte.is_ascii_hexdigit()) {
        "H"
    } else if token.len() == 56 && all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')) {
        "O"
    } else if token.starts_with(|first: char| first.is_ascii_digit())
        && all(|byte| byte.is_ascii_digit() || b"-:.T".contains(&byte))
        && token.contains(['-', ':'])
        && !token.contains("::")
        && (token.contains('-') || token.split(':').count() == 3)
    {
        "T"
    } else if token.starts_with('/') || token.starts_with("unix:") {
        "/"
    } else if is_address(token) {
        "@"
    } else if token.len() >= 20
        && all(is_base64)
        && !all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    {
        "B"
    } else {
        token
    };
    shown.to_owned()
}

/// Whether it is `$FINGERPRINT`, `$FINGERPRINT~nickname` or `$FINGERPRINT=nickname`. To keep lines
/// short, tests cut fingerprints.
fn is_relay(token: &str) -> bool {
    let Some(relay) = token.strip_prefix('$') else { return false };
    let (fingerprint, nickname) = relay.split_once(['~', '=']).unwrap_or((relay, ""));
    !fingerprint.is_empty()
        && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
        && nickname.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether it is an IP address, a name with a dot, or any of both with a port.
fn is_address(token: &str) -> bool {
    let port = token.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = port.map_or(token, |(host, _)| host);
    let is_host =
        host.contains('.') && !host.ends_with('.') || host.contains("::") || port.is_some();
    is_host && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:[]-_*$~".contains(c))
}
