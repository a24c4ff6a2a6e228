//! A tor that is stopped again and again while callers of every kind share one connection.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torcon::{Controller, Error, Line};

use super::controller;
use crate::support::real_tor::RealTor;

/// A limit that only a hanging operation reaches.
const LIMIT: Duration = Duration::from_secs(60);

/// The outcomes of the callers.
#[derive(Debug, Default)]
struct Count {
    right: AtomicUsize,
    late: AtomicUsize,
    is_over: AtomicBool,
}

impl Count {
    /// Calls `ask` until the time is over; it must time out or return its own reply.
    fn ask(&self, mut ask: impl FnMut(usize) -> Result<(), Error>) {
        for number in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            match ask(number) {
                Ok(()) => self.right.fetch_add(1, Ordering::Relaxed),
                Err(error) if error.is_timeout() => self.late.fetch_add(1, Ordering::Relaxed),
                Err(error) => panic!("{error:?}"),
            };
        }
    }
}

/// Returns every line of a reply.
fn lines(controller: &Controller, keys: &str) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let take = |line: Line<'_>| {
        lines.push(line.to_string());
        ControlFlow::Continue(())
    };
    match keys.contains(' ') {
        true => controller.command_lines(&format!("GETINFO {keys}"), take)?,
        false => controller.get_info_incremental(keys, take)?,
    }
    Ok(lines)
}

/// Sends a query whose reply names the caller.
fn ask_own(controller: &Controller, name: &str, number: usize) -> Result<(), Error> {
    let key = format!("torcon-test/{name}/{number}");
    match controller.get_info_one(&key) {
        Err(Error::Rejected(refusal)) => {
            assert_eq!(refusal.text(), format!("Unrecognized key \"{key}\""));
            Ok(())
        }
        Err(error) => Err(error),
        Ok(value) => panic!("{key} is {value:?}"),
    }
}

#[test]
fn replies_of_a_tor_that_is_stopped_again_and_again_reach_their_own_callers() {
    // While replies were held, the beginning of a reply that arrived in two reads was delivered to
    // another caller: 13 of 380. `TORCON_TEST_SECONDS=30` is the long form.
    let seconds = std::env::var("TORCON_TEST_SECONDS").map_or(5, |text| text.parse().unwrap());
    let tor = RealTor::start();
    let controller = controller(&tor).with_timeout(LIMIT);
    // The long ones arrive in several reads.
    let long = ["config/names ", "info/names "].map(|key| key.repeat(12).trim_end().to_owned());
    let keys = ["config/names", &long[0], "info/names", &long[1]];
    let expected = keys.map(|key| lines(&controller, key).unwrap());
    let [streaming, hurried, patient] = [(); 3].map(|()| Count::default());
    thread::scope(|scope| {
        scope.spawn(|| {
            streaming.ask(|number| {
                let which = number % keys.len();
                assert!(lines(&controller, keys[which])? == expected[which], "{}", keys[which]);
                Ok(())
            });
        });
        scope.spawn(|| {
            hurried.ask(|number| {
                let limit = Duration::from_millis(u64::try_from(number % 6).unwrap());
                ask_own(&controller.with_timeout(limit), "hurried", number)
            });
        });
        scope.spawn(|| {
            patient.ask(|number| {
                ask_own(&controller, "patient", number)?;
                let info = controller.get_info(["config/names"; 12])?;
                let is_right = |value: &str| value.lines().eq(expected[0].iter());
                assert!(info.iter().all(|(_, value)| is_right(&value)), "config/names");
                Ok(())
            });
        });
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end && controller.is_alive() {
            thread::sleep(Duration::from_millis(700));
            tor.stop();
            thread::sleep(Duration::from_millis(300));
            tor.cont();
        }
        for count in [&streaming, &hurried, &patient] {
            count.is_over.store(true, Ordering::Relaxed);
        }
    });
    println!("streaming {streaming:?}, hurried {hurried:?}, patient {patient:?}");
    assert!(controller.is_alive(), "{:?}", controller.closed_reason());
    // No caller with a long limit times out, and those with short limits time out often enough to
    // matter.
    for count in [&streaming, &patient] {
        assert!(count.right.load(Ordering::Relaxed) > 10, "{count:?}");
        assert_eq!(count.late.load(Ordering::Relaxed), 0, "{count:?}");
    }
    assert!(hurried.late.load(Ordering::Relaxed) > 10, "{hurried:?}");
}
