//! Random numbers that a seed repeats.

use std::ops::Range;
use std::time::Duration;

/// A pseudorandom generator: xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    /// Takes the seed from `TORCON_TEST_SEED`, or a new one, and prints it.
    pub(crate) fn from_environment() -> Self {
        let seed = std::env::var("TORCON_TEST_SEED").map(|text| text.parse().unwrap());
        let seed = seed.unwrap_or_else(|_| {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        });
        println!("run it again with TORCON_TEST_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.next() % (range.end - range.start))
    }
}
