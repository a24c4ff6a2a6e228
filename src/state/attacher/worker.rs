//! An attacher on its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::Attach;
use super::attach_loop::{Message, check_purpose};
use super::registry::AttacherId;
use crate::link::panic_text;
use crate::names::StreamId;
use crate::state::stream_info::StreamInfo;
use crate::state::{Circuit, Inner};

/// A question to an attacher.
pub(super) struct Ask {
    pub(super) stream: Arc<StreamInfo>,
    /// When the answer is not wanted any more.
    pub(super) deadline: Instant,
}

/// What an attacher has answered.
pub(super) struct Answer {
    pub(super) stream: StreamId,
    pub(super) attacher: AttacherId,
    pub(super) choice: Attach,
}

pub(super) type Closure = Box<dyn FnMut(&StreamInfo, &[Circuit]) -> Attach + Send>;

pub(super) struct Worker {
    pub(super) inner: Arc<Inner>,
    pub(super) asks: Receiver<Ask>,
    pub(super) active: Arc<AtomicBool>,
    pub(super) answers: Sender<Message>,
}

impl Worker {
    /// Starts the thread. It ends when nobody can ask any more.
    pub(super) fn start(self, id: AttacherId, closure: Closure) -> std::io::Result<()> {
        let name = "torcon-attach".to_owned();
        thread::Builder::new().name(name).spawn(move || self.run(id, closure)).map(drop)
    }

    fn run(self, id: AttacherId, mut closure: Closure) {
        while let Ok(ask) = self.asks.recv() {
            // Whoever was too slow for one stream need not be asked about those that waited
            // behind it: tor has them by now.
            if !self.active.load(Ordering::Acquire) || Instant::now() >= ask.deadline {
                continue;
            }
            let circuits = self.circuits();
            let call = AssertUnwindSafe(|| closure(&ask.stream, &circuits));
            let (choice, panicked) = match catch_unwind(call) {
                Ok(choice) => (choice, false),
                Err(panic) => {
                    let text = panic_text(&*panic).into_owned();
                    log::error!("an attacher panicked and was removed: {text}");
                    self.active.store(false, Ordering::Release);
                    (Attach::Failed(text.into()), true)
                }
            };
            let answer = Answer { stream: ask.stream.id, attacher: id, choice };
            // Nobody takes it if everything has ended.
            let _ = self.answers.send(Message::Answer(answer));
            if panicked {
                let _ = self.answers.send(Message::Removed(id));
                break;
            }
        }
        if catch_unwind(AssertUnwindSafe(|| drop(closure))).is_err() {
            log::error!("what an attacher held panicked when it was dropped");
        }
    }

    /// Returns the circuits that can take streams.
    fn circuits(&self) -> Vec<Circuit> {
        let cells = self.inner.store.read(|tracker| {
            let usable = tracker.circuits().filter(|cell| {
                let info = cell.info();
                info.is_built()
                    && info.path.len() > 1
                    && check_purpose(info.purpose.as_ref(), false).is_ok()
            });
            usable.cloned().collect::<Vec<_>>()
        });
        let circuit = |cell| Circuit::new(Arc::clone(&self.inner), cell);
        let mut circuits: Vec<_> = cells.into_iter().map(circuit).collect();
        circuits.sort_by_key(Circuit::id);
        circuits
    }
}
