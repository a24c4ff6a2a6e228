//! The events of circuits and streams, read once and without a copy.

use super::circuit_info;
use super::record::Keys;
use super::stream_info;
use crate::event::{Event, EventText};
use crate::names::{CircuitId, StreamId};
use crate::wire::fields::Fields;

/// An event of one circuit or stream, in the buffer of the reader thread.
#[derive(Debug)]
pub(super) enum Line<'a> {
    Circ(CircLine<'a>),
    CircMinor(CircLine<'a>),
    Stream(StreamLine<'a>),
}

/// `CIRC` or `CIRC_MINOR`.
#[derive(Debug)]
pub(super) struct CircLine<'a> {
    pub(super) text: &'a [u8],
    pub(super) id: CircuitId,
    /// The status, or the change of a `CIRC_MINOR`.
    pub(super) word: &'a [u8],
    /// Empty if the event has none.
    pub(super) path: &'a [u8],
    pub(super) keys: Keys,
}

/// `STREAM`.
#[derive(Debug)]
pub(super) struct StreamLine<'a> {
    pub(super) text: &'a [u8],
    pub(super) id: StreamId,
    pub(super) status: &'a [u8],
    pub(super) circuit: Option<CircuitId>,
    pub(super) keys: Keys,
}

impl<'a> Line<'a> {
    /// Reads the text of an event. Returns `None` for other events, and for those that
    /// [`Event::parse`] finds malformed.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        if let Some(rest) = text.strip_prefix(b"CIRC ") {
            CircLine::read(text, rest).map(Self::Circ)
        } else if let Some(rest) = text.strip_prefix(b"STREAM ") {
            StreamLine::read(text, rest).map(Self::Stream)
        } else if let Some(rest) = text.strip_prefix(b"CIRC_MINOR ") {
            CircLine::read(text, rest).map(Self::CircMinor)
        } else {
            None
        }
    }

    /// Copies the event.
    pub(super) fn to_event(&self) -> Event {
        Event::parse(EventText::new(match self {
            Self::Circ(line) | Self::CircMinor(line) => line.text,
            Self::Stream(line) => line.text,
        }))
    }
}

impl<'a> CircLine<'a> {
    fn read(text: &'a [u8], rest: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(rest);
        let id = CircuitId::from_bytes(fields.word()?)?;
        let word = fields.word_unless_keyword()?;
        let path = fields.word_unless_keyword().unwrap_or_default();
        Some(Self { text, id, word, path, keys: circuit_info::LAYOUT.keys_of(fields) })
    }
}

impl<'a> StreamLine<'a> {
    fn read(text: &'a [u8], rest: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::new(rest);
        let id = StreamId::from_bytes(fields.word()?)?;
        let status = fields.word_unless_keyword()?;
        let circuit = match fields.word()? {
            b"0" => None,
            id => Some(CircuitId::from_bytes(id)?),
        };
        // The target; an application may request any name, also one with the syntax of a keyword.
        fields.word()?;
        Some(Self { text, id, status, circuit, keys: stream_info::LAYOUT.keys_of(fields) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::proptest;
    use proptest::sample::select;

    use super::super::properties::line_is_read_as_parsed;

    #[test]
    fn events_of_tor_are_read_as_they_are_parsed() {
        for text in [
            "CIRC 5 BUILT $E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~a,$0A=b PURPOSE=GENERAL",
            "CIRC 5 LAUNCHED BUILD_FLAGS= PURPOSE=GENERAL",
            "CIRC 5",
            "CIRC",
            "CIRCX 5 BUILT",
            "CIRC_MINOR 5 PURPOSE_CHANGED $0A PURPOSE=X OLD_PURPOSE=Y",
            "STREAM 5 NEW 0 A=b:80 SOURCE_ADDR=127.0.0.1:1",
            "STREAM 5 NEW x- a:80",
            "STREAM 5 NEW 0",
        ] {
            line_is_read_as_parsed(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_event_is_read_as_it_is_parsed(
            name in select(vec!["CIRC", "CIRC_MINOR", "STREAM"]),
            pieces in vec(select(vec![
                " ", "  ", " 7", "0", " BUILT", "$A~b,", "=", "REASON=", "\"", "x", "\\", "\u{e9}",
                "-", " KEY=\"a b\"", "\t", "\r",
            ]), 0..12),
        ) {
            line_is_read_as_parsed(format!("{name}{}", pieces.concat()).as_bytes());
        }
    }
}
