use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use torcon::onion::{OnionEndpoint, OnionListener, Publication};

use super::{LONG, endpoint, entries, listen, services};
use crate::support::exclusive::{exclusive, this_program};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// What a program is to do, on which tor, with which directory, and what it writes when it is done.
const END: &str = "TORCON_TEST_ONION_END";
const TOR: &str = "TORCON_TEST_ONION_TOR";
const DIRECTORY: &str = "TORCON_TEST_ONION_DIRECTORY";

/// A program with services: this test again, in another process.
struct Program {
    child: Child,
    directory: PathBuf,
}

impl Program {
    fn start(test: &str, tor: &RealTor, directory: &Path, end: &str) -> Self {
        let child = this_program()
            .args(["--exact", &format!("onion::programs::{test}"), "--nocapture"])
            .env(END, end)
            .env(TOR, tor.endpoint())
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, directory: directory.to_owned() }
    }

    /// Waits until the services are there and returns their addresses.
    fn addresses(&self) -> Vec<String> {
        let file = self.directory.with_extension("done");
        eventually(LONG, "the program has its services", || file.exists());
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(file).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn end(mut self, signal: Option<Signal>) {
        if let Some(signal) = signal {
            kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
        }
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Plays the program if this process is to be one.
fn play(make: impl FnOnce(OnionEndpoint, &Path) -> Vec<OnionListener>) -> bool {
    let [Some(end), Some(tor), Some(directory)] = [END, TOR, DIRECTORY].map(env::var_os) else {
        return false;
    };
    let directory = PathBuf::from(directory);
    let tor = tor.into_string().unwrap();
    let endpoint = OnionEndpoint::system_tor(tor.as_str(), 80).publication(Publication::None);
    let listeners = make(endpoint, &directory);
    let addresses: Vec<_> =
        listeners.iter().map(|listener| listener.onion_address().to_string()).collect();
    let partial = directory.with_extension("partial");
    fs::write(&partial, addresses.join("\n")).unwrap();
    fs::rename(&partial, directory.with_extension("done")).unwrap();
    match end.to_str().unwrap() {
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        // Until the other end of the pipe is closed, or a signal comes.
        _ => drop(std::io::read_to_string(std::io::stdin())),
    }
    drop(listeners);
    true
}

#[test]
fn a_program_that_was_killed_starts_again_with_the_same_address() {
    let make = |endpoint: OnionEndpoint, directory: &Path| {
        vec![listen(endpoint.hidden_service_dir(directory))]
    };
    if play(make) {
        return;
    }
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let mut address = None;
    for (end, signal) in [
        ("", Some(Signal::SIGINT)),
        ("", Some(Signal::SIGTERM)),
        ("", Some(Signal::SIGKILL)),
        ("exit", None),
        ("abort", None),
    ] {
        let name = "a_program_that_was_killed_starts_again_with_the_same_address";
        let program = Program::start(name, &tor, &directory, end);
        let found = program.addresses();
        assert_eq!(*address.get_or_insert_with(|| found.clone()), found, "{end} {signal:?}");
        program.end(signal);
    }
    // One that is over has left its service in tor; there is one, not five.
    assert_eq!(services(&tor).len(), 2, "{:?}", services(&tor));
    let last = listen(endpoint(&tor).hidden_service_dir(&directory));
    assert_eq!(vec![last.onion_address().to_string()], address.unwrap());
    last.close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}

#[test]
fn temporary_directories_of_killed_programs_are_removed_by_the_next() {
    let make = |endpoint: OnionEndpoint, _: &Path| vec![listen(endpoint.temporary_dir())];
    if play(make) {
        return;
    }
    exclusive(|| {
        let tor = RealTor::start();
        let left = || {
            let entries = entries(&env::temp_dir());
            entries.into_iter().filter(|name| name.starts_with("torcon-onion-")).count()
        };
        let place = tor.directory().join("service");
        for _ in 0..3 {
            let name = "temporary_directories_of_killed_programs_are_removed_by_the_next";
            let program = Program::start(name, &tor, &place, "");
            program.addresses();
            program.end(Some(Signal::SIGKILL));
            assert_eq!(left(), 1);
        }
        let last = listen(endpoint(&tor).temporary_dir());
        assert_eq!(left(), 1);
        drop(last);
        assert_eq!(left(), 0);
    });
}

#[test]
fn two_programs_do_not_lose_each_others_services() {
    let make = |endpoint: OnionEndpoint, _: &Path| {
        drop(endpoint);
        let tor = env::var(TOR).unwrap();
        let make = || {
            let endpoint = OnionEndpoint::system_tor(tor.as_str(), 80);
            listen(endpoint.temporary_dir().publication(Publication::None))
        };
        (0..15).map(|_| make()).collect()
    };
    if play(make) {
        return;
    }
    let tor = RealTor::start();
    let places = ["one", "two"].map(|name| tor.directory().join(name));
    for _ in 0..5 {
        let programs = places.each_ref().map(|place| {
            Program::start("two_programs_do_not_lose_each_others_services", &tor, place, "")
        });
        let addresses = programs.each_ref().map(Program::addresses);
        let count = || services(&tor).iter().filter(|l| l.starts_with("HiddenServiceDir=")).count();
        eventually(LONG, "all services are there", || count() == 30);
        assert_eq!(addresses.concat().len(), 30);
        for mut program in programs {
            program.child.stdin.as_mut().unwrap().flush().unwrap();
            program.end(None);
        }
        eventually(LONG, "no service is there", || count() == 0);
    }
}
