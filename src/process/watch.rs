use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use nix::sys::signal::Signal;

use super::child::Child;
use super::directory::Directories;
use super::output::{self, Output, Sink, Watcher};
use super::progress::Progress;
use super::ready::Message;
use super::spawn::Spawned;
use super::worker::Worker;
use crate::error::{LaunchError, LaunchProblem, Result};

/// How long the end of a process waits for threads that never wait for anything.
pub(super) const THREAD_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of a process waits for a sink to take the last output.
const SINK_LIMIT: Duration = Duration::from_secs(1);

/// Where a copy of an output goes.
type Writer = Option<Box<dyn Write + Send>>;

/// Starts the threads that read the output and wait for the end. If one cannot be started the
/// child is ended; its directories are then removed while it ends. `kill_on_stderr` is the grace
/// period of a child that writes on standard error, if that ends it.
pub(super) fn start(
    spawned: Spawned,
    directories: Directories,
    sinks: (Writer, Writer),
    kill_on_stderr: Option<Duration>,
    output: &Arc<Output>,
    messages: &Sender<Message>,
) -> Result<(Arc<Child>, Worker)> {
    let child = Arc::new(Child::new(spawned.pid));
    directories.record_process(child.pid());
    let started = (|| {
        let (stop, stopped) = UnixStream::pair().map_err(thread_problem)?;
        let mut workers = Vec::new();
        let mut copiers = Vec::new();
        let mut sink = |writer: Writer| -> Result<Option<Sink>, LaunchProblem> {
            let Some(writer) = writer else { return Ok(None) };
            let (sink, worker) = Sink::start(writer)?;
            copiers.push(worker);
            Ok(Some(sink))
        };
        let (stdout_sink, stderr_sink) = (sink(sinks.0)?, sink(sinks.1)?);
        let watcher = StdoutWatcher { messages: messages.clone() };
        workers.push(output::drain(
            "torcon-stdout",
            spawned.stdout,
            stopped.try_clone().map_err(thread_problem)?,
            Arc::clone(output),
            stdout_sink,
            watcher,
        )?);
        let watcher = StderrWatcher {
            output: Arc::clone(output),
            messages: messages.clone(),
            child: kill_on_stderr.map(|grace| (Arc::clone(&child), grace)),
        };
        workers.push(output::drain(
            "torcon-stderr",
            spawned.stderr,
            stopped,
            Arc::clone(output),
            stderr_sink,
            watcher,
        )?);
        let end = SettleOnDrop { child: Arc::clone(&child), messages: messages.clone() };
        Worker::start("torcon-child", move || {
            // Declared in this order, both are dropped after the rest, also if a logger panics.
            let end = end;
            let directories = directories;
            let _ending = end.child.reap();
            drop(stop);
            for worker in workers {
                worker.finish(THREAD_LIMIT);
            }
            for worker in copiers {
                worker.finish(SINK_LIMIT);
            }
            drop(directories);
            drop(end);
        })
    })();
    match started {
        Ok(watcher) => Ok((child, watcher)),
        Err(problem) => {
            // Nobody watches it, so it is ended and reaped here. It was born just now.
            let _ = child.signal(Signal::SIGKILL);
            let _ending = child.reap();
            Err(LaunchError::new(problem).into())
        }
    }
}

/// Tells everyone who waits for the end of the child. Without it they would wait for ever.
struct SettleOnDrop {
    child: Arc<Child>,
    messages: Sender<Message>,
}

impl Drop for SettleOnDrop {
    fn drop(&mut self) {
        self.child.settle();
        // Nobody listens any more when the launch is over.
        let _ = self.messages.send(Message::Exited);
    }
}

fn thread_problem(error: io::Error) -> LaunchProblem {
    LaunchProblem::Thread(Arc::new(error))
}

/// Looks for bootstrap lines.
struct StdoutWatcher {
    messages: Sender<Message>,
}

impl Watcher for StdoutWatcher {
    const IS_STDERR: bool = false;

    fn line(&mut self, line: &str) {
        if let Some(progress) = Progress::from_log_line(line) {
            // Nobody listens any more when the launch is over.
            let _ = self.messages.send(Message::Printed(progress));
        }
    }
}

/// Ends tor for what it writes on standard error.
struct StderrWatcher {
    output: Arc<Output>,
    messages: Sender<Message>,
    /// The tor to end, and its grace period; `None` once that is begun, or if it is not to end.
    child: Option<(Arc<Child>, Duration)>,
}

impl Watcher for StderrWatcher {
    const IS_STDERR: bool = true;

    fn bytes(&mut self, bytes: &[u8]) {
        self.output.keep_stderr(bytes);
        let Some((child, grace)) = self.child.take() else { return };
        self.output.set_ended_for_stderr();
        let _ = self.messages.send(Message::Stderr);
        let output = Arc::clone(&self.output);
        let killed = Arc::clone(&child);
        // This thread goes on reading while that one waits.
        let ender = Worker::start("torcon-end", move || {
            // Before anything is logged: a logger can panic.
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
        if ender.is_err() {
            let _ = killed.signal(Signal::SIGKILL);
        }
    }
}
