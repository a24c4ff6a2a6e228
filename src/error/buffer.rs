use std::fmt;
use std::io;
use std::sync::Arc;

/// A reply could not be kept for its caller. The connection goes on.
#[derive(Clone, Debug)]
pub struct BufferError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    command: Box<str>,
    problem: BufferProblem,
}

/// Why a reply could not be kept for its caller.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BufferProblem {
    /// More bytes were waiting for slow callers than
    /// [`ConnectOptions::reply_buffer_limit`](crate::ConnectOptions::reply_buffer_limit) allows.
    #[error(
        "more than {limit} bytes were waiting to be taken (ConnectOptions::reply_buffer_limit)"
    )]
    Full {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The temporary file that holds what does not fit into memory cannot be created, written or
    /// read.
    #[error("its temporary file cannot be used")]
    File(#[source] Arc<io::Error>),
}

impl BufferError {
    pub(crate) fn new(command: &str, problem: BufferProblem) -> Self {
        Self { inner: Arc::new(Inner { command: command.into(), problem }) }
    }

    /// Returns the keyword of the command, such as `GETINFO`.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.inner.command
    }

    /// Returns why the reply could not be kept.
    #[must_use]
    pub fn problem(&self) -> &BufferProblem {
        &self.inner.problem
    }
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { command, problem } = &*self.inner;
        write!(f, "cannot keep the reply to {command}: {problem}")
    }
}

impl std::error::Error for BufferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.inner.problem)
    }
}
