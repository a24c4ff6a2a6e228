//! Address mappings.

use std::time::SystemTime;

use crate::event::keyword::{Keyword, flag, keyword_methods};
use crate::event::typed::{Parsed, extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::StreamId;
use crate::wire::fields::{Field, Fields};

/// `ADDRMAP`: a name or address was mapped to another, or a `RESOLVE` request was answered.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, MappedAddress};
///
/// let text = EventText::new(b"ADDRMAP a.example b.example NEVER CACHED=\"YES\"");
/// let Event::AddrMap(map) = Event::parse(text) else { panic!() };
/// assert_eq!(map.address(), "a.example");
/// assert_eq!(map.new_address(), MappedAddress::Address(EventText::new(b"b.example")));
/// assert_eq!((map.expires(), map.cached()), (None, Some(true)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AddrMapEvent {
    text: EventText,
}

/// The target of an address mapping.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, MappedAddress};
///
/// let text = b"ADDRMAP x.exit <error> \"2026-11-23 09:14:07\" error=yes CACHED=\"NO\" STREAMID=13";
/// let Event::AddrMap(map) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(map.new_address(), MappedAddress::Failed);
/// assert_eq!(map.new_address().address(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MappedAddress {
    /// Another name or address.
    Address(EventText),
    /// None, since the mapping was removed.
    Removed,
    /// None, since the name could not be resolved.
    Failed,
}

impl MappedAddress {
    /// Returns the name or address, if any.
    #[must_use]
    pub fn address(&self) -> Option<&EventText> {
        match self {
            Self::Address(address) => Some(address),
            Self::Removed | Self::Failed => None,
        }
    }
}

typed_event!(AddrMapEvent, AddrMap: AddrMap);
keyword_methods!(AddrMapEvent {
    /// Returns when the mapping expires; `None` if it does not.
    "EXPIRES" => expires: Option<SystemTime> = time();
    /// Returns whether tor keeps the mapping; if not, the event only answers a `RESOLVE`.
    "CACHED" => cached: Option<bool> = try_word(flag([b"YES", b"NO"]));
    /// Returns the stream for which the name was resolved: for a `RESOLVE`, that of the request.
    #[doc(alias = "STREAMID")]
    "STREAMID" => stream: Option<StreamId> = try_word(StreamId::from_bytes);
});

/// The positional parts of the event.
struct Parts<'a> {
    address: &'a [u8],
    new_address: &'a [u8],
    expiry: Option<Field<'a>>,
    rest: Fields<'a>,
}

impl<'a> Parts<'a> {
    /// Splits at single blanks, since the new address of a removed mapping is empty.
    fn read(text: &'a EventText) -> Self {
        let mut words = text.as_bytes().splitn(4, |byte| *byte == b' ').skip(1);
        let address = words.next().unwrap_or_default();
        let new_address = words.next().unwrap_or_default();
        let mut rest = Fields::new(words.next().unwrap_or_default());
        let mut ahead = rest.clone();
        let expiry = ahead.next().filter(|field| field.key.is_empty());
        if expiry.is_some() {
            rest = ahead;
        }
        Self { address, new_address, expiry, rest }
    }

    /// Returns whether tor failed to launch a `RESOLVE`: `a.example a.example ".." internal`.
    fn is_internal_error(&self) -> bool {
        self.rest.clone().any(|field| field.key.is_empty() && field.value.inside() == b"internal")
    }
}

impl AddrMapEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let parts = Parts::read(&text);
        if parts.address.is_empty() {
            return Err((text, "a name or an address"));
        }
        if parts.expiry.is_none() {
            let has_new_address = memchr::memchr_iter(b' ', text.as_bytes()).nth(1).is_some();
            return Err(match has_new_address {
                true => (text, "the expiry of the mapping"),
                false => (text, "the new address"),
            });
        }
        Ok(Self { text })
    }

    fn keyword(&self, key: &str) -> Keyword<'_> {
        Keyword::find(&self.text, Parts::read(&self.text).rest, key)
    }

    /// Returns the name or address that is mapped.
    #[must_use]
    pub fn address(&self) -> EventText {
        self.text.part(Parts::read(&self.text).address)
    }

    /// Returns the target of the mapping.
    #[must_use]
    pub fn new_address(&self) -> MappedAddress {
        let parts = Parts::read(&self.text);
        match parts.new_address {
            b"<error>" => MappedAddress::Failed,
            _ if parts.is_internal_error() => MappedAddress::Failed,
            b"" => MappedAddress::Removed,
            address => MappedAddress::Address(self.text.part(address)),
        }
    }

    /// Returns when the mapping expires, in tor's local time, such as `2026-11-23 10:14:06`; `None`
    /// if it does not. [`expires`](Self::expires) needs no time zone.
    #[must_use]
    pub fn local_expiry(&self) -> Option<EventText> {
        let expiry = Parts::read(&self.text).expiry?.value.inside();
        (expiry != b"NEVER").then(|| self.text.part(expiry))
    }

    /// Returns the error of a failed mapping, mostly `yes`.
    #[must_use]
    pub fn error(&self) -> Option<EventText> {
        if Parts::read(&self.text).is_internal_error() {
            return Some(EventText::new(b"internal"));
        }
        self.keyword("error").text()
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        const KEYWORDS: &[&str] = &["error", "EXPIRES", "CACHED", "STREAMID"];
        extra_of(Parts::read(&self.text).rest, KEYWORDS)
    }
}
