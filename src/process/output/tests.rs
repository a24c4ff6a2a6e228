use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::{LINE_LIMIT, Output, SINK_QUEUE, Sink, Watcher, drain};
use crate::process::worker::Worker;

const LIMIT: Duration = Duration::from_secs(20);

/// The two ends of a pipe and a thread that drains it.
struct Drained {
    writer: UnixStream,
    stop: UnixStream,
    output: Arc<Output>,
    worker: Worker,
}

struct Nobody;

impl Watcher for Nobody {
    const IS_STDERR: bool = false;
}

fn drained(sink: Option<Sink>, watcher: impl Watcher) -> Drained {
    let (writer, reader) = UnixStream::pair().unwrap();
    let (stop, stopped) = UnixStream::pair().unwrap();
    let output = Arc::new(Output::default());
    let worker =
        drain("torcon-drained", reader, stopped, Arc::clone(&output), sink, watcher).unwrap();
    Drained { writer, stop, output, worker }
}

impl Drained {
    /// Ends the pipe and returns what was kept of it.
    fn last_lines(self) -> Vec<String> {
        drop(self.writer);
        assert!(self.worker.finish(LIMIT));
        self.output.last_lines()
    }
}

#[test]
fn lines_are_kept_whatever_bytes_they_hold() {
    let mut drained = drained(None, Nobody);
    drained.writer.write_all(b"one\ntwo\r\n\nb\xffd\nno end").unwrap();
    assert_eq!(drained.last_lines(), ["one", "two", "", "b\u{fffd}d", "no end"]);
}

#[test]
fn the_last_hundred_lines_are_kept() {
    let mut drained = drained(None, Nobody);
    for number in 0..250 {
        writeln!(drained.writer, "line {number}").unwrap();
    }
    let lines = drained.last_lines();
    assert_eq!(lines.len(), 100);
    assert_eq!((lines[0].as_str(), lines[99].as_str()), ("line 150", "line 249"));
}

#[test]
fn a_stack_trace_does_not_displace_the_reason() {
    let mut drained = drained(None, Nobody);
    // tor 0.4.8.14 with the program of a pluggable transport that does not exist.
    let assertion = "tor_assertion_failed_(): Bug: ../src/feature/client/transports.c:520: \
                     proxy_prepare_for_restart: Assertion mp->conf_state == PT_PROTO_COMPLETED \
                     failed; aborting. (on Tor 0.4.8.14 )";
    let mut lines = vec![
        "[warn] Managed proxy \"/x\" process terminated with status code 256".to_owned(),
        format!("[err] {assertion}"),
        "[err] Bug: Tor 0.4.8.14: Assertion x failed. Stack trace: (on Tor 0.4.8.14 )".to_owned(),
    ];
    let frame = |number| format!("[err] Bug:     /usr/bin/tor(f{number}+0x57) [0x7f] (on Tor )");
    lines.extend((0..30).map(frame));
    for line in &lines {
        writeln!(drained.writer, "Nov 26 04:30:51.000 {line}").unwrap();
    }
    drop(drained.writer);
    assert!(drained.worker.finish(LIMIT));
    let report = drained.output.report();
    assert_eq!(report.complaints.len(), 3);
    assert_eq!(report.complaints[1], assertion);
    assert_eq!(report.last_lines.len(), lines.len());
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    let mut drained = drained(None, Nobody);
    let long = vec![b'x'; 1 << 20];
    drained.writer.write_all(&long).unwrap();
    drained.writer.write_all(b"\nnext\n").unwrap();
    let lines = drained.last_lines();
    assert_eq!(lines[0].len(), LINE_LIMIT);
    assert_eq!(lines[1..], ["next"]);
}

#[test]
fn the_end_of_the_child_ends_the_thread_though_another_holds_the_pipe() {
    // A pluggable transport may live a little longer than its tor.
    let mut drained = drained(None, Nobody);
    drained.writer.write_all(b"before\n").unwrap();
    drop(drained.stop);
    assert!(drained.worker.finish(LIMIT));
    assert_eq!(drained.output.last_lines(), ["before"]);
    drop(drained.writer);
}

#[test]
fn the_end_of_the_child_ends_the_thread_though_another_writes_without_end() {
    let drained = drained(None, Nobody);
    let mut writer = drained.writer;
    let flood = Worker::start("flood", move || while writer.write_all(b"flood\n").is_ok() {});
    drop(drained.stop);
    assert!(drained.worker.finish(LIMIT));
    assert!(flood.unwrap().finish(LIMIT));
}

#[test]
fn the_text_of_standard_error_is_kept_up_to_a_limit() {
    let output = Output::default();
    output.keep_stderr(b"oops\n");
    assert_eq!(output.stderr_text(), "oops");
    output.keep_stderr(&[b'x'; 9999]);
    assert_eq!(output.stderr_text().len(), super::STDERR_LIMIT);
}

struct Tell(Sender<String>);

impl Watcher for Tell {
    const IS_STDERR: bool = true;

    fn line(&mut self, line: &str) {
        self.0.send(line.to_owned()).unwrap();
    }
}

/// A sink that tells what it gets, or does something else with it.
struct Trap<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<()>> Write for Trap<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> (Sink, Worker) {
    Sink::start(Box::new(Trap(write))).unwrap()
}

fn lines_after(sink: Sink) -> (Drained, Receiver<String>) {
    let (tell, told) = unbounded();
    (drained(Some(sink), Tell(tell)), told)
}

#[test]
fn a_sink_gets_every_byte() {
    let (tell, told) = unbounded();
    let (sink, worker) = sink(move |bytes| {
        tell.send(bytes.to_vec()).unwrap();
        Ok(())
    });
    let (mut drained, _lines) = lines_after(sink);
    drained.writer.write_all(b"a\xff\r\nb").unwrap();
    drained.last_lines();
    assert!(worker.finish(LIMIT));
    assert_eq!(told.iter().flatten().collect::<Vec<_>>(), b"a\xff\r\nb");
}

#[test]
fn a_sink_that_blocks_does_not_stop_the_draining() {
    let (release, blocked) = bounded::<()>(0);
    let (sink, worker) = sink(move |_| {
        blocked.recv().ok();
        Ok(())
    });
    let (mut drained, lines) = lines_after(sink);
    // More pieces than are kept for the sink.
    for number in 0..SINK_QUEUE + 100 {
        writeln!(drained.writer, "{number}").unwrap();
        assert_eq!(lines.recv_timeout(LIMIT), Ok(number.to_string()));
    }
    assert_eq!(drained.last_lines().len(), 100);
    drop(release);
    assert!(worker.finish(LIMIT));
}

#[test]
fn a_sink_that_fails_or_panics_does_not_stop_the_draining() {
    let failing = sink(|_| Err(io::Error::other("no room")));
    let panicking = sink(|_| panic!("as planned"));
    for (sink, worker) in [failing, panicking] {
        let (mut drained, lines) = lines_after(sink);
        for number in 0..100 {
            writeln!(drained.writer, "{number}").unwrap();
            assert_eq!(lines.recv_timeout(LIMIT), Ok(number.to_string()));
        }
        assert_eq!(drained.last_lines().len(), 100);
        assert!(worker.finish(LIMIT));
    }
}

#[test]
fn the_last_complaints_are_kept_each_once_without_date() {
    let mut drained = drained(None, Nobody);
    let log = |text: &str| format!("Nov 23 09:24:58.000 {text}\n");
    for text in [
        "[warn] {CONFIG} first",
        "[notice] fine",
        "[warn] proxy having PID 1 terminated",
        "[warn] proxy having PID 22 terminated",
        "[err] second",
        "[warn] proxy having PID 3 terminated",
    ] {
        drained.writer.write_all(log(text).as_bytes()).unwrap();
    }
    // On standard output that is no complaint.
    drained.writer.write_all(b"no log\n").unwrap();
    let output = Arc::clone(&drained.output);
    drained.last_lines();
    assert_eq!(output.report().complaints, ["first", "second", "proxy having PID 3 terminated"]);
    output.forget_complaints();
    assert_eq!(output.report().complaints, Vec::<String>::new());
}

#[test]
fn what_is_no_log_on_standard_error_is_a_complaint() {
    let (told, _lines) = unbounded();
    let mut drained = drained(None, Tell(told));
    let lines = "tor: error while loading shared libraries: libx.so\n\n\
                 Nov 23 09:24:58.000 [notice] fine\nNov 23 09:24:58.000 [warn] w\n";
    drained.writer.write_all(lines.as_bytes()).unwrap();
    let output = Arc::clone(&drained.output);
    drained.last_lines();
    let expected = ["tor: error while loading shared libraries: libx.so", "w"];
    assert_eq!(output.report().complaints, expected);
}
