//! tor as a relay.

use super::answers::Answers;
use crate::error::ProtocolError;

/// Whether this relay found its ports reachable.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("reachable: {}", controller.reachability()?.or);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Reachability {
    /// The `ORPort`; also `true` for a tor without one.
    pub or: bool,
    /// The `DirPort`; also `true` for a tor without one.
    pub dir: bool,
}

/// The circuit handshakes of one kind.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let ntor = controller.handshake_counts()?.ntor;
/// println!("{} of {}", ntor.assigned, ntor.requested);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HandshakeCount {
    /// Requested handshakes.
    pub requested: u64,
    /// Handshakes that were answered; the others were dropped under load.
    pub assigned: u64,
}

/// The circuit handshakes that a relay received since its last heartbeat statistics.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("{:?}", controller.handshake_counts()?);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HandshakeCounts {
    /// ntor, the current kind.
    pub ntor: HandshakeCount,
    /// TAP, the old kind.
    pub tap: HandshakeCount,
}

impl Reachability {
    pub(crate) const KEYS: &'static [&'static str] =
        &["status/reachability-succeeded/or", "status/reachability-succeeded/dir"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        Ok(Self {
            or: answers.flag("status/reachability-succeeded/or")?,
            dir: answers.flag("status/reachability-succeeded/dir")?,
        })
    }
}

impl HandshakeCounts {
    pub(crate) const KEYS: &'static [&'static str] = &[
        "stats/ntor/requested",
        "stats/ntor/assigned",
        "stats/tap/requested",
        "stats/tap/assigned",
    ];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        Ok(Self {
            ntor: HandshakeCount {
                requested: answers.number("stats/ntor/requested")?,
                assigned: answers.number("stats/ntor/assigned")?,
            },
            tap: HandshakeCount {
                requested: answers.number("stats/tap/requested")?,
                assigned: answers.number("stats/tap/assigned")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{HandshakeCounts, Reachability};
    use crate::info::answers::tests::read;

    #[test]
    fn reachability_is_read() {
        let text = "status/reachability-succeeded/or=0\nstatus/reachability-succeeded/dir=1";
        let reachability = read(text, Reachability::read).unwrap();
        assert_eq!((reachability.or, reachability.dir), (false, true));
        assert_eq!(
            read(&text.replace("=1", "="), Reachability::read).unwrap_err(),
            "cannot read status/reachability-succeeded/dir: expected 0 or 1, got \"\""
        );
    }

    #[test]
    fn handshakes_are_read() {
        let text = "stats/ntor/requested=12\nstats/ntor/assigned=11\n\
                    stats/tap/requested=2\nstats/tap/assigned=1";
        let counts = read(text, HandshakeCounts::read).unwrap();
        assert_eq!((counts.ntor.requested, counts.ntor.assigned), (12, 11));
        assert_eq!((counts.tap.requested, counts.tap.assigned), (2, 1));
        assert_eq!(
            read(&text.replace("=11", "=-1"), HandshakeCounts::read).unwrap_err(),
            "cannot read stats/ntor/assigned: expected a number, got \"-1\""
        );
    }
}
