//! The bandwidth of the last hour.

use std::collections::VecDeque;

/// The number of seconds that are kept.
const KEPT: usize = 3600;

/// The bytes per second of one direction, and the total.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direction {
    /// The newest last.
    seconds: VecDeque<u64>,
    /// Bytes since tor's start.
    total: u64,
}

/// Both directions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bandwidth {
    pub(crate) read: Direction,
    pub(crate) written: Direction,
}

impl Bandwidth {
    /// Applies a `BW` event.
    pub(crate) fn push(&mut self, read: u64, written: u64) {
        self.read.push(read);
        self.written.push(written);
    }

    /// Counts seconds without a connection as seconds without bytes.
    pub(crate) fn skip(&mut self, seconds: usize) {
        for _ in 0..seconds.min(KEPT) {
            self.push(0, 0);
        }
    }

    /// Sets the bytes since tor's start.
    pub(crate) fn set_totals(&mut self, read: u64, written: u64) {
        self.read.total = read;
        self.written.total = written;
    }
}

impl Direction {
    fn push(&mut self, bytes: u64) {
        if self.seconds.len() == KEPT {
            self.seconds.pop_front();
        }
        self.seconds.push_back(bytes);
        self.total = self.total.saturating_add(bytes);
    }

    /// Returns the bytes since tor's start.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the bytes of the last second.
    pub(crate) fn last(&self) -> u64 {
        self.seconds.back().copied().unwrap_or(0)
    }

    /// Returns the average per second of the last seconds, of fewer if fewer are known.
    pub(crate) fn average(&self, seconds: usize) -> u64 {
        mean(self.seconds.iter().rev().take(seconds).copied())
    }

    /// Returns the average per second of each of the last intervals, the newest last. The last
    /// interval has ended with the last event. Intervals before the first event are left out.
    pub(crate) fn intervals(&self, seconds: usize, count: usize) -> Vec<u64> {
        let newest_first: Vec<u64> = self.seconds.iter().rev().copied().collect();
        let chunks = newest_first.chunks(seconds.max(1)).take(count);
        let mut means: Vec<u64> = chunks.map(|chunk| mean(chunk.iter().copied())).collect();
        means.reverse();
        means
    }
}

fn mean(values: impl Iterator<Item = u64>) -> u64 {
    let (mut sum, mut count) = (0u128, 0u128);
    for value in values {
        sum += u128::from(value);
        count += 1;
    }
    u64::try_from(sum.checked_div(count).unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Bandwidth, KEPT};

    #[test]
    fn averages_and_totals() {
        let mut bandwidth = Bandwidth::default();
        assert_eq!((bandwidth.read.last(), bandwidth.read.average(60)), (0, 0));
        bandwidth.set_totals(1000, 0);
        for second in 1..=4 {
            bandwidth.push(second * 10, u64::MAX);
        }
        assert_eq!(bandwidth.read.last(), 40);
        assert_eq!(bandwidth.read.average(2), 35);
        assert_eq!(bandwidth.read.average(60), 25);
        assert_eq!(bandwidth.read.total(), 1100);
        assert_eq!(bandwidth.written.average(60), u64::MAX);
        assert_eq!(bandwidth.written.total(), u64::MAX);
    }

    #[test]
    fn intervals_end_with_the_last_second() {
        let mut bandwidth = Bandwidth::default();
        for second in 1..=7 {
            bandwidth.push(second, 0);
        }
        assert_eq!(bandwidth.read.intervals(1, 3), [5, 6, 7]);
        // The first interval has one second only.
        assert_eq!(bandwidth.read.intervals(3, 10), [1, 3, 6]);
        assert_eq!(bandwidth.read.intervals(0, 1), [7]);
    }

    #[test]
    fn only_the_last_hour_is_kept() {
        let mut bandwidth = Bandwidth::default();
        for _ in 0..KEPT + 5 {
            bandwidth.push(1, 1);
        }
        assert_eq!(bandwidth.read.intervals(1, usize::MAX).len(), KEPT);
        bandwidth.skip(2);
        assert_eq!(bandwidth.read.intervals(1, 3), [1, 0, 0]);
        bandwidth.skip(usize::MAX);
        assert_eq!(bandwidth.read.average(KEPT), 0);
    }
}
