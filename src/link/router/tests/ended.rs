//! Replies that arrive after another thread has ended the connection.

use super::super::UNEXPECTED_REPLY;
use super::{Connection, refusal};
use crate::error::Disconnect;

/// The bytes that tor or a filter may still send, given the nonce of the probe.
const LATE: [fn(u64) -> String; 4] = [
    |nonce| refusal(nonce),
    |_| "510 Command filtered\r\n".to_owned(),
    |nonce| format!("250 OK\r\n{}", refusal(nonce)),
    |_| "250-x=1\r\n250 OK\r\n".to_owned(),
];

#[test]
fn a_reply_behind_the_end_in_doubt_has_no_owner() {
    for late in LATE {
        let mut connection = Connection::new();
        let (_, nonce) = connection.doubt(|_| ());
        connection.end(&Disconnect::Closed);
        let outcome = connection.feed(late(nonce)).unwrap_err();
        assert_eq!(outcome.to_string(), UNEXPECTED_REPLY.to_string());
        assert_eq!(connection.push_probe(), None);
    }
}

#[test]
fn a_reply_behind_the_end_with_an_owed_probe_has_no_owner() {
    for late in LATE {
        let mut connection = Connection::new();
        let (id, _receiver) = connection.push();
        connection.cancel(id);
        connection.end(&Disconnect::Closed);
        let outcome = connection.feed(late(7)).unwrap_err();
        assert_eq!(outcome.to_string(), UNEXPECTED_REPLY.to_string());
    }
}
