use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use torcon::error::Disconnect;
use torcon::{CancelToken, ConnectOptions, Controller, Error, EventKind, Signal};

use crate::LIMIT;
use crate::callers::{Caller, PATIENT, Shared, Task};
use crate::observers::{self, Ends};
use crate::relay::{Cut, Relay};
use crate::run::{Run, spawn};
use crate::support::leaks;
use crate::support::named_thread::named;
use crate::support::random::Random;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    /// Three threads close it at once.
    CloseThrice,
    CloseInListener,
    DropLastHandle,
    Quit,
    /// `QUIT` as text.
    QuitCommand,
    QueuedQuit,
    Relay(Cut),
    /// The relay cuts in the middle of a reply.
    RelayAfterBytes,
    /// The relay forwards nothing, and then the connection is closed.
    StallAndClose,
    /// See [`TorEnding`].
    Tor,
}

/// How tor ends, and with it all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TorEnding {
    Kill,
    Terminate,
    StopAndKill,
    Shutdown,
    Halt,
    /// One connection owns tor, and is closed.
    Owned,
}

const ENDINGS: [Ending; 12] = [
    Ending::Close,
    Ending::CloseThrice,
    Ending::CloseInListener,
    Ending::DropLastHandle,
    Ending::Quit,
    Ending::QuitCommand,
    Ending::QueuedQuit,
    Ending::Relay(Cut::Both),
    Ending::Relay(Cut::TowardsClient),
    Ending::Relay(Cut::TowardsTor),
    Ending::RelayAfterBytes,
    Ending::StallAndClose,
];
const TOR_ENDINGS: [TorEnding; 6] = [
    TorEnding::Kill,
    TorEnding::Terminate,
    TorEnding::StopAndKill,
    TorEnding::Shutdown,
    TorEnding::Halt,
    TorEnding::Owned,
];

/// One connection of a round.
struct Connection {
    controller: Mutex<Option<Controller>>,
    relay: Option<Relay>,
    ending: Ending,
    shared: Shared,
    ends: Mutex<Ends>,
    events: Arc<AtomicUsize>,
    /// A listener closes the connection.
    listener_closes: Arc<AtomicBool>,
}

/// Connections with callers, listeners and queues end in every way: every call returns, with its own
/// reply or with the end, and every closure learns of the end once.
pub(crate) fn storm(run: &Run) {
    let tor = RealTor::builder().control_port().start();
    let mut random = run.random(0);
    while !run.is_over() {
        let ending = (random.below(3) == 0).then(|| TOR_ENDINGS[random.below(TOR_ENDINGS.len())]);
        round(run, &tor, ending, &mut random);
        if ending.is_some() {
            tor.wait(LIMIT);
            tor.start_again();
            run.figures.count("restarts of tor");
        }
        eventually(LIMIT, "the threads of the connections have ended", || {
            leaks::threads("torcon-").is_empty()
        });
        run.end_round();
    }
}

fn round(run: &Run, tor: &RealTor, tor_ending: Option<TorEnding>, random: &mut Random) {
    let first = torcon::connect(tor.endpoint()).expect("tor answers");
    let shared = Shared::new(&first);
    drop(first);
    let count = 1 + random.below(3);
    let connections: Vec<_> =
        (0..count).map(|_| connect(tor, &shared, tor_ending.is_some(), random)).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (index, connection) in connections.iter().enumerate() {
            connection.work(run, scope, index, random);
        }
        let (random_of_thread, is_over) = (Random::new(random.next()), &is_over);
        scope.spawn(move || connect_and_cancel(run, tor, is_over, random_of_thread));
        run.pause(random.millis(0..300));
        disturb(tor, &shared, random);
        run.pause(random.millis(1..100));
        match tor_ending {
            Some(ending) => {
                end_tor(run, tor, ending, &connections, random);
                run.figures.count(&format!("ends: tor, {ending:?}"));
            }
            None => {
                let ends: Vec<_> = connections
                    .iter()
                    .map(|connection| {
                        let mut random = Random::new(random.next());
                        scope.spawn(move || connection.end(run, &mut random))
                    })
                    .collect();
                ends.into_iter().for_each(|end| end.join().unwrap());
            }
        }
        connections.iter().for_each(|connection| connection.check_end(run, tor_ending));
        is_over.store(true, Ordering::SeqCst);
    });
    for connection in connections {
        connection.ends.lock().count(run);
        run.figures.add("events", connection.events.load(Ordering::SeqCst));
    }
}

/// Connects, through a relay in two of three cases, and adds listeners.
fn connect(tor: &RealTor, shared: &Shared, tor_ends: bool, random: &mut Random) -> Connection {
    let ending = if tor_ends { Ending::Tor } else { ENDINGS[random.below(ENDINGS.len())] };
    let needs_relay =
        matches!(ending, Ending::Relay(_) | Ending::RelayAfterBytes | Ending::StallAndClose);
    let relay = (needs_relay || random.below(3) > 0)
        .then(|| Relay::before(tor.socket_path(), random.next()));
    let endpoint = match &relay {
        Some(relay) => relay.endpoint(),
        None if random.below(2) == 0 => tor.control_addr().to_string(),
        None => tor.endpoint(),
    };
    let controller = ConnectOptions::new().command_timeout(PATIENT).connect(endpoint.as_str());
    let controller = controller.expect("tor accepts the connection");
    let ends = Ends::add(&controller);
    let (events, listener_closes) = (Arc::default(), Arc::<AtomicBool>::default());
    // Without a listener, the thread of the events begins at the end.
    if random.below(4) > 0 || ending == Ending::CloseInListener {
        let closes = Arc::clone(&listener_closes);
        let closes = move || closes.load(Ordering::SeqCst);
        observers::listen(&controller, &events, closes).expect("tor accepts the subscription");
    }
    Connection {
        controller: Mutex::new(Some(controller)),
        relay,
        ending,
        shared: shared.of_another(),
        ends: Mutex::new(ends),
        events,
        listener_closes,
    }
}

impl Connection {
    /// Returns a handle, unless the last one was dropped.
    fn handle(&self) -> Option<Controller> {
        self.controller.lock().clone()
    }

    /// Starts callers and consumers, and a thread that adds closures for the end.
    fn work<'scope>(
        &'scope self,
        run: &'scope Run,
        scope: &'scope thread::Scope<'scope, '_>,
        index: usize,
        random: &mut Random,
    ) {
        let controller = self.handle().expect("it is open");
        let others = (0..3 + random.below(6)).map(|_| Task::choose(random));
        // The first two cause replies and events at any time.
        let mut tasks: Vec<_> = [Task::Ask, Task::Map].into_iter().chain(others).collect();
        // One caller sets the option of this connection.
        let mut sets = 0;
        tasks.retain(|task| {
            sets += usize::from(*task == Task::Set);
            *task != Task::Set || sets == 1
        });
        for task in tasks {
            let caller = Caller::new(run, &self.shared, controller.clone(), index);
            spawn(scope, format!("{task:?}"), move || caller.work(task));
        }
        let queue = controller.events([EventKind::AddrMap, EventKind::ConfChanged]);
        let queue = Arc::new(queue.expect("tor accepts the subscription"));
        for number in 0..random.below(4) {
            let queue = Arc::clone(&queue);
            let consume = move || observers::consume(run, &self.shared, &queue, number);
            spawn(scope, "consumer", consume);
        }
        scope.spawn(move || {
            while controller.is_alive() && !self.shared.is_over() {
                self.ends.lock().add_another(&controller);
                thread::sleep(Duration::from_millis(1));
            }
        });
    }

    fn end(&self, run: &Run, random: &mut Random) {
        let Some(controller) = self.handle() else { return };
        let close = || run.watch.call("close", PATIENT, || controller.close());
        let relay = || self.relay.as_ref().expect("it has a relay");
        match self.ending {
            Ending::Close => close(),
            Ending::CloseThrice => thread::scope(|scope| {
                (0..3).for_each(|_| drop(scope.spawn(close)));
            }),
            Ending::CloseInListener => self.listener_closes.store(true, Ordering::SeqCst),
            Ending::DropLastHandle => {
                self.shared.is_over.store(true, Ordering::SeqCst);
                *self.controller.lock() = None;
            }
            Ending::Quit => {
                // Another thread may see the end first.
                let _ = run.watch.call("quit", PATIENT * 2, || controller.quit());
            }
            Ending::QuitCommand => {
                let _ = run.watch.call("QUIT", PATIENT, || controller.command("QUIT"));
            }
            Ending::QueuedQuit => {
                let _ = run.watch.call("queued QUIT", PATIENT, || controller.queue_command("QUIT"));
            }
            Ending::Relay(cut) => relay().cut(cut),
            Ending::RelayAfterBytes => relay().cut_after(random.next() % 2000),
            Ending::StallAndClose => {
                relay().stall(true);
                run.pause(random.millis(0..50));
                close();
            }
            Ending::Tor => unreachable!("tor ends"),
        }
        run.figures.count(&format!("ends: {:?}", self.ending));
    }

    /// Requires that the end has its reason, and that it is the same for every later call.
    fn check_end(&self, run: &Run, tor_ending: Option<TorEnding>) {
        let Some(controller) = self.handle() else {
            let ends = || self.ends.lock().all_called();
            eventually(LIMIT, "the last handle is dropped", ends);
            return;
        };
        observers::wait_closed(run, &controller);
        let reason = controller.closed_reason().expect("it has ended");
        let is_possible = match (self.ending, &reason) {
            (Ending::Quit | Ending::QuitCommand | Ending::QueuedQuit, reason) => {
                matches!(reason, Disconnect::Quit)
            }
            (Ending::Tor, Disconnect::Closed) => tor_ending == Some(TorEnding::Owned),
            (Ending::Tor | Ending::Relay(_) | Ending::RelayAfterBytes, reason) => {
                !matches!(reason, Disconnect::Closed | Disconnect::Quit)
            }
            (_, reason) => matches!(reason, Disconnect::Closed),
        };
        assert!(is_possible, "{:?}, {tor_ending:?}: {reason:?}", self.ending);
        type Call = fn(&Controller) -> Result<(), Error>;
        let calls: [Call; 4] = [
            |c| c.get_info_one("version").map(drop),
            |c| c.queue_command("GETINFO version").map(drop),
            |c| c.add_event_listener(EventKind::Bw, |_| ()).map(drop),
            |c| c.events([EventKind::Bw]).map(drop),
        ];
        for call in calls {
            let error =
                run.watch.call("a call after the end", Duration::ZERO, || call(&controller));
            match error {
                Err(Error::Closed(found)) => assert_eq!(found.to_string(), reason.to_string()),
                outcome => panic!("after {reason:?}: {outcome:?}"),
            }
        }
        self.ends.lock().add_another(&controller);
        run.watch.call("close after the end", PATIENT, || controller.close());
        eventually(LIMIT, "every closure learns of the end", || self.ends.lock().all_called());
    }
}

/// Reloads or stops tor, or neither.
fn disturb(tor: &RealTor, shared: &Shared, random: &mut Random) {
    match random.below(4) {
        0 => {
            shared.was_reloaded.store(true, Ordering::SeqCst);
            tor.hang_up();
        }
        1 => {
            tor.stop();
            thread::sleep(random.millis(1..100));
            tor.cont();
        }
        _ => {}
    }
}

fn end_tor(
    run: &Run,
    tor: &RealTor,
    ending: TorEnding,
    connections: &[Connection],
    random: &mut Random,
) {
    let controller = connections[random.below(connections.len())].handle().expect("it is open");
    // The reply may arrive or not.
    let signal = |signal| drop(run.watch.call("SIGNAL", PATIENT, || controller.signal(signal)));
    match ending {
        TorEnding::Kill => tor.kill(),
        TorEnding::Terminate => tor.terminate(),
        TorEnding::StopAndKill => {
            tor.stop();
            run.pause(random.millis(0..100));
            tor.kill();
        }
        TorEnding::Shutdown => signal(Signal::Shutdown),
        TorEnding::Halt => signal(Signal::Halt),
        TorEnding::Owned => {
            controller.take_ownership().expect("tor is owned");
            run.watch.call("close of an owner", PATIENT, || controller.close());
        }
    }
}

/// Connects again and again, and cancels most attempts.
fn connect_and_cancel(run: &Run, tor: &RealTor, is_over: &AtomicBool, mut random: Random) {
    while !is_over.load(Ordering::SeqCst) {
        let token = CancelToken::new();
        let canceling = token.clone();
        let after = Duration::from_micros(random.next() % 4000);
        let thread = named("cancel", move || {
            thread::sleep(after);
            canceling.cancel();
        });
        let options = ConnectOptions::new().timeout(PATIENT).cancel_token(&token);
        let endpoint = tor.endpoint();
        let connected = run
            .watch
            .call("a canceled attempt to connect", after, || options.connect(endpoint.as_str()));
        match connected {
            Ok(controller) => {
                run.figures.count("further connections");
                if random.below(2) == 0 {
                    run.watch.call("close of a new connection", PATIENT, || controller.close());
                }
            }
            Err(error) if error.is_canceled() => run.figures.count("cancels"),
            Err(Error::Connect(_) | Error::Auth(_)) => {
                run.figures.count("attempts to connect to a tor that ends");
            }
            Err(error) => panic!("{error:?}"),
        }
        thread.join().unwrap();
    }
}
