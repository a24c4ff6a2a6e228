//! A model of a restore: the connection is lost while closures are added and removed.

use std::net::Shutdown;
use std::sync::Arc;

use schedules::{Kept, Scheduler, chance, check, check_kept, choose};

use crate::clock::deadline_after;
use crate::controller::schedules::{Removal, connect, start_tor};
use crate::error::Error;
use crate::event::{Event, EventKind};
use crate::link::schedules::LIMIT;
use crate::supervisor::keeper::Keeper;
use crate::supervisor::shared::{Shared, stopped};
use crate::supervisor::source::Source;
use crate::supervisor::{Supervisor, SupervisorOptions, SupervisorStatus};
use crate::sync::channel::unbounded;
use crate::sync::{Mutex, thread};
use crate::tor::Tor;

/// Returns the number of an event; `None` for the marker of a new connection.
fn number(event: &Event) -> Option<usize> {
    match event {
        Event::Reconnected { .. } => None,
        event => event.to_string().split(' ').nth(1).unwrap().parse().ok(),
    }
}

/// Starts a supervisor whose tors are reached by these connections.
fn supervisor(tors: Vec<Tor>) -> Supervisor {
    let shared = Arc::new(Shared::new(SupervisorOptions::new(), 1 << 16));
    let source = Source::Connect { endpoints: Vec::new(), options: Box::default() };
    let mut keeper = Keeper::new(Arc::clone(&shared), source);
    let thread = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let ended = tors.into_iter().find_map(|tor| keeper.keep(tor).err());
            keeper.end(ended.unwrap_or_else(stopped));
            shared.set_done();
        })
    };
    let thread_id = thread.thread().id();
    let thread = Mutex::new(Some(thread));
    Supervisor { shared, launches: false, thread, thread_id, _cancel: None }
}

/// The events of the second connection have numbers from this on.
const SECOND: usize = 100;

fn restore() {
    let [(first, first_socket), (second, second_socket)] = [connect(), connect()];
    let (former, controller) = (first.clone(), second.clone());
    let supervisor = Arc::new(supervisor(vec![Tor::from(first), Tor::from(second)]));
    let (_, first_tor) = start_tor(&first_socket, 1);
    let (events, second_tor) = start_tor(&second_socket, SECOND);
    let cut = thread::spawn(move || {
        (0..choose(50)).for_each(|_| thread::yield_now());
        match chance(2) {
            true => former.hang_up(),
            false => first_socket.shutdown(Shutdown::Both).unwrap(),
        }
    });
    let (sender, received) = unbounded();
    let stays = {
        let supervisor = Arc::clone(&supervisor);
        thread::spawn(move || {
            let receive = move |event: &Event| sender.send(number(event)).unwrap();
            supervisor.add_event_listener(EventKind::Bw, receive).unwrap();
        })
    };
    let removal = Removal::default();
    let leaves = {
        let supervisor = Arc::clone(&supervisor);
        thread::spawn(move || {
            let called = removal.clone();
            let receive = move |_: &Event| called.call();
            let id = supervisor.add_event_listener(EventKind::Circ, receive).unwrap();
            supervisor.remove_event_listener(id).unwrap();
            removal.set();
            removal
        })
    };
    let queue = supervisor.events(EventKind::Stream).unwrap();
    let is_up =
        |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { generation: 2, .. });
    supervisor.shared.wait_status(deadline_after(LIMIT), LIMIT, is_up).unwrap();
    stays.join().unwrap();
    let removal = leaves.join().unwrap();
    // tor has executed every command before this one.
    controller.get_info_one("version").unwrap();
    assert_eq!(events.lock().unwrap().kinds, ["BW", "STREAM"], "tor has another set");
    let of_second = |number: &Option<usize>| number.is_some_and(|number| number >= SECOND);
    let heard: Vec<_> = received.iter().take_while(|number| !of_second(number)).collect();
    let mut queued = Vec::new();
    while !queued.last().is_some_and(of_second) {
        queued.push(number(&queue.recv().unwrap()));
    }
    supervisor.stop();
    assert!(received.iter().all(|number| of_second(&number)), "the closure is dropped");
    let ending = loop {
        match queue.recv() {
            Ok(event) => queued.push(number(&event)),
            Err(error) => break error,
        }
    };
    assert!(matches!(ending, Error::Supervisor(_)), "{ending}");
    cut.join().unwrap();
    removal.check();
    first_tor.join().unwrap();
    second_tor.join().unwrap();
    let (former, next) = queued.split_at(queued.iter().position(of_second).unwrap());
    for former in [&heard, former] {
        let (marker, former) =
            former.split_last().map_or((None, former), |(last, former)| (Some(last), former));
        // Without an event there is a marker only if tor had accepted the subscription.
        assert!(marker.is_none_or(Option::is_none) && former.is_sorted());
        assert!(former.iter().all(Option::is_some), "two markers");
    }
    let sent: Vec<_> = events.lock().unwrap().of("STREAM");
    let sent = sent.iter().map(|text| text.split(' ').nth(1).unwrap().parse().ok());
    assert_eq!(next, sent.take(next.len()).collect::<Vec<_>>());
}

#[test]
fn everything_is_restored_once_and_told_at_the_end() {
    check(restore);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(restore, &[Kept(Scheduler::Random, 1, 73)]);
}
