//! How long circuits may take to build.

use std::fmt;
use std::time::Duration;

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::names::BuildTimeoutAction;
use crate::wire::fields::{Fields, Value, read_number};

/// `BUILDTIMEOUT_SET`: the time that circuits may take to build was set.
///
/// tor takes the times of its circuits for a Pareto distribution, whose parameters are
/// [`xm`](Self::xm) and [`alpha`](Self::alpha).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildTimeoutSetEvent {
    /// Why it was set.
    #[doc(alias = "Type")]
    pub action: BuildTimeoutAction,
    /// Of how many circuits tor knows the time.
    pub total_times: Option<u64>,
    /// How long a circuit may take.
    #[doc(alias = "TIMEOUT_MS")]
    pub timeout: Option<Duration>,
    /// The time that every circuit takes at least.
    pub xm: Option<Duration>,
    /// How steeply the number of circuits falls with the time.
    pub alpha: Option<Decimal>,
    /// The part of all circuits that is quick enough.
    pub cutoff_quantile: Option<Decimal>,
    /// The part of all circuits that was too slow.
    pub timeout_rate: Option<Decimal>,
    /// How long a circuit that was too slow is kept, to measure it.
    #[doc(alias = "CLOSE_MS")]
    pub close: Option<Duration>,
    /// The part of the circuits kept to be measured that was closed before it was built.
    pub close_rate: Option<Decimal>,
    text: EventText,
}

/// A number with decimals.
///
/// Two of them are equal if they are the same number, also if they are none (`nan`), so that
/// events can be compared.
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

    fn read(value: Value<'_>) -> Option<Self> {
        Some(Self { value: read_number(value.inside())? })
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

typed_event!(
    BuildTimeoutSetEvent, BuildTimeoutSet: BuildTimeoutSet;
    words 2 + 0,
    keywords [
        "TOTAL_TIMES",
        "TIMEOUT_MS",
        "XM",
        "ALPHA",
        "CUTOFF_QUANTILE",
        "TIMEOUT_RATE",
        "CLOSE_MS",
        "CLOSE_RATE",
    ]
);

impl BuildTimeoutSetEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(action) = fields.word_unless_keyword().map(BuildTimeoutAction::from_bytes) else {
            return Err((text, "why the time was set"));
        };
        let mut event = Self {
            action,
            total_times: None,
            timeout: None,
            xm: None,
            alpha: None,
            cutoff_quantile: None,
            timeout_rate: None,
            close: None,
            close_rate: None,
            text: EventText::default(),
        };
        for field in fields {
            let value = field.value;
            let milliseconds = || value.number().map(Duration::from_millis);
            match field.key {
                b"TOTAL_TIMES" => event.total_times = value.number(),
                b"TIMEOUT_MS" => event.timeout = milliseconds(),
                b"XM" => event.xm = milliseconds(),
                b"ALPHA" => event.alpha = Decimal::read(value),
                b"CUTOFF_QUANTILE" => event.cutoff_quantile = Decimal::read(value),
                b"TIMEOUT_RATE" => event.timeout_rate = Decimal::read(value),
                b"CLOSE_MS" => event.close = milliseconds(),
                b"CLOSE_RATE" => event.close_rate = Decimal::read(value),
                _ => {}
            }
        }
        event.text = text;
        Ok(event)
    }
}
