//! Bootstrap progress for the launcher: a query, joined with the events that follow it.

use std::sync::Arc;

use crate::command::GetInfo;
use crate::controller::{Controller, HookGuard};
use crate::error::{Disconnect, Result};
use crate::event::{Bootstrap, Event, EventKind};
use crate::link::{EventHook, RawEvent};
use crate::sync::Mutex;

const PHASE: &str = "status/bootstrap-phase";

type Report = Box<dyn Fn(Bootstrap) + Send + Sync>;

struct BootstrapHook {
    // A leaf lock.
    state: Mutex<State>,
    report: Report,
}

enum State {
    /// The query is pending; the events that have arrived, with their numbers.
    Querying(Vec<(u64, Bootstrap)>),
    /// The reply has arrived; it reflects every event with a lower number.
    Joined(u64),
}

impl BootstrapHook {
    /// Reports the reply, and then the events that it does not reflect.
    fn join(&self, phase: Bootstrap, events_before: u64) {
        (self.report)(phase);
        loop {
            let mut state = self.state.lock();
            let events = match &mut *state {
                State::Querying(events) if !events.is_empty() => std::mem::take(events),
                _ => {
                    *state = State::Joined(events_before);
                    return;
                }
            };
            // The closure is called without the lock; events that arrive meanwhile are queued.
            drop(state);
            for (_, bootstrap) in events.into_iter().filter(|(n, _)| *n >= events_before) {
                (self.report)(bootstrap);
            }
        }
    }
}

impl EventHook for BootstrapHook {
    fn event(&self, event: &RawEvent<'_>) {
        let Event::Status(status) = event.event() else { return };
        let Some(bootstrap) = status.bootstrap() else { return };
        let number = event.number();
        let is_new = match &mut *self.state.lock() {
            State::Querying(events) => {
                events.push((number, bootstrap));
                return;
            }
            State::Joined(events_before) => number >= *events_before,
        };
        if is_new {
            (self.report)(bootstrap);
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

impl Controller {
    /// Reports the bootstrap progress, now and at each change, until the guard is dropped.
    ///
    /// `report` is called on the reader thread: it must not wait. The subscription precedes the
    /// query, so that no change is missed.
    pub(crate) fn watch_bootstrap(&self, report: Report) -> Result<HookGuard> {
        let state = Mutex::new(State::Querying(Vec::new()));
        let hook = Arc::new(BootstrapHook { state, report });
        let guard = self.hook(&[EventKind::StatusClient], hook.clone())?;
        let (info, events_before) = self.execute_sequenced(&GetInfo::new([PHASE]))?;
        let phase = Bootstrap::from_bytes(info.bytes(PHASE).unwrap_or_default())?;
        hook.join(phase, events_before);
        Ok(guard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{BootstrapHook, State};
    use crate::link::{EventHook, RawEvent};
    use crate::sync::Mutex;

    #[test]
    fn the_reply_and_the_events_are_joined_without_gap_or_repetition() {
        // Every position of the reply among three events.
        for events_before in 0..=3 {
            for seen_before_join in 0..=3 {
                let reported = Arc::new(Mutex::new(Vec::new()));
                let sink = Arc::clone(&reported);
                let hook = BootstrapHook {
                    state: Mutex::new(State::Querying(Vec::new())),
                    report: Box::new(move |bootstrap| sink.lock().push(bootstrap.progress)),
                };
                let event = |number: u64| {
                    let line = format!(
                        "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS={} TAG=x SUMMARY=\"y\"\r\n",
                        number + 1
                    );
                    hook.event(&RawEvent::new(number, line.as_bytes()));
                };
                (0..seen_before_join).for_each(event);
                let phase =
                    format!("NOTICE BOOTSTRAP PROGRESS={events_before} TAG=x SUMMARY=\"y\"");
                hook.join(phase.parse().unwrap(), events_before);
                (seen_before_join..3).for_each(event);
                let expected: Vec<u8> = (u8::try_from(events_before).unwrap()..=3).collect();
                assert_eq!(*reported.lock(), expected, "{events_before} {seen_before_join}");
            }
        }
    }
}
