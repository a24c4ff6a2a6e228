//! Time and memory grow with the size of a text, not faster: for every parser that reads what a
//! peer or a user wrote, and for the texts that are worst for it.
//!
//! An event of 273 KiB with broken quotes once stopped the reader for 42 seconds. Each parser reads
//! each shape at sizes that grow fourfold, and the time may grow fivefold. What is measured is the
//! processor time of the thread that reads, so that other programs do not count.
//!
//! The sizes are 64 KiB and 256 KiB, for the parsers that are used most also 1 MiB and 4 MiB. With
//! `TORCON_LINEAR_TABLE=1` all parsers read all sizes, and the times are printed.

/// Descriptors, policies, names.
mod documents;
/// Events of every kind.
mod events;
/// Replies, through a connection.
mod replies;

use std::time::Duration;

/// The sizes at which a text is read, in bytes; each is four times the one before.
const SIZES: [usize; 4] = [64 << 10, 256 << 10, 1 << 20, 4 << 20];

/// Below this a time says more about the machine than about the parser.
const FLOOR: Duration = Duration::from_millis(15);

/// How far a parser is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Up to 4 MiB.
    Whole,
    /// Up to 256 KiB, unless the whole table is asked for.
    Short,
}

/// A text that is cheap to send and may be expensive to read.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// The same words again and again, after a beginning.
    Repeated { start: &'static str, unit: &'static str },
    /// A word with a number in it, so that all are different.
    SequencedReply { before: &'static str, after: &'static str },
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
            Self::SequencedReply { before, after } => {
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

/// What is bad for fields: quotes that do not close where they should, escapes, empty values, keys
/// that come again, keys that are all different, and long words.
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
    Shape::SequencedReply { before: "K", after: "=1 " },
];

/// What is bad for lists.
const LISTS: &[Shape] = &[
    Shape::of(","),
    Shape::of("A,"),
    Shape::of("$AB~n,"),
    Shape::SequencedReply { before: "a", after: "," },
    Shape::of("A=1,"),
    Shape::of(":"),
];

/// What is bad for texts of many lines.
const LINES: &[Shape] = &[
    Shape::of("\n"),
    Shape::of("A\n"),
    Shape::of("@a\n"),
    Shape::of("-----BEGIN X\n"),
    Shape::of("A=\"\n"),
    Shape::SequencedReply { before: "K", after: "=\"v\"\n" },
];

/// Returns the processor time that the current thread has used.
fn processor_time() -> Duration {
    let used = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanoseconds = used.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is the time on the processor"))
}

fn is_table() -> bool {
    std::env::var_os("TORCON_LINEAR_TABLE").is_some()
}

/// Requires that reading grows with the size of the text.
#[track_caller]
fn check(parser: &str, reach: Reach, shapes: &[Shape], mut read: impl FnMut(&str)) {
    let sizes = if reach == Reach::Whole || is_table() { &SIZES[..] } else { &SIZES[..2] };
    for shape in shapes {
        let mut times: Vec<Duration> = Vec::new();
        for size in sizes {
            let text = shape.text(*size);
            let mut best = Duration::MAX;
            let allowed = times.last().map(|before| (*before).max(FLOOR) * 5);
            // What is not linear stays slow, however often it is tried.
            for attempt in 0.. {
                let start = processor_time();
                read(&text);
                best = best.min(processor_time() - start);
                if allowed.is_none_or(|allowed| best <= allowed) {
                    break;
                }
                assert!(
                    attempt < 8,
                    "{parser}: {best:?} for {size} bytes of {shape:?}, after {times:?} for less"
                );
            }
            assert!(best < Duration::from_secs(10), "{parser}: {best:?} for {size} of {shape:?}");
            times.push(best);
        }
        if is_table() {
            println!("{parser:40.40} {shape:?}: {times:.1?}");
        }
    }
}
