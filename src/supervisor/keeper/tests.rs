use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::controller::ConnectOptions;
use crate::error::Error;
use crate::supervisor::{SupervisorOptions, SupervisorStatus};
use crate::sync::channel::unbounded;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers the commands of a client until it ends the connection; of `GETCONF` at most `queries`.
fn serve(stream: TcpStream, mut queries: usize) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let reply = match line.split(' ').next() {
            Some("PROTOCOLINFO") => {
                "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n\
                 250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"
            }
            Some("GETCONF") => match queries.checked_sub(1) {
                Some(left) => {
                    queries = left;
                    "250 NumEntryGuards=1\r\n"
                }
                None => continue,
            },
            _ => "250 OK\r\n",
        };
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_tor_that_does_not_answer_a_check_is_left_for_another_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let tor = thread::Builder::new().name("fake-tor".to_owned()).spawn(move || {
        for queries in [2, usize::MAX] {
            let (stream, _) = listener.accept().unwrap();
            serve(stream, queries);
        }
    });
    let mut options = SupervisorOptions::new().check_interval(Duration::ZERO);
    options.restore_limit = Duration::from_millis(500);
    let supervisor = options.connect([endpoint.as_str()], ConnectOptions::new()).unwrap();
    supervisor.set_conf([("NumEntryGuards", "1")]).unwrap();
    let (sender, statuses) = unbounded();
    supervisor.on_status(move |status| drop(sender.send(status.clone()))).unwrap();
    let reason = loop {
        let status = statuses.recv_timeout(LIMIT).unwrap();
        if let SupervisorStatus::Connecting { last_error: Some(reason), .. } = status {
            break reason;
        }
    };
    assert!(matches!(reason, Error::Timeout(_)), "{reason:?}");
    let is_next =
        |status: &SupervisorStatus| matches!(status, SupervisorStatus::Up { generation: 2, .. });
    supervisor.wait_status(LIMIT, is_next).unwrap();
    drop(supervisor);
    tor.unwrap().join().unwrap();
}

mod generations;
mod limits;
