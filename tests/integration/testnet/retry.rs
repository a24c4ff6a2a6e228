use std::time::{Duration, Instant};

use torcon::{Controller, Event, EventKind, EventQueue};

/// How often something that depends on tor's random choices is tried.
const TRIES: u32 = 5;
/// How long attempts may take together; one that has begun is completed.
const ENOUGH: Duration = Duration::from_secs(90);
/// How many events of an attempt are worth reading.
const MOST: usize = 200;
/// How long events of the first attempt, if it has failed, may take to their queue; of each later
/// one more. An event that is too late for one attempt may be in time for the next.
const ON_THE_WAY: Duration = Duration::from_millis(200);
/// How long tor may take to forget what it knows as a client: it does so once in ten seconds.
const FORGETTING: Duration = Duration::from_secs(30);

/// Retries an operation that depends on tor's random choices until it succeeds, at most a few
/// times: tor chooses circuits and relays at random, and a relay without time for its work refuses
/// circuits.
///
/// Each attempt begins anew, with new circuits and streams. If none succeeds the test fails, and
/// reports each outcome and the circuits and streams at that time.
#[track_caller]
pub(crate) fn retried<T>(
    controller: &Controller,
    what: &str,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let kinds = [EventKind::Circ, EventKind::Stream, EventKind::StatusClient, EventKind::Warn];
    let events = controller.events(kinds).expect("every tor has these events");
    let begin = Instant::now();
    let mut story = String::new();
    for number in 1..=TRIES {
        let failure = match attempt() {
            Ok(value) => return value,
            Err(failure) => failure,
        };
        let elapsed = begin.elapsed();
        story.push_str(&format!("\nattempt {number}, {elapsed:.1?}: {failure}"));
        let until = Instant::now() + ON_THE_WAY * number;
        let mut told = 0;
        while let Ok(event) = events.recv_deadline(until) {
            told += 1;
            if told <= MOST {
                story.push_str(&format!("\n    {event}"));
            }
        }
        if told > MOST {
            story.push_str(&format!("\n    and {} more events", told - MOST));
        }
        if elapsed > ENOUGH {
            break;
        }
    }
    panic!("{what}: no attempt succeeded{story}");
}

/// Makes a client forget the failures of introduction points, and waits until it has. A client that has
/// failed at each of a service asks no directory again within 15 minutes.
#[track_caller]
pub(crate) fn forget_failures(client: &Controller) {
    client.wait_new_identity(FORGETTING).expect("tor forgets");
}

/// Waits for the first event for which `wanted` returns a value; the limit is for all of them.
pub(crate) fn find_in<T>(
    events: &EventQueue,
    limit: Duration,
    mut wanted: impl FnMut(Event) -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = wanted(events.recv_deadline(deadline).ok()?) {
            return Some(found);
        }
    }
}
