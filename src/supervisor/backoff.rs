//! The delays between attempts.

use std::time::Duration;

use super::options::SupervisorOptions;

/// A connection that lasted less than this resets neither the delays nor the count of attempts: tor
/// accepts and closes connections while it starts and ends.
pub(super) const STEADY: Duration = Duration::from_secs(1);

/// The delays between attempts to connect: the first is made at once, the next after a delay that
/// doubles each time.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    /// The number of delays since the last reset.
    delays: u32,
}

impl Backoff {
    pub(super) fn new(options: &SupervisorOptions) -> Self {
        Self { shortest: options.shortest_delay, longest: options.longest_delay, delays: 0 }
    }

    /// Returns the delay before the next attempt. `random` is a number from 0 to 255, which shortens
    /// the delay by up to a half, so that many programs do not connect at the same moment.
    pub(super) fn next(&mut self, random: u8) -> Duration {
        let doublings = self.delays.checked_sub(1);
        self.delays = self.delays.saturating_add(1);
        let Some(doublings) = doublings else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let full = self.shortest.saturating_mul(factor).min(self.longest);
        full - full.mul_f64(f64::from(random) / 512.0)
    }

    /// Begins again with no delay, after a connection that lasted long enough.
    pub(super) fn reset(&mut self) {
        self.delays = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;
    use crate::supervisor::SupervisorOptions;

    fn delays(random: u8, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new(&SupervisorOptions::new());
        (0..count).map(|_| backoff.next(random).as_millis()).collect()
    }

    #[test]
    fn the_delays_double_up_to_the_longest_and_are_shortened_by_up_to_a_half() {
        let full = [0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000];
        assert_eq!(delays(0, 12), full);
        for (short, full) in delays(u8::MAX, 12).iter().zip(full) {
            assert!((full / 2..=full / 2 + full / 256 + 1).contains(short), "{short} of {full}");
        }
        assert_eq!(delays(0, 100).last(), Some(&30000), "no overflow");
    }

    #[test]
    fn a_connection_that_lasted_begins_the_delays_again() {
        let mut backoff = Backoff::new(&SupervisorOptions::new());
        let next = |backoff: &mut Backoff| backoff.next(0).as_millis();
        assert_eq!([next(&mut backoff), next(&mut backoff)], [0, 100]);
        backoff.reset();
        assert_eq!([next(&mut backoff), next(&mut backoff)], [0, 100]);
    }

    #[test]
    fn delays_of_zero_and_of_any_length_are_possible() {
        let options = SupervisorOptions::new().backoff(Duration::ZERO, Duration::ZERO);
        let mut backoff = Backoff::new(&options);
        assert!((0..10).all(|_| backoff.next(7).is_zero()));
        let options = SupervisorOptions::new().backoff(Duration::MAX, Duration::MAX);
        let mut backoff = Backoff::new(&options);
        assert_eq!([backoff.next(0), backoff.next(0)], [Duration::ZERO, Duration::MAX]);
    }
}
