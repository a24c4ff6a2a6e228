//! A state whose tor does not answer.

use std::thread;
use std::time::{Duration, Instant};

use torcon::EventKind;
use torcon::state::State;

use super::controller;
use crate::support::real_tor::RealTor;

// A thread that waited for the query of another one used to repeat it with a separate limit, and a
// thread that arrived during the query returned outdated values.
#[test]
fn a_refresh_takes_no_longer_than_the_limit_with_many_threads() {
    const LIMIT: Duration = Duration::from_secs(3);
    let tor = RealTor::start();
    let patient = controller(&tor);
    let controller = patient.with_timeout(LIMIT);
    let state = State::new(&controller).unwrap();
    let changes = controller.events([EventKind::ConfChanged]).unwrap();
    patient.set_conf([("Nickname", "stale")]).unwrap();
    changes.recv().unwrap();
    tor.stop();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let start = Instant::now();
                    assert!(state.guards().is_empty());
                    start.elapsed()
                })
            })
            .collect();
        for reader in readers {
            let took = reader.join().unwrap();
            assert!(took > LIMIT / 2 && took < LIMIT + LIMIT / 2, "{took:?}");
        }
    });
    tor.cont();
    patient.get_info_one("version").unwrap();
    assert!(state.guards().is_empty());
}
