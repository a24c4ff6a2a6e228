use std::fmt;
use std::io;
use std::sync::Arc;

use crate::names::printable;

/// The error of a reply that could not be buffered. The connection stays open.
///
/// # Examples
///
/// ```no_run
/// use torcon::Error;
/// use torcon::error::BufferProblem;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// match controller.get_info("ns/all") {
///     Err(Error::Buffer(error)) if matches!(error.problem(), BufferProblem::Full { .. }) => {
///         eprintln!("the reply to {} is too large: read it line by line", error.command());
///     }
///     outcome => println!("{} bytes", outcome?.len()),
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BufferError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    command: Box<str>,
    problem: BufferProblem,
}

/// Why a reply could not be buffered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BufferProblem {
    /// The buffer of slow callers exceeds
    /// [`ConnectOptions::reply_buffer_limit`](crate::ConnectOptions::reply_buffer_limit).
    #[error("the buffer is full at {limit} bytes; raise ConnectOptions::reply_buffer_limit")]
    Full {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The temporary file for the bytes that exceed the memory limit cannot be created, written or
    /// read.
    #[error("the temporary file cannot be used")]
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

    /// Returns why the reply could not be buffered.
    #[must_use]
    pub fn problem(&self) -> &BufferProblem {
        &self.inner.problem
    }
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { command, problem } = &*self.inner;
        write!(f, "cannot buffer the reply to {}: {problem}", printable(&**command))
    }
}

impl std::error::Error for BufferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.inner.problem)
    }
}
