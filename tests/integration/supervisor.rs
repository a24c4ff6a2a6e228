//! The supervisor: a tor that comes back with everything that the program set up on it.

/// Which failures end it.
mod attempts;
/// What comes back after a launched tor was killed.
mod restored;

use std::time::Duration;

/// How long anything may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
