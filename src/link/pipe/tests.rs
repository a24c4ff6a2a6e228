//! A pipe whose ends take turns, and the file of a long reply.

use std::thread;
use std::time::Duration;

use super::{Part, Pipe, pipe};
use crate::clock::{ManualClock, deadline_after};
use crate::link::spool::{BufferLimits, Spool};

const LIMIT: Duration = Duration::from_secs(60);
const ROOM: BufferLimits = BufferLimits { memory: 1 << 20, file: 1 << 20 };

fn is_empty(pipe: &Pipe) -> bool {
    pipe.state.lock().spool.is_empty()
}

#[test]
fn a_wait_ends_with_lines_or_the_end_and_not_before_its_deadline() {
    let (pipe, mut reader) = pipe(ROOM);
    // Each wait of the reader returns at once; the deadline never passes.
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let _clock = ManualClock::start();
            let deadline = deadline_after(LIMIT);
            let first = reader.next(Vec::new(), deadline);
            (first, reader.next(Vec::new(), deadline))
        });
        while !reading.is_finished() && pipe.state.try_lock().is_some() {
            thread::yield_now();
        }
        pipe.push(b"250-a\r\n");
        while !is_empty(&pipe) {
            thread::yield_now();
        }
        pipe.end(Ok(()));
        let (first, second) = reading.join().unwrap();
        assert!(matches!(first, Part::Lines(lines) if lines == b"250-a\r\n"));
        assert!(matches!(second, Part::End(Ok(()))));
    });
}

#[test]
fn nothing_is_kept_for_a_caller_that_left_or_after_the_end() {
    let (abandoned, reader) = pipe(ROOM);
    abandoned.push(b"250-a\r\n");
    assert!(!is_empty(&abandoned));
    drop(reader);
    assert!(is_empty(&abandoned));
    abandoned.push(b"250-b\r\n");
    assert!(is_empty(&abandoned));
    let (ended, mut reader) = pipe(ROOM);
    ended.end(Ok(()));
    ended.push(b"250-late\r\n");
    assert!(is_empty(&ended));
    assert!(matches!(reader.next(Vec::new(), deadline_after(LIMIT)), Part::End(Ok(()))));
}

#[test]
fn a_line_that_is_longer_than_a_read_of_the_file_is_returned_whole() {
    let (pipe, mut reader) = pipe(BufferLimits { memory: 1, file: 4 << 20 });
    let mut long = vec![b'x'; 1 << 20];
    long.extend_from_slice(b"\r\n250-short\r\n");
    pipe.push(b"250-first\r\n");
    pipe.push(&long);
    pipe.end(Ok(()));
    let (mut parts, mut all) = (Vec::new(), Vec::new());
    while let Part::Lines(lines) = reader.next(Vec::new(), deadline_after(LIMIT)) {
        assert!(lines.ends_with(b"\n"), "{} bytes", lines.len());
        parts.push(lines.len());
        all.extend_from_slice(&lines);
    }
    assert_eq!(all, [b"250-first\r\n", &long[..]].concat());
    assert_eq!(parts.len(), 2);
}

#[test]
fn a_reply_that_was_held_is_read_whole() {
    let (pipe, mut reader) = pipe(ROOM);
    let mut spool = Spool::new(ROOM);
    spool.push(b"250 OK\r\n").unwrap();
    pipe.fill(spool);
    pipe.end(Ok(()));
    let deadline = deadline_after(LIMIT);
    assert!(
        matches!(reader.next(Vec::new(), deadline), Part::Lines(lines) if lines == b"250 OK\r\n")
    );
    assert!(matches!(reader.next(Vec::new(), deadline), Part::End(Ok(()))));
}
