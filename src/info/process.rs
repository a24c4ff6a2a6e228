//! tor as a process.

use std::time::{Duration, SystemTime};

use super::answers::Answers;
use crate::error::ProtocolError;
use crate::wire::fields::read_number;

/// The process of tor.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("process {}", controller.process_info()?.pid);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The process id.
    pub pid: u32,
    /// The effective user id; `None` if tor does not know it.
    pub uid: Option<u32>,
    /// The user name; `None` if there is none.
    pub user: Option<String>,
    /// The limit of open sockets; `None` if it is unknown.
    pub descriptor_limit: Option<u64>,
}

/// The traffic of tor since its start.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let traffic = controller.traffic()?;
/// println!("{} read, {} written", traffic.read, traffic.written);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

/// The clock of tor's machine.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("{:?}", controller.current_time()?.utc);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CurrentTime {
    /// The time, in whole seconds.
    pub utc: SystemTime,
    /// The offset of local time from UTC in minutes; negative west of Greenwich.
    pub utc_offset: i32,
}

impl ProcessInfo {
    pub(crate) const KEYS: &'static [&'static str] =
        &["process/pid", "process/uid", "process/user", "process/descriptor-limit"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        let small = |key: &str| {
            let number = answers.bytes(key);
            let unreadable = || ProtocolError::new(key, "a number", number);
            read_number::<u32>(number).ok_or_else(unreadable)
        };
        let user = answers.bytes("process/user");
        Ok(Self {
            pid: small("process/pid")?,
            uid: match answers.bytes("process/uid") {
                b"-1" => None,
                _ => Some(small("process/uid")?),
            },
            user: (!user.is_empty()).then(|| String::from_utf8_lossy(user).into_owned()),
            descriptor_limit: answers.number_if_known("process/descriptor-limit")?,
        })
    }
}

impl Traffic {
    pub(crate) const KEYS: &'static [&'static str] = &["traffic/read", "traffic/written"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        Ok(Self {
            read: answers.number("traffic/read")?,
            written: answers.number("traffic/written")?,
        })
    }
}

impl CurrentTime {
    pub(crate) const KEYS: &'static [&'static str] = &["current-time/utc", "current-time/local"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        let utc = answers.time("current-time/utc")?;
        let local = answers.time("current-time/local")?;
        // tor can read the clock for the second value a second later.
        let minutes = |difference: Duration| (difference.as_secs() + 30) / 60;
        let offset = match local.duration_since(utc) {
            Ok(ahead) => i32::try_from(minutes(ahead)),
            Err(behind) => i32::try_from(minutes(behind.duration())).map(|minutes| -minutes),
        };
        let unreadable = |_| {
            let local = answers.bytes("current-time/local");
            ProtocolError::new("current-time/local", "a time near that of UTC", local)
        };
        Ok(Self { utc, utc_offset: offset.map_err(unreadable)? })
    }
}

#[cfg(test)]
mod tests {
    use super::{CurrentTime, ProcessInfo, Traffic};
    use crate::info::answers::tests::read;

    #[test]
    fn the_process_is_read() {
        let text = "process/pid=20632\nprocess/uid=0\nprocess/user=root\n\
                    process/descriptor-limit=19968";
        let process = read(text, ProcessInfo::read).unwrap();
        assert_eq!((process.pid, process.uid), (20632, Some(0)));
        assert_eq!(process.user.as_deref(), Some("root"));
        assert_eq!(process.descriptor_limit, Some(19968));
    }

    #[test]
    fn values_that_tor_does_not_know_are_none() {
        let text = "process/pid=1\nprocess/uid=-1\nprocess/user=\nprocess/descriptor-limit=-1";
        let process = read(text, ProcessInfo::read).unwrap();
        assert_eq!((process.uid, process.user, process.descriptor_limit), (None, None, None));
        assert_eq!(
            read("process/pid=-1", ProcessInfo::read).unwrap_err(),
            "cannot read process/pid: expected a number, got \"-1\""
        );
        let error = read("process/pid=1\nprocess/uid=root", ProcessInfo::read).unwrap_err();
        assert_eq!(error, "cannot read process/uid: expected a number, got \"root\"");
    }

    #[test]
    fn traffic_is_read() {
        let traffic = read("traffic/read=49369\ntraffic/written=68636", Traffic::read).unwrap();
        assert_eq!((traffic.read, traffic.written), (49369, 68636));
        assert_eq!(
            read("traffic/read=49369", Traffic::read).unwrap_err(),
            "cannot read traffic/written: expected a number, got \"\""
        );
    }

    #[test]
    fn local_time_is_an_offset() {
        let at = |utc: &str, local: &str| {
            let text = format!("current-time/utc={utc}\ncurrent-time/local={local}");
            read(&text, CurrentTime::read).map(|time| time.utc_offset)
        };
        let utc = "2026-11-23T09:12:15";
        assert_eq!(at(utc, "2026-11-23T09:12:15"), Ok(0));
        assert_eq!(at(utc, "2026-11-23T09:12:16"), Ok(0), "a second later");
        assert_eq!(at(utc, "2026-11-23T14:57:15"), Ok(345), "Nepal");
        assert_eq!(at(utc, "2026-11-22T23:12:16"), Ok(-600), "Hawaii");
        assert_eq!(
            at("soon", "2026-11-23T09:12:15").unwrap_err(),
            "cannot read current-time/utc: expected a time, got \"soon\""
        );
        assert_eq!(
            at("1970-01-01T00:00:00", "9999-01-01T00:00:00").unwrap_err(),
            "cannot read current-time/local: expected a time near that of UTC, got \
             \"9999-01-01T00:00:00\""
        );
    }
}
