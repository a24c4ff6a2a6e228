//! Lines of tor's log.

use crate::event::typed::typed_event;
use crate::event::{EventKind, EventText};
use crate::names::Severity;

/// `DEBUG`, `INFO`, `NOTICE`, `WARN`, `ERR`: a line of tor's log.
///
/// A closure that takes this type gets lines of the severity `NOTICE` and graver; the lines of
/// `INFO` and `DEBUG` come by the thousand, and are subscribed to by their
/// [`EventKind`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEvent {
    /// How grave it is.
    pub severity: Severity,
    /// What tor says. Lines of `INFO` and `DEBUG` begin with the name of a function.
    pub message: EventText,
    text: EventText,
}

typed_event!(LogEvent, Log: Notice, Warn, Err);

impl LogEvent {
    pub(crate) fn read(severity: Severity, text: EventText) -> Self {
        let message = text.as_bytes().get(severity.as_str().len()..).unwrap_or_default();
        let message = text.part(message.strip_prefix(b" ").unwrap_or(message));
        Self { severity, message, text }
    }

    /// Returns the text of the event: the severity and the message.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    pub(crate) fn kind(&self) -> EventKind {
        match self.severity {
            Severity::Debug => EventKind::Debug,
            Severity::Info => EventKind::Info,
            Severity::Notice => EventKind::Notice,
            Severity::Warn => EventKind::Warn,
            Severity::Err => EventKind::Err,
        }
    }
}
