use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::directory::Directories;
use super::drain::{Drain, Printed};
use super::launch_machine::LaunchMessage;
use super::launcher::Closures;
use super::log_line::LogLine;
use super::progress::Progress;
use super::sink::Sink;
use super::spawn::Spawned;
use super::thread::start_thread;
use super::tor_process::Shared;
use crate::error::{LaunchError, LaunchProblem, Result};
use crate::link::NamedThread;
use crate::sync::channel::Sender;

/// How long the end of tor waits for a thread that only reads.
pub(super) const THREAD_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of tor waits for a sink to write the last output.
const SINK_LIMIT: Duration = Duration::from_secs(1);

/// Starts the threads that read the output and wait for the end of the child. If a thread cannot
/// be started, the child is killed. `kill_on_stderr` is the grace period of a child that writes on
/// standard error, if that ends it.
pub(super) fn supervise(
    spawned: Spawned,
    directories: Directories,
    closures: &Closures,
    kill_on_stderr: Option<Duration>,
    shared: &Arc<Shared>,
    messages: &Sender<LaunchMessage>,
) -> Result<NamedThread> {
    directories.record_process(shared.child.pid());
    let started = (|| {
        let (stop, stopped) = UnixStream::pair().map_err(thread_problem)?;
        let mut sink_threads = Vec::new();
        let mut sink = |writer: &Option<_>| -> Result<Option<Sink>, LaunchProblem> {
            let Some(writer) = writer else { return Ok(None) };
            let (sink, thread) = Sink::start(Arc::clone(writer))?;
            sink_threads.push(thread);
            Ok(Some(sink))
        };
        let stdout = Drain {
            sink: sink(&closures.stdout)?,
            on_printed: keep_stdout(Arc::clone(shared), messages.clone()),
        };
        let stderr = Drain {
            sink: sink(&closures.stderr)?,
            on_printed: keep_stderr(Arc::clone(shared), messages.clone(), kill_on_stderr),
        };
        let drains = [
            stdout.start(
                "torcon-stdout",
                spawned.stdout,
                stopped.try_clone().map_err(thread_problem)?,
            )?,
            stderr.start("torcon-stderr", spawned.stderr, stopped)?,
        ];
        let finish = FinishOnDrop { shared: Arc::clone(shared), messages: messages.clone() };
        start_thread("torcon-child", move || {
            // Dropped after everything else, also if a logger panics: directories, then this.
            let finish = finish;
            let directories = directories;
            let _exit = finish.shared.child.reap();
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
    started.map_err(|problem| {
        // No thread waits for the child, so it is reaped here.
        let _ = shared.child.signal(Signal::SIGKILL);
        let _exit = shared.child.reap();
        LaunchError::new(problem).into()
    })
}

/// Wakes the threads that wait for the end of the child, even if its thread panics.
struct FinishOnDrop {
    shared: Arc<Shared>,
    messages: Sender<LaunchMessage>,
}

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.shared.child.finish();
        // Fails when the launch is over.
        let _ = self.messages.send(LaunchMessage::Exited);
    }
}

fn thread_problem(error: io::Error) -> LaunchProblem {
    LaunchProblem::Thread(Arc::new(error))
}

/// Keeps the lines of standard output, and sends bootstrap lines to the launch.
fn keep_stdout(shared: Arc<Shared>, messages: Sender<LaunchMessage>) -> impl FnMut(Printed<'_>) {
    move |printed| {
        let Printed::Line(line) = printed else { return };
        if let Some(progress) = Progress::from_log_line(line) {
            // Fails when the launch is over.
            let _ = messages.send(LaunchMessage::LogLine(progress));
        }
        shared.output.keep_line(line, false);
        // After the line is kept: the error of the launch quotes it.
        if LogLine::parse(line).is_some_and(|line| line.is_end_of_transport()) {
            let _ = messages.send(LaunchMessage::TransportEnded);
        }
    }
}

/// Keeps standard error, and ends tor at its first output if there is a grace period.
fn keep_stderr(
    shared: Arc<Shared>,
    messages: Sender<LaunchMessage>,
    mut kill_on_stderr: Option<Duration>,
) -> impl FnMut(Printed<'_>) {
    move |printed| match printed {
        Printed::Bytes(bytes) => {
            shared.output.keep_stderr(bytes);
            if let Some(grace) = kill_on_stderr.take() {
                shared.output.set_ended_for_stderr();
                let _ = messages.send(LaunchMessage::Stderr);
                end_for_stderr(&shared, grace);
            }
        }
        Printed::Line(line) => shared.output.keep_line(line, true),
    }
}

/// Ends tor on another thread, since the caller must go on reading.
fn end_for_stderr(shared: &Arc<Shared>, grace: Duration) {
    let moved = Arc::clone(shared);
    let thread = start_thread("torcon-end", move || {
        let Shared { child, output, .. } = &*moved;
        // Before the log line: a logger can panic.
        let ended = child.end(grace);
        let pid = child.pid();
        if let Err(error) = ended {
            log::error!("tor, pid {pid}, could not be ended: {error}");
        }
        let text = output.stderr_text();
        log::error!("tor, pid {pid}, was ended because it wrote on standard error: {text:?}");
    });
    if thread.is_err() {
        let _ = shared.child.signal(Signal::SIGKILL);
    }
}
