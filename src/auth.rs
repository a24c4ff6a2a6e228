//! Choosing a method and proving who we are.

mod cookie;
mod password;
mod safe_cookie;

use std::io;
use std::sync::Arc;

pub use password::Password;

use crate::error::AuthProblem;

/// Returns random bytes from the operating system.
fn random<const N: usize>() -> Result<[u8; N], AuthProblem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let reason = match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(error.to_string()),
        };
        AuthProblem::Random(Arc::new(reason))
    })?;
    Ok(bytes)
}
