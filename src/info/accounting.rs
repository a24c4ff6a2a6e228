//! Accounting: the bandwidth limit of a relay for an interval, and its use.

use std::time::SystemTime;

use super::answers::Answers;
use crate::error::ProtocolError;
use crate::names::HibernationStatus;

/// The accounting of a relay (`AccountingMax`).
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let accounting = controller.accounting()?;
/// println!("{} {:?}", accounting.hibernation, accounting.interval);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Accounting {
    /// The hibernation state.
    pub hibernation: HibernationStatus,
    /// The current interval; `None` if accounting is off.
    pub interval: Option<AccountingInterval>,
}

/// An accounting interval.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// if let Some(interval) = controller.accounting()?.interval {
///     println!("{} bytes left to read", interval.read_left);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AccountingInterval {
    /// The start of the interval.
    pub start: SystemTime,
    /// When tor wakes, or woke, to use the limit.
    pub wake: SystemTime,
    /// The end of the interval, and the start of the next.
    pub end: SystemTime,
    /// Bytes read in the interval.
    pub read: u64,
    /// Bytes written in the interval.
    pub written: u64,
    /// Bytes that remain to be read. With `AccountingRule sum` this equals the next value.
    pub read_left: u64,
    /// Bytes that remain to be written.
    pub written_left: u64,
}

impl Accounting {
    pub(crate) const KEYS: &'static [&'static str] = &[
        "accounting/enabled",
        "accounting/hibernating",
        "accounting/bytes",
        "accounting/bytes-left",
        "accounting/interval-start",
        "accounting/interval-wake",
        "accounting/interval-end",
    ];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        // The event has the same words in upper case.
        let word = answers.bytes("accounting/hibernating").to_ascii_uppercase();
        let hibernation = HibernationStatus::from_bytes(&word);
        // Without accounting, tor returns 0 and 1970 for all other keys.
        let interval = if answers.flag("accounting/enabled")? {
            Some(AccountingInterval::read(answers)?)
        } else {
            None
        };
        Ok(Self { hibernation, interval })
    }
}

impl AccountingInterval {
    fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        let (read, written) = answers.two_numbers("accounting/bytes")?;
        let (read_left, written_left) = answers.two_numbers("accounting/bytes-left")?;
        Ok(Self {
            start: answers.time("accounting/interval-start")?,
            wake: answers.time("accounting/interval-wake")?,
            end: answers.time("accounting/interval-end")?,
            read,
            written,
            read_left,
            written_left,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Accounting;
    use crate::info::answers::tests::read;
    use crate::names::HibernationStatus;

    const ENABLED: &str = "accounting/enabled=1\naccounting/hibernating=soft\n\
        accounting/bytes=512 1024\naccounting/bytes-left=5368708608 5368708096\n\
        accounting/interval-start=2026-11-23 12:00:00\n\
        accounting/interval-wake=2026-11-23 13:30:00\n\
        accounting/interval-end=2026-11-24 12:00:00";

    #[test]
    fn an_interval_is_read() {
        let accounting = read(ENABLED, Accounting::read).unwrap();
        assert_eq!(accounting.hibernation, HibernationStatus::Soft);
        let interval = accounting.interval.unwrap();
        assert_eq!((interval.read, interval.written), (512, 1024));
        assert_eq!(interval.read_left, 5_368_708_608);
        assert_eq!(interval.written_left, 5_368_708_096);
        let since = |time: std::time::SystemTime| time.duration_since(interval.start).unwrap();
        assert_eq!(since(interval.end), Duration::from_secs(24 * 3600));
        assert_eq!(since(interval.wake), Duration::from_secs(5400));
    }

    #[test]
    fn without_accounting_there_is_no_interval() {
        let text = "accounting/enabled=0\naccounting/hibernating=exiting\naccounting/bytes=0 0\n\
                    accounting/interval-start=1970-01-01 00:00:00";
        let accounting = read(text, Accounting::read).unwrap();
        assert_eq!(accounting.hibernation, HibernationStatus::Exiting);
        assert_eq!(accounting.interval, None);
    }

    #[test]
    fn unreadable_values_are_errors() {
        let problem =
            |from: &str, to: &str| read(&ENABLED.replace(from, to), Accounting::read).unwrap_err();
        assert_eq!(
            problem("enabled=1", "enabled=on"),
            "cannot read accounting/enabled: expected 0 or 1, got \"on\""
        );
        assert_eq!(
            problem("bytes=512 1024", "bytes=512"),
            "cannot read accounting/bytes: expected two numbers, got \"512\""
        );
        assert_eq!(
            problem("2026-11-24 12:00:00", "tomorrow"),
            "cannot read accounting/interval-end: expected a time, got \"tomorrow\""
        );
    }
}
