//! The circuit build timeout.

use std::fmt;
use std::time::Duration;

use crate::event::EventText;
use crate::event::keyword::{event_keywords, require_words, word};
use crate::event::typed::{Parsed, typed_event};
use crate::names::BuildTimeoutAction;

/// `BUILDTIMEOUT_SET`: tor set its circuit build timeout.
///
/// tor models the build times of its circuits as a Pareto distribution, whose parameters are
/// [`xm`](Self::xm) and [`alpha`](Self::alpha).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use torcon::event::{Event, EventText};
/// use torcon::names::BuildTimeoutAction;
///
/// let text = b"BUILDTIMEOUT_SET COMPUTED TOTAL_TIMES=1000 TIMEOUT_MS=815 XM=283 ALPHA=1.520695 \
///              CUTOFF_QUANTILE=0.800000 TIMEOUT_RATE=0.292260 CLOSE_MS=60000 CLOSE_RATE=0.000000";
/// let Event::BuildTimeoutSet(set) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(set.action(), BuildTimeoutAction::Computed);
/// assert_eq!(set.timeout(), Some(Duration::from_millis(815)));
/// assert!(set.timeout_rate().unwrap().get() < 0.3);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BuildTimeoutSetEvent {
    text: EventText,
}

typed_event!(BuildTimeoutSetEvent, BuildTimeoutSet: BuildTimeoutSet);
event_keywords!(BuildTimeoutSetEvent, words 2 + 0, stored [] {
    /// Returns the number of circuits whose build times tor knows.
    "TOTAL_TIMES" => total_times: Option<u64> = number();
    /// Returns the build timeout.
    #[doc(alias = "TIMEOUT_MS")]
    "TIMEOUT_MS" => timeout: Option<Duration> = milliseconds();
    /// Returns the lowest build time of the distribution.
    "XM" => xm: Option<Duration> = milliseconds();
    /// Returns the exponent of the distribution.
    "ALPHA" => alpha: Option<Decimal> = try_word(Decimal::read);
    /// Returns the quantile of the build times at which tor sets the timeout.
    "CUTOFF_QUANTILE" => cutoff_quantile: Option<Decimal> = try_word(Decimal::read);
    /// Returns the rate of circuits that timed out.
    "TIMEOUT_RATE" => timeout_rate: Option<Decimal> = try_word(Decimal::read);
    /// Returns how long tor keeps a circuit that timed out, to measure its build time.
    #[doc(alias = "CLOSE_MS")]
    "CLOSE_MS" => close: Option<Duration> = milliseconds();
    /// Returns the rate of measured circuits that were closed before they were built.
    "CLOSE_RATE" => close_rate: Option<Decimal> = try_word(Decimal::read);
});

impl BuildTimeoutSetEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        require_words(text, &["why the timeout was set"]).map(|text| Self { text })
    }

    /// Returns why tor set the timeout.
    #[doc(alias = "Type")]
    #[must_use]
    pub fn action(&self) -> BuildTimeoutAction {
        BuildTimeoutAction::from_bytes(word(&self.text, 1))
    }
}

/// A number with decimals.
///
/// Two decimals are equal if they are the same number, or both `nan`, so that events can be
/// compared.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"BUILDTIMEOUT_SET COMPUTED ALPHA=1.520695");
/// let Event::BuildTimeoutSet(set) = Event::parse(text) else { panic!() };
/// let alpha = set.alpha().unwrap();
/// assert_eq!(f64::from(alpha), 1.520695);
/// assert_eq!(alpha.to_string(), "1.520695");
/// ```
#[derive(Clone, Copy)]
pub struct Decimal {
    value: f64,
}

impl Decimal {
    /// Returns the number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.value
    }

    fn read(value: &[u8]) -> Option<Self> {
        std::str::from_utf8(value).ok()?.parse().ok().map(|value| Self { value })
    }
}

impl From<Decimal> for f64 {
    fn from(decimal: Decimal) -> Self {
        decimal.value
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.value.total_cmp(&other.value).is_eq()
    }
}

impl Eq for Decimal {}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value, f)
    }
}
