use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};

use super::log_line::LogLine;
use super::worker::Worker;
use crate::error::LaunchProblem;
use crate::names::printable;

/// How far tor has come in connecting to its network.
///
/// Comes from tor's `STATUS_CLIENT` events with the action `BOOTSTRAP`, and, before the control
/// connection is ready, from the `Bootstrapped` lines that tor prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How much is done, in percent.
    pub percent: u8,
    /// The stage in one word of tor's, such as `conn` or `done`.
    pub tag: String,
    /// The stage in tor's words for people, such as `Connecting to a relay`.
    pub summary: String,
    /// What keeps tor from going on, in tor's words, such as `Connection refused`.
    ///
    /// Only trouble that tor calls worth telling; it goes on trying.
    pub warning: Option<String>,
}

impl Progress {
    /// Returns whether tor has reached 100 %: it can build circuits.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.percent >= 100
    }

    /// Reads a line of tor's log: `Bootstrapped N% (tag): summary`, or `Problem bootstrapping`.
    pub(super) fn from_log_line(line: &str) -> Option<Self> {
        let text = LogLine::parse(line).map_or(line, |line| line.text);
        if let Some(rest) = text.strip_prefix("Bootstrapped ") {
            return stage(rest);
        }
        let rest = text.strip_prefix("Problem bootstrapping. Stuck at ")?;
        // 5% (conn): Connecting to a relay. (Connection refused; CONNECTREFUSED; count 10; ..)
        let (stage_text, trouble) = rest.split_once(". (")?;
        let (warning, _details) = trouble.split_once(';')?;
        Some(Self { warning: Some(warning.to_owned()), ..stage(stage_text)? })
    }
}

/// Prints one line; characters of tor's words that do not print are escaped.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent)?;
        if !self.tag.is_empty() {
            write!(f, " ({})", printable(&self.tag))?;
        }
        if !self.summary.is_empty() {
            write!(f, ": {}", printable(&self.summary))?;
        }
        match &self.warning {
            Some(warning) => write!(f, " ({})", printable(warning)),
            None => Ok(()),
        }
    }
}

/// `45% (tag): summary`; tor before 0.4.0 writes no tag.
fn stage(text: &str) -> Option<Progress> {
    let (percent, rest) = text.split_once('%')?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let (tag, summary) = match rest.trim_start().strip_prefix('(') {
        Some(rest) => rest.split_once("):")?,
        None => ("", rest.strip_prefix(':')?),
    };
    let summary = summary.trim().to_owned();
    Some(Progress { percent, tag: tag.to_owned(), summary, warning: None })
}

/// A closure of the user's that is told of progress.
pub(super) type ProgressListener = Box<dyn FnMut(&Progress) + Send>;

/// Calls the listener on a thread of its own, `torcon-progress`, so that a slow one delays no
/// deadline and hides no death.
#[derive(Debug)]
pub(super) struct ProgressReporter {
    news: Sender<News>,
    worker: Worker,
}

enum News {
    Progress(Progress),
    /// Answers when everything before it was told.
    Flush(Sender<()>),
}

impl ProgressReporter {
    pub(super) fn start(mut listener: ProgressListener) -> Result<Self, LaunchProblem> {
        let (news, receiver) = unbounded();
        let worker = Worker::start("torcon-progress", move || {
            for item in receiver {
                match item {
                    News::Progress(progress) => {
                        let told = catch_unwind(AssertUnwindSafe(|| listener(&progress)));
                        if told.is_err() {
                            log::error!("the progress listener panicked at {progress}");
                            return;
                        }
                    }
                    News::Flush(answer) => drop(answer),
                }
            }
        })?;
        Ok(Self { news, worker })
    }

    /// Never blocks. A listener that panicked is not called again.
    pub(super) fn tell(&self, progress: &Progress) {
        let _ = self.news.send(News::Progress(progress.clone()));
    }

    /// Waits until the listener has been told everything, but not longer than `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (answer, told) = bounded(0);
        if self.news.send(News::Flush(answer)).is_ok() {
            let _ = told.recv_timeout(limit);
        }
    }

    /// Waits until the listener has been told everything, but not longer than `limit`; the thread
    /// ends when it has.
    pub(super) fn finish(self, limit: Duration) {
        drop(self.news);
        self.worker.finish(limit);
    }
}

#[cfg(test)]
mod tests;
