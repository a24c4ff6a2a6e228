use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Sink, Subscription};
use crate::clock::deadline_after;
use crate::controller::Controller;
use crate::error::Error;
use crate::link::EventBatch;
use crate::sync::Mutex;

const LIMIT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Markers(Mutex<usize>);

impl Sink for Markers {
    fn events(&self, _batch: &EventBatch<'_>) {}

    fn reconnected(&self, _gap: Duration) -> bool {
        *self.0.lock() += 1;
        true
    }

    fn end(&self, _reason: &Error) {}
}

/// Connects to a control port that answers two commands and then waits for the end.
fn connection() -> Controller {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap();
    let tor = thread::Builder::new().name("fake-tor".to_owned()).spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let info = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                    250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";
        for reply in [info, "250 OK\r\n"] {
            lines.next().unwrap().unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
        }
        // An error or the end.
        let _ = lines.next();
    });
    let controller = crate::controller::connect(endpoint).unwrap();
    drop(tor);
    controller
}

#[test]
fn a_new_connection_has_its_marker_also_if_the_end_of_the_former_is_reported_later() {
    let markers = Arc::new(Markers::default());
    let sink: Arc<dyn Sink> = markers.clone();
    let subscription = Subscription::new([].into(), sink);
    let connections = [connection(), connection(), connection()];
    for (generation, controller) in (1..).zip(&connections) {
        subscription.connect(controller, generation, deadline_after(LIMIT)).unwrap();
        // The same connection again changes nothing.
        subscription.connect(controller, generation, deadline_after(LIMIT)).unwrap();
    }
    assert_eq!(*markers.0.lock(), 2);
    connections.iter().for_each(Controller::hang_up);
    assert_eq!(*markers.0.lock(), 2);
    subscription.end();
    subscription.connect(&connection(), 9, deadline_after(LIMIT)).unwrap();
    assert_eq!(*markers.0.lock(), 2, "the subscription has ended");
}
