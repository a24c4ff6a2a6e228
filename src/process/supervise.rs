use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use nix::sys::signal::Signal;

use super::child::Child;
use super::directory::Directories;
use super::drain::{Drain, Printed};
use super::launch_machine::LaunchMessage;
use super::output::Output;
use super::progress::Progress;
use super::sink::{Sink, SinkWriter};
use super::spawn::Spawned;
use super::thread::NamedThread;
use crate::error::{LaunchError, LaunchProblem, Result};

/// How long the end of tor waits for a thread that only reads.
pub(super) const THREAD_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of tor waits for a sink to write the last output.
const SINK_LIMIT: Duration = Duration::from_secs(1);

/// The writers for copies of tor's output.
#[derive(Default)]
pub(super) struct Sinks {
    pub(super) stdout: Option<SinkWriter>,
    pub(super) stderr: Option<SinkWriter>,
}

/// Starts the threads that read the output and wait for the end of the child. If a thread cannot
/// be started, the child is killed. `kill_on_stderr` is the grace period of a child that writes on
/// standard error, if that ends it.
pub(super) fn supervise(
    spawned: Spawned,
    directories: Directories,
    sinks: Sinks,
    kill_on_stderr: Option<Duration>,
    output: &Arc<Output>,
    messages: &Sender<LaunchMessage>,
) -> Result<(Arc<Child>, NamedThread)> {
    let child = Arc::new(Child::new(spawned.pid));
    directories.record_process(child.pid());
    let started = (|| {
        let (stop, stopped) = UnixStream::pair().map_err(thread_problem)?;
        let mut sink_threads = Vec::new();
        let mut sink = |writer: Option<SinkWriter>| -> Result<Option<Sink>, LaunchProblem> {
            let Some(writer) = writer else { return Ok(None) };
            let (sink, thread) = Sink::start(writer)?;
            sink_threads.push(thread);
            Ok(Some(sink))
        };
        let stdout = Drain {
            output: Arc::clone(output),
            is_stderr: false,
            sink: sink(sinks.stdout)?,
            on_printed: report_progress(messages.clone()),
        };
        let stderr = Drain {
            output: Arc::clone(output),
            is_stderr: true,
            sink: sink(sinks.stderr)?,
            on_printed: StderrGuard {
                output: Arc::clone(output),
                messages: messages.clone(),
                child: kill_on_stderr.map(|grace| (Arc::clone(&child), grace)),
            }
            .into_closure(),
        };
        let drains = [
            stdout.start(
                "torcon-stdout",
                spawned.stdout,
                stopped.try_clone().map_err(thread_problem)?,
            )?,
            stderr.start("torcon-stderr", spawned.stderr, stopped)?,
        ];
        let finish = FinishOnDrop { child: Arc::clone(&child), messages: messages.clone() };
        NamedThread::start("torcon-child", move || {
            // Dropped after everything else, also if a logger panics: directories, then this.
            let finish = finish;
            let directories = directories;
            let _exit = finish.child.reap();
            drop(stop);
            for thread in drains {
                thread.join_for(THREAD_LIMIT);
            }
            for thread in sink_threads {
                thread.join_for(SINK_LIMIT);
            }
            drop(directories);
            drop(finish);
        })
    })();
    match started {
        Ok(thread) => Ok((child, thread)),
        Err(problem) => {
            // No thread waits for the child, so it is reaped here.
            let _ = child.signal(Signal::SIGKILL);
            let _exit = child.reap();
            Err(LaunchError::new(problem).into())
        }
    }
}

/// Wakes the threads that wait for the end of the child, even if its thread panics.
struct FinishOnDrop {
    child: Arc<Child>,
    messages: Sender<LaunchMessage>,
}

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.child.finish();
        // Fails when the launch is over.
        let _ = self.messages.send(LaunchMessage::Exited);
    }
}

fn thread_problem(error: io::Error) -> LaunchProblem {
    LaunchProblem::Thread(Arc::new(error))
}

/// Sends the bootstrap lines of tor's log to the launch.
fn report_progress(messages: Sender<LaunchMessage>) -> impl FnMut(Printed<'_>) {
    move |printed| {
        let Printed::Line(line) = printed else { return };
        if let Some(progress) = Progress::from_log_line(line) {
            // Fails when the launch is over.
            let _ = messages.send(LaunchMessage::LogLine(progress));
        }
    }
}

/// Ends tor if it writes on standard error.
struct StderrGuard {
    output: Arc<Output>,
    messages: Sender<LaunchMessage>,
    /// The tor to end and its grace period, until its end is begun; `None` if it is not to end.
    child: Option<(Arc<Child>, Duration)>,
}

impl StderrGuard {
    fn into_closure(mut self) -> impl FnMut(Printed<'_>) {
        move |printed| {
            if let Printed::Bytes(bytes) = printed {
                self.output.keep_stderr(bytes);
                self.end_child();
            }
        }
    }

    fn end_child(&mut self) {
        let Some((child, grace)) = self.child.take() else { return };
        self.output.set_ended_for_stderr();
        let _ = self.messages.send(LaunchMessage::Stderr);
        let output = Arc::clone(&self.output);
        let to_kill = Arc::clone(&child);
        // The caller's thread goes on reading meanwhile.
        let thread = NamedThread::start("torcon-end", move || {
            // Before the log line: a logger can panic.
            let ended = child.end(grace);
            if let Err(error) = ended {
                log::error!("tor, pid {}, could not be ended: {error}", child.pid());
            }
            log::error!(
                "tor, pid {}, was ended because it wrote on standard error: {:?}",
                child.pid(),
                output.stderr_text()
            );
        });
        if thread.is_err() {
            let _ = to_kill.signal(Signal::SIGKILL);
        }
    }
}
