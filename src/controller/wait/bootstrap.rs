//! How tor's start goes on, for those who launch one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Result};
use crate::event::{Bootstrap, Event, EventKind};
use crate::link::{EventHook, RawEvent};

/// The key that says how far tor has come.
const PHASE: &str = "status/bootstrap-phase";

type Tell = Box<dyn Fn(Bootstrap) + Send + Sync>;

/// Sees the events on the reader thread, so that nobody depends on a listener that is busy.
struct Follower {
    // A leaf lock.
    early: Mutex<Early>,
    tell: Tell,
}

/// What came before the answer to the question how far tor was.
enum Early {
    Waiting(Vec<(u64, Bootstrap)>),
    /// The answer is there; it tells of every event with a lower number.
    Joined(u64),
}

impl Follower {
    /// Joins the answer with the events: what the answer knows already is left out, what came
    /// after it follows.
    fn join(&self, phase: Bootstrap, events_before: u64) {
        (self.tell)(phase);
        loop {
            let mut early = self.early.lock();
            let events = match &mut *early {
                Early::Waiting(events) if !events.is_empty() => std::mem::take(events),
                _ => {
                    *early = Early::Joined(events_before);
                    return;
                }
            };
            // The closure is called without the lock; what comes meanwhile waits its turn.
            drop(early);
            for (_, bootstrap) in events.into_iter().filter(|(n, _)| *n >= events_before) {
                (self.tell)(bootstrap);
            }
        }
    }
}

impl EventHook for Follower {
    fn event(&self, event: &RawEvent<'_>) {
        let Event::Status(status) = event.event() else { return };
        let Some(bootstrap) = status.bootstrap.as_deref().cloned() else { return };
        let number = event.number();
        let is_new = match &mut *self.early.lock() {
            Early::Waiting(events) => {
                events.push((number, bootstrap));
                return;
            }
            Early::Joined(events_before) => number >= *events_before,
        };
        if is_new {
            (self.tell)(bootstrap);
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

impl Controller {
    /// Tells how far tor's start has come, now and whenever it goes on, until the guard is
    /// dropped. `tell` is called on the reader thread: it must be quick and must not wait.
    ///
    /// Subscribes first and asks second, so that nothing is missed.
    pub(crate) fn watch_bootstrap(&self, tell: Tell) -> Result<HookGuard> {
        let follower = Arc::new(Follower { early: Mutex::new(Early::Waiting(Vec::new())), tell });
        let guard = self.hook(&[EventKind::StatusClient], follower.clone())?;
        let (info, events_before) = self.get_info_numbered(&[PHASE])?;
        let phase = Bootstrap::from_bytes(info.bytes(PHASE).unwrap_or_default())?;
        follower.join(phase, events_before);
        Ok(guard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::{Early, Follower};
    use crate::link::{EventHook, RawEvent};

    #[test]
    fn the_answer_and_the_events_are_joined_without_gap_or_repetition() {
        // Each way in which three events can lie around the answer.
        for events_before in 0..=3 {
            for seen_before_join in 0..=3 {
                let told = Arc::new(Mutex::new(Vec::new()));
                let sink = Arc::clone(&told);
                let follower = Follower {
                    early: Mutex::new(Early::Waiting(Vec::new())),
                    tell: Box::new(move |bootstrap| sink.lock().push(bootstrap.progress)),
                };
                let event = |number: u64| {
                    let line = format!(
                        "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS={} TAG=x SUMMARY=\"y\"\r\n",
                        number + 1
                    );
                    follower.event(&RawEvent::new(number, line.as_bytes()));
                };
                (0..seen_before_join).for_each(event);
                let phase =
                    format!("NOTICE BOOTSTRAP PROGRESS={events_before} TAG=x SUMMARY=\"y\"");
                follower.join(phase.parse().unwrap(), events_before);
                (seen_before_join..3).for_each(event);
                let expected: Vec<u8> = (u8::try_from(events_before).unwrap()..=3).collect();
                assert_eq!(*told.lock(), expected, "{events_before} {seen_before_join}");
            }
        }
    }
}
