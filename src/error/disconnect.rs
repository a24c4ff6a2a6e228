use std::io;
use std::sync::Arc;

use super::ProtocolError;

/// Why a control connection ended.
///
/// A connection has one reason, the first that was detected. Every waiting caller and every later
/// call gets it.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use torcon::Disconnect;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// match controller.wait_closed(Duration::from_secs(3600))? {
///     Disconnect::EndOfStream => println!("tor has ended"),
///     reason if reason.is_clean() => println!("this program closed the connection"),
///     reason => eprintln!("{reason}"),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// This program closed the connection, by `close()` or by dropping the last handle.
    #[error("this program closed the connection")]
    Closed,
    /// tor closed the connection after this program sent `QUIT`.
    #[error("tor closed the connection after QUIT")]
    Quit,
    /// tor closed the connection, or died.
    #[error("tor closed the connection")]
    EndOfStream,
    /// Reading failed.
    #[error("reading from tor failed")]
    Read(#[source] Arc<io::Error>),
    /// Writing failed or timed out in the middle of a command, so the state of tor is unknown.
    #[error("writing to tor failed")]
    Write(#[source] Arc<io::Error>),
    /// tor sent a line longer than
    /// [`ConnectOptions::line_limit`](crate::ConnectOptions::line_limit).
    #[error("a line from tor exceeds the limit of {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// tor sent a reply or an event longer than
    /// [`ConnectOptions::reply_limit`](crate::ConnectOptions::reply_limit).
    #[error("a reply from tor exceeds the limit of {limit} bytes")]
    ReplyTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// tor did not answer a command or answered one twice, so replies cannot be matched with commands
    /// any more.
    #[error("replies are out of step with commands: {detail}")]
    OutOfStep {
        /// The detected deviation.
        detail: &'static str,
    },
    /// The peer sent bytes that are not valid in the control protocol.
    #[error("tor does not speak the control protocol")]
    Protocol(#[source] ProtocolError),
    /// The reader thread ended unexpectedly, because of a bug in torcon.
    #[error("the reader thread failed")]
    ReaderFailed,
}

impl Disconnect {
    /// Returns whether this program ended the connection.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Closed | Self::Quit)
    }
}
