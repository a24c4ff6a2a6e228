//! The thread of one attacher, `torcon-attach`, which calls its closure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::Attach;
use super::attach_loop::{AttacherId, Message};
use super::eligible::check_purpose;
use crate::clock;
use crate::link::{drop_quietly, panic_text};
use crate::state::generation::{Generation, Owner};
use crate::state::stream_info::StreamInfo;
use crate::state::{Circuit, Shared};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::channel::{Receiver, Sender};
use crate::sync::thread;

/// A request to an attacher to choose a circuit for a stream.
#[derive(Clone)]
pub(super) struct ChoiceRequest {
    pub(super) stream: Arc<StreamInfo>,
    pub(super) attacher: AttacherId,
    pub(super) deadline: Instant,
    /// The generation of the stream.
    pub(super) generation: Weak<Generation>,
    /// Whether the attach loop still asks the attacher.
    pub(super) active: Arc<AtomicBool>,
    /// The queue of the attach loop.
    pub(super) answers: Sender<Message>,
}

pub(super) type Closure = Box<dyn FnMut(&StreamInfo, &[Circuit]) -> Attach + Send>;

/// The worker keeps neither the state nor the connection open.
pub(super) struct Worker {
    pub(super) shared: Weak<Shared>,
    pub(super) id: AttacherId,
    pub(super) requests: Receiver<ChoiceRequest>,
    /// Whether the closure may be called; cleared when the attacher is removed.
    pub(super) is_set: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread, which ends when the attacher is removed and the last sender of its
    /// requests is dropped.
    pub(super) fn start(self, closure: Closure) -> std::io::Result<()> {
        let name = "torcon-attach".to_owned();
        thread::Builder::new().name(name).spawn(move || self.run(closure)).map(drop)
    }

    fn run(self, mut closure: Closure) {
        while let Ok(request) = self.requests.recv() {
            let Some(owner) = self.owner(&request) else { continue };
            let ChoiceRequest { stream, answers, .. } = &request;
            let circuits = usable_circuits(&owner);
            drop(owner);
            if !self.is_wanted(&request) {
                continue;
            }
            let call = AssertUnwindSafe(|| closure(stream, &circuits));
            let (choice, panicked) = match catch_unwind(call) {
                Ok(choice) => (choice, false),
                Err(panic) => {
                    let text = panic_text(&*panic).into_owned();
                    log::error!("an attacher panicked and was removed: {text}");
                    self.is_set.store(false, Ordering::Release);
                    drop_quietly(panic);
                    (Attach::Failed(text.into()), true)
                }
            };
            // The attach loop has ended if the connection has.
            let _ = answers.send(Message::Choice(stream.id(), self.id, choice));
            if panicked {
                let _ = answers.send(Message::RemoveAttacher(self.id));
                break;
            }
        }
        drop_quietly(closure);
    }

    /// Returns the owner of the circuits for a request, while there is one.
    fn owner(&self, request: &ChoiceRequest) -> Option<Owner> {
        Some(Owner::new(self.shared.upgrade()?, request.generation.upgrade()?))
    }

    /// Returns whether the closure may be called for a request.
    fn is_wanted(&self, request: &ChoiceRequest) -> bool {
        // A stream that waited behind a slow one may have been left to tor.
        !clock::has_passed(request.deadline)
            && request.active.load(Ordering::Acquire)
            // Read last: a call that a removal does not prevent begins here.
            && self.is_set.load(Ordering::Acquire)
    }
}

/// Returns the circuits that can take streams of applications, sorted by identifier.
fn usable_circuits(owner: &Owner) -> Vec<Circuit> {
    let is_usable = |circuit: &Circuit| {
        let info = circuit.info();
        info.is_built() && info.hops() > 1 && check_purpose(info.purpose().as_ref(), false).is_ok()
    };
    let mut circuits = owner.circuits();
    circuits.retain(is_usable);
    circuits
}
