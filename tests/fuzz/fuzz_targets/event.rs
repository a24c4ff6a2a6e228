//! Events of every kind: every method that reads a field, by way of serialization.
#![no_main]

use torcon::event::{Event, EventText};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = EventText::new(data);
    let event = Event::parse(text.clone());
    let serialized = serde_json::to_vec(&event).unwrap();
    let _ = (format!("{event}"), format!("{event:?}"));
    if let Some(kept) = event.text() {
        assert_eq!(kept, &text, "an event keeps its text");
    }
    let again = Event::parse(text.detached());
    assert_eq!(again, event, "the copy of a text is the same event");
    assert_eq!(serde_json::to_vec(&again).unwrap(), serialized);
    match event {
        Event::Circ(event) => drop(event.extra().count()),
        Event::Stream(event) => drop(event.extra().count()),
        Event::Ns(event) => drop((event.entries().count(), event.extra().count())),
        Event::NewDesc(event) => drop(event.extra().count()),
        Event::Status(event) => drop(event.argument("REASON")),
        _ => {}
    }
});
