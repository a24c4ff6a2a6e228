//! `torcon::testkit`: strictness, answers, and the end.

/// Default answers, late and cut replies, events, several connections.
mod answers;
/// The end of a fake tor: its threads, and waits that it ends.
mod endings;
/// Failures that the test must see.
mod strict;

use std::time::Duration;

/// A limit that only a hanging operation reaches.
const LIMIT: Duration = Duration::from_secs(30);
