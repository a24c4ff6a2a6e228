use std::env;
use std::path::Path;

use nix::sys::signal::Signal;
use torcon::onion::{OnionEndpoint, OnionListener, Publication};

use super::{LONG, endpoint, entries, listen, services};
use crate::support::exclusive::exclusive;
use crate::support::program::{End, Program, run_as_program};
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

fn start(test: &str, tor: &RealTor, directory: &Path, end: End) -> Program {
    Program::start(&format!("onion::programs::{test}"), end, &tor.endpoint(), directory)
}

/// Adds the services in the process of the program, which reports their addresses.
fn is_program(listen: impl Fn(OnionEndpoint, &Path) -> OnionListener, count: usize) -> bool {
    run_as_program(|tor, directory| {
        let endpoint = || OnionEndpoint::system_tor(tor, 80).publication(Publication::None);
        let listeners: Vec<_> = (0..count).map(|_| listen(endpoint(), directory)).collect();
        let addresses = listeners.iter().map(|listener| listener.onion_address().to_string());
        let addresses = addresses.collect();
        (listeners, addresses)
    })
}

#[test]
fn a_program_that_was_killed_starts_again_with_the_same_address() {
    if is_program(|endpoint, directory| listen(endpoint.hidden_service_dir(directory)), 1) {
        return;
    }
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let mut address = None;
    for end in [
        End::Signal(Signal::SIGINT),
        End::Signal(Signal::SIGTERM),
        End::Signal(Signal::SIGKILL),
        End::Exit,
        End::Abort,
    ] {
        let name = "a_program_that_was_killed_starts_again_with_the_same_address";
        let mut program = start(name, &tor, &directory, end);
        let found = program.report();
        assert_eq!(*address.get_or_insert_with(|| found.clone()), found, "{end:?}");
        program.end();
    }
    // The killed program has left its service in tor: one, not five.
    assert_eq!(services(&tor).len(), 2, "{:?}", services(&tor));
    let last = listen(endpoint(&tor).hidden_service_dir(&directory));
    assert_eq!(vec![last.onion_address().to_string()], address.unwrap());
    last.close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}

#[test]
fn temporary_directories_of_killed_programs_are_removed_by_the_next() {
    if is_program(|endpoint, _| listen(endpoint.temporary_dir()), 1) {
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
            let mut program = start(name, &tor, &place, End::Signal(Signal::SIGKILL));
            program.report();
            program.end();
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
    if is_program(|endpoint, _| listen(endpoint.temporary_dir()), 15) {
        return;
    }
    let tor = RealTor::start();
    let places = ["one", "two"].map(|name| tor.directory().join(name));
    for _ in 0..5 {
        let mut programs = places.each_ref().map(|place| {
            start("two_programs_do_not_lose_each_others_services", &tor, place, End::Return)
        });
        let addresses = programs.each_mut().map(Program::report);
        let count = || services(&tor).iter().filter(|l| l.starts_with("HiddenServiceDir=")).count();
        eventually(LONG, "tor has all services", || count() == 30);
        assert_eq!(addresses.concat().len(), 30);
        programs.into_iter().for_each(Program::end);
        eventually(LONG, "tor has no service", || count() == 0);
    }
}
