//! Compares every line of a fake tor with recordings of a real tor.
//!
//! A line is reduced to its shape: the words stay, and each value is replaced by its kind, such as
//! `#` for a number, `$` for relays or `@` for an address. A real tor must have been recorded with
//! the same words and kinds in the same places, with the same keywords in the same order, of which
//! some may be missing, and with the same kind or word as value of each keyword. Lines that no
//! recording has are listed in `invented.txt`, each group with its reason.

// The unit tests of the library include this file from another folder.
#[path = "dialect/shape.rs"]
mod shape;
#[cfg(test)]
#[path = "dialect/tests.rs"]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use self::shape::Shape;
use super::DIALOGUES;

/// Lines of tor 0.4.9.11, besides the dialogues.
const RECORDED: [&str; 2] =
    [include_str!("../../../src/event/tests/recorded.txt"), include_str!("dialect/recorded.txt")];
/// Lines from the control specification or from tor's source that are not recorded.
const SPECIFIED: &str = include_str!("../../../src/event/tests/specified.txt");
/// Invented lines that a fake tor may send, with reasons. `…` stands for any text.
const INVENTED: &str = include_str!("dialect/invented.txt");

/// The known shapes of tor's lines.
#[derive(Debug, Default)]
struct Known {
    /// The orders of keywords that were recorded, by topic and words.
    orders: HashMap<(String, String), HashSet<Vec<String>>>,
    /// The values of keywords that were recorded, by topic and keyword.
    values: HashSet<(String, String, String)>,
    /// The names of options.
    options: HashSet<String>,
    invented: Vec<&'static str>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { invented: read_invented(INVENTED), ..Known::default() };
    // The names of options are recorded after replies that contain them.
    for recording in RECORDED.into_iter().chain([DIALOGUES]) {
        known.learn_options(recording);
    }
    known.learn(&DIALOGUES.replace(r"\\", r"\"));
    for recording in RECORDED.into_iter().chain([SPECIFIED]) {
        known.learn(recording);
    }
    known
});

/// Compares what one connection of a fake tor sends.
#[derive(Debug, Default)]
pub(crate) struct Dialect {
    /// The beginning of a line.
    partial: Vec<u8>,
    place: Place,
}

/// Where the next line stands.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The key that the next line may be part of.
    topic: Option<String>,
    /// The event of several lines that the next line may be part of.
    event: Option<String>,
    in_data: bool,
    /// Whether the data belongs to an invented line.
    is_invented: bool,
}

impl Dialect {
    /// Checks bytes that are sent; returns the problem of the first line that no real tor sends.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.check_with(&KNOWN, bytes)
    }

    fn check_with(&mut self, known: &Known, bytes: &[u8]) -> Result<(), String> {
        self.partial.extend_from_slice(bytes);
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let rest = self.partial.split_off(end);
        let lines = std::mem::replace(&mut self.partial, rest);
        let lines = String::from_utf8_lossy(&lines);
        let outcomes = lines.lines().map(|line| known.check(&mut self.place, line));
        // Every line moves the place.
        outcomes.fold(Ok(()), Result::and)
    }
}

impl Known {
    fn check(&self, place: &mut Place, line: &str) -> Result<(), String> {
        let in_data = place.in_data;
        let shape = self.shape(place, line);
        if in_data && place.is_invented {
            return Ok(());
        }
        let problem = match &shape {
            Some(shape) => self.problem(shape).map(|problem| format!("{problem}: {shape}")),
            None => Some("it has no status code".to_owned()),
        };
        let Some(problem) = problem else {
            place.is_invented = false;
            return Ok(());
        };
        place.is_invented = self.invented.iter().any(|pattern| matches(pattern, line));
        if place.is_invented {
            return Ok(());
        }
        let line: String = line.chars().take(400).collect();
        Err(format!("no recorded tor says {line:?}: {problem}"))
    }

    /// Returns the shape of a line and moves the place behind it.
    fn shape(&self, place: &mut Place, line: &str) -> Option<Shape> {
        if place.in_data {
            place.in_data = line != ".";
            let topic = place.event.as_deref().or(place.topic.as_deref()).unwrap_or_default();
            return Some(if place.in_data {
                Shape::of_data(topic, line)
            } else {
                Shape::of("", line)
            });
        }
        let (code, rest) = line.split_at_checked(3)?;
        let mut rest = rest.chars();
        let separator = rest.next()?;
        let text = rest.as_str();
        if !code.bytes().all(|byte| byte.is_ascii_digit()) || !"-+ ".contains(separator) {
            return None;
        }
        place.in_data = separator == '+';
        let shape = match (code, &place.event) {
            ("650", Some(topic)) if topic == "CONF_CHANGED" && text != "OK" => self.option(text)?,
            ("650", Some(_)) => Shape::of("650", text),
            ("650", None) => {
                let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
                place.event = Some(name.to_owned());
                Shape::of(name, rest)
            }
            _ if code.starts_with('2') => match text.split_once('=') {
                Some((key, value)) if key.starts_with(|first: char| first.is_ascii_lowercase()) => {
                    let topic = shape::topic(key);
                    let shape = Shape::of(&topic, value);
                    place.topic = Some(topic);
                    shape
                }
                _ => self.option(text).unwrap_or_else(|| Shape::of(code, text)),
            },
            _ => Shape::of(code, text),
        };
        match (code, separator) {
            ("650", ' ') => place.event = None,
            (_, ' ') => place.topic = None,
            _ => {}
        }
        Some(shape)
    }

    /// Returns the shape of an option and its value, which may be any.
    fn option(&self, text: &str) -> Option<Shape> {
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        self.options.contains(name).then(|| Shape::of("option", ""))
    }

    fn learn_options(&mut self, recording: &str) {
        let mut in_names = false;
        for line in recording.lines() {
            if in_names {
                self.options.extend(line.split_once(' ').map(|(name, _)| name.to_owned()));
            }
            in_names = line != "." && (in_names || line == "250+config/names=");
        }
    }

    fn learn(&mut self, recording: &str) {
        self.orders.entry(("option".into(), String::new())).or_default().insert(Vec::new());
        let mut place = Place::default();
        for line in recording.lines() {
            if line.starts_with("= ") && !place.in_data {
                continue;
            }
            let Some(shape) = self.shape(&mut place, line) else { continue };
            let Shape { topic, words, fields } = shape;
            let keywords = fields.iter().map(|(keyword, _)| keyword.clone()).collect();
            for (keyword, values) in fields {
                let known = |value| (topic.clone(), keyword.clone(), value);
                self.values.extend(values.into_iter().map(known));
            }
            self.orders.entry((topic, words)).or_default().insert(keywords);
        }
    }

    /// Returns the unknown part of a shape.
    fn problem(&self, shape: &Shape) -> Option<String> {
        let Some(orders) = self.orders.get(&(shape.topic.clone(), shape.words.clone())) else {
            return Some("unknown words".to_owned());
        };
        let is_part_of = |order: &Vec<String>| {
            let mut order = order.iter();
            shape.fields.iter().all(|(keyword, _)| order.any(|known| known == keyword))
        };
        if !orders.iter().any(is_part_of) {
            return Some("unknown keywords or another order".to_owned());
        }
        for (keyword, values) in &shape.fields {
            for value in values {
                let known = (shape.topic.clone(), keyword.clone(), value.clone());
                if !self.values.contains(&known) {
                    return Some(format!("unknown value {keyword}={value}"));
                }
            }
        }
        None
    }
}

fn read_invented(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Whether a line is of a pattern in which `…` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((start, pattern)) = pattern.split_once('…') else { return pattern == line };
    let Some(rest) = line.strip_prefix(start) else { return false };
    let mut rest = rest.chars();
    while !matches(pattern, rest.as_str()) {
        if rest.next().is_none() {
            return false;
        }
    }
    true
}
