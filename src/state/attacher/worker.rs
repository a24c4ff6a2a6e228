//! The thread of one attacher, `torcon-attach`, which calls its closure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::Attach;
use super::attach_loop::{AttacherId, Message};
use super::eligible::check_purpose;
use crate::link::{drop_quietly, panic_text};
use crate::state::stream_info::StreamInfo;
use crate::state::{Circuit, Inner};

/// A stream for which an attacher is to choose a circuit.
#[derive(Clone)]
pub(super) struct ChoiceRequest {
    pub(super) stream: Arc<StreamInfo>,
    pub(super) attacher: AttacherId,
    pub(super) deadline: Instant,
}

pub(super) type Closure = Box<dyn FnMut(&StreamInfo, &[Circuit]) -> Attach + Send>;

pub(super) struct Worker {
    pub(super) inner: Arc<Inner>,
    pub(super) id: AttacherId,
    pub(super) requests: Receiver<ChoiceRequest>,
    /// Whether the closure may be called; cleared when the attacher is removed.
    pub(super) active: Arc<AtomicBool>,
    pub(super) answers: Sender<Message>,
}

impl Worker {
    /// Starts the thread. It ends when the attach loop drops the attacher.
    pub(super) fn start(self, closure: Closure) -> std::io::Result<()> {
        let name = "torcon-attach".to_owned();
        thread::Builder::new().name(name).spawn(move || self.run(closure)).map(drop)
    }

    fn run(self, mut closure: Closure) {
        while let Ok(ChoiceRequest { stream, deadline, .. }) = self.requests.recv() {
            // A stream that waited behind a slow one may have been left to tor by now.
            if !self.active.load(Ordering::Acquire) || Instant::now() >= deadline {
                continue;
            }
            let circuits = self.circuits();
            let call = AssertUnwindSafe(|| closure(&stream, &circuits));
            let (choice, panicked) = match catch_unwind(call) {
                Ok(choice) => (choice, false),
                Err(panic) => {
                    let text = panic_text(&*panic).into_owned();
                    log::error!("an attacher panicked and was removed: {text}");
                    self.active.store(false, Ordering::Release);
                    drop_quietly(panic);
                    (Attach::Failed(text.into()), true)
                }
            };
            // The attach loop is gone if the connection has ended.
            let _ = self.answers.send(Message::Choice(stream.id(), self.id, choice));
            if panicked {
                let _ = self.answers.send(Message::RemoveAttacher(self.id));
                break;
            }
        }
        drop_quietly(closure);
    }

    /// Returns the circuits that can take streams of applications, sorted by identifier.
    fn circuits(&self) -> Vec<Circuit> {
        let cells = self.inner.store.read(|tracker| {
            let usable = tracker.circuits().filter(|cell| {
                let info = cell.info();
                info.is_built()
                    && info.hops() > 1
                    && check_purpose(info.purpose().as_ref(), false).is_ok()
            });
            usable.cloned().collect::<Vec<_>>()
        });
        let circuit = |cell| Circuit::new(Arc::clone(&self.inner), cell);
        let mut circuits: Vec<_> = cells.into_iter().map(circuit).collect();
        circuits.sort_by_key(Circuit::id);
        circuits
    }
}
