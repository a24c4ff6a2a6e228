//! Entry guards.

use std::time::SystemTime;

use super::answers::lines;
use crate::error::ProtocolError;
use crate::names::{RelaySpec, keywords};
use crate::wire::timestamp::read_time;

keywords! {
    /// The status of an entry guard in `GETINFO entry-guards`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::info::EntryGuardStatus;
    ///
    /// assert_eq!(EntryGuardStatus::from("up"), EntryGuardStatus::Up);
    /// assert_eq!(EntryGuardStatus::Up.as_str(), "up");
    /// assert!(!EntryGuardStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum EntryGuardStatus {
        /// Never connected.
        NeverConnected = "never-connected",
        /// Reachable.
        Up = "up",
        /// Not reachable.
        Down = "down",
        /// No longer in the consensus.
        Unlisted = "unlisted",
        /// Not usable by the configuration or its flags.
        Unusable = "unusable",
    }
}

/// An entry guard, from `GETINFO entry-guards`.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// for guard in controller.entry_guards()? {
///     println!("{} is {}", guard.relay, guard.status);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EntryGuard {
    /// The relay.
    pub relay: RelaySpec,
    /// The status of the guard.
    pub status: EntryGuardStatus,
    /// When the guard became unusable.
    pub since: Option<SystemTime>,
}

impl EntryGuard {
    pub(crate) fn read_list(answer: &[u8]) -> Result<Vec<Self>, ProtocolError> {
        let unreadable = |line| ProtocolError::new("entry-guards", "a relay and its status", line);
        lines(answer).map(|line| Self::read(line).ok_or_else(|| unreadable(line))).collect()
    }

    fn read(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let relay = words.next().filter(|relay| !relay.is_empty()).map(RelaySpec::from_bytes)?;
        let status = EntryGuardStatus::from_bytes(words.next()?);
        let since = words.next().and_then(read_time);
        Some(Self { relay, status, since })
    }
}

#[cfg(test)]
mod tests {
    use super::{EntryGuard, EntryGuardStatus};

    #[test]
    fn guards_are_read_with_their_status_and_its_time() {
        let answer = b"$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a up\n\
            $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AD~b unusable 2026-11-23 10:14:06";
        let guards = EntryGuard::read_list(answer).unwrap();
        assert_eq!(guards[0].relay.nickname().unwrap().as_str(), "a");
        assert_eq!((&guards[0].status, guards[0].since), (&EntryGuardStatus::Up, None));
        assert_eq!(guards[1].status, EntryGuardStatus::Unusable);
        assert!(guards[1].since.is_some());
        assert_eq!(EntryGuard::read_list(b"").unwrap(), []);
    }

    #[test]
    fn a_line_without_status_is_an_error() {
        let error = EntryGuard::read_list(b"$E8F7~a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read entry-guards: expected a relay and its status, got \"$E8F7~a\""
        );
    }
}
