use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use torcon::command::OnionClientAuthAdded;
use torcon::error::{SocksCode, UploadOutcome};
use torcon::names::OnionAddress;
use torcon::onion::{OnionEndpoint, OnionListener, OnionProgress, Publication};
use torcon::socks::{Isolation, TorStream};
use torcon::testnet::PrivateNetwork;
use torcon::{Error, Launcher, Tor};

use super::key;
use crate::support::signal::signal;
use crate::testnet::retry::{forget_failures, retried};
use crate::testnet::shared_network;

/// The longest time for each step if eight programs share two processors.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn launcher() -> Launcher {
    Launcher::new()
        .network(shared_network())
        .option("SocksPort", "127.0.0.1:auto ExtendedErrors")
        .timeout(LIMIT)
}

pub(crate) fn tor() -> Tor {
    Tor::launch(launcher()).expect("a tor can join the network")
}

/// Connects to a service, with as many attempts as it needs: the first directory of a client may
/// not have the descriptor yet, or a circuit may lead over a relay that has ended.
#[track_caller]
pub(crate) fn reach(client: &Tor, address: &OnionAddress, port: u16) -> TorStream {
    let end = Instant::now() + 2 * LIMIT;
    let proxy = client.socks_proxy().unwrap().timeout(LIMIT / 4);
    loop {
        // If the service gives up its circuit to the rendezvous point, tor keeps the circuit of the
        // client there for two minutes, and every stream that may share it waits too.
        match proxy.clone().isolation(Isolation::fresh()).connect((*address, port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "{address} was not reached: {error:?}"),
        }
        forget_failures(client.controller());
    }
}

/// Sends back what each client sends, with the number of the service before it, until the
/// listener is closed.
fn echo(listener: &OnionListener, number: u8) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // A stream on a dead circuit must not delay the test.
            stream.set_read_timeout(Some(LIMIT / 2)).unwrap();
            stream.set_write_timeout(Some(LIMIT / 2)).unwrap();
            scope.spawn(move || {
                let mut reading = stream.try_clone().unwrap();
                // A client that has disconnected is not a failure.
                let _ = stream.write_all(&[number]);
                let _ = std::io::copy(&mut reading, &mut stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
}

/// Runs `work` while services echo.
pub(crate) fn served<T>(listeners: &[OnionListener], work: impl FnOnce() -> T) -> T {
    /// Ends the servers even if the work panics.
    struct Closing<'a>(&'a [OnionListener]);
    impl Drop for Closing<'_> {
        fn drop(&mut self) {
            self.0.iter().for_each(|listener| drop(listener.close()));
        }
    }
    thread::scope(|scope| {
        let _closing = Closing(listeners);
        for (number, listener) in (0_u8..).zip(listeners) {
            scope.spawn(move || echo(listener, number));
        }
        work()
    })
}

/// Sends a text to a service and returns the number of the service that echoed it.
#[track_caller]
pub(crate) fn say(client: &Tor, address: &OnionAddress, text: &str) -> u8 {
    let talk = || {
        let mut stream = reach(client, address, 80);
        stream.set_read_timeout(Some(LIMIT / 3))?;
        stream.write_all(text.as_bytes())?;
        let mut number = [0];
        stream.read_exact(&mut number)?;
        let mut bytes = vec![0; text.len()];
        stream.read_exact(&mut bytes)?;
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
        Ok(number[0])
    };
    retried(client.controller(), "the service answers", || {
        talk().map_err(|error: std::io::Error| error.to_string())
    })
}

#[test]
fn a_service_of_a_private_tor_is_published_and_reached_by_another_tor() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&steps);
    let begin = Instant::now();
    let listener = OnionEndpoint::private_tor(80)
        .launcher(launcher())
        .timeout(LIMIT)
        .on_progress(move |progress| sink.lock().push(progress.clone()))
        .listen()
        .unwrap();
    println!("launched and published in {:?}", begin.elapsed());
    let address = listener.onion_address();
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    let is_launch = |progress: &&OnionProgress| matches!(progress, OnionProgress::Launching(_));
    let steps = std::mem::take(&mut *steps.lock());
    let launching = steps.iter().take_while(is_launch).count();
    assert!(launching > 3, "{steps:?}");
    assert_eq!(steps[launching], OnionProgress::Added(address));
    assert!(matches!(&steps[steps.len() - 2], OnionProgress::Upload(upload)
        if upload.outcome == UploadOutcome::Uploaded));
    assert_eq!(steps[steps.len() - 1], OnionProgress::Published(address));

    let client = tor();
    served(&[listener], || {
        let begin = Instant::now();
        assert_eq!(say(&client, &address, "hello"), 0);
        println!("reached in {:?}", begin.elapsed());
    });
    assert!(!directory.exists());
}

#[test]
fn two_services_of_one_tor_are_published_and_not_confused() {
    let (service, client) = (tor(), tor());
    assert!(service.is_ready().unwrap());
    service.wait_ready(LIMIT).unwrap();
    let endpoint = || service.onion_endpoint(80).timeout(LIMIT);
    let listeners = thread::scope(|scope| {
        let filed = scope.spawn(|| endpoint().publication(Publication::All).listen().unwrap());
        let ephemeral = endpoint().ephemeral().key(key(40)).publication(Publication::All);
        [ephemeral.listen().unwrap(), filed.join().unwrap()]
    });
    for listener in &listeners {
        let uploads = listener.uploads();
        assert!(uploads.iter().all(|upload| upload.outcome == UploadOutcome::Uploaded));
        // Every relay of the network is a directory for both descriptors of each.
        let mut descriptors: Vec<_> = uploads.iter().map(|u| &u.descriptor_id).collect();
        descriptors.sort();
        descriptors.dedup();
        assert_eq!(descriptors.len(), 2, "{uploads:?}");
    }
    let addresses = listeners.each_ref().map(OnionListener::onion_address);
    served(&listeners, || {
        for (number, address) in (0..).zip(&addresses) {
            assert_eq!(say(&client, address, "which one is it?"), number);
        }
    });
}

#[test]
fn a_service_of_the_torrc_is_reached_before_and_after_another_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let torrc_service = root.path().join("torrc_service");
    // The server of that service only listens.
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("80 {}", server.local_addr().unwrap());
    let launcher = launcher()
        .option("HiddenServiceDir", &torrc_service)
        .option("HiddenServicePort", &target)
        .option("HiddenServiceMaxStreams", "9");
    let (service, client) = (Tor::launch(launcher).unwrap(), tor());
    let torrc_address = fs::read_to_string(torrc_service.join("hostname")).unwrap();
    let torrc_address: OnionAddress = torrc_address.trim().parse().unwrap();
    let listener = service.onion_endpoint(80).timeout(LIMIT).listen().unwrap();
    let reached = |address: &OnionAddress| drop(reach(&client, address, 80));
    reached(&torrc_address);
    reached(&listener.onion_address());
    listener.close().unwrap();
    drop(listener);
    client.wait_new_identity(LIMIT).unwrap();
    reached(&torrc_address);
    assert_eq!(service.controller().get_conf(["HiddenServiceOptions"]).unwrap().lines().count(), 3);
}

#[test]
fn ten_clients_use_a_service_at_once_and_one_transfers_ten_megabytes_each_way() {
    let (service, client) = (tor(), tor());
    let endpoint = service.onion_endpoint(80).ephemeral().timeout(LIMIT);
    let listener = endpoint.listen().unwrap();
    let address = listener.onion_address();
    // Different for each client, and without a period that would hide a lost block.
    let byte = |seed: usize, at: usize| (at.wrapping_mul(31).wrapping_add(at >> 8) ^ seed) as u8;
    served(&[listener], || {
        drop(reach(&client, &address, 80));
        thread::scope(|scope| {
            for seed in 0..10 {
                let client = &client;
                // In each direction.
                let length = if seed == 0 { 10 << 20 } else { 1 << 20 };
                scope.spawn(move || {
                    retried(client.controller(), "the bytes come back", || {
                        let stream = reach(client, &address, 80);
                        stream.set_read_timeout(Some(LIMIT / 3)).unwrap();
                        stream.set_write_timeout(Some(LIMIT / 3)).unwrap();
                        let (mut writing, mut reading) = (&stream, &stream);
                        thread::scope(|scope| {
                            let writer = scope.spawn(move || {
                                let bytes: Vec<u8> = (0..length).map(|at| byte(seed, at)).collect();
                                writing.write_all(&bytes)
                            });
                            let mut found = vec![0; 1 + length];
                            let read = reading.read_exact(&mut found);
                            writer.join().unwrap().and(read).map_err(|error| error.to_string())?;
                            let is_right = |(at, found): (usize, &u8)| *found == byte(seed, at);
                            assert!(found[1..].iter().enumerate().all(is_right));
                            Ok(())
                        })
                    });
                });
            }
        });
    });
}

/// Requires that only an authorized client connects.
fn only_with_the_key(service: &Tor, endpoint: OnionEndpoint) {
    let endpoint = endpoint.authorize_client("alice").publication(Publication::All);
    let listener = endpoint.timeout(LIMIT).listen().unwrap();
    let address = listener.onion_address();
    let alice = listener.clients()[0].key.clone().unwrap();
    let client = tor();
    served(&[listener], || {
        let error = client.connect_stream((address, 80)).unwrap_err();
        let Error::Socks(error) = error else { panic!("{error:?}") };
        assert_eq!(error.code(), Some(SocksCode::OnionMissingClientAuth));
        // tor had the descriptor and could not decrypt it.
        let outcome = client.add_onion_client_auth(address, &alice).unwrap();
        assert_eq!(outcome, OnionClientAuthAdded::Decrypted);
        assert_eq!(say(&client, &address, "it is me"), 0);
    });
    assert!(service.controller().is_alive());
}

#[test]
fn a_client_without_authorization_is_refused_and_one_with_it_is_not() {
    let service = tor();
    only_with_the_key(&service, service.onion_endpoint(80).ephemeral());
    only_with_the_key(&service, service.onion_endpoint(80));
}

#[test]
fn each_stream_has_the_circuit_of_its_client() {
    let (service, client) = (tor(), tor());
    let listener = service.onion_endpoint(80).export_circuit_id().timeout(LIMIT).listen().unwrap();
    let address = listener.onion_address();
    thread::scope(|scope| {
        let client = &client;
        let (done, finished) = signal();
        scope.spawn(move || {
            let mut stream = reach(client, &address, 80);
            stream.write_all(b"first").unwrap();
            finished.wait_timeout(LIMIT).unwrap();
        });
        let (circuit, bytes) = loop {
            let mut stream = listener.accept_timeout(LIMIT).unwrap();
            let mut bytes = [0; 5];
            // An attempt that the client has given up may have reached the listener.
            if stream.read_exact(&mut bytes).is_ok() {
                break (stream.circuit_id().unwrap(), bytes);
            }
        };
        // No byte of the header is left, and no byte of the client is lost.
        assert_eq!(&bytes, b"first");
        let circuits = service.controller().get_info_one("circuit-status").unwrap();
        let line = circuits.lines().find(|line| line.starts_with(&format!("{circuit} BUILT ")));
        let line = line.unwrap_or_else(|| panic!("{circuit} is none of {circuits}"));
        assert!(line.contains("PURPOSE=HS_SERVICE_REND"), "{line}");
        done.fire();
    });
}

#[test]
fn a_service_is_reached_again_after_a_relay_died_under_load() {
    // A separate network, since this test damages it.
    let network = PrivateNetwork::builder().timeout(LIMIT).launch().unwrap();
    let join = || {
        let launcher = Launcher::new().network(&network).option("SocksPort", "127.0.0.1:auto");
        Tor::launch(launcher.timeout(LIMIT)).expect("a tor can join the network")
    };
    let (service, client) = (join(), join());
    let listener = service.onion_endpoint(80).ephemeral().timeout(LIMIT).listen().unwrap();
    let address = listener.onion_address();
    served(&[listener], || {
        let stream = reach(&client, &address, 80);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut writing = stream.try_clone().unwrap();
            let (moving, has_moved) = signal();
            let stopping = &stop;
            scope.spawn(move || {
                // Until the stream breaks, if it does.
                while !stopping.load(Ordering::Relaxed) && writing.write_all(&[7; 10_000]).is_ok() {
                }
            });
            let mut reading = &stream;
            scope.spawn(move || {
                let mut bytes = [0; 10_000];
                while reading.read(&mut bytes).is_ok_and(|count| count > 0) {
                    moving.fire();
                }
            });
            has_moved.wait();
            network.kill("relay2").unwrap();
            let begin = Instant::now();
            let proxy = client.socks_proxy().unwrap().timeout(LIMIT / 4);
            // The circuit of a first stream may lead over the dead relay too.
            let talk = || {
                let proxy = proxy.clone().isolation(Isolation::fresh());
                let stream = proxy.connect((address, 80)).map_err(|error| {
                    forget_failures(client.controller());
                    error.to_string()
                })?;
                stream.set_read_timeout(Some(LIMIT / 6)).unwrap();
                let mut number = [1];
                (&stream).read_exact(&mut number).map_err(|error| error.to_string())?;
                assert_eq!(number, [0]);
                Ok(())
            };
            let mut failures: Vec<String> = Vec::new();
            while let Err(failure) = talk() {
                failures.push(failure);
                // If ten circuits to introduction points failed, the service waits for five minutes.
                assert!(begin.elapsed() < 5 * LIMIT, "it was not reached again: {failures:#?}");
            }
            println!("reached again in {:?}", begin.elapsed());
            stop.store(true, Ordering::Relaxed);
            stream.shutdown(Shutdown::Both).ok();
        });
    });
}
