use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::{Drain, LINE_LIMIT, Printed, Sink};
use crate::link::{Listener, NamedThread};
use crate::process::output::Output;
use crate::process::sink::SINK_QUEUE;
use crate::process::thread::start_thread;
use crate::sync::channel::{Receiver, bounded, unbounded};

const LIMIT: Duration = Duration::from_secs(20);

/// A pipe and the thread that drains it.
struct Drained {
    writer: UnixStream,
    stop: UnixStream,
    output: Arc<Output>,
    thread: NamedThread,
}

fn drained(sink: Option<Sink>, mut on_line: impl FnMut(&str) + Send + 'static) -> Drained {
    let (writer, reader) = UnixStream::pair().unwrap();
    let (stop, stopped) = UnixStream::pair().unwrap();
    let output = Arc::new(Output::default());
    let kept = Arc::clone(&output);
    let on_printed = move |printed: Printed<'_>| {
        if let Printed::Line(line) = printed {
            on_line(line);
            kept.keep_line(line, false);
        }
    };
    let drain = Drain { sink, on_printed };
    let thread = drain.start("torcon-drained", reader, stopped).unwrap();
    Drained { writer, stop, output, thread }
}

fn ignore(_line: &str) {}

impl Drained {
    /// Closes the pipe and returns the lines that were kept.
    fn last_lines(self) -> Vec<String> {
        drop(self.writer);
        assert!(self.thread.join_for(LIMIT));
        self.output.last_lines()
    }
}

#[test]
fn lines_with_any_bytes_are_kept() {
    let mut drained = drained(None, ignore);
    drained.writer.write_all(b"one\ntwo\r\n\nb\xffd\nno end").unwrap();
    assert_eq!(drained.last_lines(), ["one", "two", "", "b\u{fffd}d", "no end"]);
}

#[test]
fn the_last_hundred_lines_are_kept() {
    let mut drained = drained(None, ignore);
    for number in 0..250 {
        writeln!(drained.writer, "line {number}").unwrap();
    }
    let lines = drained.last_lines();
    assert_eq!(lines.len(), 100);
    assert_eq!((lines[0].as_str(), lines[99].as_str()), ("line 150", "line 249"));
}

#[test]
fn a_line_without_end_is_kept_up_to_a_limit() {
    let mut drained = drained(None, ignore);
    let long = vec![b'x'; 1 << 20];
    drained.writer.write_all(&long).unwrap();
    drained.writer.write_all(b"\nnext\n").unwrap();
    let lines = drained.last_lines();
    assert_eq!(lines[0].len(), LINE_LIMIT);
    assert_eq!(lines[1..], ["next"]);
}

#[test]
fn the_thread_ends_with_the_child_while_another_process_holds_the_pipe() {
    // A pluggable transport may live a little longer than its tor.
    let mut drained = drained(None, ignore);
    drained.writer.write_all(b"before\n").unwrap();
    drop(drained.stop);
    assert!(drained.thread.join_for(LIMIT));
    assert_eq!(drained.output.last_lines(), ["before"]);
    drop(drained.writer);
}

#[test]
fn the_thread_ends_with_the_child_while_another_process_writes() {
    let drained = drained(None, ignore);
    let mut writer = drained.writer;
    let flood = start_thread("flood", move || while writer.write_all(b"flood\n").is_ok() {});
    drop(drained.stop);
    assert!(drained.thread.join_for(LIMIT));
    assert!(flood.unwrap().join_for(LIMIT));
}

/// A writer that calls a closure.
struct CallingWriter<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<()>> Write for CallingWriter<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> (Sink, NamedThread) {
    Sink::start(Listener::new(Box::new(CallingWriter(write)))).unwrap()
}

fn lines_after(sink: Sink) -> (Drained, Receiver<String>) {
    let (send, received) = unbounded();
    (drained(Some(sink), move |line| send.send(line.to_owned()).unwrap()), received)
}

#[test]
fn a_sink_gets_every_byte() {
    let (send, received) = unbounded();
    let (sink, thread) = sink(move |bytes| {
        send.send(bytes.to_vec()).unwrap();
        Ok(())
    });
    let (mut drained, _lines) = lines_after(sink);
    drained.writer.write_all(b"a\xff\r\nb").unwrap();
    drained.last_lines();
    assert!(thread.join_for(LIMIT));
    assert_eq!(received.iter().flatten().collect::<Vec<_>>(), b"a\xff\r\nb");
}

#[test]
fn a_sink_that_blocks_does_not_stop_the_reading() {
    let (release, blocked) = bounded::<()>(0);
    let (sink, thread) = sink(move |_| {
        blocked.recv().ok();
        Ok(())
    });
    let (mut drained, lines) = lines_after(sink);
    // More chunks than the queue of the sink holds.
    for number in 0..SINK_QUEUE + 100 {
        writeln!(drained.writer, "{number}").unwrap();
        assert_eq!(lines.recv_timeout(LIMIT), Ok(number.to_string()));
    }
    assert_eq!(drained.last_lines().len(), 100);
    drop(release);
    assert!(thread.join_for(LIMIT));
}

#[test]
fn a_sink_that_fails_or_panics_does_not_stop_the_reading() {
    let failing = sink(|_| Err(io::Error::other("no room")));
    let panicking = sink(|_| panic!("as planned"));
    for (sink, thread) in [failing, panicking] {
        let (mut drained, lines) = lines_after(sink);
        for number in 0..100 {
            writeln!(drained.writer, "{number}").unwrap();
            assert_eq!(lines.recv_timeout(LIMIT), Ok(number.to_string()));
        }
        assert_eq!(drained.last_lines().len(), 100);
        assert!(thread.join_for(LIMIT));
    }
}
