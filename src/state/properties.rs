//! Properties of the events of circuits and streams, for any text.
//!
//! The fuzz targets and the unit tests check them.
#![allow(clippy::panic, reason = "a property panics where it does not hold")]

use super::line::Line;
use crate::event::circuit::path_word;
use crate::event::{Event, EventText};
use crate::names::{CircMinorChange, CircuitStatus, StreamStatus};

/// Checks that a line is read as the event is parsed. tor sends these events in one line.
pub(crate) fn line_is_read_as_parsed(text: &[u8]) {
    if text.contains(&b'\n') {
        return;
    }
    let shown = text.escape_ascii();
    match (Event::parse(EventText::new(text)), Line::read(text)) {
        (Event::Circ(event), Some(Line::Circ(line))) => {
            assert_eq!((event.id(), path_word(event.text())), (line.id, line.path), "{shown}");
            assert_eq!(event.status(), CircuitStatus::from_bytes(line.word), "{shown}");
        }
        (Event::CircMinor(event), Some(Line::CircMinor(line))) => {
            assert_eq!((event.id(), path_word(event.text())), (line.id, line.path), "{shown}");
            assert_eq!(event.change(), CircMinorChange::from_bytes(line.word), "{shown}");
        }
        (Event::Stream(event), Some(Line::Stream(line))) => {
            assert_eq!((event.id(), event.circuit()), (line.id, line.circuit), "{shown}");
            assert_eq!(event.status(), StreamStatus::from_bytes(line.status), "{shown}");
        }
        (Event::Circ(_) | Event::CircMinor(_) | Event::Stream(_), None) | (_, Some(_)) => {
            panic!("{shown}: an event and a line differ");
        }
        _ => {}
    }
}
