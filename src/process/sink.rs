use std::io::Write;
use std::sync::Arc;

use super::thread::start_thread;
use crate::error::LaunchProblem;
use crate::link::{Listener, NamedThread, drop_quietly};
use crate::sync::channel::{Receiver, Sender, TrySendError, bounded};

/// How many chunks are queued for a slow sink: 8 MiB.
pub(super) const SINK_QUEUE: usize = 1024;

/// A writer of the user for a copy of tor's output.
pub(super) type SinkWriter = Box<dyn Write + Send>;

/// Queues a copy of the output for a [`SinkWriter`].
///
/// The thread `torcon-sink` writes it, so that a sink that blocks does not block tor. When the
/// queue is full, the newest output is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    queue: Sender<Vec<u8>>,
    has_dropped: bool,
}

impl Sink {
    pub(super) fn start(
        writer: Arc<Listener<SinkWriter>>,
    ) -> Result<(Self, NamedThread), LaunchProblem> {
        let (queue, receiver) = bounded(SINK_QUEUE);
        let thread = start_thread("torcon-sink", move || copy(&receiver, &writer))?;
        Ok((Self { queue, has_dropped: false }, thread))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        // The queue of a sink that failed is disconnected, and the failure is logged.
        if let Err(TrySendError::Full(_)) = self.queue.try_send(bytes.to_vec()) {
            if !self.has_dropped {
                log::warn!("a sink for tor's output is too slow: output is dropped");
            }
            self.has_dropped = true;
        }
    }
}

fn copy(queue: &Receiver<Vec<u8>>, writer: &Listener<SinkWriter>) {
    for bytes in queue {
        let mut written = Ok(());
        // Does nothing while the sink of an earlier launch calls the writer: this output is dropped.
        let called = writer.call(|writer| {
            written = writer.write_all(&bytes).and_then(|()| writer.flush());
        });
        if let Err(text) = called {
            log::error!("a sink for tor's output panicked and is no longer used: {text}");
            return;
        }
        if let Err(error) = written {
            log::warn!("a sink for tor's output failed and is no longer used: {error}");
            drop_quietly(writer.remove());
            return;
        }
    }
}
