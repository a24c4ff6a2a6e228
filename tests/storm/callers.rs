use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use torcon::command::MapOutcome;
use torcon::error::Disconnect;
use torcon::state::{Path, State};
use torcon::{CancelToken, Controller, Error, Event, EventKind, Line, PendingReply};

use crate::run::Run;
use crate::support::named_thread::named;
use crate::support::random::Random;

/// The limit of a caller that is patient: no call reaches it.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);
/// The longest limit of a caller that is not.
const HURRIED_MICROS: usize = 3000;
/// The options that the callers of one connection set. Those of each connection of a round differ.
const SETTABLE: [&str; 3] = ["SocksTimeout", "NewCircuitPeriod", "KeepalivePeriod"];

/// The part that all callers of a connection share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) is_over: AtomicBool,
    /// A reload returns options to the values of the torrc.
    pub(crate) was_reloaded: Arc<AtomicBool>,
    /// The lines of `GETINFO config/names`.
    names: Arc<[String]>,
}

impl Shared {
    pub(crate) fn new(controller: &Controller) -> Self {
        let mut names = Vec::new();
        let take = |line: Line<'_>| {
            names.push(line.to_string());
            ControlFlow::Continue(())
        };
        controller.get_info_incremental("config/names", take).expect("tor answers");
        Self { names: names.into(), ..Self::default() }
    }

    /// Returns what the callers of another connection to the same tor have in common.
    pub(crate) fn of_another(&self) -> Self {
        let (was_reloaded, names) = (Arc::clone(&self.was_reloaded), Arc::clone(&self.names));
        Self { is_over: AtomicBool::new(false), was_reloaded, names }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// The step that a caller repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Queries unknown keys, each of which occurs once. Patient.
    Ask,
    /// The same, with limits that are often too short.
    Hurry,
    /// Queries many keys at once; the reply arrives in several reads.
    Many,
    /// Receives long replies line by line.
    Stream,
    /// Sends many commands before it receives their replies, drops some, and hurries with others.
    Queue,
    /// Sets an option to a value that occurs once, and reads it.
    Set,
    /// Maps a name to a target that occurs once.
    Map,
    /// Waits for events.
    Wait,
    /// Adds and removes listeners and queues.
    Listen,
    /// Makes a state, listens to it, and builds circuits, which tor refuses without a network.
    Build,
}

impl Task {
    const ALL: [Self; 10] = [
        Self::Ask,
        Self::Hurry,
        Self::Many,
        Self::Stream,
        Self::Queue,
        Self::Set,
        Self::Map,
        Self::Wait,
        Self::Listen,
        Self::Build,
    ];

    pub(crate) fn choose(random: &mut Random) -> Self {
        Self::ALL[random.below(Self::ALL.len())]
    }
}

/// A thread that uses one connection, until the round is over or the connection has ended.
pub(crate) struct Caller<'a> {
    run: &'a Run,
    shared: &'a Shared,
    controller: Controller,
    random: Random,
    /// Which connection of the round this is.
    connection: usize,
    /// A number that no other caller of the storm has.
    name: u32,
    number: u32,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        run: &'a Run,
        shared: &'a Shared,
        controller: Controller,
        connection: usize,
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed);
        let random = run.random(u64::from(name) << 20);
        Self { run, shared, controller, random, connection, name, number: 0 }
    }

    pub(crate) fn work(mut self, task: Task) {
        while !self.shared.is_over() {
            self.number += 1;
            let (limit, outcome) = match task {
                Task::Ask => self.ask(false),
                Task::Hurry => self.ask(true),
                Task::Many => self.many(),
                Task::Stream => self.stream(),
                Task::Queue => self.queue(),
                Task::Set => self.set(),
                Task::Map => self.map(),
                Task::Wait => self.wait(),
                Task::Listen => self.listen(),
                Task::Build => self.build(),
            };
            if !self.go_on(limit, outcome) {
                return;
            }
        }
    }

    /// Counts the outcome of a command. Returns whether the connection is open.
    fn go_on(&self, limit: Duration, outcome: Result<(), Error>) -> bool {
        let figures = &self.run.figures;
        match outcome {
            Ok(()) => figures.count("replies"),
            Err(Error::Closed(reason)) => {
                check_reason(&reason);
                figures.count("calls that the end of the connection ended");
                return false;
            }
            Err(error) if error.is_timeout() && limit < PATIENT => figures.count("timeouts"),
            Err(error) => panic!("with a limit of {limit:?}: {error:?}"),
        }
        true
    }

    /// Returns a limit, and a handle that has it: too short if it must `hurry`.
    fn limited(&mut self, hurry: bool) -> (Duration, Controller) {
        let micros = u64::try_from(self.random.below(HURRIED_MICROS)).unwrap();
        let limit = if hurry { Duration::from_micros(micros) } else { PATIENT };
        (limit, self.controller.with_timeout(limit))
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random.below(count) == 0
    }

    /// Returns a key that occurs once, and the text of its refusal.
    fn unknown_key(&mut self) -> (String, String) {
        // Some do not fit into one read.
        let length = if self.one_in(20) { self.random.below(20_000) } else { 0 };
        let key = format!("torcon-test/{}/{}/{}", self.name, self.number, "x".repeat(length));
        let refusal = format!("Unrecognized key \"{key}\"");
        (key, refusal)
    }

    fn ask(&mut self, hurry: bool) -> (Duration, Result<(), Error>) {
        let hurry = hurry && !self.one_in(4);
        let (limit, controller) = self.limited(hurry);
        let (key, refusal) = self.unknown_key();
        let command = format!("GETINFO {key}");
        let which = self.random.below(5);
        let outcome = self.run.watch.call("a refused command", limit * 2, || match which {
            0 => controller.get_info_one(&key).map(drop),
            1 => controller.get_info_raw([key.as_str()]).map(drop),
            2 => controller.command(&command).map(drop),
            3 => controller.queue_command(&command).and_then(PendingReply::wait).map(drop),
            _ => controller.get_info_incremental(&key, |line| panic!("{key} is {line}")),
        });
        self.run.figures.count("commands");
        (limit, self.refused(outcome, &refusal))
    }

    fn refused(&self, outcome: Result<(), Error>, refusal: &str) -> Result<(), Error> {
        match outcome {
            Err(Error::Rejected(rejection)) => {
                assert_eq!(rejection.text(), refusal, "the reply to another caller");
                Ok(())
            }
            Ok(()) => panic!("tor knows the key of {refusal}"),
            error => error,
        }
    }

    /// Returns keys that no other caller queries at this time, and the lines of their answers.
    fn addresses(&mut self, most: usize) -> (Vec<String>, Vec<String>) {
        let count = 1 + self.random.below(most);
        let [name, high, low] =
            [self.name, self.number >> 8, self.number].map(|number| number & 0xff);
        let key = |last| format!("ip-to-country/{}.{high}.{low}.{last}", 20 + name % 80);
        let keys: Vec<_> = (0..count).map(key).collect();
        let answers = keys.iter().map(|key| format!("{key}=??")).collect();
        (keys, answers)
    }

    fn many(&mut self) -> (Duration, Result<(), Error>) {
        let hurry = self.one_in(8);
        let (limit, controller) = self.limited(hurry);
        let (keys, answers) = self.addresses(250);
        self.run.figures.count("commands");
        let outcome =
            self.run.watch.call("a query of many keys", limit, || controller.get_info_raw(keys));
        let check = |reply: torcon::Reply| {
            let lines: Vec<_> = reply.lines().map(|line| line.text().into_owned()).collect();
            assert!(
                lines.iter().zip(&answers).all(|(line, answer)| line == answer),
                "{answers:?}: {reply:?}"
            );
            assert_eq!(lines.len(), answers.len() + 1, "{reply:?}");
        };
        (limit, outcome.map(check))
    }

    fn stream(&mut self) -> (Duration, Result<(), Error>) {
        let hurry = self.one_in(6);
        let (limit, controller) = self.limited(hurry);
        let enough = if self.one_in(4) { 1 + self.random.below(100) } else { usize::MAX };
        let is_slow = self.one_in(50);
        let mut lines = Vec::new();
        let take = |line: Line<'_>| {
            lines.push(line.to_string());
            if is_slow && lines.len() % 50 == 1 {
                thread::sleep(Duration::from_millis(1));
            }
            if lines.len() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let (keys, answers) = self.addresses(250);
        let is_own = self.random.below(2) == 0;
        let watch = &self.run.watch;
        let outcome = watch.call("a reply in parts", limit * 3, || match is_own {
            true => controller.command_lines(&format!("GETINFO {}", keys.join(" ")), take),
            false => controller.get_info_incremental("config/names", take),
        });
        self.run.figures.count("commands");
        self.run.figures.add("lines of replies in parts", lines.len());
        let mut expected = if is_own { &answers[..] } else { &self.shared.names[..] };
        // A caller that timed out received a part of its reply.
        expected =
            &expected[..expected.len().min(if outcome.is_ok() { enough } else { lines.len() })];
        assert!(lines == expected, "the reply to another caller: {lines:?} for {expected:?}");
        (limit, outcome)
    }

    fn queue(&mut self) -> (Duration, Result<(), Error>) {
        let (limit, controller) = self.limited(false);
        let mut pending = Vec::new();
        for _ in 0..=self.random.below(40) {
            self.number += 1;
            let (key, refusal) = self.unknown_key();
            self.run.figures.count("commands");
            let queued = self.run.watch.call("a queued command", limit, || {
                controller.queue_command(&format!("GETINFO {key}"))
            });
            match queued {
                Ok(queued) => pending.push((refusal, queued)),
                Err(error) => return (limit, Err(error)),
            }
        }
        for (refusal, queued) in pending {
            match self.random.below(10) {
                0 => {
                    drop(queued);
                    self.run.figures.count("replies that their callers dropped");
                }
                1 => {
                    let mut reply = None;
                    self.run.watch.call("a reply that is polled", limit, || {
                        while reply.is_none() {
                            reply = queued.try_wait();
                            thread::yield_now();
                        }
                    });
                    let outcome = self.refused(reply.unwrap().map(drop), &refusal);
                    if !self.go_on(limit, outcome) {
                        return (limit, Ok(()));
                    }
                }
                which => {
                    let (limit, _) = self.limited(which < 4);
                    let reply =
                        self.run.watch.call("a queued reply", limit, || queued.wait_timeout(limit));
                    let outcome = self.refused(reply.map(drop), &refusal);
                    if !self.go_on(limit, outcome) {
                        return (limit, Ok(()));
                    }
                }
            }
        }
        (limit, Ok(()))
    }

    fn set(&mut self) -> (Duration, Result<(), Error>) {
        let (limit, controller) = self.limited(false);
        let option = SETTABLE[self.connection];
        let value = (10_000 + self.name % 1000 * 1000 + self.number % 1000).to_string();
        self.run.figures.add("commands", 2);
        let outcome = self.run.watch.call("SETCONF and GETCONF", limit * 2, || {
            controller.set_conf([(option, value.as_str())])?;
            controller.get_conf(option)
        });
        let check = |found: torcon::command::ConfValue| {
            let is_right = found.first() == Some(&value);
            let was_reloaded = self.shared.was_reloaded.load(Ordering::SeqCst);
            assert!(is_right || was_reloaded, "{option} is {value}, not {found:?}");
        };
        (limit, outcome.map(check))
    }

    fn map(&mut self) -> (Duration, Result<(), Error>) {
        let hurry = self.one_in(4);
        let (limit, controller) = self.limited(hurry);
        let target = format!("t{}-{}.example", self.name, self.number);
        // Names are used again, so that tor does not grow.
        let from = format!("m{}.caller.example", self.name % 200);
        self.run.figures.count("commands");
        let outcome = self.run.watch.call("MAPADDRESS", limit, || {
            controller.map_address([(from.as_str(), target.as_str())])
        });
        let check = |outcomes: Vec<MapOutcome>| match &*outcomes {
            [MapOutcome::Mapped { from: name, to, .. }] => {
                assert_eq!((name, to), (&from, &target), "the reply to another caller");
            }
            other => panic!("{from} has {other:?}"),
        };
        (limit, outcome.map(check))
    }

    fn wait(&mut self) -> (Duration, Result<(), Error>) {
        let limit = self.random.millis(0..100);
        let outcome = self.run.watch.call("a wait for an event", PATIENT + limit, || {
            let is_mapping = |event: &Event| matches!(event, Event::AddrMap(_));
            self.controller.with_timeout(PATIENT).wait_for(EventKind::AddrMap, is_mapping, limit)
        });
        (limit, outcome.map(drop))
    }

    fn listen(&mut self) -> (Duration, Result<(), Error>) {
        let (limit, controller) = self.limited(false);
        let kinds = [EventKind::AddrMap, EventKind::ConfChanged, EventKind::Signal];
        let kind = kinds[self.random.below(kinds.len())].clone();
        if self.one_in(3) {
            let queue = self.run.watch.call("a subscription", limit, || controller.events([kind]));
            let took = queue.map(|queue| self.run.figures.add("events", queue.try_iter().count()));
            return (limit, took);
        }
        let (removed, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_removed, count) = (Arc::clone(&removed), Arc::clone(&late));
        let listener = move |_: &Event| {
            if is_removed.load(Ordering::SeqCst) {
                // One call may have begun before the removal returned.
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "a call after the removal");
            }
        };
        let outcome = self.run.watch.call("a listener", limit * 2, || {
            let id = controller.add_event_listener(kind, listener)?;
            thread::yield_now();
            let outcome = controller.remove_event_listener(id);
            removed.store(true, Ordering::SeqCst);
            outcome
        });
        self.run.figures.count("listeners added and removed");
        (limit, outcome)
    }

    fn build(&mut self) -> (Duration, Result<(), Error>) {
        let (limit, controller) = self.limited(false);
        let state = self.run.watch.call("a new state", limit * 2, || State::new(&controller));
        let outcome = state.and_then(|state| {
            state.on_circuit(|_| ())?;
            state.on_address(|_| ())?;
            for _ in 0..self.random.below(4) {
                self.cancel(&state)?;
            }
            Ok(())
        });
        self.run.figures.count("states");
        (limit, outcome)
    }

    /// Builds a circuit, and perhaps cancels that meanwhile.
    fn cancel(&mut self, state: &State) -> Result<(), Error> {
        let token = CancelToken::new();
        let after = self.random.millis(0..3);
        let canceling = token.clone();
        let thread = named("cancel", move || {
            thread::sleep(after);
            canceling.cancel();
        });
        let limit = PATIENT * 2;
        let outcome = self.run.watch.call("a circuit that is canceled", limit, || {
            state.build_circuit_cancelable(Path::any(), PATIENT, &token)
        });
        self.run.watch.call("the thread that cancels", limit, || thread.join().unwrap());
        match outcome {
            Err(error) if error.is_canceled() => self.run.figures.count("cancels"),
            // There is no relay in a tor without a network.
            Err(Error::Rejected(_) | Error::Circuit(_)) => {}
            Err(error) => return Err(error),
            Ok(circuit) => panic!("{circuit:?} without a network"),
        }
        Ok(())
    }
}

/// Requires that a connection did not end by a fault of torcon.
#[track_caller]
pub(crate) fn check_reason(reason: &Disconnect) {
    let is_usual = matches!(
        reason,
        Disconnect::Closed
            | Disconnect::Quit
            | Disconnect::EndOfStream
            | Disconnect::Read(_)
            | Disconnect::Write(_)
    );
    assert!(is_usual, "the connection ended: {reason:?}");
}
