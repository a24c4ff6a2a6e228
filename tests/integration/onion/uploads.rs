use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use torcon::error::{HsDirUpload, OnionProblem, UploadOutcome};
use torcon::event::HsDescEvent;
use torcon::names::HsDescAction;
use torcon::onion::Publication;
use torcon::{Error, Launcher, Tor};

use super::key;
use crate::testnet::shared_network;

/// The longest time for each step if eight programs share two processors.
const LIMIT: Duration = Duration::from_secs(90);

fn tor() -> Tor {
    let launcher = Launcher::new()
        .network(shared_network())
        .option("SocksPort", "127.0.0.1:auto ExtendedErrors")
        .timeout(LIMIT);
    Tor::launch(launcher).expect("a tor can join the network")
}

/// Returns the `FAILED` events of a tor as they arrive.
fn failures(tor: &Tor) -> Receiver<String> {
    let (sender, failures) = unbounded();
    let listen = move |event: &HsDescEvent| {
        if event.action() == HsDescAction::Failed {
            let id = event.descriptor_id().as_ref().map(ToString::to_string);
            let _ =
                sender.send(format!("{:?} {id:?}", event.hsdir().as_ref().unwrap().fingerprint()));
        }
    };
    tor.controller().on(listen).unwrap();
    failures
}

fn failed(uploads: &[HsDirUpload]) -> Vec<String> {
    let failed = uploads.iter().filter(|u| matches!(u.outcome, UploadOutcome::Failed { .. }));
    let failed =
        failed.map(|u| format!("{:?} {:?}", u.hsdir.fingerprint(), Some(&u.descriptor_id)));
    let mut failed: Vec<_> = failed.collect();
    failed.sort();
    failed
}

#[test]
fn a_refused_upload_of_a_real_tor_is_recognized() {
    // Every tor with v3 services reports NO_AUTH for a refused upload, as for a failed fetch.
    let tors = [tor(), tor()];
    let failures = tors.each_ref().map(failures);
    let begin = Instant::now();
    // Directories refuse a descriptor that is not newer, and the revision counts seconds: two tors
    // with one key refuse each other's if both upload within a second.
    for attempt in 0.. {
        let together = Barrier::new(2);
        let outcomes = thread::scope(|scope| {
            let threads = tors.each_ref().map(|tor| {
                let together = &together;
                scope.spawn(move || {
                    let endpoint = tor.onion_endpoint(80).ephemeral().key(key(60));
                    let endpoint = endpoint.publication(Publication::All).timeout(LIMIT);
                    together.wait();
                    let begin = Instant::now();
                    let endpoint = endpoint.upload_timeout(LIMIT / 20);
                    let outcome = endpoint.upload_grace(LIMIT / 20).listen();
                    // The uploads of the other tor continue until it listens too.
                    together.wait();
                    (outcome.map(|listener| listener.uploads()), begin.elapsed())
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let mut refused = 0;
        for ((outcome, took), failures) in outcomes.into_iter().zip(&failures) {
            let uploads = match &outcome {
                Ok(uploads) => uploads.clone(),
                Err(Error::Onion(error)) => match error.problem() {
                    OnionProblem::NotPublished { uploads, .. } => uploads.to_vec(),
                    other => panic!("{other}"),
                },
                Err(error) => panic!("{error}"),
            };
            let mut said: Vec<_> = failures.try_iter().collect();
            said.sort();
            said.dedup();
            println!("{} of {} uploads refused in {took:?}", said.len(), uploads.len());
            let is_taken = uploads.iter().any(|u| u.outcome == UploadOutcome::Uploaded);
            assert_eq!(outcome.is_ok(), is_taken, "{uploads:?}");
            assert_eq!(failed(&uploads), said);
            refused += said.len();
        }
        if refused > 0 {
            return;
        }
        assert!(begin.elapsed() < 2 * LIMIT, "no upload was refused in {attempt} attempts");
    }
}

#[test]
fn thirty_first_visits_at_once_reach_their_services() {
    let (service, client) = (tor(), tor());
    // A first visit needs an address that the client has never used. If a relay is late, tor gives
    // up a circuit or a fetch, so a visit may be repeated.
    let visit = || {
        let listener = service.onion_endpoint(80).ephemeral().timeout(LIMIT).listen().unwrap();
        let visit = || client.connect_stream((listener.onion_address(), 80)).map(drop);
        let first = visit().map_err(|error| (error, listener.uploads()));
        if first.is_err() {
            let again = (0..5).map(|_| visit()).find(Result::is_ok);
            assert!(again.is_some(), "never reached: {first:#?}");
        }
        first
    };
    let missed: Vec<_> = thread::scope(|scope| {
        let visits = || (0..5).filter_map(|_| visit().err()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(visits)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    // One visit in four used to miss a descriptor that was late.
    assert!(missed.len() <= 3, "{} of 30 missed: {missed:#?}", missed.len());
}
