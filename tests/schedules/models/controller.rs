//! Models of a controller: threads change its set of events while events arrive.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schedules::{Kept, Scheduler, Socket, chance, check, check_kept};

use super::Controller;
use crate::command::{Command, GetProtocolInfo};
use crate::error::Result;
use crate::event::EventKind;
use crate::link::schedules::{LIMIT, link, serve};
use crate::sync::channel::bounded;
use crate::sync::{Mutex, thread};
use crate::wire::Reply;

const INFO: &[u8] = b"250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                      250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";

/// Returns a controller, and tor's end of its connection.
pub(crate) fn connect() -> (Controller, Arc<Socket>) {
    let (link, socket) = link(1 << 10);
    let info = GetProtocolInfo::new().reply(Reply::parse(INFO.into()).unwrap()).unwrap();
    let endpoint = "127.0.0.1:9051".parse().unwrap();
    (Controller::new(link, endpoint, None, info, None, LIMIT, 1 << 12), Arc::new(socket))
}

/// The events of a tor.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) kinds: Vec<String>,
    /// Those that were sent, each with another number.
    pub(crate) sent: Vec<String>,
}

impl Events {
    /// Returns those of one kind that were sent.
    pub(crate) fn of(&self, kind: &str) -> Vec<String> {
        self.sent.iter().filter(|text| text.starts_with(kind)).cloned().collect()
    }

    /// Answers a command: `SETEVENTS` is followed by two events of each kind.
    fn answer(&mut self, line: &str, first: usize) -> String {
        let Some(kinds) = line.strip_prefix("SETEVENTS") else {
            return "250-version=0.4.9.11\r\n250 OK\r\n".to_owned();
        };
        self.kinds = kinds.split_whitespace().map(str::to_owned).collect();
        let mut answer = "250 OK\r\n".to_owned();
        for kind in self.kinds.iter().chain(&self.kinds) {
            let number = first + self.sent.len();
            let text = match kind.as_str() {
                "BW" => format!("BW {number} 0"),
                "CIRC" => format!("CIRC {number} LAUNCHED"),
                _ => format!("STREAM {number} NEW 0 a.example:80"),
            };
            answer += &format!("650 {text}\r\n");
            self.sent.push(text);
        }
        answer
    }
}

/// Starts a tor whose events have numbers from `first` on.
pub(crate) fn start_tor(
    socket: &Arc<Socket>,
    first: usize,
) -> (Arc<std::sync::Mutex<Events>>, thread::JoinHandle<()>) {
    // A lock of `std` is no step of the model.
    let events = Arc::new(std::sync::Mutex::new(Events::default()));
    let (socket, shared) = (Arc::clone(socket), Arc::clone(&events));
    let tor = thread::spawn(move || {
        serve(&socket, |line| Some(shared.lock().unwrap().answer(line, first)));
    });
    (events, tor)
}

/// Records whether a closure is called after its removal. A panic of the closure would be caught.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removal(Arc<(AtomicBool, AtomicBool)>);

impl Removal {
    /// The closure is called.
    pub(crate) fn call(&self) {
        let (is_removed, was_called) = &*self.0;
        was_called.fetch_or(is_removed.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The closure was removed.
    pub(crate) fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn check(&self) {
        assert!(!self.0.1.load(Ordering::SeqCst), "a removed closure was called");
    }
}

/// Adds a listener that stays, one that is removed, and a queue that is dropped, each of another kind.
fn subscriptions() {
    let (controller, socket) = connect();
    let (events, tor) = start_tor(&socket, 1);
    let (received, removal) = (Arc::new(Mutex::new(Vec::new())), Removal::default());
    let changes: [Box<dyn FnOnce(&Controller) -> Result<()> + Send>; 3] = [
        {
            let received = Arc::clone(&received);
            Box::new(move |controller| {
                let receive = move |event: &_| received.lock().push(format!("{event}"));
                controller.add_text_listener(EventKind::Bw, receive).map(drop)
            })
        },
        {
            let removal = removal.clone();
            Box::new(move |controller| {
                let called = removal.clone();
                let id = controller.add_text_listener(EventKind::Circ, move |_| called.call())?;
                controller.remove_event_listener(id)?;
                removal.set();
                Ok(())
            })
        },
        Box::new(|controller| {
            let queue = controller.events(EventKind::Stream)?;
            // The event behind the reply.
            if chance(2) {
                queue.recv()?;
            }
            Ok(())
        }),
    ];
    let changes = changes.map(|change| {
        let controller = controller.clone();
        thread::spawn(move || change(&controller).unwrap())
    });
    for change in changes {
        change.join().unwrap();
    }
    let (called, callbacks) = bounded(1);
    controller.on_disconnect(move |_| called.send(()).unwrap());
    assert_eq!(controller.subscribed_events(), [EventKind::Bw]);
    // tor has executed every command before this one.
    controller.get_info_one("version").unwrap();
    socket.shutdown(Shutdown::Both).unwrap();
    callbacks.recv().unwrap();
    tor.join().unwrap();
    let events = events.lock().unwrap();
    assert_eq!(events.kinds, ["BW"], "tor has another set");
    assert_eq!(*received.lock(), events.of("BW"));
    removal.check();
}

#[test]
fn tor_has_the_set_of_the_closures_which_get_every_event_until_their_removal() {
    check(subscriptions);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(subscriptions, &[Kept(Scheduler::Random, 1, 116)]);
}
