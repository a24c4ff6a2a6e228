use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::select;

use super::{Keys, Layout, Record};
use crate::event::EventText;
use crate::event::keyword::fields_after;

static LAYOUT: Layout = Layout::new((2, 1), &["A", "B", "REASON"]);

fn keys(text: &EventText) -> Keys {
    LAYOUT.keys_of(fields_after(text, 2, 1))
}

fn record(text: &str) -> Record {
    let text = EventText::new(text.as_bytes());
    let keys = keys(&text);
    Record::new(&LAYOUT, text, keys)
}

fn after(before: &Record, text: &str, kept: &[&str]) -> Record {
    let mut record = before.clone();
    record.replace(text.as_bytes(), keys(&EventText::new(text.as_bytes())), LAYOUT.keys(kept));
    record
}

fn value(record: &Record, key: &str) -> Option<String> {
    record.keyword(key).text().map(|text| text.to_string())
}

#[test]
fn a_kept_value_with_broken_quotes_does_not_take_in_other_kept_values() {
    let all = ["A", "B", "REASON"];
    let first = record("X 1 B=\"x\" REASON=\"two words\"");
    let second = after(&first, "X 1 A=\"broken", &all);
    let third = after(&second, "X 1", &all);
    assert_eq!(value(&third, "A").as_deref(), Some("\"broken"));
    assert_eq!(value(&third, "B").as_deref(), Some("x"));
    assert_eq!(value(&third, "REASON").as_deref(), Some("two words"));
    // An escaped quote that closes the value in its event only, since another follows.
    let first = record("X 1 A=\"x a\\\" b\"c");
    assert_eq!(value(&first, "A"), value(&after(&first, "X 1", &all), "A"));
}

#[test]
fn a_keyword_inside_a_kept_value_is_part_of_the_value() {
    let first = record("X 1 A=\"a REASON=DONE B=2\"");
    let second = after(&first, "X 1", &["A", "B", "REASON"]);
    assert_eq!(value(&second, "A").as_deref(), Some("a REASON=DONE B=2"));
    assert_eq!((value(&second, "B"), value(&second, "REASON")), (None, None));
}

#[test]
fn many_events_with_new_fields_and_words_do_not_make_a_record_grow() {
    let mut record = record("X 1 A=1 word");
    let mut largest = 0;
    for number in 0..2000 {
        let text = match number % 2 {
            0 => format!("X 1 path F{number:04}=1 word \"more\" B=2 B=3"),
            _ => format!("X 1 path G{number:04}=1"),
        };
        record = after(&record, &text, LAYOUT.keywords);
        largest = largest.max(record.size());
    }
    assert!(largest < 300, "{largest} bytes");
    assert_eq!(value(&record, "A").as_deref(), Some("1"));
    assert_eq!(value(&record, "B").as_deref(), Some("2"));
}

#[test]
fn long_lines_of_repeated_fields_are_kept_as_one_field() {
    let long = format!("X 1 {}", "A=1 ".repeat(16 << 10));
    let before = record(&long);
    let words = format!("X 1 {}", "B= ".repeat(20 << 10));
    let now = after(&before, &words, &["A"]);
    assert_eq!(value(&now, "A").as_deref(), Some("1"));
    assert!(now.size() < words.len() + 100);
    let broken = format!("X 1 {}", "A=\"1 ".repeat(13 << 10));
    let now = after(&record(&broken), "X 1", &["A"]);
    assert_eq!(value(&now, "A"), value(&record(&broken), "A"));
}

proptest! {
    /// The keywords of a line without quotes are found without splitting it.
    #[test]
    fn the_keywords_of_a_line_are_those_of_its_fields(
        pieces in vec(select(vec![
            "A", "B", "REASON", "A=", "B=", "REASON=", "C=", " ", "  ", "x", "=", "-", "\t", "\"",
        ]), 0..24),
    ) {
        let text = EventText::new(format!("X 1 {}", pieces.concat()).as_bytes());
        let fields = fields_after(&text, 2, 1);
        let found: Vec<_> = fields.clone().map(|field| field.key).collect();
        let keywords = LAYOUT.keywords.iter().copied();
        let keywords: Vec<_> = keywords.filter(|key| found.contains(&key.as_bytes())).collect();
        assert_eq!(LAYOUT.keys_of(fields), LAYOUT.keys(&keywords));
    }

    /// Each value is the first one of the last event that has its key, as that event alone has it.
    #[test]
    fn each_value_is_the_one_in_its_event(
        events in vec((vec(select(vec![
            "A=", "B=", "REASON=", "C=", "\"", "\\", " ", "  ", "x", "=", "\u{e9}", "\"\"", "A=\"",
            "REASON=\"x y\"", "\n", "\\\"",
        ]), 0..24), any::<[bool; 3]>()), 1..8),
    ) {
        let mut model = BTreeMap::<&str, EventText>::new();
        let mut known: Option<Record> = None;
        for (pieces, kept) in events {
            let line = format!("X 1 {}", pieces.concat());
            let text = EventText::new(line.as_bytes());
            let kept: Vec<_> = LAYOUT.keywords.iter().zip(kept).filter(|(_, kept)| *kept).collect();
            let kept: Vec<_> = kept.into_iter().map(|(key, _)| *key).collect();
            model.retain(|key, _| kept.contains(key));
            for key in LAYOUT.keywords {
                let own = fields_after(&text, 2, 1).find(|it| it.key == key.as_bytes());
                if let Some(field) = own {
                    model.insert(*key, EventText::new(&field.value.bytes()));
                }
            }
            let now = match &known {
                Some(before) => after(before, &line, &kept),
                None => record(&line),
            };
            for key in LAYOUT.keywords {
                assert_eq!(now.keyword(key).text().as_ref(), model.get(*key));
            }
            known = Some(now);
        }
    }
}
