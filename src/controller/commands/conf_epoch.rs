//! Counts the commands of this connection that change tor's configuration, for what is read of it
//! above.
//!
//! tor answers a command before it sends the `CONF_CHANGED` of it, so an event comes too late to
//! tell the caller of `SETCONF` that a cached value is stale. tor reads one connection in order:
//! a `GETCONF` that is written after a `SETCONF` sees it, whether or not that was answered.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::controller::Controller;
use crate::names::Signal;
use crate::wire::Request;

/// How often a configuration command was begun or written on a connection.
#[derive(Debug, Default)]
pub(in crate::controller) struct ConfEpoch(AtomicU64);

/// A configuration command that is being written. The epoch ends when it is made and when it is
/// dropped, which must be after the command was written.
#[must_use = "the epoch ends when this is dropped"]
pub(in crate::controller) struct ConfCommand<'a>(&'a ConfEpoch);

impl ConfEpoch {
    fn end(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for ConfCommand<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Controller {
    /// Returns the current epoch of the configuration. An answer to a question that was asked in
    /// an earlier epoch may be older than a command of this connection.
    pub(crate) fn conf_epoch(&self) -> u64 {
        self.inner.conf_epoch.0.load(Ordering::SeqCst)
    }

    /// Ends the epoch if the request changes the configuration; to be kept until it is written.
    pub(in crate::controller) fn conf_command(&self, request: &Request) -> Option<ConfCommand<'_>> {
        let is_one = match request.keyword() {
            "SETCONF" | "RESETCONF" | "LOADCONF" => true,
            "SIGNAL" => is_reload(request.arguments()),
            _ => false,
        };
        if !is_one {
            return None;
        }
        let epoch = &self.inner.conf_epoch;
        epoch.end();
        Some(ConfCommand(epoch))
    }
}

/// Whether a signal makes tor read its configuration file again.
fn is_reload(arguments: &[u8]) -> bool {
    let signal = String::from_utf8_lossy(arguments.trim_ascii());
    Signal::from(&*signal).canonical() == Signal::Reload
}
