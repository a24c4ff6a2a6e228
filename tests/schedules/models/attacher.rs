//! Models of attachers: two are set and removed, one of them is slow, while streams arrive and the
//! connection ends.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use schedules::{Kept, Scheduler, Socket, check, check_kept, choose, time};

use crate::controller::schedules::{Removal, connect};
use crate::link::schedules::serve;
use crate::state::{Attach, AttacherGuard, AttacherOptions, Circuit, State};
use crate::sync::channel::unbounded;
use crate::sync::{Mutex, thread};

/// The limit of the slow attacher.
const SLOW: Duration = Duration::from_millis(1);

/// A tor with one built circuit.
#[derive(Default)]
struct Tor {
    leaves_streams: bool,
    /// Whether each stream waits for a controller.
    waits: BTreeMap<u32, bool>,
}

impl Tor {
    /// Sends a text, in the order of what it says.
    fn send(&mut self, mut socket: &Socket, text: impl FnOnce(&mut Self) -> String) {
        let text = text(self);
        // The connection may have ended.
        let _ = socket.write_all(text.as_bytes());
    }

    /// Opens a stream for an application, and returns its events.
    fn open(&mut self) -> String {
        let id = u32::try_from(self.waits.len()).unwrap() + 1;
        self.waits.insert(id, self.leaves_streams);
        let target = "a.example:80";
        let next = if self.leaves_streams { "CONTROLLER_WAIT 0" } else { "SENTCONNECT 7" };
        format!(
            "650 STREAM {id} NEW 0 {target} SOURCE_ADDR=127.0.0.1:{id} PURPOSE=USER\r\n\
             650 STREAM {id} {next} {target}\r\n"
        )
    }

    fn answer(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        match &words[..] {
            ["GETINFO", keys @ ..] => {
                let value = |key: &str| match key {
                    "circuit-status" => "7 BUILT $E8F7~x,$0A9C~y PURPOSE=GENERAL",
                    _ => "",
                };
                let lines = keys.iter().map(|key| format!("250-{key}={}\r\n", value(key)));
                lines.collect::<String>() + "250 OK\r\n"
            }
            ["GETCONF", option] => format!("250 {option}={}\r\n", u8::from(self.leaves_streams)),
            ["SETCONF", setting] => {
                let is_on = setting.ends_with('1');
                if is_on == self.leaves_streams {
                    return "250 OK\r\n".to_owned();
                }
                // An application opens a stream while the option is on. tor delays no reply.
                let before = if is_on { String::new() } else { self.open() };
                self.leaves_streams = is_on;
                let after = if is_on { self.open() } else { String::new() };
                let (option, value) = setting.split_once('=').unwrap();
                let changed = format!("650-CONF_CHANGED\r\n650-{option}={value}\r\n650 OK\r\n");
                format!("250 OK\r\n{before}{changed}{after}")
            }
            ["ATTACHSTREAM", id, circuit] => {
                let id = id.parse().unwrap();
                match self.waits.insert(id, false) {
                    Some(true) => {
                        format!("250 OK\r\n650 STREAM {id} SENTCONNECT {circuit} a.example:80\r\n")
                    }
                    _ => "555 Connection is not managed by controller.\r\n".to_owned(),
                }
            }
            _ => "250 OK\r\n".to_owned(),
        }
    }
}

/// An attacher that is not called after its removal.
struct Checked {
    guard: AttacherGuard,
    removal: Removal,
}

impl Checked {
    fn set(
        state: &State,
        options: AttacherOptions,
        choose: impl Fn(&[Circuit]) -> Attach + Send + 'static,
    ) -> Option<Self> {
        let removal = Removal::default();
        let called = removal.clone();
        let attacher = move |_: &_, circuits: &[_]| {
            called.call();
            choose(circuits)
        };
        match options.set(state, attacher) {
            Ok(guard) => Some(Self { guard, removal }),
            Err(error) => {
                assert!(error.is_closed(), "{error}");
                None
            }
        }
    }

    fn remove(self) -> Removal {
        drop(self.guard);
        self.removal.set();
        self.removal
    }
}

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// After the removal of the attachers.
    Last,
    ByTor,
    ByProgram,
    /// By as many other threads of the program, at any moment.
    ByThreads(usize),
}

fn attachers(ending: Ending) {
    time::set_short(2 * SLOW);
    let (controller, socket) = connect();
    let tor = Arc::new(Mutex::new(Tor::default()));
    let (sender, attached) = unbounded();
    let server = {
        let (socket, tor) = (Arc::clone(&socket), Arc::clone(&tor));
        thread::spawn(move || {
            serve(&socket, |line| {
                tor.lock().send(&socket, |tor| tor.answer(line));
                if line.starts_with("ATTACHSTREAM") {
                    let _ = sender.send(());
                }
                Some(String::new())
            });
        })
    };
    let state = State::new(&controller).unwrap();
    let application = {
        let (socket, tor) = (Arc::clone(&socket), Arc::clone(&tor));
        thread::spawn(move || {
            (0..choose(100)).for_each(|_| thread::yield_now());
            tor.lock().send(&socket, Tor::open);
            if ending == Ending::ByTor {
                let _ = socket.shutdown(Shutdown::Both);
            }
        })
    };
    let closer = || {
        let controller = controller.clone();
        thread::spawn(move || {
            (0..choose(300)).for_each(|_| thread::yield_now());
            controller.close();
        })
    };
    let closers = if let Ending::ByThreads(closers) = ending { closers } else { 0 };
    let closers: Vec<_> = (0..closers).map(|_| closer()).collect();
    let slow = {
        let state = state.clone();
        thread::spawn(move || {
            let options = AttacherOptions::new().priority(1).limit(SLOW);
            Checked::set(&state, options, |_| Attach::Pass).map(Checked::remove)
        })
    };
    let to_first = |circuits: &[Circuit]| Attach::To(circuits[0].clone());
    let first = Checked::set(&state, AttacherOptions::new(), to_first);
    // A stream is attached before the removal, unless the connection ends.
    let _ = attached.recv();
    closers.into_iter().for_each(|closer| closer.join().unwrap());
    let slow = slow.join().unwrap();
    if ending == Ending::ByProgram {
        controller.close();
    }
    let removed = [first.map(Checked::remove), slow];
    application.join().unwrap();
    drop(state);
    // tor has executed every command before this one.
    let is_open = controller.get_info_one("version").is_ok();
    assert!(is_open || ending != Ending::Last);
    drop(controller);
    server.join().unwrap();
    removed.iter().flatten().for_each(Removal::check);
    let tor = tor.lock();
    if ending != Ending::ByTor {
        assert!(!tor.leaves_streams, "the option was not restored");
        assert!(!tor.waits.values().any(|waits| *waits), "a stream waits: {:?}", tor.waits);
    }
}

fn removed_at_the_end() {
    attachers([Ending::Last, Ending::ByTor, Ending::ByProgram][choose(3)]);
}

fn closed_at_any_moment() {
    attachers(Ending::ByThreads(1));
}

fn closed_by_two_threads() {
    attachers(Ending::ByThreads(2));
}

#[test]
fn every_stream_is_attached_and_the_option_is_restored() {
    check(removed_at_the_end);
}

#[test]
fn a_close_at_any_moment_restores_the_option() {
    check(closed_at_any_moment);
}

#[test]
fn closes_by_two_threads_restore_the_option() {
    check(closed_by_two_threads);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(removed_at_the_end, &[Kept(Scheduler::Random, 1, 126)]);
    check_kept(closed_at_any_moment, &[Kept(Scheduler::Random, 1, 11)]);
    check_kept(closed_by_two_threads, &[Kept(Scheduler::Random, 1, 2)]);
}
