use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::log_line::LogLine;
use super::thread::start_thread;
use crate::clock::{self, deadline_after};
use crate::error::LaunchProblem;
use crate::link::{Listener, NamedThread};
use crate::names::printable;
use crate::sync::channel::{Sender, bounded, unbounded};

/// The bootstrap progress of a tor that was launched.
///
/// It is read from `STATUS_CLIENT` events with the action `BOOTSTRAP`, and before the control
/// connection is ready from the `Bootstrapped` lines of tor's log.
///
/// # Examples
///
/// ```no_run
/// use torcon::Launcher;
///
/// let tor = Launcher::new()
///     .on_progress(|progress| {
///         println!("{:3} % {}", progress.percent, progress.summary);
///         if let Some(warning) = &progress.warning {
///             println!("tor keeps trying: {warning}");
///         }
///     })
///     .launch()?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The progress in percent.
    pub percent: u8,
    /// The tag of the phase, such as `conn` or `done`.
    pub tag: String,
    /// tor's description of the phase, such as `Connecting to a relay`.
    pub summary: String,
    /// tor's description of a problem, such as `Connection refused`. tor keeps trying.
    ///
    /// A problem that tor recommends to ignore is left out.
    pub warning: Option<String>,
}

impl Progress {
    /// Returns whether tor has bootstrapped to 100 %, so that it can build circuits.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let tor = torcon::Launcher::new().spawn()?;
    /// while !tor.progress().is_done() {
    ///     println!("{}", tor.progress());
    ///     std::thread::sleep(std::time::Duration::from_secs(1));
    ///     if let Some(status) = tor.try_wait()? {
    ///         println!("tor has ended: {status}");
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.percent >= 100
    }

    /// Parses a `Bootstrapped N% (tag): summary` or `Problem bootstrapping` line of tor's log.
    pub(super) fn from_log_line(line: &str) -> Option<Self> {
        let text = LogLine::parse(line).map_or(line, |line| line.text);
        if let Some(rest) = text.strip_prefix("Bootstrapped ") {
            return parse_phase(rest);
        }
        let rest = text.strip_prefix("Problem bootstrapping. Stuck at ")?;
        // 5% (conn): Connecting to a relay. (Connection refused; CONNECTREFUSED; count 10; ..)
        let (phase, problem) = rest.split_once(". (")?;
        let (warning, _details) = problem.split_once(';')?;
        Some(Self { warning: Some(warning.to_owned()), ..parse_phase(phase)? })
    }
}

/// Prints one line. Characters that are not printable are escaped.
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

/// Parses `45% (tag): summary`; tor before 0.4.0 writes no tag.
fn parse_phase(text: &str) -> Option<Progress> {
    let (percent, rest) = text.split_once('%')?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let (tag, summary) = match rest.trim_start().strip_prefix('(') {
        Some(rest) => rest.split_once("):")?,
        None => ("", rest.strip_prefix(':')?),
    };
    let summary = summary.trim().to_owned();
    Some(Progress { percent, tag: tag.to_owned(), summary, warning: None })
}

/// The progress closure of the user.
pub(super) type ProgressListener = Box<dyn FnMut(&Progress) + Send>;

/// Calls the progress closure on the thread `torcon-progress`, so that a slow closure delays neither
/// a deadline nor the notice of tor's end.
#[derive(Debug)]
pub(super) struct ProgressReporter {
    reports: Sender<Report>,
    thread: NamedThread,
}

enum Report {
    Progress(Progress),
    /// Dropped after all earlier reports.
    Flush(Sender<()>),
}

impl ProgressReporter {
    pub(super) fn start(listener: Arc<Listener<ProgressListener>>) -> Result<Self, LaunchProblem> {
        let (reports, receiver) = unbounded();
        let thread = start_thread("torcon-progress", move || {
            for report in receiver {
                match report {
                    Report::Progress(progress) => {
                        // Does nothing while the reporter of an earlier launch calls the closure.
                        if let Err(text) = listener.call(|listener| listener(&progress)) {
                            log::error!("the progress closure panicked at {progress}: {text}");
                            return;
                        }
                    }
                    Report::Flush(done) => drop(done),
                }
            }
        })?;
        Ok(Self { reports, thread })
    }

    /// Never blocks. A closure that panicked is not called again.
    pub(super) fn report(&self, progress: &Progress) {
        let _ = self.reports.send(Report::Progress(progress.clone()));
    }

    /// Waits until the closure has been called for all reports, for at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let (sender, done) = bounded(0);
        if self.reports.send(Report::Flush(sender)).is_ok() {
            let _ = clock::recv_until(&done, deadline_after(limit));
        }
    }

    /// Flushes, and ends the thread.
    pub(super) fn finish(self, limit: Duration) {
        drop(self.reports);
        self.thread.join_for(limit);
    }
}

#[cfg(test)]
mod tests;
