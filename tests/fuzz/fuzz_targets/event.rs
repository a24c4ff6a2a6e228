//! Events of every kind: every method that reads a field, by way of `Debug` and the text.
#![no_main]

use torcon::event::{Event, EventText};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = EventText::new(data);
    let event = Event::parse(text.clone());
    let _ = (format!("{event}"), format!("{event:?}"));
    if let Some(kept) = event.text() {
        assert_eq!(kept, &text, "an event keeps its text");
    }
    assert_eq!(Event::parse(text.detached()), event, "the copy of a text is the same event");
});
