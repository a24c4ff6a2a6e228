//! Circuits.

use std::time::{Duration, SystemTime};

use crate::event::EventText;
use crate::event::keyword::{fields_after, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::{
    BuildFlag, CircMinorChange, CircuitId, CircuitPurpose, CircuitReason, CircuitStatus, HsState,
    RelaySpec,
};
use crate::wire::fields::{read_number, split_list};

/// `CIRC`: a circuit changed its status.
///
/// The first event of a circuit can be its close, and a circuit that is extended later is built a
/// second time.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{CircuitPurpose, CircuitStatus};
///
/// let text = b"CIRC 5 EXTENDED $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~guard PURPOSE=GENERAL";
/// let Event::Circ(circ) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(circ.id(), 5.into());
/// assert_eq!(circ.status(), CircuitStatus::Extended);
/// assert_eq!(circ.path().len(), 1);
/// assert_eq!(circ.purpose(), Some(CircuitPurpose::General));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CircEvent {
    id: CircuitId,
    text: EventText,
}

/// `CIRC_MINOR`: a circuit changed, but not its status.
///
/// The methods that [`CircEvent`] has too return the new values; methods whose names begin with
/// `old_` return the values before the change.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::{CircMinorChange, CircuitPurpose};
///
/// let text = b"CIRC_MINOR 36 PURPOSE_CHANGED $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~test004r \
///              PURPOSE=CONTROLLER TIME_CREATED=2026-11-23T09:28:21.305150 OLD_PURPOSE=GENERAL";
/// let Event::CircMinor(minor) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(minor.change(), CircMinorChange::PurposeChanged);
/// assert_eq!(minor.old_purpose(), Some(CircuitPurpose::General));
/// assert_eq!(minor.purpose(), Some(CircuitPurpose::Controller));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CircMinorEvent {
    id: CircuitId,
    text: EventText,
}

/// The proof of work of an onion service circuit.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CIRC 21 BUILT PURPOSE=HS_CLIENT_INTRO HS_POW=v1,350");
/// let Event::Circ(circ) = Event::parse(text) else { panic!() };
/// let pow = circ.hs_pow().unwrap();
/// assert_eq!(pow.scheme, "v1");
/// assert_eq!(pow.effort, 350);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HsPow {
    /// The scheme, such as `v1`.
    pub scheme: EventText,
    /// The effort.
    pub effort: u64,
}

impl HsPow {
    pub(crate) fn read(value: &EventText) -> Option<Self> {
        let bytes = value.as_bytes();
        let (scheme, effort) = bytes.split_at_checked(memchr::memchr(b',', bytes)?)?;
        let effort = read_number(effort.strip_prefix(b",")?)?;
        Some(Self { scheme: value.part(scheme), effort })
    }
}

/// The keywords of every circuit, for `CIRC`, `CIRC_MINOR` and
/// [`CircuitInfo`](crate::state::CircuitInfo).
macro_rules! circuit_keywords {
    ($define:ident!($($head:tt)*) { $($own:tt)* }) => {
        $crate::event::keyword::$define!($($head)* {
            $($own)*
            /// Returns the requirements with which tor launched the circuit; empty for a circuit
            /// of a controller.
            "BUILD_FLAGS" => build_flags: Vec<BuildFlag> = list(BuildFlag::from_bytes);
            /// Returns the purpose of the circuit.
            "PURPOSE" => purpose: Option<CircuitPurpose> = word(CircuitPurpose::from_bytes);
            /// Returns the state of an onion service circuit.
            "HS_STATE" => hs_state: Option<HsState> = word(HsState::from_bytes);
            /// Returns the address of the onion service, without `.onion`.
            "REND_QUERY" => rend_query: Option<EventText> = text();
            /// Returns when the circuit was launched, or cannibalized.
            "TIME_CREATED" => time_created: Option<SystemTime> = time();
            /// Returns the SOCKS user name by which tor isolates the circuit.
            "SOCKS_USERNAME" => socks_username: Option<EventText> = secret();
            /// Returns the SOCKS password by which tor isolates the circuit.
            "SOCKS_PASSWORD" => socks_password: Option<EventText> = secret();
            /// Returns the proof of work of an introduction.
            "HS_POW" => hs_pow: Option<HsPow> = hs_pow();
            /// Returns the identifier that both legs of a conflux pair share.
            "CONFLUX_ID" => conflux_id: Option<EventText> = text();
            /// Returns the round-trip time of this conflux leg.
            "CONFLUX_RTT" => conflux_rtt: Option<Duration> = microseconds();
        });
    };
}
pub(crate) use circuit_keywords;

typed_event!(CircEvent, Circ: Circ);
typed_event!(CircMinorEvent, CircMinor: CircMinor);

circuit_keywords!(event_keywords!(CircEvent, words 3 + 1, stored []) {
    /// Returns why the circuit was closed or failed.
    "REASON" => reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
    /// Returns the reason that the last hop reported, if that hop ended the circuit.
    "REMOTE_REASON" => remote_reason: Option<CircuitReason> = word(CircuitReason::from_bytes);
});

circuit_keywords!(event_keywords!(CircMinorEvent, words 3 + 1, stored []) {
    /// Returns the purpose before the change.
    "OLD_PURPOSE" => old_purpose: Option<CircuitPurpose> = word(CircuitPurpose::from_bytes);
    /// Returns the onion service state before the change.
    "OLD_HS_STATE" => old_hs_state: Option<HsState> = word(HsState::from_bytes);
    /// Returns when a circuit was launched that was now cannibalized.
    "OLD_TIME_CREATED" => old_time_created: Option<SystemTime> = time();
});

impl CircEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        read_words(text, "the status of the circuit").map(|(id, text)| Self { id, text })
    }

    /// Returns the identifier of the circuit.
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.id
    }

    /// Returns the new status of the circuit.
    #[must_use]
    pub fn status(&self) -> CircuitStatus {
        CircuitStatus::from_bytes(word(&self.text, 2))
    }

    /// Returns the relays to which the circuit extends so far, the guard first.
    #[must_use]
    pub fn path(&self) -> Vec<RelaySpec> {
        read_path(path_word(&self.text))
    }
}

impl CircMinorEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        read_words(text, "the change of the circuit").map(|(id, text)| Self { id, text })
    }

    /// Returns the identifier of the circuit.
    #[must_use]
    pub fn id(&self) -> CircuitId {
        self.id
    }

    /// Returns the kind of change.
    #[must_use]
    pub fn change(&self) -> CircMinorChange {
        CircMinorChange::from_bytes(word(&self.text, 2))
    }

    /// Returns the relays to which the circuit extends so far, the guard first.
    #[must_use]
    pub fn path(&self) -> Vec<RelaySpec> {
        read_path(path_word(&self.text))
    }
}

/// Reads the identifier, and requires the word after it.
#[inline]
fn read_words(text: EventText, second: &'static str) -> Parsed<(CircuitId, EventText)> {
    let mut fields = fields_after(&text, 1, 0);
    let Some(id) = fields.word().and_then(CircuitId::from_bytes) else {
        return Err((text, "a circuit id"));
    };
    match fields.word_unless_keyword() {
        Some(_) => Ok((id, text)),
        None => Err((text, second)),
    }
}

/// Returns the path of a `CIRC` or `CIRC_MINOR` event; empty if it has none.
pub(crate) fn path_word(text: &EventText) -> &[u8] {
    fields_after(text, 3, 0).word_unless_keyword().unwrap_or_default()
}

/// Reads a path: relays separated by commas.
pub(crate) fn read_path(path: &[u8]) -> Vec<RelaySpec> {
    const FINGERPRINT: usize = 41;
    // One allocation suffices if every relay has a fingerprint, as in tor's events.
    let mut relays = Vec::with_capacity(path.len().div_ceil(FINGERPRINT));
    for relay in split_list(path) {
        relays.push(RelaySpec::from_bytes(relay));
    }
    relays
}
