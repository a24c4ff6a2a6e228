//! A model of the key that checks of an onion service add to tor: the program closes the connection
//! at any moment, and another program may give tor another key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use schedules::{Kept, Scheduler, chance, check, check_kept, choose};

use super::{CheckKey, Lent};
use crate::controller::schedules::connect;
use crate::link::schedules::serve;
use crate::names::{ClientAuthKey, OnionAddress};
use crate::sync::channel::unbounded;
use crate::sync::thread;

const SERVICE: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";

/// Answers a command, as a tor does that has the key of a client or not.
fn answer(line: &str, key: &mut Option<String>) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match &words[..] {
        ["ONION_CLIENT_AUTH_VIEW", service] => {
            let client = key.iter().map(|key| format!("250-CLIENT {service} {key}\r\n"));
            let clients: String = client.collect();
            format!("250-ONION_CLIENT_AUTH_VIEW {service}\r\n{clients}250 OK\r\n")
        }
        ["ONION_CLIENT_AUTH_ADD", _, added] => match key.replace((*added).to_owned()) {
            None => "250 OK\r\n".to_owned(),
            Some(_) => "251 Client for onion existed and replaced\r\n".to_owned(),
        },
        ["ONION_CLIENT_AUTH_REMOVE", service] => match key.take() {
            Some(_) => "250 OK\r\n".to_owned(),
            None => format!("251 No credentials for \"{service}\"\r\n"),
        },
        _ => panic!("{line}"),
    }
}

/// Two checks use the key, while another thread closes the connection. Another program gives tor a key
/// before one of the first queries or not at all.
fn checks() {
    let (controller, socket) = connect();
    // A lock of `std` is no step of the model.
    let tor = Arc::new(Mutex::new(None));
    let other = ClientAuthKey::from_bytes([8; 32]).unwrap().reveal_blob();
    // So many queries precede the other key. There may be fewer in all.
    let mut queries = chance(2).then(|| choose(3));
    let is_given = Arc::new(AtomicBool::new(false));
    let (sender, commands) = unbounded();
    let server = {
        let (tor, other, is_given) = (Arc::clone(&tor), other.clone(), Arc::clone(&is_given));
        thread::spawn(move || {
            serve(&socket, |line| {
                let mut key = tor.lock().unwrap();
                if line.starts_with("ONION_CLIENT_AUTH_VIEW") {
                    if queries == Some(0) {
                        *key = Some(other.clone());
                        is_given.store(true, Ordering::Relaxed);
                    }
                    queries = queries.and_then(|left| left.checked_sub(1));
                }
                let _ = sender.send(());
                Some(answer(line, &mut key))
            });
        })
    };
    let address: OnionAddress = SERVICE.parse().unwrap();
    let key = CheckKey::new(address, false);
    let checks = [(); 2].map(|()| {
        let (key, controller) = (Arc::clone(&key), controller.clone());
        let is_given = Arc::clone(&is_given);
        thread::spawn(move || {
            let client = ClientAuthKey::from_bytes([7; 32]).unwrap();
            match key.lend(&controller, Some(client)) {
                Ok(Lent::NoKey) => panic!("the program has one"),
                Ok(Lent::NotNeeded) => assert!(is_given.load(Ordering::Relaxed), "a check's key"),
                Ok(Lent::Key(lent)) => drop(lent),
                Err(error) => assert!(error.is_closed(), "{error}"),
            }
        })
    });
    // So many commands are sent at least.
    let commands_sent = if queries.is_some() { 2 } else { 5 };
    (0..choose(1 + commands_sent)).for_each(|_| commands.recv().unwrap());
    (0..choose(20)).for_each(|_| thread::yield_now());
    controller.close();
    checks.into_iter().for_each(|check| check.join().unwrap());
    drop((key, controller));
    server.join().unwrap();
    let left = is_given.load(Ordering::Relaxed).then_some(other);
    assert_eq!(*tor.lock().unwrap(), left, "the key of a check stays, or the other does not");
}

#[test]
fn the_key_of_a_check_does_not_stay_in_tor_and_another_does() {
    check(checks);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(checks, &[Kept(Scheduler::Random, 1, 25)]);
}
