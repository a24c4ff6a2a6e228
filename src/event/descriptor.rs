//! Descriptors of onion services.

use crate::event::typed::{extra_of, typed_event};
use crate::event::{EventText, ExtraField};
use crate::names::{HsDescAction, HsDescAuth, HsDescReason, RelaySpec};
use crate::wire::fields::Fields;

/// `HS_DESC`: a descriptor of an onion service is made, sent or fetched.
///
/// A descriptor goes to several directories and is asked of several; one that fails says nothing
/// about the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDescEvent {
    /// What has happened.
    pub action: HsDescAction,
    /// The onion service, without `.onion`, if tor knows it.
    pub address: Option<EventText>,
    /// How clients of the service are authorized, as far as tor says so.
    pub auth: HsDescAuth,
    /// The directory that is asked, if there is one.
    pub hsdir: Option<RelaySpec>,
    /// The identifier of the descriptor; a descriptor that was taken has none.
    pub descriptor_id: Option<EventText>,
    /// Where the directory stands in the ring of directories: 64 hexadecimal digits.
    pub hsdir_index: Option<EventText>,
    /// Which of several descriptors of the service it is; only of version 2.
    pub replica: Option<u64>,
    /// Why a directory failed.
    pub reason: Option<HsDescReason>,
    text: EventText,
}

typed_event!(
    HsDescEvent, HsDesc: HsDesc;
    words 4 + 2,
    keywords ["REASON", "REPLICA", "HSDIR_INDEX"]
);

impl HsDescEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let Some(action) = fields.word_unless_keyword() else {
            return Err((text, "what happened to the descriptor"));
        };
        let Some(address) = fields.word_unless_keyword() else {
            return Err((text, "the address of an onion service"));
        };
        let Some(auth) = fields.word_unless_keyword() else {
            return Err((text, "a kind of authorization"));
        };
        let unless_unknown = |word: &&[u8]| *word != b"UNKNOWN";
        let mut event = Self {
            action: HsDescAction::from_bytes(action),
            address: Some(address).filter(unless_unknown).map(|address| text.part(address)),
            auth: HsDescAuth::from_bytes(auth),
            hsdir: fields.word_unless_keyword().filter(unless_unknown).map(RelaySpec::from_bytes),
            descriptor_id: fields.word_unless_keyword().map(|id| text.part(id)),
            hsdir_index: None,
            replica: None,
            reason: None,
            text: EventText::default(),
        };
        for field in fields {
            let value = field.value;
            match field.key {
                b"HSDIR_INDEX" => event.hsdir_index = Some(text.value(value.bytes())),
                b"REPLICA" => event.replica = value.number(),
                b"REASON" => event.reason = Some(HsDescReason::from_bytes(value.inside())),
                _ => {}
            }
        }
        event.text = text;
        Ok(event)
    }
}

/// `HS_DESC_CONTENT`: a descriptor of an onion service that a directory gave, in full.
///
/// A directory that failed to give one makes this event too, without a descriptor; why it failed
/// is told by [`HsDescEvent`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsDescContentEvent {
    /// The onion service, without `.onion`, if tor knows it.
    pub address: Option<EventText>,
    /// The identifier of the descriptor.
    pub descriptor_id: EventText,
    /// The directory that was asked, if there was one.
    pub hsdir: Option<RelaySpec>,
    /// The descriptor, with a line feed between its lines; `None` if there is none.
    pub descriptor: Option<EventText>,
    text: EventText,
}

typed_event!(HsDescContentEvent, HsDescContent: HsDescContent);

impl HsDescContentEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let (line, content) = first_line(text.as_bytes());
        let mut fields = Fields::new(line);
        fields.word();
        let Some(address) = fields.word_unless_keyword() else {
            return Err((text, "the address of an onion service"));
        };
        let Some(descriptor_id) = fields.word_unless_keyword() else {
            return Err((text, "the identifier of a descriptor"));
        };
        let Some(hsdir) = fields.word_unless_keyword() else {
            return Err((text, "the directory that was asked"));
        };
        let unless_unknown = |word: &&[u8]| *word != b"UNKNOWN";
        let is_blank = content.iter().all(|byte| *byte == b'\n');
        let descriptor = (!is_blank).then(|| text.part(content));
        let address = Some(address).filter(unless_unknown).map(|address| text.part(address));
        let hsdir = Some(hsdir).filter(unless_unknown).map(RelaySpec::from_bytes);
        let descriptor_id = text.part(descriptor_id);
        Ok(Self { address, descriptor_id, hsdir, descriptor, text })
    }

    /// Returns the text of the event: its name and fields, then the lines of the descriptor.
    #[must_use]
    pub fn text(&self) -> &EventText {
        &self.text
    }

    /// Returns the fields that this version of torcon does not know, in tor's order.
    pub fn extra(&self) -> impl Iterator<Item = ExtraField<'_>> {
        let (line, _) = first_line(self.text.as_bytes());
        let mut fields = Fields::new(line);
        for _ in 0..4 {
            fields.word();
        }
        extra_of(fields, &[])
    }
}

fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (line, rest.strip_prefix(b"\n").unwrap_or(rest))
}
