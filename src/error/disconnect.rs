use std::io;
use std::sync::Arc;

use super::ProtocolError;

/// Why a control connection ended.
///
/// There is one reason per connection, the first that was seen; every caller that was waiting,
/// and every later one, gets it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// This program closed the connection, by `close()` or by dropping the last handle.
    #[error("this program closed the connection")]
    Closed,
    /// tor closed the connection because this program asked it to (`QUIT`).
    #[error("tor closed the connection after QUIT")]
    Quit,
    /// tor closed the connection, or died.
    #[error("tor closed the connection")]
    EndOfStream,
    /// Reading failed.
    #[error("reading from tor failed")]
    Read(#[source] Arc<io::Error>),
    /// Writing failed, or stopped in the middle of a command; nobody can know what tor has read.
    #[error("writing to tor failed")]
    Write(#[source] Arc<io::Error>),
    /// tor sent a line longer than the limit
    /// (see [`ConnectOptions::line_limit`](crate::ConnectOptions::line_limit)).
    #[error("a line from tor exceeds the limit of {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// tor sent a reply or an event longer than the limit
    /// (see [`ConnectOptions::reply_limit`](crate::ConnectOptions::reply_limit)).
    #[error("a reply from tor exceeds the limit of {limit} bytes")]
    ReplyTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// tor left a command unanswered or answered one twice, so that later replies could have gone
    /// to the wrong callers.
    #[error("replies are out of step with commands: {detail}")]
    OutOfStep {
        /// What was seen.
        detail: &'static str,
    },
    /// tor sent something that is not the control protocol.
    #[error("tor does not speak the control protocol")]
    Protocol(#[source] ProtocolError),
    /// The thread that reads the connection ended unexpectedly; this is a defect of torcon.
    #[error("the reader thread failed")]
    ReaderFailed,
}

impl Disconnect {
    /// Returns whether this program wanted the connection to end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Closed | Self::Quit)
    }
}
