use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::unbounded;
use nix::sys::signal::{Signal, kill};
use parking_lot::Mutex;
use torcon::names::{CircuitPurpose, Fingerprint, StreamStatus};
use torcon::socks::SocksProxy;
use torcon::state::{Attach, Circuit, CircuitChange, State, StreamChange};
use torcon::supervisor::SupervisorStatus;
use torcon::{ConnectOptions, Controller, Error, Event, EventKind, Launcher, Supervisor};

use super::{LIMIT, options, pid, wait_up};
use crate::support::exclusive::exclusive;
use crate::support::leaks::threads;
use crate::support::named_thread::named;
use crate::support::watchdog::eventually;
use crate::testnet::echo_server::{EchoServer, is_greeted};
use crate::testnet::retry::retried;
use crate::testnet::{join, shared_network};

/// The place of an update in the life of a circuit or stream.
enum Turn {
    Begin,
    Goes,
    End,
    Lost,
}

/// Follows circuits or streams by the updates of a listener.
struct Follower<Id> {
    /// Those that have begun and not ended.
    open: HashSet<Id>,
    /// Everything is being lost.
    is_losing: bool,
    lost: usize,
    /// Updates that do not fit those before them.
    misplaced: Vec<String>,
}

impl<Id: Eq + Hash + Copy + Debug> Follower<Id> {
    fn new() -> Arc<Mutex<Self>> {
        let (open, misplaced) = (HashSet::new(), Vec::new());
        Arc::new(Mutex::new(Self { open, is_losing: false, lost: 0, misplaced }))
    }

    fn update(&mut self, id: Id, turn: &Turn, change: &dyn Debug) {
        let is_right = match turn {
            // The next tor begins when all of the former one is lost.
            Turn::Begin => {
                let is_first = std::mem::take(&mut self.is_losing);
                (!is_first || self.open.is_empty()) && self.open.insert(id)
            }
            Turn::Goes => !self.is_losing && self.open.contains(&id),
            Turn::End => !self.is_losing && self.open.remove(&id),
            Turn::Lost => {
                self.is_losing = true;
                self.lost += 1;
                self.open.remove(&id)
            }
        };
        if !is_right {
            self.misplaced.push(format!("{id:?} {change:?}"));
        }
    }
}

fn supervised() -> Supervisor {
    let launcher = Launcher::new()
        .network(shared_network())
        .option("SocksPort", "127.0.0.1:auto")
        .timeout(LIMIT);
    options().launch(launcher).unwrap()
}

/// Builds a circuit by three relays for this program.
#[track_caller]
fn built(state: &State) -> Circuit {
    let relays = shared_network().relays();
    let path: Vec<Fingerprint> = relays[1..4].iter().map(|relay| relay.fingerprint).collect();
    retried(&state.controller(), "a circuit is built", || {
        let circuit = state.build_circuit_for(&path, CircuitPurpose::Controller);
        let built = circuit.and_then(|circuit| circuit.wait_built(LIMIT));
        built.map_err(|error| format!("{error:?}"))
    })
}

/// Connects to the server as an application does, and talks to it.
#[track_caller]
fn visit(controller: &Controller, server: &EchoServer, name: &str) {
    let listeners = controller.get_info_one("net/listeners/socks").unwrap();
    let proxy = SocksProxy::new(listeners.trim_matches('"')).unwrap().timeout(LIMIT);
    let stream = retried(controller, "the server is reached", || {
        proxy.clone().connect(&*server.target(name)).map_err(|error| error.to_string())
    });
    is_greeted(stream, name);
}

#[test]
fn a_state_goes_on_with_each_tor_and_tells_every_end_once() {
    const ROUNDS: u64 = 4;
    exclusive(|| {
        let server = EchoServer::start();
        let supervisor = supervised();
        supervisor.wait_tor(LIMIT).unwrap();
        let state = supervisor.state().unwrap();
        let circuits = Follower::new();
        let follower = Arc::clone(&circuits);
        let follow = move |update: &torcon::state::CircuitUpdate| {
            let turn = match update.change {
                CircuitChange::Existing | CircuitChange::New => Turn::Begin,
                CircuitChange::Closed | CircuitChange::Failed => Turn::End,
                CircuitChange::Lost => Turn::Lost,
                _ => Turn::Goes,
            };
            follower.lock().update(update.info.id(), &turn, &update.change);
        };
        state.on_circuit(follow).unwrap();
        let streams = Follower::new();
        let follower = Arc::clone(&streams);
        let follow = move |update: &torcon::state::StreamUpdate| {
            let turn = match update.change {
                StreamChange::Existing | StreamChange::New => Turn::Begin,
                StreamChange::Closed => Turn::End,
                StreamChange::Lost => Turn::Lost,
                _ => Turn::Goes,
            };
            follower.lock().update(update.info.id(), &turn, &update.change);
        };
        state.on_stream(follow).unwrap();
        let (asked, questions) = unbounded();
        let attacher = state.set_attacher(move |stream, circuits| {
            asked.send(stream.target().host().to_owned()).unwrap();
            let is_own = |circuit: &&Circuit| circuit.purpose() == Some(CircuitPurpose::Controller);
            circuits.iter().find(is_own).cloned().map_or(Attach::Tor, Attach::To)
        });
        let attacher = attacher.unwrap();
        let mut first_threads = Vec::new();
        let mut former: Option<Circuit> = None;
        for round in 1..=ROUNDS {
            let status = wait_up(&supervisor, round);
            let SupervisorStatus::Up { unrestored, .. } = status else { panic!("{status:?}") };
            assert!(unrestored.is_empty(), "{unrestored:?}");
            let tor = supervisor.tor().unwrap();
            assert!(attacher.is_active());
            assert_eq!(state.controller().version(), tor.controller().version());
            if let Some(former) = former {
                assert!(matches!(former.wait_built(LIMIT), Err(Error::Closed(_))));
                assert!(matches!(former.close(), Err(Error::Closed(_))));
                assert!(state.circuit(&former.id()).is_none_or(|present| present != former));
            }
            let circuit = built(&state);
            let (seen, changes) = unbounded();
            circuit.on_update(move |update| seen.send(update.change.clone()).unwrap()).unwrap();
            let name = format!("round{round}");
            visit(tor.controller(), &server, &name);
            assert!(questions.try_iter().any(|host| host.starts_with(&name)));
            if round == 1 {
                first_threads = threads("torcon-");
            }
            let open = circuit.connect_stream(server.target("open")).unwrap();
            is_greeted(&open, "open");
            assert!(!circuit.streams().is_empty());
            let pid = pid(&tor);
            drop(tor);
            kill(pid, Signal::SIGKILL).unwrap();
            // The channel ends: the closure is dropped.
            let changes: Vec<_> = changes.iter().collect();
            assert_eq!(changes.last(), Some(&CircuitChange::Lost), "{changes:?}");
            assert!(circuit.streams().is_empty());
            former = Some(circuit);
            let lost = usize::try_from(round).unwrap();
            eventually(LIMIT, "the stream is lost", || streams.lock().lost >= lost);
        }
        drop(former);
        supervisor.wait_tor(LIMIT).unwrap();
        eventually(LIMIT, "the listener is up to date", || {
            let circuits = circuits.lock().open.clone();
            circuits == state.circuits().iter().map(Circuit::id).collect()
        });
        eventually(LIMIT, "there are no more threads than before", || {
            threads("torcon-") == first_threads
        });
        supervisor.stop();
        eventually(LIMIT, "the listeners have ended", || Arc::strong_count(&circuits) == 1);
        for misplaced in [&circuits.lock().misplaced, &streams.lock().misplaced] {
            assert!(misplaced.is_empty(), "{misplaced:?}");
        }
        assert!(circuits.lock().open.is_empty() && streams.lock().open.is_empty());
        assert!(!attacher.is_active() && state.circuits().is_empty());
        assert!(matches!(state.on_circuit(|_| {}), Err(Error::Closed(_))));
        drop((attacher, state));
        eventually(LIMIT, "no thread is left", || {
            threads("torcon-").iter().all(|name| !name.starts_with("torcon-state"))
        });
    });
}

/// A socket in front of a control port, whose connections can be cut.
struct CutProxy {
    path: std::path::PathBuf,
    is_open: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
    sockets: Arc<Mutex<Vec<UnixStream>>>,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl CutProxy {
    fn before(controller: &Controller) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = UnixListener::bind(&path).unwrap();
        let endpoint = controller.endpoint().to_string();
        let (is_open, ending) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let sockets: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let (open, over, all) = (Arc::clone(&is_open), Arc::clone(&ending), Arc::clone(&sockets));
        let accept = move || {
            for client in listener.incoming().map(Result::unwrap) {
                if over.load(Ordering::Acquire) {
                    return;
                }
                if open.load(Ordering::Acquire) {
                    let tor = Path::new(endpoint.strip_prefix("unix:").unwrap());
                    let tor = UnixStream::connect(tor).unwrap();
                    relay(&client, &tor);
                    relay(&tor, &client);
                    all.lock().extend([client, tor]);
                }
            }
        };
        let thread = Some(named("cut proxy", accept));
        Self { path, is_open, ending, sockets, thread, _directory: directory }
    }

    /// Cuts the connections, and refuses others until [`open`](Self::open).
    fn cut(&self) {
        self.is_open.store(false, Ordering::Release);
        for socket in self.sockets.lock().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.cut();
        self.ending.store(true, Ordering::Release);
        drop(UnixStream::connect(&self.path));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn relay(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    named("cut proxy relay", move || drop(io::copy(&mut from, &mut to)));
}

#[test]
fn streams_that_wait_while_the_connection_is_cut_are_left_to_the_attacher_of_before() {
    let server = EchoServer::start();
    let tor = join();
    let observer = tor.controller().unwrap();
    let proxy = CutProxy::before(observer);
    let endpoint = format!("unix:{}", proxy.path.display());
    let supervisor = Supervisor::connect([endpoint.as_str()], ConnectOptions::new()).unwrap();
    supervisor.wait_tor(LIMIT).unwrap();
    let state = supervisor.state().unwrap();
    let (asked, questions) = unbounded();
    let attacher = state.set_attacher(move |stream, _| {
        asked.send(stream.target().host().to_owned()).unwrap();
        Attach::Tor
    });
    let attacher = attacher.unwrap();
    visit(observer, &server, "before");
    assert!(questions.try_iter().any(|host| host == "before.test"));
    for round in 0..2 {
        proxy.cut();
        eventually(LIMIT, "the attacher is inactive", || !attacher.is_active());
        assert_eq!(unattached(observer), "1", "tor has no other order");
        let name = format!("meanwhile{round}");
        let events = observer.events([EventKind::Stream]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| visit(observer, &server, &name));
            let waits = |event: &Event| match event {
                Event::Stream(stream) => stream.status() == StreamStatus::ControllerWait,
                _ => false,
            };
            assert!(events.timeout_iter(LIMIT).any(|event| waits(&event)));
            proxy.open();
        });
        assert!(questions.try_iter().any(|host| host.starts_with(&name)));
        assert!(attacher.is_active());
    }
    drop(attacher);
    assert_eq!(unattached(observer), "0");
    visit(observer, &server, "after");
}

fn unattached(controller: &Controller) -> String {
    let option = "__LeaveStreamsUnattached";
    controller.get_conf([option]).unwrap().get(option).unwrap().first().unwrap().to_owned()
}
