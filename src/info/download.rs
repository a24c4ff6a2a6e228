//! The status of tor's downloads from the directory.

use std::time::{Duration, SystemTime};

use super::answers::{Answers, lines};
use crate::error::ProtocolError;
use crate::names::{Fingerprint, keywords};
use crate::wire::fields::read_number;
use crate::wire::timestamp::read_time;

keywords! {
    /// The schedule of retries.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::DownloadSchedule;
    ///
    /// assert_eq!(DownloadSchedule::from("DL_SCHED_CONSENSUS"), DownloadSchedule::Consensus);
    /// assert_eq!(DownloadSchedule::Consensus.as_str(), "DL_SCHED_CONSENSUS");
    /// assert!(!DownloadSchedule::from("FUTURE").is_recognized());
    /// ```
    pub enum DownloadSchedule {
        /// The schedule of most downloads.
        Generic = "DL_SCHED_GENERIC",
        /// The schedule of consensus downloads.
        Consensus = "DL_SCHED_CONSENSUS",
        /// The schedule of bridge descriptors.
        Bridge = "DL_SCHED_BRIDGE",
    }
}

keywords! {
    /// The source of a download.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::DownloadSource;
    ///
    /// assert_eq!(DownloadSource::from("DL_WANT_AUTHORITY"), DownloadSource::Authority);
    /// assert_eq!(DownloadSource::Authority.as_str(), "DL_WANT_AUTHORITY");
    /// assert!(!DownloadSource::from("FUTURE").is_recognized());
    /// ```
    pub enum DownloadSource {
        /// Any directory.
        AnyDirServer = "DL_WANT_ANY_DIRSERVER",
        /// A directory authority.
        Authority = "DL_WANT_AUTHORITY",
    }
}

keywords! {
    /// The event that increases the delay before a retry.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::DownloadIncrement;
    ///
    /// assert_eq!(DownloadIncrement::from("DL_SCHED_INCREMENT_ATTEMPT"), DownloadIncrement::Attempt);
    /// assert_eq!(DownloadIncrement::Attempt.as_str(), "DL_SCHED_INCREMENT_ATTEMPT");
    /// assert!(!DownloadIncrement::from("FUTURE").is_recognized());
    /// ```
    pub enum DownloadIncrement {
        /// Each failure.
        Failure = "DL_SCHED_INCREMENT_FAILURE",
        /// Each attempt.
        Attempt = "DL_SCHED_INCREMENT_ATTEMPT",
    }
}

keywords! {
    /// How the delay before a retry is chosen.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::DownloadBackoff;
    ///
    /// assert_eq!(DownloadBackoff::from("DL_SCHED_RANDOM_EXPONENTIAL"), DownloadBackoff::RandomExponential);
    /// assert_eq!(DownloadBackoff::RandomExponential.as_str(), "DL_SCHED_RANDOM_EXPONENTIAL");
    /// assert!(!DownloadBackoff::from("FUTURE").is_recognized());
    /// ```
    pub enum DownloadBackoff {
        /// By a fixed list; only in old versions of tor.
        Deterministic = "DL_SCHED_DETERMINISTIC",
        /// Random, with exponential growth.
        RandomExponential = "DL_SCHED_RANDOM_EXPONENTIAL",
    }
}

/// The status of one download.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let flavor = torcon::names::ConsensusFlavor::Microdesc;
/// let status = controller.consensus_download(&flavor)?.current;
/// println!("{} of {} attempts failed", status.failures, status.attempts);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DownloadStatus {
    /// The time of the next attempt; the largest time, in 2038 or later, means never.
    pub next_attempt_at: SystemTime,
    /// The number of failures since the last success.
    pub failures: u64,
    /// The number of attempts.
    pub attempts: u64,
    /// The schedule of retries.
    pub schedule: DownloadSchedule,
    /// The source.
    #[doc(alias = "want_authority")]
    pub source: DownloadSource,
    /// The event that increases the delay.
    pub increment_on: DownloadIncrement,
    /// How the delay is chosen.
    pub backoff: DownloadBackoff,
    /// The position in the exponential backoff, if that is used.
    pub last_backoff_position: Option<u64>,
    /// The last delay of the exponential backoff, if that is used.
    pub last_delay_used: Option<Duration>,
}

/// The downloads of the consensus of one flavor.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let flavor = torcon::names::ConsensusFlavor::Microdesc;
/// println!("{:?}", controller.consensus_download(&flavor)?.running);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConsensusDownload {
    /// The download in effect: one of the other two.
    pub current: DownloadStatus,
    /// The download during bootstrap.
    pub bootstrap: DownloadStatus,
    /// The download after bootstrap.
    pub running: DownloadStatus,
}

impl DownloadStatus {
    pub(crate) fn read(key: &str, answer: &[u8]) -> Result<Self, ProtocolError> {
        let find = |word: &[u8]| {
            let value =
                |line: &'_ [u8]| line.strip_prefix(word)?.strip_prefix(b" ").map(<[u8]>::to_vec);
            lines(answer).find_map(value)
        };
        let number = |word: &[u8]| find(word).and_then(|number| read_number(&number));
        let word = |word: &[u8]| find(word).unwrap_or_default();
        let unreadable = |expected| ProtocolError::new(key, expected, answer);
        Ok(Self {
            next_attempt_at: find(b"next-attempt-at")
                .and_then(|time| read_time(&time))
                .ok_or_else(|| unreadable("the time of the next attempt"))?,
            failures: number(b"n-download-failures")
                .ok_or_else(|| unreadable("the number of failures"))?,
            attempts: number(b"n-download-attempts")
                .ok_or_else(|| unreadable("the number of attempts"))?,
            schedule: DownloadSchedule::from_bytes(&word(b"schedule")),
            source: DownloadSource::from_bytes(&word(b"want-authority")),
            increment_on: DownloadIncrement::from_bytes(&word(b"increment-on")),
            backoff: DownloadBackoff::from_bytes(&word(b"backoff")),
            last_backoff_position: number(b"last-backoff-position"),
            last_delay_used: number(b"last-delay-used").map(Duration::from_secs),
        })
    }
}

impl ConsensusDownload {
    /// Reads the values of the keys of [`ConsensusDownload::keys`].
    pub(crate) fn read(keys: &[String; 3], answers: Answers<'_>) -> Result<Self, ProtocolError> {
        let [current, bootstrap, running] = keys;
        let status = |key: &str| DownloadStatus::read(key, answers.bytes(key));
        Ok(Self {
            current: status(current)?,
            bootstrap: status(bootstrap)?,
            running: status(running)?,
        })
    }

    pub(crate) fn keys(flavor: &crate::names::ConsensusFlavor) -> [String; 3] {
        ["", "/bootstrap", "/running"]
            .map(|phase| format!("downloads/networkstatus/{}{phase}", flavor.as_str()))
    }
}

/// Reads a list of digests, one to a line.
pub(crate) fn read_digests(key: &str, answer: &[u8]) -> Result<Vec<Fingerprint>, ProtocolError> {
    let digest = |line: &[u8]| {
        let unreadable = || ProtocolError::new(key, "40 hexadecimal digits", line);
        Fingerprint::from_hex(line).ok_or_else(unreadable)
    };
    lines(answer).map(digest).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        ConsensusDownload, DownloadBackoff, DownloadIncrement, DownloadSchedule, DownloadSource,
        DownloadStatus, read_digests,
    };
    use crate::names::ConsensusFlavor;

    const KEY: &str = "downloads/networkstatus/ns";
    const STATUS: &str = "next-attempt-at 2026-11-23 09:12:28\nn-download-failures 2\n\
        n-download-attempts 3\nschedule DL_SCHED_CONSENSUS\nwant-authority DL_WANT_AUTHORITY\n\
        increment-on DL_SCHED_INCREMENT_ATTEMPT\nbackoff DL_SCHED_RANDOM_EXPONENTIAL\n\
        last-backoff-position 1\nlast-delay-used 17\n";

    #[test]
    fn a_status_is_read() {
        let status = DownloadStatus::read(KEY, STATUS.as_bytes()).unwrap();
        let at = status.next_attempt_at.duration_since(std::time::SystemTime::UNIX_EPOCH);
        assert_eq!(at.unwrap(), Duration::from_secs(1_795_425_148));
        assert_eq!((status.failures, status.attempts), (2, 3));
        assert_eq!(status.schedule, DownloadSchedule::Consensus);
        assert_eq!(status.source, DownloadSource::Authority);
        assert_eq!(status.increment_on, DownloadIncrement::Attempt);
        assert_eq!(status.backoff, DownloadBackoff::RandomExponential);
        assert_eq!(status.last_backoff_position, Some(1));
        assert_eq!(status.last_delay_used, Some(Duration::from_secs(17)));
    }

    #[test]
    fn a_deterministic_status_has_no_last_delay() {
        let (begin, _) = STATUS.split_once("last-backoff").unwrap();
        let text = begin.replace("RANDOM_EXPONENTIAL", "DETERMINISTIC").replace("_AUTHORITY", "_X");
        let status = DownloadStatus::read(KEY, text.as_bytes()).unwrap();
        assert_eq!(status.backoff, DownloadBackoff::Deterministic);
        assert_eq!(status.source.to_string(), "DL_WANT_X");
        assert_eq!((status.last_backoff_position, status.last_delay_used), (None, None));
    }

    #[test]
    fn an_invalid_status_is_an_error() {
        for (word, expected) in [
            ("next-attempt-at ", "the time of the next attempt"),
            ("n-download-failures ", "the number of failures"),
            ("n-download-attempts ", "the number of attempts"),
        ] {
            let text = STATUS.replace(word, "x ");
            let error = DownloadStatus::read(KEY, text.as_bytes()).unwrap_err();
            assert_eq!((error.reading(), error.expected()), (KEY, expected));
        }
    }

    #[test]
    fn a_consensus_has_three_keys() {
        let keys = ConsensusDownload::keys(&ConsensusFlavor::Microdesc);
        assert_eq!(
            keys,
            [
                "downloads/networkstatus/microdesc",
                "downloads/networkstatus/microdesc/bootstrap",
                "downloads/networkstatus/microdesc/running"
            ]
        );
    }

    #[test]
    fn digests_are_read() {
        let list = b"F520E85ED289C1DDE7F55FF34403371079C967A5\n\
                     74DCFCDC8F834DCB58C32223037DEEE734472546\n";
        let digests = read_digests("downloads/cert/fps", list).unwrap();
        assert_eq!(digests[1].to_string(), "74DCFCDC8F834DCB58C32223037DEEE734472546");
        assert_eq!(digests.len(), 2);
        assert_eq!(read_digests("downloads/cert/fps", b"").unwrap(), []);
        assert_eq!(
            read_digests("downloads/cert/fps", b"F520\n").unwrap_err().to_string(),
            "cannot read downloads/cert/fps: expected 40 hexadecimal digits, got \"F520\""
        );
    }
}
