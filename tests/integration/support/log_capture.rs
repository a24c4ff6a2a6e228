//! Captures the log during a test.
//!
//! A program has one logger, and tests run beside each other: a capture therefore holds what all
//! threads logged, and a test looks for words that only it uses.

use std::cell::Cell;
use std::sync::{Arc, Once, Weak};
use std::thread;

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

static LOGGER: Logger = Logger { captures: Mutex::new(Vec::new()), closure: Mutex::new(None) };

thread_local! {
    /// Whether the closure of [`LogClosure`] runs on this thread.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Everything that was logged since `start`, at every level, by every thread.
#[derive(Debug)]
pub(crate) struct LogCapture {
    lines: Arc<Mutex<Vec<LogLine>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) thread: String,
    pub(crate) text: String,
}

impl LogCapture {
    /// Begins to capture. Logging is off while nothing is captured.
    pub(crate) fn start() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| log::set_logger(&LOGGER).expect("no other logger is set"));
        let lines = Arc::default();
        let mut captures = LOGGER.captures.lock();
        captures.push(Arc::downgrade(&lines));
        // Under the lock, so that the end of another capture cannot turn it off again.
        log::set_max_level(LevelFilter::Trace);
        Self { lines }
    }

    /// Returns what was logged up to now.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().clone()
    }

    /// Returns the lines that contain `text`.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<LogLine> {
        self.lines.lock().iter().filter(|line| line.text.contains(text)).cloned().collect()
    }

    /// Requires that none of `secrets` was logged, in whichever case of letters.
    #[track_caller]
    pub(crate) fn assert_holds_none_of(&self, secrets: &[&str]) {
        for line in self.lines.lock().iter() {
            let text = line.text.to_lowercase();
            for secret in secrets {
                assert!(
                    !text.contains(&secret.to_lowercase()),
                    "a secret was logged: {secret:?} in {line:?}"
                );
            }
        }
    }
}

impl Drop for LogCapture {
    fn drop(&mut self) {
        let mut captures = LOGGER.captures.lock();
        captures.retain(|other| !other.ptr_eq(&Arc::downgrade(&self.lines)));
        if captures.is_empty() {
            log::set_max_level(LevelFilter::Off);
        }
    }
}

type Closure = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// Calls a closure for each line that is logged, on the thread that logs it; not for what the
/// closure logs itself. For tests that run alone.
#[derive(Debug)]
pub(crate) struct LogClosure {
    _capture: LogCapture,
}

impl LogClosure {
    pub(crate) fn start(closure: impl Fn(&LogLine) + Send + Sync + 'static) -> Self {
        assert!(super::exclusive::is_exclusive(), "other tests log too");
        *LOGGER.closure.lock() = Some(Arc::new(closure));
        Self { _capture: LogCapture::start() }
    }
}

impl Drop for LogClosure {
    fn drop(&mut self) {
        let closure = LOGGER.closure.lock().take();
        drop(closure);
    }
}

struct Logger {
    captures: Mutex<Vec<Weak<Mutex<Vec<LogLine>>>>>,
    closure: Mutex<Option<Closure>>,
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = LogLine {
            level: record.level(),
            target: record.target().to_owned(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
            text: record.args().to_string(),
        };
        for capture in self.captures.lock().iter().filter_map(Weak::upgrade) {
            capture.lock().push(line.clone());
        }
        let closure = self.closure.lock().clone();
        if let Some(closure) = closure {
            if !RUNS.replace(true) {
                closure(&line);
                RUNS.set(false);
            }
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_capture_holds_what_other_threads_logged_and_ends_with_its_value() {
    use super::failure::panic_of;

    let capture = LogCapture::start();
    thread::Builder::new()
        .name("log-writer".to_owned())
        .spawn(|| log::trace!(target: "torcon-tests", "the marker 8d1f07"))
        .unwrap()
        .join()
        .unwrap();
    let lines = capture.lines_with("8d1f07");
    assert_eq!(lines.len(), 1, "{:?}", capture.lines());
    assert_eq!(lines[0].level, Level::Trace);
    assert_eq!(lines[0].target, "torcon-tests");
    assert_eq!(lines[0].thread, "log-writer");
    capture.assert_holds_none_of(&["8d1f08"]);
    // In any case of letters.
    let message = panic_of(|| capture.assert_holds_none_of(&["8D1F07"]));
    assert!(message.starts_with("a secret was logged: \"8D1F07\" in LogLine {"), "{message}");
    drop(capture);
    let later = LogCapture::start();
    assert!(later.lines_with("8d1f07").is_empty());
}
