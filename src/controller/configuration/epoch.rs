//! Counts the commands of this connection that change tor's configuration, so that `config` can
//! invalidate its cache.
//!
//! tor answers a command before it sends the `CONF_CHANGED` event of it, so the event is too late
//! to tell the caller of `SETCONF` that a cached value is stale. tor executes the commands of one
//! connection in order: a `GETCONF` written after a `SETCONF` sees its values, whether or not the
//! `SETCONF` was answered.

use crate::controller::Controller;
use crate::names::Signal;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wire::Request;

/// Increases when a configuration command is about to be written, and again when it was written.
#[derive(Debug, Default)]
pub(in crate::controller) struct ConfEpoch(AtomicU64);

/// A configuration command that is being written; to be dropped when it was written.
#[must_use = "the epoch ends when this is dropped"]
pub(in crate::controller) struct ConfCommand<'a>(&'a ConfEpoch);

impl ConfEpoch {
    fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for ConfCommand<'_> {
    fn drop(&mut self) {
        self.0.advance();
    }
}

impl Controller {
    /// Returns the current epoch of the configuration. The reply to a query of an earlier epoch
    /// may be older than a command of this connection.
    pub(crate) fn conf_epoch(&self) -> u64 {
        self.inner.conf_epoch.0.load(Ordering::SeqCst)
    }

    /// Begins an epoch if the request changes the configuration. The guard must live until the
    /// request is written.
    pub(in crate::controller) fn conf_command(&self, request: &Request) -> Option<ConfCommand<'_>> {
        let changes_conf = match request.keyword() {
            "SETCONF" | "RESETCONF" | "LOADCONF" => true,
            "SIGNAL" => is_reload(request.arguments()),
            _ => false,
        };
        changes_conf.then(|| {
            self.inner.conf_epoch.advance();
            ConfCommand(&self.inner.conf_epoch)
        })
    }
}

/// Returns whether a signal makes tor read its configuration file again.
fn is_reload(arguments: &[u8]) -> bool {
    let signal = String::from_utf8_lossy(arguments.trim_ascii());
    Signal::from(&*signal).canonical() == Signal::Reload
}
