//! Messages of tor's log, and of the monitor.

use std::collections::VecDeque;
use std::time::SystemTime;

use torcon::names::Severity;

/// The number of messages that are kept.
const KEPT: usize = 2000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) time: SystemTime,
    /// `None` for a message of the monitor itself.
    pub(crate) severity: Option<Severity>,
    pub(crate) message: String,
}

/// The last messages, and the severity from which they are shown.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    level: Severity,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: VecDeque::new(), level: Severity::Notice }
    }
}

impl Log {
    pub(crate) fn push(&mut self, entry: Entry) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Returns the lowest severity that is shown.
    pub(crate) fn level(&self) -> Severity {
        self.level
    }

    /// Shows less severe messages too, or fewer messages. Returns the new level if it has changed.
    pub(crate) fn change_level(&mut self, more: bool) -> Option<Severity> {
        let all = Severity::ALL.iter().copied();
        let next = match more {
            true => all.rev().find(|severity| *severity < self.level),
            false => all.clone().find(|severity| *severity > self.level),
        };
        self.level = next?;
        next
    }

    /// Returns the messages of the level, the newest last.
    pub(crate) fn shown(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let is_shown = |entry: &&Entry| entry.severity.is_none_or(|level| level >= self.level);
        self.entries.iter().filter(is_shown)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use torcon::names::Severity;

    use super::{Entry, KEPT, Log};

    fn entry(severity: Option<Severity>, message: &str) -> Entry {
        Entry { time: UNIX_EPOCH, severity, message: message.to_owned() }
    }

    #[test]
    fn the_level_chooses_the_messages() {
        let mut log = Log::default();
        log.push(entry(Some(Severity::Info), "info"));
        log.push(entry(Some(Severity::Notice), "notice"));
        log.push(entry(Some(Severity::Warn), "warn"));
        log.push(entry(None, "monitor"));
        let shown = |log: &Log| log.shown().map(|entry| entry.message.clone()).collect::<Vec<_>>();
        assert_eq!(shown(&log), ["notice", "warn", "monitor"]);
        assert_eq!(log.change_level(true), Some(Severity::Info));
        assert_eq!(shown(&log), ["info", "notice", "warn", "monitor"]);
        assert_eq!(log.change_level(true), Some(Severity::Debug));
        assert_eq!(log.change_level(true), None);
        for _ in 0..4 {
            assert!(log.change_level(false).is_some());
        }
        assert_eq!((log.change_level(false), log.level()), (None, Severity::Err));
        assert_eq!(shown(&log), ["monitor"]);
    }

    #[test]
    fn old_messages_are_dropped() {
        let mut log = Log::default();
        for number in 0..=KEPT {
            log.push(entry(None, &number.to_string()));
        }
        assert_eq!(log.shown().count(), KEPT);
        assert_eq!(log.shown().next().unwrap().message, "1");
    }
}
