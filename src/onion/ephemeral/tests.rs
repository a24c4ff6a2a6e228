#![cfg(feature = "testkit")]

use std::thread;
use std::time::{Duration, Instant};

use crate::command::AddOnion;
use crate::names::{OnionKey, OnionPort};
use crate::testkit::FakeTor;

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_address_of_a_given_key_is_derived_while_tor_adds_the_service() {
    let blob = OnionKey::from_seed([7; 32]).reveal_blob();
    let key = OnionKey::from_blob(&blob).unwrap();
    let shared = key.clone();
    let tor = FakeTor::script(move |script| {
        script.greet().expect(&format!("ADD_ONION {blob} Port=80,8080"));
        let until = Instant::now() + LIMIT;
        while !shared.is_address_derived() {
            assert!(Instant::now() < until, "the address is not derived before the reply");
            thread::yield_now();
        }
        script.send(format!("250-ServiceID={}\r\n250 OK\r\n", shared.address().service_id()));
        script.expect_end();
    });
    let controller = tor.controller().with_timeout(2 * LIMIT);
    let command = AddOnion::new([OnionPort::new(80, 8080)]).key(key.clone());
    assert_eq!(controller.add_onion(&command).unwrap().address, key.address());
    drop(controller);
    tor.finish();
}
