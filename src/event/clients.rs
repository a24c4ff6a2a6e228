//! Who uses a bridge.

use std::time::SystemTime;

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::wire::fields::{Fields, Value, read_number};
use crate::wire::timestamp::read_time;

/// `CLIENTS_SEEN`: where the clients of a bridge were, as far as tor rounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientsSeenEvent {
    /// From when on the clients were counted.
    pub time_started: Option<SystemTime>,
    /// The clients of each country, by its code.
    #[doc(alias = "CountrySummary")]
    pub countries: Vec<ClientCount>,
    /// The clients of each version of the Internet protocol, such as `v4`.
    pub ip_versions: Vec<ClientCount>,
    text: EventText,
}

/// How many clients of a kind there were.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCount {
    /// What they have in common: the code of a country, or a version of the Internet protocol.
    pub name: EventText,
    /// The number of clients.
    pub count: u64,
}

typed_event!(
    ClientsSeenEvent, ClientsSeen: ClientsSeen;
    words 1 + 0,
    keywords ["TimeStarted", "CountrySummary", "IPVersions"]
);

impl ClientsSeenEvent {
    pub(crate) fn read(text: EventText) -> Self {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut time_started = None;
        let (mut countries, mut ip_versions) = (Vec::new(), Vec::new());
        for field in fields {
            let value = field.value;
            match field.key {
                b"TimeStarted" => time_started = read_time(value.inside()),
                b"CountrySummary" => countries = read_counts(&text, value),
                b"IPVersions" => ip_versions = read_counts(&text, value),
                _ => {}
            }
        }
        Self { time_started, countries, ip_versions, text }
    }
}

/// Reads `us=16,de=8`; what is not of this form is left out.
fn read_counts(text: &EventText, value: Value<'_>) -> Vec<ClientCount> {
    let counts = value.list().filter_map(|element| {
        let equals = memchr::memchr(b'=', element)?;
        let (name, count) = element.split_at_checked(equals)?;
        let count = read_number(count.strip_prefix(b"=")?)?;
        Some(ClientCount { name: text.part(name), count })
    });
    counts.collect()
}
