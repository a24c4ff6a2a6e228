//! Log messages.

use crate::event::typed::typed_event;
use crate::event::{EventKind, EventText};
use crate::names::Severity;

/// `DEBUG`, `INFO`, `NOTICE`, `WARN`, `ERR`: a message of tor's log.
///
/// A closure with a parameter of this type receives `NOTICE`, `WARN` and `ERR`; subscribe to the
/// thousands of messages of `INFO` and `DEBUG` by their [`EventKind`].
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::Severity;
///
/// let text = b"WARN Failed to parse/validate config: Unknown option 'Bogus'.  Failing.";
/// let Event::Log(log) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(log.severity(), Severity::Warn);
/// assert!(log.message().to_str_lossy().starts_with("Failed to parse"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LogEvent {
    severity: Severity,
    text: EventText,
}

typed_event!(LogEvent, Log: Notice, Warn, Err);

impl LogEvent {
    pub(crate) fn parse(severity: Severity, text: EventText) -> Self {
        Self { severity, text }
    }

    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the message. `INFO` and `DEBUG` messages begin with the name of a function of tor.
    #[must_use]
    pub fn message(&self) -> EventText {
        let message = self.text.as_bytes().get(self.severity.as_str().len()..).unwrap_or_default();
        self.text.part(message.strip_prefix(b" ").unwrap_or(message))
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
