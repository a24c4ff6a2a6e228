//! Names and addresses that stand for others.

use std::time::SystemTime;

use crate::event::typed::{extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::StreamId;
use crate::wire::fields::{Field, Fields};
use crate::wire::timestamp::read_time;

/// `ADDRMAP`: a name or address was mapped to another, or a request to resolve it was answered.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, MappedAddress};
///
/// let text = EventText::new(b"ADDRMAP a.example b.example NEVER CACHED=\"YES\"");
/// let Event::AddrMap(map) = Event::parse(text) else { panic!() };
/// assert_eq!(map.address, "a.example");
/// assert_eq!(map.new_address, MappedAddress::Address(EventText::new(b"b.example")));
/// assert_eq!((map.expires, map.cached), (None, Some(true)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddrMapEvent {
    /// The name or address that stands for another.
    pub address: EventText,
    /// What it stands for.
    pub new_address: MappedAddress,
    /// The end of the mapping as tor's local clock shows it, such as `2026-11-23 10:14:06`;
    /// `None` if it has no end. [`expires`](Self::expires) needs no time zone.
    pub local_expiry: Option<EventText>,
    /// The end of the mapping; `None` if it has no end.
    pub expires: Option<SystemTime>,
    /// Why there is no address. tor has few words for that, above all `yes`.
    pub error: Option<EventText>,
    /// Whether tor keeps the mapping; if not, this is no more than the answer to a `RESOLVE`.
    pub cached: Option<bool>,
    /// The stream for which the name was resolved: for a `RESOLVE`, the one of its request.
    pub stream: Option<StreamId>,
    text: EventText,
}

/// What a name or address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MappedAddress {
    /// Another name or address.
    Address(EventText),
    /// Nothing but itself: the mapping was taken away.
    Removed,
    /// It could not be resolved.
    Failed,
}

impl MappedAddress {
    /// Returns the name or address, if there is one.
    #[must_use]
    pub fn address(&self) -> Option<&EventText> {
        match self {
            Self::Address(address) => Some(address),
            Self::Removed | Self::Failed => None,
        }
    }
}

typed_event!(AddrMapEvent, AddrMap: AddrMap);

/// The positional parts of the event.
struct Parts<'a> {
    address: &'a [u8],
    new_address: &'a [u8],
    expiry: Option<Field<'a>>,
    rest: Fields<'a>,
}

impl<'a> Parts<'a> {
    /// Divides at single blanks: what a removed mapping stood for is empty.
    fn read(text: &'a [u8]) -> Result<Self, &'static str> {
        let mut words = text.splitn(4, |byte| *byte == b' ').skip(1);
        let address = words.next().filter(|address| !address.is_empty());
        let address = address.ok_or("a name or an address")?;
        let new_address = words.next().ok_or("what the address stands for")?;
        let mut rest = Fields::new(words.next().unwrap_or_default());
        let mut ahead = rest.clone();
        let expiry = ahead.next().filter(|field| field.key.is_empty());
        if expiry.is_some() {
            rest = ahead;
        }
        Ok(Self { address, new_address, expiry, rest })
    }
}

impl AddrMapEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let parts = match Parts::read(text.as_bytes()) {
            Ok(parts) => parts,
            Err(expected) => return Err((text, expected)),
        };
        let Some(expiry) = parts.expiry else { return Err((text, "the end of the mapping")) };
        let mut new_address = match parts.new_address {
            b"" => MappedAddress::Removed,
            b"<error>" => MappedAddress::Failed,
            address => MappedAddress::Address(text.part(address)),
        };
        let local_expiry = Some(expiry.value.inside()).filter(|expiry| *expiry != b"NEVER");
        let (mut expires, mut error, mut cached, mut stream) = (None, None, None, None);
        for field in parts.rest {
            let value = field.value;
            match field.key {
                b"EXPIRES" => expires = read_time(value.inside()),
                b"error" => error = Some(text.value(value.bytes())),
                b"CACHED" => {
                    cached = match value.inside() {
                        b"YES" => Some(true),
                        b"NO" => Some(false),
                        _ => None,
                    };
                }
                b"STREAMID" => stream = StreamId::from_bytes(value.inside()),
                // A RESOLVE that tor could not even launch: `a.example a.example ".." internal`.
                b"" if value.inside() == b"internal" => {
                    error = Some(text.value(value.bytes()));
                    new_address = MappedAddress::Failed;
                }
                _ => {}
            }
        }
        let address = text.part(parts.address);
        let local_expiry = local_expiry.map(|expiry| text.part(expiry));
        Ok(Self { address, new_address, local_expiry, expires, error, cached, stream, text })
    }

    /// Returns the text of the event.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        const KEYWORDS: &[&str] = &["error", "EXPIRES", "CACHED", "STREAMID"];
        let parts = Parts::read(self.text.as_bytes());
        extra_of(parts.map_or(Fields::new(b""), |parts| parts.rest), KEYWORDS)
    }
}
