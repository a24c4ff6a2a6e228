//! Threads that add listeners without a pause, while events arrive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torcon::ConnectOptions;
use torcon::names::CircuitId;
use torcon::state::State;

use super::{LIMIT, greet};
use crate::scripted::{answer, connected_with};
use crate::support::exclusive::exclusive;

const THREADS: usize = 4;
const EVENTS: usize = 10_000;

#[test]
fn threads_that_add_listeners_without_a_pause_do_not_starve_the_reader() {
    exclusive(|| {
        let (tor, controller) = connected_with(&ConnectOptions::new(), |script| {
            greet(script, &["7 BUILT $E8F7~x PURPOSE=GENERAL"], &[]);
            script.serve(|line, out| {
                if line == "GETINFO flood" {
                    for _ in 0..EVENTS {
                        out.extend_from_slice(b"650 CIRC 8 EXTENDED $E8F7~x PURPOSE=GENERAL\r\n");
                    }
                }
                answer(line, out);
            });
        });
        let state = State::new(&controller).unwrap();
        let patient = controller.with_timeout(LIMIT);
        let flood = || {
            let begin = Instant::now();
            patient.get_info_one("flood").unwrap();
            begin.elapsed()
        };
        flood();
        let alone = flood();
        let circuit = state.circuit(&CircuitId::from(7)).unwrap();
        let is_over = AtomicBool::new(false);
        let added = AtomicU64::new(0);
        let among = thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Acquire) {
                        circuit.on_update(|_| {}).unwrap();
                        added.fetch_add(1, Ordering::AcqRel);
                    }
                });
            }
            while added.load(Ordering::Acquire) < 1_000 {
                thread::yield_now();
            }
            let among = flood();
            is_over.store(true, Ordering::Release);
            among
        });
        println!("{EVENTS} events: {alone:?} alone, {among:?} while {added:?} were added");
        // Generous: the machine may be busy.
        assert!(among < alone * 20 + Duration::from_secs(1), "{among:?} {alone:?}");
        drop((circuit, state, patient, controller));
        tor.finish();
    });
}
