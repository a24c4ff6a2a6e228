//! A model of the key that checks of an onion service add to tor: the program closes the connection
//! at any moment.

use std::sync::{Arc, Mutex};

use schedules::{Kept, Scheduler, check, check_kept, choose};

use super::CheckKey;
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

/// Two checks use the key, while another thread closes the connection.
fn checks() {
    let (controller, socket) = connect();
    // A lock of `std` is no step of the model.
    let tor = Arc::new(Mutex::new(None));
    let (sender, commands) = unbounded();
    let server = {
        let tor = Arc::clone(&tor);
        thread::spawn(move || {
            serve(&socket, |line| {
                let _ = sender.send(());
                Some(answer(line, &mut tor.lock().unwrap()))
            });
        })
    };
    let address: OnionAddress = SERVICE.parse().unwrap();
    let key = CheckKey::new(address, false);
    let checks = [(); 2].map(|()| {
        let (key, controller) = (Arc::clone(&key), controller.clone());
        thread::spawn(move || {
            let client = ClientAuthKey::from_bytes([7; 32]).unwrap();
            match key.lend(&controller, Some(client)) {
                Ok(lent) => drop(lent.unwrap().expect("the key is that of a check")),
                Err(error) => assert!(error.is_closed(), "{error}"),
            }
        })
    });
    // At least three commands are sent.
    (0..choose(4)).for_each(|_| commands.recv().unwrap());
    (0..choose(20)).for_each(|_| thread::yield_now());
    controller.close();
    checks.into_iter().for_each(|check| check.join().unwrap());
    drop((key, controller));
    server.join().unwrap();
    assert!(tor.lock().unwrap().is_none(), "the key stays in tor");
}

#[test]
fn no_key_of_a_check_stays_in_tor() {
    check(checks);
}

#[test]
fn schedules_that_failed_pass() {
    check_kept(checks, &[Kept(Scheduler::Random, 1, 1003)]);
}
