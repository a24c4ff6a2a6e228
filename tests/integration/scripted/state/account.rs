//! Floods of events at listeners: every event is either delivered or reported as lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use torcon::ConnectOptions;
use torcon::state::{CircuitUpdate, State};

use super::waiting::resident;
use super::{LIMIT, greet};
use crate::scripted::connected_with;
use crate::support::exclusive::exclusive;
use crate::support::script::Steps as _;
use crate::support::signal::signal;
use crate::support::watchdog::eventually;

/// The number of events in a flood.
const FLOOD: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// The updates that a listener received.
#[derive(Default)]
struct Account {
    delivered: AtomicU64,
    lost: AtomicU64,
    /// The hops in the last update.
    last: AtomicU64,
}

impl Account {
    fn take(&self, update: &CircuitUpdate) {
        self.delivered.fetch_add(1, Ordering::AcqRel);
        self.lost.fetch_add(update.lost, Ordering::AcqRel);
        self.last.store(update.info.path().len() as u64, Ordering::Release);
    }

    fn total(&self) -> u64 {
        self.delivered.load(Ordering::Acquire) + self.lost.load(Ordering::Acquire)
    }
}

/// The speed of a listener.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Quick,
    Slow,
    Stuck,
}

#[test]
fn delivered_and_lost_updates_together_are_all_that_were_sent_also_at_the_end() {
    exclusive(|| {
        for pace in [Pace::Quick, Pace::Slow, Pace::Stuck] {
            let options = ConnectOptions::new().event_limit(8 << 20);
            let (done, is_done) = signal();
            let (tor, controller) = connected_with(&options, move |script| {
                greet(script, &[], &[]);
                script.expect("GETINFO flood");
                // This account ignores other kinds of updates.
                let event = b"650 CIRC 7 EXTENDED $E8F7~x PURPOSE=GENERAL\r\n\
                              650 STREAM 9 XON_SENT 7 a.example:80\r\n";
                script.flood(event, FLOOD - 1);
                script.send("650 CIRC 7 EXTENDED $E8F7~x,$E8F8~y PURPOSE=GENERAL\r\n");
                script.send("250-flood=\r\n250 OK\r\n").wait_for(&is_done).close();
            });
            let state = State::new(&controller).unwrap();
            let account = Arc::new(Account::default());
            let (go_on, stuck) = bounded::<()>(0);
            let counting = Arc::clone(&account);
            state
                .on_circuit(move |update| {
                    counting.take(update);
                    match pace {
                        Pace::Quick => {}
                        Pace::Slow => std::thread::sleep(Duration::from_micros(100)),
                        Pace::Stuck => drop(stuck.recv_timeout(LIMIT)),
                    }
                })
                .unwrap();
            let start = Instant::now();
            controller.get_info_one("flood").unwrap();
            let flooded = start.elapsed();
            done.fire();
            controller.wait_closed(LIMIT).unwrap();
            drop(go_on);
            // One more, since the first event causes two updates.
            eventually(LIMIT, "the account is closed", || account.total() == FLOOD + 1);
            eventually(LIMIT, "the closure is dropped", || Arc::strong_count(&account) == 1);
            assert_eq!(account.total(), FLOOD + 1);
            assert_eq!(account.last.load(Ordering::Acquire), 2, "the last one is never lost");
            println!(
                "{pace:?}: {FLOOD} events in {flooded:?}, {} delivered, {} reported as lost",
                account.delivered.load(Ordering::Acquire),
                account.lost.load(Ordering::Acquire)
            );
            drop((state, controller));
            tor.finish();
        }
    });
}

#[test]
fn a_stuck_listener_keeps_no_more_memory_than_its_limit() {
    const LIMIT_OF_EVENTS: u64 = 16 << 20;
    const EVENTS: u32 = 150_000;
    exclusive(|| {
        let options = ConnectOptions::new().event_limit(1 << 24);
        let (tor, controller) = connected_with(&options, move |script| {
            greet(script, &[], &[]);
            script.expect("GETINFO flood");
            // Every circuit is new, so that nothing is shared.
            let path = ["$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC~relay"; 3].join(",");
            for first in (0..EVENTS).step_by(1_000) {
                let mut text = String::new();
                for id in first..first + 1_000 {
                    text += &format!(
                        "650 CIRC {id} CLOSED {path} BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL \
                         TIME_CREATED=2026-11-23T09:26:16.513718 REASON=FINISHED\r\n"
                    );
                }
                script.send(text);
            }
            script.send("250-flood=\r\n250 OK\r\n").drain();
        });
        let state = State::new(&controller).unwrap();
        let account = Arc::new(Account::default());
        let counting = Arc::clone(&account);
        let (go_on, stuck) = bounded::<()>(0);
        state
            .on_circuit(move |update| {
                counting.take(update);
                let _ = stuck.recv_timeout(LIMIT);
            })
            .unwrap();
        let before = resident();
        controller.get_info_one("flood").unwrap();
        let more = resident().saturating_sub(before);
        println!("a stuck listener with a limit of 16 MiB: {} kB more", more >> 10);
        // Includes the overhead of the allocator.
        assert!(more < LIMIT_OF_EVENTS * 5 / 4 + (4 << 20), "{more}");
        drop(go_on);
        eventually(LIMIT, "the account is closed", || account.total() == u64::from(EVENTS) * 2);
        drop((state, controller));
        tor.finish();
    });
}
