//! What is known of tor's configuration, kept true by `CONF_CHANGED`.
//!
//! An event does not change what is known: it makes it forgotten, and who asks next asks tor. For
//! tor answers at once and keeps its events back for a while, so that an event can be older than
//! the answer before it, and its value too.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::schema::Schema;
use super::services::ConfiguredLine;
use crate::command::ConfMap;
use crate::error::Disconnect;
use crate::event::{Event, EventText};
use crate::link::Tap;

/// The groups of options whose lines are known.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Set before the first question, so that events know which group an option is of.
    pub(super) schema: OnceLock<Schema>,
    // A leaf lock.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    groups: HashMap<Arc<str>, Arc<[ConfiguredLine]>>,
    /// For each group of which an event has told, one more than the number of the last.
    changed_before: HashMap<Arc<str>, u64>,
    /// How often this program has changed something.
    saves: u64,
}

/// The moment in which a question was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    saves: u64,
}

impl Picture {
    /// Returns the lines of a group, if they are known.
    pub(super) fn group(&self, group: &str) -> Option<Arc<[ConfiguredLine]>> {
        self.known.lock().groups.get(group).cloned()
    }

    /// To be called before a question is sent.
    pub(super) fn ask(&self) -> Asked {
        Asked { saves: self.known.lock().saves }
    }

    /// Keeps what tor has answered for a group, unless it has been overtaken: by an event, or by
    /// a change of our own.
    pub(super) fn answer(
        &self,
        asked: Asked,
        events_before: u64,
        group: &Arc<str>,
        lines: &Arc<[ConfiguredLine]>,
    ) {
        let mut known = self.known.lock();
        let changed_before = known.changed_before.get(group).copied().unwrap_or(0);
        if asked.saves == known.saves && changed_before <= events_before {
            known.groups.insert(Arc::clone(group), Arc::clone(lines));
        }
    }

    /// Forgets groups that this program has changed, or may have changed.
    pub(super) fn forget(&self, groups: &[&str]) {
        let mut known = self.known.lock();
        known.saves += 1;
        for group in groups {
            known.groups.remove(*group);
        }
    }

    fn changed(&self, number: u64, option: &str) {
        let Some(option) = self.schema.get().and_then(|schema| schema.known_option(option)) else {
            return;
        };
        let mut known = self.known.lock();
        known.groups.remove(&option.group);
        known.changed_before.insert(Arc::clone(&option.group), number + 1);
    }
}

impl Tap for Picture {
    fn event(&self, number: u64, bytes: &[u8]) {
        let Event::ConfChanged(event) = Event::parse(EventText::copied(bytes)) else { return };
        for change in &event.changes {
            self.changed(number, &change.name.to_str_lossy());
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

/// The lines of a group in an answer that may be about others too.
pub(super) fn lines_of(answer: &ConfMap, schema: &Schema, group: &str) -> Arc<[ConfiguredLine]> {
    let is_own = |name: &str| match schema.known_option(name) {
        Some(option) => &*option.group == group,
        None => name.eq_ignore_ascii_case(group),
    };
    let own = answer.lines().filter(|(name, _)| is_own(name));
    own.filter_map(|(name, value)| Some((name.to_owned(), value?.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Picture;
    use crate::config::schema::Schema;
    use crate::config::services::ConfiguredLine;
    use crate::link::Tap;

    fn picture() -> Picture {
        let picture = Picture::default();
        picture.schema.set(Schema::known()).unwrap();
        picture
    }

    fn lines(value: &str) -> Arc<[ConfiguredLine]> {
        [("Log".to_owned(), value.as_bytes().to_vec())].into()
    }

    #[test]
    fn an_answer_is_kept_only_if_no_event_behind_it_tells_of_a_change() {
        // Each way in which the answer and three events, two of them of the option, can meet: the
        // answer may be taken in after events that came behind it.
        for events_before in 0..=3 {
            for seen_before in events_before..=3 {
                let picture = picture();
                let event = |number: u64| {
                    let option = if number == 1 { "DirPort" } else { "LOG" };
                    let text = format!("650-CONF_CHANGED\r\n650-{option}=x\r\n650 OK\r\n");
                    picture.event(number, text.as_bytes());
                };
                let asked = picture.ask();
                (0..seen_before).for_each(event);
                picture.answer(asked, events_before, &"Log".into(), &lines("a"));
                (seen_before..3).for_each(event);
                let is_true = events_before == 3;
                assert_eq!(
                    picture.group("Log").is_some(),
                    is_true,
                    "{events_before} {seen_before}"
                );
            }
        }
    }

    #[test]
    fn an_answer_that_our_own_change_has_overtaken_is_not_kept() {
        let picture = picture();
        let log: Arc<str> = "Log".into();
        let asked = picture.ask();
        picture.forget(&["Log"]);
        picture.answer(asked, 7, &log, &lines("old"));
        assert_eq!(picture.group("Log"), None);
        picture.answer(picture.ask(), 7, &log, &lines("new"));
        assert_eq!(picture.group("Log"), Some(lines("new")));
    }

    #[test]
    fn an_event_of_one_option_is_one_of_its_whole_group() {
        for event in ["SocksPort=auto", "SocksPortLines", "socksport=1"] {
            let picture = picture();
            let group: Arc<str> = "SocksPortLines".into();
            picture.answer(picture.ask(), 0, &group, &lines("x"));
            assert!(picture.group(&group).is_some());
            let text = format!("650-CONF_CHANGED\r\n650-{event}\r\n650 OK\r\n");
            picture.event(0, text.as_bytes());
            assert_eq!(picture.group(&group), None, "{event}");
        }
    }
}
