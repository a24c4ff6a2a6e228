use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use torcon::event::AddrMapEvent;
use torcon::{ConnectOptions, Controller, Error, Event, EventKind, EventQueue};

use crate::LIMIT;
use crate::callers::{Caller, PATIENT, Shared, Task, check_reason};
use crate::observers::Ends;
use crate::relay::{Cut, Relay};
use crate::run::{Run, spawn};
use crate::support::leaks;
use crate::support::random::Random;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// The limits of queues: some are full after a few events.
const EVENT_LIMITS: [usize; 4] = [2 << 10, 20 << 10, 200 << 10, 64 << 20];
/// The most events of a round.
const EVENTS: usize = 20_000;
/// The events are mappings of so many names, again and again.
const NAMES: u64 = 200;

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// When every event was received or counted as lost.
    AllReceived,
    Close,
    Cut,
    Kill,
}

/// The events of one listener or one queue.
#[derive(Default)]
struct Log {
    received: AtomicU64,
    lost: AtomicU64,
    /// The number of the next event, if none is lost.
    next: AtomicU64,
    /// Lost events that no later event has confirmed.
    gap: AtomicU64,
}

impl Log {
    fn lose(&self, count: u64) {
        self.gap.fetch_add(count, Ordering::SeqCst);
        self.count_lost(count);
    }

    fn count_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::SeqCst);
    }

    /// Takes the next event: as many are missing before it as were lost.
    fn take(&self, number: u64) {
        let next = self.next.load(Ordering::SeqCst) + self.gap.swap(0, Ordering::SeqCst);
        assert_eq!(number, next, "the losses that were reported, and those that occurred");
        self.take_later(number);
    }

    /// Takes an event before which any number is missing.
    fn take_later(&self, number: u64) {
        let next = self.next.swap(number + 1, Ordering::SeqCst);
        assert!(number >= next, "event {number} after {next}");
        self.received.fetch_add(1, Ordering::SeqCst);
    }

    fn all(&self) -> u64 {
        self.received.load(Ordering::SeqCst) + self.lost.load(Ordering::SeqCst)
    }
}

/// Everything that receives the events of a connection.
#[derive(Default)]
struct Logs {
    listener: Arc<Log>,
    typed: Arc<Log>,
    text: Arc<Log>,
    /// One thread takes from it.
    queue: Log,
    /// Several threads take from it.
    shared: Log,
    /// The numbers that the threads have taken.
    taken: Mutex<Vec<u64>>,
}

impl Logs {
    fn all(&self) -> [(&'static str, &Log); 5] {
        [
            ("listener", &*self.listener),
            ("typed listener", &*self.typed),
            ("text listener", &*self.text),
            ("queue", &self.queue),
            ("queue of several threads", &self.shared),
        ]
    }
}

/// Floods of numbered events: each listener and each queue receives all of them in order, and counts
/// as lost what is missing.
pub(crate) fn storm(run: &Run) {
    let tor = RealTor::start();
    let mut random = run.random(0);
    while !run.is_over() {
        let ending = match random.below(12) {
            0 => Ending::Kill,
            1 | 2 => Ending::Cut,
            3 | 4 => Ending::Close,
            _ => Ending::AllReceived,
        };
        round(run, &tor, ending, &mut random);
        run.figures.count(&format!("ends: {ending:?}"));
        if ending == Ending::Kill {
            tor.wait(LIMIT);
            tor.start_again();
        }
        eventually(LIMIT, "the threads of the connections have ended", || {
            leaks::threads("torcon-").is_empty()
        });
        run.end_round();
    }
}

fn round(run: &Run, tor: &RealTor, ending: Ending, random: &mut Random) {
    let relay = Relay::before(tor.socket_path(), random.next());
    let is_relayed = ending == Ending::Cut || random.below(3) == 0;
    let endpoint = if is_relayed { relay.endpoint() } else { tor.endpoint() };
    let limit = EVENT_LIMITS[random.below(EVENT_LIMITS.len())];
    let options = ConnectOptions::new().event_limit(limit).command_timeout(PATIENT);
    let controller = options.connect(endpoint.as_str()).expect("tor answers");
    let emitter = torcon::connect(tor.endpoint()).expect("tor answers").with_timeout(PATIENT);
    let mut ends = Ends::add(&controller);
    let (logs, shared) = (Logs::default(), Shared::new(&emitter));
    let pause = (random.below(3) == 0).then(|| random.millis(1..3));
    listen(&controller, &logs, pause);
    let queues = [(); 2].map(|()| controller.events([EventKind::AddrMap]).expect("tor answers"));
    // Events after the last one are no part of the storm.
    let (emitted, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = 1 + random.below(EVENTS) as u64;
    let seed = random.next();
    thread::scope(|scope| {
        let [alone, several] = &queues;
        let (logs, emitted, is_over) = (&logs, &emitted, &is_over);
        spawn(scope, "queue", move || {
            take(run, alone, pause, |event| take_one(&logs.queue, event));
        });
        for number in 0..3 {
            spawn(scope, "queues", move || take_some(run, several, logs, number));
        }
        if random.below(2) == 0 {
            for task in [Task::Ask, Task::Listen, Task::Hurry] {
                let caller = Caller::new(run, &shared, controller.clone(), 0);
                spawn(scope, "caller", move || caller.work(task));
            }
        }
        let emitter = &emitter;
        let emit = move || emit(run, emitter, total, emitted, is_over, Random::new(seed));
        spawn(scope, "emitter", emit);
        if ending == Ending::AllReceived {
            // A relay that forwards byte by byte is slow on a busy machine.
            let left = || logs.all().map(|(_, log)| total.saturating_sub(log.all())).iter().sum();
            let mut before: u64 = left();
            while before > 0 {
                run.watch.call("the receipt of events", LIMIT, || {
                    while left() == before {
                        thread::sleep(Duration::from_millis(2));
                    }
                });
                before = left();
            }
        } else {
            run.pause(random.millis(0..100));
        }
        shared.is_over.store(true, Ordering::SeqCst);
        match ending {
            Ending::AllReceived | Ending::Close => {
                run.watch.call("close", PATIENT, || controller.close());
            }
            Ending::Cut => relay.cut(Cut::Both),
            Ending::Kill => tor.kill(),
        }
        is_over.store(true, Ordering::SeqCst);
        let reason =
            run.watch.call("a wait for the end", PATIENT, || controller.wait_closed(PATIENT));
        check_reason(&reason.expect("it ends"));
    });
    ends.add_another(&controller);
    eventually(LIMIT, "every closure learns of the end", || ends.all_called());
    ends.count(run);
    check(run, &logs, ending, total, emitted.load(Ordering::SeqCst));
}

/// Requires that each event was received or counted as lost, and by one thread of a queue.
fn check(run: &Run, logs: &Logs, ending: Ending, total: u64, emitted: u64) {
    let mut taken = logs.taken.lock().clone();
    taken.sort_unstable();
    assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "an event was received twice");
    assert_eq!(taken.len() as u64, logs.shared.received.load(Ordering::SeqCst));
    for (name, log) in logs.all() {
        let (received, lost) =
            (log.received.load(Ordering::SeqCst), log.lost.load(Ordering::SeqCst));
        let counts = format!("{name}, {ending:?}: {received} received and {lost} lost of {total}");
        match ending {
            Ending::AllReceived => assert_eq!(received + lost, total, "{counts}"),
            _ => assert!(received + lost <= emitted, "{counts}, {emitted} emitted"),
        }
        run.figures.add("events", received as usize);
        run.figures.add("losses", lost as usize);
    }
    if matches!(ending, Ending::Cut | Ending::Kill) {
        // The losses are reported before the end.
        let last = taken.last().map_or(0, |last| last + 1);
        assert!(logs.shared.all() >= last, "{} of {last}", logs.shared.all());
    }
}

/// Adds a listener of each kind.
fn listen(controller: &Controller, logs: &Logs, pause: Option<Duration>) {
    let (typed, text) = (Arc::clone(&logs.typed), Arc::clone(&logs.text));
    let both = [Arc::clone(&logs.typed), Arc::clone(&logs.text)];
    let lose = move |lost| both.iter().for_each(|log| log.count_lost(lost));
    controller.on_lagged(lose).expect("it is open");
    let listener = Arc::clone(&logs.listener);
    let take = move |event: &Event| {
        take_one(&listener, event);
        slow_down(&listener, pause);
    };
    controller.add_event_listener(EventKind::AddrMap, take).expect("tor answers");
    let take = move |event: &AddrMapEvent| typed.take_later(number(&event.to_string()));
    controller.on(take).expect("tor answers");
    let take = move |event: &torcon::event::EventText| {
        text.take_later(number(&event.to_string()));
    };
    controller.add_text_listener(EventKind::AddrMap, take).expect("tor answers");
}

fn slow_down(log: &Log, pause: Option<Duration>) {
    if let Some(pause) = pause.filter(|_| log.received.load(Ordering::Relaxed) % 500 == 1) {
        thread::sleep(pause * 10);
    }
}

/// Returns the number of an event.
fn number(event: &str) -> u64 {
    let number = event.split(" event-").nth(1).and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{event}"))
}

/// Whether it is an event of the emitter; other callers cause mappings too.
fn take_one(log: &Log, event: &Event) {
    match event {
        Event::Lagged { dropped, .. } => log.lose(*dropped),
        event => log.take(number(&event.to_string())),
    }
}

/// Passes the events of a queue to `work`, until the connection has ended.
fn take(run: &Run, queue: &EventQueue, pause: Option<Duration>, work: impl Fn(&Event)) {
    let mut count = 0;
    loop {
        match run.watch.call("an event", PATIENT * 2, || queue.recv_timeout(PATIENT * 2)) {
            Ok(event) => work(&event),
            Err(Error::Closed(reason)) => return check_reason(&reason),
            Err(error) => panic!("{error:?}"),
        }
        count += 1;
        if let Some(pause) = pause.filter(|_| count % 300 == 1) {
            thread::sleep(pause * 5);
        }
    }
}

/// Takes events of a queue beside other threads, in one of three ways.
fn take_some(run: &Run, queue: &EventQueue, logs: &Logs, way: usize) {
    let mut taken = Vec::new();
    let mut work = |event: &Event| match event {
        Event::Lagged { dropped, .. } => logs.shared.count_lost(*dropped),
        event => {
            let number = number(&event.to_string());
            assert!(taken.last().is_none_or(|last| *last < number), "{number} after {taken:?}");
            taken.push(number);
            logs.shared.received.fetch_add(1, Ordering::SeqCst);
        }
    };
    match way {
        0 => queue.iter().for_each(|event| work(&event)),
        1 => loop {
            queue.try_iter().for_each(|event| work(&event));
            match queue.recv_timeout(Duration::from_millis(1)) {
                Ok(event) => work(&event),
                Err(error) if error.is_timeout() => {}
                Err(_) => break,
            }
        },
        _ => {
            while let Ok(event) =
                run.watch.call("an event", PATIENT * 2, || queue.recv_timeout(PATIENT * 2))
            {
                work(&event);
            }
        }
    }
    logs.taken.lock().extend(taken);
}

/// Causes events until there are `total`.
fn emit(
    run: &Run,
    controller: &Controller,
    total: u64,
    emitted: &AtomicU64,
    is_over: &AtomicBool,
    mut random: Random,
) {
    let mut next = 0;
    while next < total && !is_over.load(Ordering::SeqCst) {
        let count = (1 + random.next() % NAMES).min(total - next);
        let pair =
            |number| (format!("m{}.example", number % NAMES), format!("event-{number}.example"));
        let pairs: Vec<_> = (next..next + count).map(pair).collect();
        next += count;
        // Before the command, since the events may precede its reply.
        emitted.store(next, Ordering::SeqCst);
        match run.watch.call("MAPADDRESS", PATIENT, || controller.map_address(pairs)) {
            Ok(_) => run.figures.count("commands"),
            Err(Error::Closed(_)) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}
