//! Bytes that went through tor.

use crate::event::EventText;
use crate::event::typed::typed_event;
use crate::wire::fields::{Fields, read_number};

/// `BW`: how many bytes tor read and wrote in the last second.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BwEvent {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    text: EventText,
}

typed_event!(BwEvent, Bw: Bw; words 3 + 0, keywords []);

impl BwEvent {
    pub(crate) fn read(text: EventText) -> Result<Self, (EventText, &'static str)> {
        let mut fields = Fields::new(text.as_bytes());
        fields.word();
        let mut number = || fields.word().and_then(read_number);
        let Some(read) = number() else { return Err((text, "the number of bytes read")) };
        let Some(written) = number() else { return Err((text, "the number of bytes written")) };
        Ok(Self { read, written, text })
    }
}
