//! Threads that add listeners without a pause, while events arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use torcon::ConnectOptions;
use torcon::names::CircuitId;
use torcon::state::{CircuitUpdate, State};

use super::waiting::resident;
use super::{LIMIT, greet};
use crate::scripted::{answer, connected_with};
use crate::support::exclusive::exclusive;
use crate::support::watchdog::eventually;

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
        let controller_with_limit = controller.with_timeout(LIMIT);
        let flood = || {
            let begin = Instant::now();
            controller_with_limit.get_info_one("flood").unwrap();
            begin.elapsed()
        };
        flood();
        let baseline = flood();
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
        println!("{EVENTS} events: {baseline:?} baseline, {among:?} while {added:?} were added");
        // Generous, for a busy machine.
        assert!(among < baseline * 20 + Duration::from_secs(15), "{among:?} {baseline:?}");
        drop((circuit, state, controller_with_limit, controller));
        tor.finish();
    });
}

/// The updates that a listener received.
#[derive(Default)]
struct Account {
    delivered: AtomicU64,
    lost: AtomicU64,
}

#[test]
fn the_first_updates_of_listeners_count_in_the_event_limit_and_their_loss_is_reported() {
    const CIRCUITS: u64 = 500;
    const LISTENERS: usize = 400;
    const LIMIT_OF_EVENTS: usize = 1 << 20;
    exclusive(|| {
        let options = ConnectOptions::new().event_limit(LIMIT_OF_EVENTS);
        let (tor, controller) = connected_with(&options, |script| {
            let lines: Vec<_> =
                (1..=CIRCUITS).map(|id| format!("{id} LAUNCHED PURPOSE=GENERAL")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            greet(script, &lines, &[]);
            script.serve(answer);
        });
        let state = State::new(&controller).unwrap();
        let (go_on, stuck) = bounded::<()>(0);
        state
            .on_circuit(move |_| {
                let _ = stuck.recv_timeout(LIMIT);
            })
            .unwrap();
        let before = resident();
        let accounts: Vec<_> = (0..LISTENERS)
            .map(|_| {
                let account = Arc::new(Account::default());
                let counting = Arc::clone(&account);
                let count = move |update: &CircuitUpdate| {
                    counting.delivered.fetch_add(1, Ordering::AcqRel);
                    counting.lost.fetch_add(update.lost, Ordering::AcqRel);
                };
                state.on_circuit(count).unwrap();
                account
            })
            .collect();
        let more = resident().saturating_sub(before);
        println!("{LISTENERS} listeners of {CIRCUITS} circuits: {} kB more", more >> 10);
        // Without the limit they would be 60 MB.
        assert!(more < 16 << 20, "{more}");
        drop(go_on);
        let total = |account: &Account| {
            account.delivered.load(Ordering::Acquire) + account.lost.load(Ordering::Acquire)
        };
        eventually(LIMIT, "every account is closed", || {
            accounts.iter().all(|account| total(account) == CIRCUITS)
        });
        assert!(accounts.iter().any(|account| account.lost.load(Ordering::Acquire) > 0));
        drop((state, controller));
        tor.finish();
    });
}
