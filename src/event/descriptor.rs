//! Onion service descriptors.

use crate::event::keyword::{event_keywords, fields_after, require_words, word};
use crate::event::typed::{Parsed, extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::{HsDescAction, HsDescAuth, HsDescReason, RelaySpec};
use crate::wire::fields::Fields;

/// `HS_DESC`: an onion service descriptor was created, uploaded or fetched.
///
/// tor uploads a descriptor to several hidden service directories and fetches it from one after
/// the other; the failure of one does not imply that of the others.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
/// use torcon::names::HsDescAction;
///
/// let text = b"HS_DESC UPLOAD po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd UNKNOWN \
///              $C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r \
///              a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg";
/// let Event::HsDesc(desc) = Event::parse(EventText::new(text)) else { panic!() };
/// assert_eq!(desc.action(), HsDescAction::Upload);
/// assert_eq!(desc.hsdir().unwrap().nickname().unwrap().as_str(), "test009r");
/// assert_eq!(desc.reason(), None);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HsDescEvent {
    text: EventText,
}

typed_event!(HsDescEvent, HsDesc: HsDesc);
event_keywords!(HsDescEvent, words 4 + 2, stored [] {
    /// Returns why a directory failed.
    "REASON" => reason: Option<HsDescReason> = word(HsDescReason::from_bytes);
    /// Returns the number of the replica, which only descriptors of version 2 have.
    "REPLICA" => replica: Option<u64> = number();
    /// Returns the index of the directory in the hash ring: 64 hexadecimal digits.
    "HSDIR_INDEX" => hsdir_index: Option<EventText> = text();
});

impl HsDescEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let expected = [
            "the action on the descriptor",
            "the address of an onion service",
            "a type of authorization",
        ];
        require_words(text, &expected).map(|text| Self { text })
    }

    /// Returns the action on the descriptor.
    #[must_use]
    pub fn action(&self) -> HsDescAction {
        HsDescAction::from_bytes(word(&self.text, 1))
    }

    /// Returns the address of the onion service, without `.onion`, if tor knows it.
    #[must_use]
    pub fn address(&self) -> Option<EventText> {
        unless_unknown(word(&self.text, 2)).map(|address| self.text.part(address))
    }

    /// Returns the type of the client authorization, as far as tor reports it.
    #[must_use]
    pub fn auth(&self) -> HsDescAuth {
        HsDescAuth::from_bytes(word(&self.text, 3))
    }

    /// Returns the hidden service directory, if the event names one.
    #[must_use]
    pub fn hsdir(&self) -> Option<RelaySpec> {
        let hsdir = fields_after(&self.text, 4, 0).word_unless_keyword();
        hsdir.and_then(unless_unknown).map(RelaySpec::from_bytes)
    }

    /// Returns the identifier of the descriptor; `UPLOADED` events have none.
    #[must_use]
    pub fn descriptor_id(&self) -> Option<EventText> {
        let id = fields_after(&self.text, 4, 1).word_unless_keyword();
        id.map(|id| self.text.part(id))
    }
}

/// `HS_DESC_CONTENT`: the content of an onion service descriptor that a directory returned.
///
/// tor sends it without a descriptor if a directory returned none; [`HsDescEvent::reason`] returns
/// the reason.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText};
///
/// let text = b"HS_DESC_CONTENT po2sa4cmis5sqnnb72pmp2drtgylu4phsihs3h3htlzyioorwcbh2myd \
///              a8VgALy2dEcrQ5b1VsTR6dxCfRGWShC9OZ9CN/ZKiPg \
///              $C7A616F79092E7AD491E9EEE7223A2BB640CA918~test009r\n\
///              hs-descriptor 3\ndescriptor-lifetime 180";
/// let Event::HsDescContent(content) = Event::parse(EventText::new(text)) else { panic!() };
/// let descriptor = content.descriptor().unwrap();
/// assert!(descriptor.as_bytes().starts_with(b"hs-descriptor 3\n"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HsDescContentEvent {
    text: EventText,
}

typed_event!(HsDescContentEvent, HsDescContent: HsDescContent);

impl HsDescContentEvent {
    pub(crate) fn parse(text: EventText) -> Parsed<Self> {
        let mut fields = Fields::new(first_line(text.as_bytes()).0);
        fields.word();
        for expected in [
            "the address of an onion service",
            "the identifier of a descriptor",
            "a hidden service directory",
        ] {
            if fields.word_unless_keyword().is_none() {
                return Err((text, expected));
            }
        }
        Ok(Self { text })
    }

    /// Returns the address of the onion service, without `.onion`, if tor knows it.
    #[must_use]
    pub fn address(&self) -> Option<EventText> {
        unless_unknown(self.word(1)).map(|address| self.text.part(address))
    }

    /// Returns the identifier of the descriptor.
    #[must_use]
    pub fn descriptor_id(&self) -> EventText {
        self.text.part(self.word(2))
    }

    /// Returns the hidden service directory, if the event names one.
    #[must_use]
    pub fn hsdir(&self) -> Option<RelaySpec> {
        unless_unknown(self.word(3)).map(RelaySpec::from_bytes)
    }

    /// Returns the descriptor, with a line feed between its lines; `None` if there is none.
    #[must_use]
    pub fn descriptor(&self) -> Option<EventText> {
        let (_, content) = first_line(self.text.as_bytes());
        let is_blank = content.iter().all(|byte| *byte == b'\n');
        (!is_blank).then(|| self.text.part(content))
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        extra_of(self.fields_after(4), &[])
    }

    fn fields_after(&self, words: usize) -> Fields<'_> {
        let mut fields = Fields::new(first_line(self.text.as_bytes()).0);
        for _ in 0..words {
            fields.word();
        }
        fields
    }

    fn word(&self, index: usize) -> &[u8] {
        self.fields_after(index).word().unwrap_or_default()
    }
}

fn unless_unknown(word: &[u8]) -> Option<&[u8]> {
    Some(word).filter(|word| *word != b"UNKNOWN")
}

/// Splits a text behind its first line.
pub(super) fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (line, rest.strip_prefix(b"\n").unwrap_or(rest))
}
