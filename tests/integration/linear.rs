//! Linear time: every parser of text from a peer or a user, with the texts that are worst for it.
//!
//! An event of 273 KiB with broken quotes once blocked the reader for 42 seconds. Each parser parses
//! each shape of text at sizes that grow fourfold, and its time may grow fivefold. The processor time
//! of the parsing thread counts, so that other programs have no influence.
//!
//! The sizes are 64 KiB and 256 KiB, for the most frequent parsers also 1 MiB and 4 MiB. With
//! `TORCON_LINEAR_TABLE=1` all parsers parse all sizes, and the times are printed.

/// Descriptors, policies, names.
mod documents;
/// Events of every kind.
mod events;
/// Descriptors of onion services.
mod onion_descriptors;
/// Replies, through a connection.
mod replies;

use std::time::Duration;

/// The sizes of the texts in bytes, each four times the preceding one.
const SIZES: [usize; 4] = [64 << 10, 256 << 10, 1 << 20, 4 << 20];

/// A shorter time depends more on the machine than on the parser.
const FLOOR: Duration = Duration::from_millis(15);

/// The maximum size for a parser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Up to 4 MiB.
    Whole,
    /// Up to 256 KiB, or 4 MiB for the whole table.
    Short,
}

/// A text that is cheap to send and can be expensive to parse.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A beginning, then the same words repeatedly.
    Repeated { start: &'static str, unit: &'static str },
    /// Words that differ in a number.
    Numbered { before: &'static str, after: &'static str },
}

impl Shape {
    const fn of(unit: &'static str) -> Self {
        Self::Repeated { start: "", unit }
    }

    fn text(self, size: usize) -> String {
        let mut text = String::with_capacity(size + 64);
        match self {
            Self::Repeated { start, unit } => {
                text.push_str(start);
                while text.len() < size {
                    text.push_str(unit);
                }
            }
            Self::Numbered { before, after } => {
                let mut number = 0;
                while text.len() < size {
                    text.push_str(&format!("{before}{number}{after}"));
                    number += 1;
                }
            }
        }
        text
    }
}

/// Bad texts for fields: broken quotes, escapes, empty values, repeated keys, different keys, and long
/// words.
const FIELDS: &[Shape] = &[
    Shape::of(r#"A="x"y "#),
    Shape::of(r#"A=""x"y "#),
    Shape::of(r#""x"y "#),
    Shape::of("\""),
    Shape::of("\"\\"),
    Shape::of("\"\" "),
    Shape::Repeated { start: "A=\"", unit: "\\" },
    Shape::Repeated { start: "A=\"", unit: "B=\\\"b " },
    Shape::of("A= "),
    Shape::of("A=1 "),
    Shape::of("="),
    Shape::of(" "),
    Shape::of("a"),
    Shape::Numbered { before: "K", after: "=1 " },
];

/// Bad texts for lists.
const LISTS: &[Shape] = &[
    Shape::of(","),
    Shape::of("A,"),
    Shape::of("$AB~n,"),
    Shape::Numbered { before: "a", after: "," },
    Shape::of("A=1,"),
    Shape::of(":"),
];

/// Bad texts of many lines.
const LINES: &[Shape] = &[
    Shape::of("\n"),
    Shape::of("A\n"),
    Shape::of("@a\n"),
    Shape::of("-----BEGIN X\n"),
    Shape::of("A=\"\n"),
    Shape::Numbered { before: "K", after: "=\"v\"\n" },
];

/// Returns the processor time of the current thread.
fn processor_time() -> Duration {
    let used = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanoseconds = used.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is the time on the processor"))
}

fn is_table() -> bool {
    std::env::var_os("TORCON_LINEAR_TABLE").is_some()
}

/// Checks that the time of parsing grows linearly with the size of the text.
#[track_caller]
fn check(parser: &str, reach: Reach, shapes: &[Shape], mut read: impl FnMut(&str)) {
    let sizes = if reach == Reach::Whole || is_table() { &SIZES[..] } else { &SIZES[..2] };
    for shape in shapes {
        let mut times: Vec<Duration> = Vec::new();
        let mut smaller = String::new();
        let mut time = |text: &str| {
            let start = processor_time();
            read(text);
            processor_time() - start
        };
        for size in sizes {
            let text = shape.text(*size);
            let mut took = time(&text);
            // A parser that is not linear is slow in every attempt. Other programs slow the processor
            // down for a while, so each attempt parses the smaller text too.
            let mut before = times.last().copied();
            for attempt in 0.. {
                if before.is_none_or(|before| took <= before.max(FLOOR) * 5) {
                    break;
                }
                assert!(
                    attempt < 8,
                    "{parser}: {took:?} for {size} bytes of {shape:?}, {before:?} for less"
                );
                (before, took) = (Some(time(&smaller)), time(&text));
            }
            assert!(took < Duration::from_secs(10), "{parser}: {took:?} for {size} of {shape:?}");
            times.push(took);
            smaller = text;
        }
        if is_table() {
            println!("{parser:40.40} {shape:?}: {times:.1?}");
        }
    }
}
