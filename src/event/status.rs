//! Status events, above all tor's bootstrap progress.

mod detail;

use std::str::FromStr;

pub use detail::{ClockSource, StatusDetail};

use crate::error::ProtocolError;
use crate::event::keyword::{Keyword, fields_after, word};
use crate::event::typed::{Parsed, typed_event};
use crate::event::{EventKind, EventText};
use crate::names::{
    BootstrapTag, Fingerprint, OrConnReason, Recommendation, Severity, StatusAction, Target,
};
use crate::wire::fields::Fields;

/// `STATUS_GENERAL`, `STATUS_CLIENT`, `STATUS_SERVER`: the status of tor changed.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::StatusAction;
///
/// let text = EventText::new(b"STATUS_CLIENT WARN DANGEROUS_PORT PORT=23 RESULT=WARN");
/// let Event::Status(status) = Event::parse(text) else { panic!() };
/// assert_eq!(status.action(), StatusAction::DangerousPort);
/// assert_eq!(status.argument("PORT").unwrap(), "23");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StatusEvent {
    area: StatusArea,
    severity: Severity,
    text: EventText,
}

/// The part of tor that a status concerns.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, StatusArea};
///
/// let text = EventText::new(b"STATUS_SERVER NOTICE GOOD_SERVER_DESCRIPTOR");
/// let Event::Status(status) = Event::parse(text) else { panic!() };
/// assert_eq!(status.area(), StatusArea::Server);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum StatusArea {
    /// tor as a whole.
    General,
    /// tor as a client.
    Client,
    /// tor as a relay.
    Server,
}

/// One argument of a status.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"STATUS_SERVER WARN NAMESERVER_STATUS NS=192.0.2.53 STATUS=DOWN ERR=\"timed out\"";
/// let Event::Status(status) = Event::parse(EventText::new(text)) else { panic!() };
/// let arguments: Vec<_> = status.arguments().collect();
/// assert_eq!(arguments[2].key, "ERR");
/// assert_eq!(arguments[2].value, "timed out");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StatusArgument {
    /// The key before the `=`; empty for a word without key.
    pub key: EventText,
    /// The value without quotes and escapes.
    pub value: EventText,
}

typed_event!(StatusEvent, Status: StatusGeneral, StatusClient, StatusServer);

/// The words before the arguments: name, severity and action.
const WORDS: usize = 3;

impl StatusEvent {
    pub(crate) fn parse(area: StatusArea, text: EventText) -> Parsed<Self> {
        let mut fields = fields_after(&text, 1, 0);
        let Some(severity) = fields.word().and_then(Severity::from_bytes) else {
            return Err((text, "a severity"));
        };
        if fields.word_unless_keyword().is_none() {
            return Err((text, "the action of the status"));
        }
        Ok(Self { area, severity, text })
    }

    /// Returns the part of tor that the status concerns.
    #[must_use]
    pub fn area(&self) -> StatusArea {
        self.area
    }

    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the action.
    #[must_use]
    pub fn action(&self) -> StatusAction {
        StatusAction::from_bytes(word(&self.text, 2))
    }

    /// Returns the arguments in tor's order.
    pub fn arguments(&self) -> impl Iterator<Item = StatusArgument> {
        fields_after(&self.text, WORDS, 0).map(|field| StatusArgument {
            key: self.text.part(field.key),
            value: self.text.value(field.value.bytes()),
        })
    }

    /// Returns the value of the first argument with this key, such as `"REASON"`.
    #[must_use]
    pub fn argument(&self, key: &str) -> Option<EventText> {
        self.keyword(key).text()
    }

    /// Returns tor's bootstrap progress, if the action is [`StatusAction::Bootstrap`].
    #[must_use]
    pub fn bootstrap(&self) -> Option<Bootstrap> {
        if word(&self.text, 2) != b"BOOTSTRAP" {
            return None;
        }
        Bootstrap::from_bytes(fields_after(&self.text, 1, 0).rest()).ok()
    }

    /// Parses the arguments that the specification names for this action.
    #[must_use]
    pub fn detail(&self) -> StatusDetail {
        StatusDetail::read(self)
    }

    /// Returns the arguments that the specification does not name for this action, in tor's
    /// order; of an action that this version of torcon does not know, all.
    pub fn extra(&self) -> impl Iterator<Item = StatusArgument> {
        let known = detail::keys(&self.action());
        self.arguments().filter(move |argument| !known.iter().any(|key| argument.key == *key))
    }

    fn keyword(&self, key: &str) -> Keyword<'_> {
        Keyword::find(&self.text, fields_after(&self.text, WORDS, 0), key)
    }

    pub(crate) fn kind(&self) -> EventKind {
        match self.area {
            StatusArea::General => EventKind::StatusGeneral,
            StatusArea::Client => EventKind::StatusClient,
            StatusArea::Server => EventKind::StatusServer,
        }
    }
}

/// tor's bootstrap progress.
///
/// A [`StatusEvent`] contains it. `FromStr` parses the value of `GETINFO status/bootstrap-phase`.
///
/// # Examples
///
/// ```
/// use torcon::event::Bootstrap;
/// use torcon::names::BootstrapTag;
///
/// let phase: Bootstrap = r#"NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done""#.parse()?;
/// assert_eq!((phase.progress, phase.tag), (100, BootstrapTag::Done));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Bootstrap {
    /// `NOTICE` for progress, `WARN` for a problem.
    pub severity: Severity,
    /// The progress in percent.
    pub progress: u8,
    /// The current step.
    pub tag: BootstrapTag,
    /// The description of the step.
    pub summary: String,
    /// The description of the problem.
    pub warning: Option<String>,
    /// Why a connection failed.
    pub reason: Option<OrConnReason>,
    /// The number of problems at this step so far.
    pub count: Option<u64>,
    /// tor's recommendation about the problem.
    pub recommendation: Option<Recommendation>,
    /// The relay that the problem concerns.
    pub host_id: Option<Fingerprint>,
    /// The address that the problem concerns.
    pub host_addr: Option<Target>,
}

impl Bootstrap {
    const KEYS: &'static [&'static str] = &[
        "PROGRESS",
        "TAG",
        "SUMMARY",
        "WARNING",
        "REASON",
        "COUNT",
        "RECOMMENDATION",
        "HOSTID",
        "HOSTADDR",
    ];

    pub(crate) fn from_bytes(text: &[u8]) -> Result<Self, ProtocolError> {
        let failed = |expected| ProtocolError::new("the bootstrap progress", expected, text);
        let mut fields = Fields::new(text);
        let severity = fields.word().and_then(Severity::from_bytes);
        let severity = severity.ok_or_else(|| failed("a severity"))?;
        if fields.word() != Some(b"BOOTSTRAP") {
            return Err(failed("the word BOOTSTRAP"));
        }
        let mut progress = None;
        let mut bootstrap = Self {
            severity,
            progress: 0,
            tag: BootstrapTag::from_bytes(b""),
            summary: String::new(),
            warning: None,
            reason: None,
            count: None,
            recommendation: None,
            host_id: None,
            host_addr: None,
        };
        for field in fields {
            let value = field.value;
            let words = || String::from_utf8_lossy(&value.bytes()).into_owned();
            match field.key {
                b"PROGRESS" => progress = value.number(),
                b"TAG" => bootstrap.tag = BootstrapTag::from_bytes(value.inside()),
                b"SUMMARY" => bootstrap.summary = words(),
                b"WARNING" => bootstrap.warning = Some(words()),
                b"REASON" => bootstrap.reason = Some(OrConnReason::from_bytes(value.inside())),
                b"COUNT" => bootstrap.count = value.number(),
                b"RECOMMENDATION" => {
                    bootstrap.recommendation = Some(Recommendation::from_bytes(value.inside()));
                }
                b"HOSTID" => bootstrap.host_id = Fingerprint::from_hex(value.inside()),
                // tor sends `?` for an address that it does not know.
                b"HOSTADDR" => {
                    let address = Some(value.bytes()).filter(|address| address.as_ref() != b"?");
                    bootstrap.host_addr = address.map(|address| Target::from_bytes(&address));
                }
                _ => {}
            }
        }
        bootstrap.progress = progress.ok_or_else(|| failed("PROGRESS in percent"))?;
        Ok(bootstrap)
    }

    /// Returns whether tor has reached 100 %.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.progress >= 100
    }
}

impl FromStr for Bootstrap {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        Self::from_bytes(text.as_bytes())
    }
}
