//! The cache of option values that were read from tor.
//!
//! **Invariant**: a value is returned only while nobody can have changed it since it was read, as
//! far as this connection knows: neither by a command of this connection nor by a change that a
//! `CONF_CHANGED` event has reported. Nothing is decided by a cached value, since another
//! connection may have changed the option and the event may still be on its way.
//!
//! An event does not update the cache; it drops the value, and the next read asks tor. tor answers
//! commands at once and holds events back, so an event can be older than the answer before it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::schema::Schema;
use super::services::ConfiguredLine;
use crate::command::ConfMap;
use crate::error::Disconnect;
use crate::event::Event;
use crate::link::{EventHook, RawEvent};

/// The groups of options whose lines are known.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Set before the first question, so that events know which group an option belongs to.
    pub(super) schema: OnceLock<Schema>,
    // A leaf lock.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The lines of each group, and the configuration epoch in which tor was asked for them.
    groups: HashMap<Arc<str>, (u64, Arc<[ConfiguredLine]>)>,
    /// For each group that an event has reported, one more than the number of the last event.
    changed_before: HashMap<Arc<str>, u64>,
}

impl Cache {
    /// Returns the lines of a group, if they were asked for in the current epoch.
    pub(super) fn group(&self, epoch: u64, group: &str) -> Option<Arc<[ConfiguredLine]>> {
        let known = self.known.lock();
        let (asked, lines) = known.groups.get(group)?;
        (*asked == epoch).then(|| Arc::clone(lines))
    }

    /// Keeps what tor has answered for a group, unless an event behind the answer has reported a
    /// change. `epoch` is that in which the question was asked.
    pub(super) fn answer(
        &self,
        epoch: u64,
        events_before: u64,
        group: &Arc<str>,
        lines: &Arc<[ConfiguredLine]>,
    ) {
        let mut known = self.known.lock();
        let changed_before = known.changed_before.get(group).copied().unwrap_or(0);
        if changed_before <= events_before {
            known.groups.insert(Arc::clone(group), (epoch, Arc::clone(lines)));
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

impl EventHook for Cache {
    fn event(&self, event: &RawEvent<'_>) {
        let Event::ConfChanged(changed) = event.event() else { return };
        for change in &changed.changes {
            self.changed(event.number(), &change.name.to_str_lossy());
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

    use super::Cache;
    use crate::config::schema::Schema;
    use crate::config::services::ConfiguredLine;
    use crate::link::{EventHook, RawEvent};

    fn cache() -> Cache {
        let cache = Cache::default();
        cache.schema.set(Schema::known()).unwrap();
        cache
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
                let cache = cache();
                let event = |number: u64| {
                    let option = if number == 1 { "DirPort" } else { "LOG" };
                    let text = format!("650-CONF_CHANGED\r\n650-{option}=x\r\n650 OK\r\n");
                    cache.event(&RawEvent::new(number, text.as_bytes()));
                };
                (0..seen_before).for_each(event);
                cache.answer(0, events_before, &"Log".into(), &lines("a"));
                (seen_before..3).for_each(event);
                let is_true = events_before == 3;
                let kept = cache.group(0, "Log").is_some();
                assert_eq!(kept, is_true, "{events_before} {seen_before}");
            }
        }
    }

    #[test]
    fn an_answer_of_an_earlier_epoch_is_not_returned() {
        let cache = cache();
        let log: Arc<str> = "Log".into();
        cache.answer(0, 7, &log, &lines("old"));
        assert_eq!(cache.group(0, "Log"), Some(lines("old")));
        assert_eq!(cache.group(1, "Log"), None);
        cache.answer(1, 7, &log, &lines("new"));
        assert_eq!(cache.group(1, "Log"), Some(lines("new")));
    }

    #[test]
    fn an_event_of_one_option_is_one_of_its_whole_group() {
        for event in ["SocksPort=auto", "SocksPortLines", "socksport=1"] {
            let cache = cache();
            let group: Arc<str> = "SocksPortLines".into();
            cache.answer(0, 0, &group, &lines("x"));
            assert!(cache.group(0, &group).is_some());
            let text = format!("650-CONF_CHANGED\r\n650-{event}\r\n650 OK\r\n");
            cache.event(&RawEvent::new(0, text.as_bytes()));
            assert_eq!(cache.group(0, &group), None, "{event}");
        }
    }
}
