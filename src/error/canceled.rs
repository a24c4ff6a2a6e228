use std::fmt;

use super::Wait;

/// The error of an operation that a [`CancelToken`](crate::CancelToken) ended.
///
/// # Examples
///
/// ```
/// use torcon::error::Wait;
/// use torcon::{CancelToken, ConnectOptions, Error};
///
/// let token = CancelToken::new();
/// token.cancel();
/// let outcome = ConnectOptions::new().cancel_token(&token).connect("unix:/run/tor/control");
/// let Err(Error::Canceled(canceled)) = outcome else { panic!() };
/// assert_eq!(canceled.wait(), &Wait::Connect);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canceled {
    wait: Box<Wait>,
}

impl Canceled {
    pub(crate) fn new(wait: Wait) -> Self {
        Self { wait: Box::new(wait) }
    }

    /// Returns the condition that the operation waited for.
    #[must_use]
    pub fn wait(&self) -> &Wait {
        &self.wait
    }
}

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "canceled by this program while waiting for {}", self.wait)
    }
}

impl std::error::Error for Canceled {}
