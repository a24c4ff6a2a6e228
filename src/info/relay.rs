//! tor as a relay.

use super::answers::Answers;
use crate::error::ProtocolError;

/// Whether tor, as a relay, has found that others can reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reachability {
    /// At its ports for relays and clients; also true of a tor that has none.
    pub or: bool,
    /// At its port for directories; also true of a tor that has none.
    pub dir: bool,
}

/// How many handshakes of one kind a relay was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCount {
    /// Those that were asked for.
    pub requested: u64,
    /// Those of them for which tor found the time.
    pub assigned: u64,
}

/// How many handshakes a relay was asked for to make circuits, since it last wrote its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCounts {
    /// Of today's kind.
    pub ntor: HandshakeCount,
    /// Of the old kind.
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
