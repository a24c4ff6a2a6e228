use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use torcon::event::ConfChangedEvent;
use torcon::supervisor::SupervisorStatus;
use torcon::{Event, EventKind, Supervisor};

use super::LIMIT;
use crate::support::watchdog::eventually;

/// The pause between two events. Each of them makes tor forget the client authorization keys.
const PAUSE: Duration = Duration::from_millis(100);

/// An entry in the log of an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    /// The event of an emission on a connection.
    Event {
        generation: u64,
        number: u64,
    },
    Reconnected,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Got>>>);

impl Log {
    fn text(&self, text: &str) {
        let numbers = text.split("torcon-test-").nth(1).map(|rest| {
            let word = rest.split(['"', '\r', '\n', ' ']).next().unwrap();
            let (generation, number) = word.split_once('-').unwrap();
            (generation.parse().unwrap(), number.parse().unwrap())
        });
        if let Some((generation, number)) = numbers {
            self.0.lock().push(Got::Event { generation, number });
        }
    }

    fn reconnected(&self) {
        self.0.lock().push(Got::Reconnected);
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Reconnected { gap, .. } => {
                assert!(*gap < LIMIT, "{gap:?}");
                self.reconnected();
            }
            Event::Lagged { dropped, .. } => panic!("{dropped} events were lost"),
            event => self.text(&event.to_string()),
        }
    }

    fn has(&self, wanted: u64) -> bool {
        let log = self.0.lock();
        log.iter().rev().any(|got| matches!(got, Got::Event { number, .. } if *number == wanted))
    }
}

/// Listeners and a queue of a supervisor, and the events that are caused for them: changes of
/// `ContactInfo` to values that occur once.
pub(super) struct Observers {
    logs: Vec<(&'static str, Log)>,
    /// The number of the last event.
    last: Mutex<u64>,
}

impl Observers {
    pub(super) fn add(supervisor: &Supervisor) -> Self {
        let names = ["listener", "typed listener", "text listener", "queue"];
        let logs: Vec<_> = names.map(|name| (name, Log::default())).into();
        let log = |index: usize| logs[index].1.clone();
        let listener = log(0);
        let kind = EventKind::ConfChanged;
        supervisor.add_event_listener(kind.clone(), move |event| listener.event(event)).unwrap();
        let (typed, marked) = (log(1), log(1));
        supervisor.on(move |event: &ConfChangedEvent| typed.text(&event.to_string())).unwrap();
        supervisor.on_reconnected(move |_gap| marked.reconnected()).unwrap();
        let (text, marked) = (log(2), log(2));
        supervisor
            .add_text_listener(kind.clone(), move |event| text.text(&event.to_string()))
            .unwrap();
        supervisor.on_reconnected(move |_gap| marked.reconnected()).unwrap();
        let queue = supervisor.events([kind]).unwrap();
        let queued = log(3);
        let take = move || {
            for event in queue.iter() {
                queued.event(&event);
            }
        };
        thread::Builder::new().name("event-queue".to_owned()).spawn(take).unwrap();
        Self { logs, last: Mutex::new(0) }
    }

    /// Causes events until `stop`.
    pub(super) fn emit_until(&self, supervisor: &Supervisor, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.emit(supervisor);
            thread::sleep(PAUSE);
        }
    }

    /// Causes an event. Returns its number if tor has accepted it.
    pub(super) fn emit(&self, supervisor: &Supervisor) -> Option<u64> {
        let mut last = self.last.lock();
        let generation = generation(supervisor)?;
        let tor = supervisor.tor().ok()?;
        if self::generation(supervisor) != Some(generation) {
            return None;
        }
        *last += 1;
        let value = format!("torcon-test-{generation}-{last}");
        tor.controller().set_conf([("ContactInfo", value.as_str())]).ok().map(|()| *last)
    }

    /// Requires that an event reaches every observer.
    #[track_caller]
    pub(super) fn check_delivery(&self, supervisor: &Supervisor) {
        let mut emitted = None;
        eventually(LIMIT, "an event is caused", || {
            emitted = self.emit(supervisor);
            emitted.is_some()
        });
        for (name, log) in &self.logs {
            let end = Instant::now() + LIMIT;
            while !log.has(emitted.unwrap()) {
                assert!(Instant::now() < end, "the {name} got no event: {:?}", log.0.lock());
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Requires that no event came twice or late, and that there is one marker for each gap.
    pub(super) fn check_order(&self, generations: u64) {
        for (name, log) in &self.logs {
            let log = log.0.lock();
            let (mut generation, mut number, mut markers, mut all_markers) = (1, 0, 0, 0);
            for got in log.iter() {
                match *got {
                    Got::Reconnected => {
                        markers += 1;
                        all_markers += 1;
                    }
                    Got::Event { generation: of, number: next } => {
                        assert!(next > number, "{name}: {next} after {number}: {log:?}");
                        assert!(of >= generation, "{name}: {of} after {generation}: {log:?}");
                        let gaps = of - generation;
                        let is_marked = if gaps == 0 { markers == 0 } else { markers >= 1 };
                        assert!(
                            is_marked && markers <= gaps,
                            "{name}: {markers} for {gaps}: {log:?}"
                        );
                        (generation, number, markers) = (of, next, 0);
                    }
                }
            }
            assert!(all_markers < generations, "{name}: {all_markers} markers");
            println!(
                "    {name}: {} events, {all_markers} markers",
                log.len() - all_markers as usize
            );
        }
    }
}

/// Returns the number of the present connection.
pub(super) fn generation(supervisor: &Supervisor) -> Option<u64> {
    match supervisor.status() {
        SupervisorStatus::Up { generation, .. } => Some(generation),
        _ => None,
    }
}
