//! Time periods, and the blinded keys of a service in them.

use std::fmt;
use std::time::{Duration, SystemTime};

use curve25519_dalek::edwards::CompressedEdwardsY;
use sha3::{Digest, Sha3_256};

use super::OnionAddress;

/// Minutes of a time period of the public network.
const MINUTES: u64 = 1440;

/// Minutes from midnight to the begin of the time periods of the public network: 12 voting periods of
/// one hour.
const OFFSET: u64 = 12 * 60;

/// The base point of Ed25519 in decimal, as the blinding hashes it.
const BASE_POINT: &[u8] =
    b"(15112221349535400772501151409588531511454012693041857206046113283949847762202, \
      46316835694926478169428394003475163141307993866256225615783033603165251855960)";

/// A time period: each service has another blinded key in each of them.
///
/// Those of the public network have one day, from 12:00 UTC. A service publishes two descriptors, for
/// two consecutive time periods; a client fetches the one of the current time period.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use torcon::names::TimePeriod;
///
/// // 2016-04-13 11:15:01 UTC
/// let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_460_546_101);
/// assert_eq!(TimePeriod::at(time), TimePeriod::new(16903, 1440));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimePeriod {
    number: u64,
    minutes: u64,
}

impl TimePeriod {
    /// Returns the time period with this number, in a network whose time periods have so many minutes.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::new(16903, 1440).number(), 16903);
    /// ```
    #[must_use]
    pub const fn new(number: u64, minutes: u64) -> Self {
        Self { number, minutes }
    }

    /// Returns the time period of the public network at this time; number 0 before 1970-01-02 12:00
    /// UTC.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::at(SystemTime::now()).minutes(), 1440);
    /// ```
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { number: (since.as_secs() / 60).saturating_sub(OFFSET) / MINUTES, minutes: MINUTES }
    }

    /// Returns the number, counted from 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::new(16903, 1440).number(), 16903);
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the length in minutes.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::new(16903, 1440).minutes(), 1440);
    /// ```
    #[must_use]
    pub fn minutes(&self) -> u64 {
        self.minutes
    }

    /// Returns the time period before this one; number 0 has none, and is returned itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::new(16903, 1440).previous(), TimePeriod::new(16902, 1440));
    /// ```
    #[must_use]
    pub fn previous(&self) -> Self {
        Self { number: self.number.saturating_sub(1), minutes: self.minutes }
    }

    /// Returns the time period after this one.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TimePeriod;
    ///
    /// assert_eq!(TimePeriod::new(16903, 1440).next(), TimePeriod::new(16904, 1440));
    /// ```
    #[must_use]
    pub fn next(&self) -> Self {
        Self { number: self.number.saturating_add(1), minutes: self.minutes }
    }
}

impl fmt::Debug for TimePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimePeriod({} of {} minutes)", self.number, self.minutes)
    }
}

impl OnionAddress {
    /// Returns the blinded key of the service in a time period. Descriptors are stored and signed by
    /// it, and its base64 without padding is the descriptor ID of `HS_DESC` events.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use torcon::names::{OnionKey, TimePeriod};
    ///
    /// let address = OnionKey::from_seed([7; 32]).address();
    /// let period = TimePeriod::at(SystemTime::now());
    /// assert_ne!(address.blinded_key(period), address.blinded_key(period.next()));
    /// ```
    #[must_use]
    pub fn blinded_key(&self, period: TimePeriod) -> [u8; 32] {
        let factor: [u8; 32] = Sha3_256::new()
            .chain_update(b"Derive temporary signing key\0")
            .chain_update(self.key)
            .chain_update(BASE_POINT)
            .chain_update(b"key-blind")
            .chain_update(period.number.to_be_bytes())
            .chain_update(period.minutes.to_be_bytes())
            .finalize()
            .into();
        // The key of an address is a point of the curve, in the group of the base point.
        CompressedEdwardsY(self.key)
            .decompress()
            .map_or(self.key, |point| point.mul_clamped(factor).compress().to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use data_encoding::HEXLOWER;

    use super::TimePeriod;
    use crate::names::OnionAddress;

    #[test]
    fn the_blinded_key_is_that_of_a_published_descriptor() {
        // A descriptor of August 2017, which the tests of Stem contain.
        let service = "sltib6sxkuxh2scmtuvd5w2g7pahnzkovefxpo4e4ptnkzl5kkq5h2ad";
        let service: OnionAddress = service.parse().unwrap();
        let key = |number| HEXLOWER.encode(&service.blinded_key(TimePeriod::new(number, 1440)));
        let expected = "548697defd6777a7f33be03a61b0670831e7bf9e943d053ce4cc2c93c959836f";
        assert_eq!(key(17391), expected);
        assert_ne!(key(17392), expected);
    }

    #[test]
    fn a_time_period_begins_at_noon() {
        let at = |seconds| TimePeriod::at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        // The example of the specification.
        let begin = 16903 * 86400 + 12 * 3600;
        assert_eq!(at(begin - 1), TimePeriod::new(16902, 1440));
        assert_eq!(at(begin), TimePeriod::new(16903, 1440));
        assert_eq!(at(begin).previous().next(), at(begin + 86399));
        assert_eq!(at(0).previous(), at(12 * 3600));
        assert_eq!(TimePeriod::at(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), at(0));
        let last = TimePeriod::new(u64::MAX, 1440);
        assert_eq!(last.next(), last);
        assert_eq!(format!("{:?}", at(0)), "TimePeriod(0 of 1440 minutes)");
    }
}
