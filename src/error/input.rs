use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::names::{InvalidName, printable};

/// An argument that is not valid in the control protocol, or that would make tor exit.
///
/// Nothing was sent.
///
/// # Examples
///
/// ```
/// use torcon::Request;
///
/// let error = Request::from_line("GETINFO version\r\nQUIT").unwrap_err();
/// assert_eq!(error.argument(), "command");
/// println!("{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidInput {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    argument: Cow<'static, str>,
    problem: Cow<'static, str>,
}

impl InvalidInput {
    pub(crate) fn new(
        argument: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { argument: argument.into(), problem: problem.into() }) }
    }

    /// Returns the name of the argument, as the function's documentation calls it.
    #[must_use]
    pub fn argument(&self) -> &str {
        &self.inner.argument
    }

    /// Returns the problem of the argument. The text never contains the value, which may be a
    /// secret.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.inner.problem
    }
}

impl From<InvalidName> for InvalidInput {
    fn from(name: InvalidName) -> Self {
        Self::new(name.what(), name.problem())
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (argument, problem) = (printable(self.argument()), printable(self.problem()));
        write!(f, "invalid argument \"{argument}\": {problem}")
    }
}

impl std::error::Error for InvalidInput {}
