//! Periods of measurement, and histories of bandwidth.

use std::time::{Duration, SystemTime};

use super::item::{DescriptorItem, Words, number};

/// The time in which a relay collected statistics: the `-stats-end` lines of an extra-info document.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             dirreq-stats-end 2026-11-23 09:26:00 (86400 s)\n";
/// let interval = ExtraInfo::parse(text)?.dirreq_stats_interval().unwrap();
/// assert_eq!(interval.length, Duration::from_secs(86400));
/// assert_eq!(interval.start() + interval.length, interval.end);
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MeasurementInterval {
    /// The end.
    pub end: SystemTime,
    /// The length, one day by default.
    pub length: Duration,
}

impl MeasurementInterval {
    /// Returns the start, at the earliest the beginning of 1970.
    #[must_use]
    pub fn start(&self) -> SystemTime {
        before(self.end, self.length)
    }

    /// Reads `2026-11-23 09:26:00 (86400 s)`.
    pub(super) fn read(words: &mut Words<'_>) -> Option<Self> {
        let end = words.time()?;
        let seconds = number(words.next()?.strip_prefix(b"(")?)?;
        (words.next() == Some(b"s)")).then(|| Self { end, length: Duration::from_secs(seconds) })
    }
}

/// Returns an earlier time, at the earliest the beginning of 1970.
fn before(time: SystemTime, duration: Duration) -> SystemTime {
    let earlier = time.checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH);
    earlier.max(SystemTime::UNIX_EPOCH)
}

/// The traffic of a relay in successive intervals of equal length: the `-history` lines.
///
/// # Examples
///
/// ```
/// use torcon::descriptor::ExtraInfo;
///
/// let text = "extra-info MyRelay E194605ABC68F291ABC8E6732814854F41465325\n\
///             write-history 2026-11-23 09:26:00 (86400 s) 7168,1024\n";
/// let history = ExtraInfo::parse(text)?.write_history().unwrap();
/// assert_eq!(history.bytes, [7168, 1024]);
/// let (start, bytes) = history.samples().last().unwrap();
/// assert_eq!((start + history.interval, bytes), (history.end, 1024));
/// # Ok::<(), torcon::error::ProtocolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BandwidthHistory {
    /// The end of the last interval.
    pub end: SystemTime,
    /// The length of each interval: 24 hours since tor 0.3.1, 4 hours or 15 minutes before.
    pub interval: Duration,
    /// The bytes of each interval, the oldest first.
    pub bytes: Vec<u64>,
}

impl BandwidthHistory {
    /// Returns the start of each interval with its bytes, the oldest first. No start is before 1970.
    #[must_use]
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = (SystemTime, u64)> + '_ {
        let count = self.bytes.len();
        self.bytes.iter().enumerate().map(move |(index, bytes)| {
            let intervals = u32::try_from(count - index).unwrap_or(u32::MAX);
            (before(self.end, self.interval.saturating_mul(intervals)), *bytes)
        })
    }

    /// Reads `2026-11-23 09:26:00 (86400 s) 7168,1024`. The list can be empty.
    pub(super) fn read(item: &DescriptorItem<'_>) -> Option<Self> {
        let mut words = item.words();
        let MeasurementInterval { end, length: interval } = MeasurementInterval::read(&mut words)?;
        let bytes = read_list(&mut words, number)?;
        Some(Self { end, interval, bytes })
    }
}

/// Reads the next word as a list with commas. Without a word the list is empty.
pub(super) fn read_list<T>(
    words: &mut Words<'_>,
    read: impl FnMut(&[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(list) = words.next() else { return Some(Vec::new()) };
    list.split(|byte| *byte == b',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{BandwidthHistory, MeasurementInterval};
    use crate::descriptor::item::{Items, Words};

    fn history(line: &str) -> Option<BandwidthHistory> {
        BandwidthHistory::read(&Items::new(line.as_bytes()).next().unwrap())
    }

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_history_has_the_start_of_each_interval() {
        // As in 2005, with two blanks.
        let line = "opt read-history  2005-12-16 03:32:02 (900 s) 123573444,88482911,0";
        let history = history(line).unwrap();
        assert_eq!(history.bytes, [123_573_444, 88_482_911, 0]);
        assert_eq!(history.interval, Duration::from_secs(900));
        let end = seconds(history.end);
        let samples: Vec<_> = history.samples().map(|(time, n)| (end - seconds(time), n)).collect();
        assert_eq!(samples, [(2700, 123_573_444), (1800, 88_482_911), (900, 0)]);
        assert_eq!(seconds(history.samples().next_back().unwrap().0), end - 900);
    }

    #[test]
    fn a_history_can_be_empty_and_refuses_other_forms() {
        for empty in ["x 2026-11-23 09:26:00 (900 s)", "x 2026-11-23 09:26:00 (900 s) "] {
            assert!(history(empty).unwrap().bytes.is_empty());
        }
        for wrong in [
            "x",
            "x 2026-11-23",
            "x 2026-11-23 09:26:00",
            "x 2026-11-23 09:26:00 (900 s",
            "x 2026-11-23 09:26:00 900 s) 1",
            "x 2026-11-23 09:26:00 (900s) 1",
            "x 2026-11-23 09:26:00 (-900 s) 1",
            "x 2026-11-23 09:26:00 ( s) 1",
            "x 2026-11-31 09:26:00 (900 s) 1",
            "x 2026-11-23 09:26:00 (900 s) 1,",
            "x 2026-11-23 09:26:00 (900 s) 1,-2",
            "x 2026-11-23 09:26:00 (900 s) 1, 2",
            "x 2026-11-23 09:26:00 (900 s)1",
            "x 2026-11-23 09:26:00 (900 s) 18446744073709551616",
        ] {
            assert_eq!(history(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_can_have_more_arguments() {
        let history = history("x 2026-11-23 09:26:00 (900 s) 1,2 later");
        assert_eq!(history.unwrap().bytes, [1, 2]);
    }

    #[test]
    fn no_length_of_an_interval_overflows() {
        let longest = history("x 2026-11-23 09:26:00 (18446744073709551615 s) 1,2").unwrap();
        assert!(longest.samples().all(|(start, _)| start == SystemTime::UNIX_EPOCH));
        let mut words = Words::new(b"1970-01-01 00:00:10 (11 s)");
        let interval = MeasurementInterval::read(&mut words).unwrap();
        assert_eq!(interval.start(), SystemTime::UNIX_EPOCH);
    }
}
