//! Clients of a bridge.

use std::time::SystemTime;

use crate::event::EventText;
use crate::event::keyword::event_keywords;
use crate::event::typed::typed_event;

/// `CLIENTS_SEEN`: rounded numbers of the clients of a bridge.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"CLIENTS_SEEN TimeStarted=\"2008-12-25 23:50:43\" CountrySummary=us=16,de=8,uk=8 \
///              IPVersions=v4=16,v6=40";
/// let Event::ClientsSeen(seen) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(seen.countries().len(), 3);
/// let clients: u64 = seen.ip_versions().iter().map(|version| version.count).sum();
/// assert_eq!(clients, 56);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientsSeenEvent {
    text: EventText,
}

/// The number of clients of a country or of an IP version.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = EventText::new(b"CLIENTS_SEEN CountrySummary=us=16,de=8");
/// let Event::ClientsSeen(seen) = Event::parse(text) else { panic!() };
/// let most = seen.countries().into_iter().max_by_key(|country| country.count).unwrap();
/// assert_eq!(most.name, "us");
/// assert_eq!(most.count, 16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ClientCount {
    /// The code of the country, or the IP version, such as `v4`.
    pub name: EventText,
    /// The number of clients.
    pub count: u64,
}

typed_event!(ClientsSeenEvent, ClientsSeen: ClientsSeen);
event_keywords!(ClientsSeenEvent, words 1 + 0, stored [] {
    /// Returns when tor began to count the clients.
    "TimeStarted" => time_started: Option<SystemTime> = time();
    /// Returns the number of clients by country.
    #[doc(alias = "CountrySummary")]
    "CountrySummary" => countries: Vec<ClientCount> =
        counts(b'=', |name, count| ClientCount { name, count });
    /// Returns the number of clients by IP version.
    "IPVersions" => ip_versions: Vec<ClientCount> =
        counts(b'=', |name, count| ClientCount { name, count });
});

impl ClientsSeenEvent {
    pub(crate) fn parse(text: EventText) -> Self {
        Self { text }
    }
}
