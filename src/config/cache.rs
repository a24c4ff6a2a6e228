//! The cache of option values that were read from tor.
//!
//! **Invariant**: a value is returned only if no command of this connection and no `CONF_CHANGED`
//! event has changed it since it was read. The event of another controller's change may not have
//! arrived yet, so no decision uses a cached value.
//!
//! An event does not update the cache. It drops the value, and the next read fetches it: tor
//! answers commands at once and delays events, so an event can be older than the reply before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::schema::Schema;
use super::service_lines::ConfiguredLine;
use crate::command::ConfMap;
use crate::error::Disconnect;
use crate::event::Event;
use crate::link::{EventHook, RawEvent};
use crate::sync::Mutex;

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Set before the first `GETCONF`, so that an event finds the group of its option.
    pub(super) schema: OnceLock<Schema>,
    // A leaf lock.
    groups: Mutex<HashMap<Arc<str>, Group>>,
    /// One more than the number of the last line without a status code; changes under the lock.
    stray_before: AtomicU64,
}

#[derive(Debug, Default)]
struct Group {
    /// The lines, and the configuration epoch in which `GETCONF` was sent.
    lines: Option<(u64, Arc<[ConfiguredLine]>)>,
    /// One more than the number of the last event that reported a change.
    changed_before: u64,
}

impl Cache {
    /// Returns the lines of a group, if they were read in this epoch.
    pub(super) fn group(&self, epoch: u64, group: &str) -> Option<Arc<[ConfiguredLine]>> {
        let groups = self.groups.lock();
        let (read_in, lines) = groups.get(group)?.lines.as_ref()?;
        (*read_in == epoch).then(|| Arc::clone(lines))
    }

    /// Stores the lines of a reply that followed `events_before` events, unless a later event
    /// reported a change. `epoch` is that in which the command was sent.
    pub(super) fn insert(
        &self,
        epoch: u64,
        events_before: u64,
        group: &Arc<str>,
        lines: &Arc<[ConfiguredLine]>,
    ) {
        let mut groups = self.groups.lock();
        let group = groups.entry(Arc::clone(group)).or_default();
        let stray_before = self.stray_before.load(Ordering::SeqCst);
        if group.changed_before.max(stray_before) <= events_before {
            group.lines = Some((epoch, Arc::clone(lines)));
        }
    }
}

impl EventHook for Cache {
    fn event(&self, event: &RawEvent<'_>) {
        if event.event().is_stray_line() {
            // A filter may have replaced a report of any change by it.
            let mut groups = self.groups.lock();
            self.stray_before.store(event.number() + 1, Ordering::SeqCst);
            groups.values_mut().for_each(|group| group.lines = None);
            return;
        }
        let Event::ConfChanged(changed) = event.event() else { return };
        let Some(schema) = self.schema.get() else { return };
        for change in changed.changes() {
            let Some(option) = schema.known_option(&change.name.to_str_lossy()) else { continue };
            let changed_before = event.number() + 1;
            let group = Group { lines: None, changed_before };
            self.groups.lock().insert(Arc::clone(&option.group), group);
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

/// Returns the lines of one group in a reply that can have several.
pub(super) fn lines_of_group(
    reply: &ConfMap,
    schema: &Schema,
    group: &str,
) -> Arc<[ConfiguredLine]> {
    let is_own = |name: &str| match schema.known_option(name) {
        Some(option) => &*option.group == group,
        None => name.eq_ignore_ascii_case(group),
    };
    let own = reply.lines().filter(|(name, _)| is_own(name));
    own.filter_map(|(name, value)| Some((name.to_owned(), value?.to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Cache;
    use crate::config::schema::Schema;
    use crate::config::service_lines::ConfiguredLine;
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
    fn a_reply_is_stored_only_if_no_later_event_reports_a_change() {
        // Every order of a reply and three events, two of them of the option: the reply can be
        // stored after events that followed it.
        for events_before in 0..=3 {
            for seen_before in events_before..=3 {
                let cache = cache();
                let event = |number: u64| {
                    let option = if number == 1 { "DirPort" } else { "LOG" };
                    let text = format!("650-CONF_CHANGED\r\n650-{option}=x\r\n650 OK\r\n");
                    cache.event(&RawEvent::new(number, text.as_bytes()));
                };
                (0..seen_before).for_each(event);
                cache.insert(0, events_before, &"Log".into(), &lines("a"));
                (seen_before..3).for_each(event);
                let is_true = events_before == 3;
                let kept = cache.group(0, "Log").is_some();
                assert_eq!(kept, is_true, "{events_before} {seen_before}");
            }
        }
    }

    #[test]
    fn a_reply_of_an_earlier_epoch_is_not_returned() {
        let cache = cache();
        let log: Arc<str> = "Log".into();
        cache.insert(0, 7, &log, &lines("old"));
        assert_eq!(cache.group(0, "Log"), Some(lines("old")));
        assert_eq!(cache.group(1, "Log"), None);
        cache.insert(1, 7, &log, &lines("new"));
        assert_eq!(cache.group(1, "Log"), Some(lines("new")));
    }

    #[test]
    fn an_event_of_one_option_drops_its_whole_group() {
        for event in ["SocksPort=auto", "SocksPortLines", "socksport=1"] {
            let cache = cache();
            let group: Arc<str> = "SocksPortLines".into();
            cache.insert(0, 0, &group, &lines("x"));
            assert!(cache.group(0, &group).is_some());
            let text = format!("650-CONF_CHANGED\r\n650-{event}\r\n650 OK\r\n");
            cache.event(&RawEvent::new(0, text.as_bytes()));
            assert_eq!(cache.group(0, &group), None, "{event}");
        }
    }
}
