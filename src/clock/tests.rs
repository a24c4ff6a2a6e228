//! A clock that a test moves, and its tests.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::{
    LONGEST, deadline_after, elapsed_since, has_passed, recv_until, system, time_left, wait_until,
};
use crate::sync::channel::{RecvTimeoutError, bounded};
use crate::sync::{Condvar, Mutex};

/// How far in the past a manual clock starts.
const AGE: Duration = Duration::from_secs(24 * 3600);

/// The time of day at which a manual clock starts.
const DAY: Duration = Duration::from_secs(1_700_000_000);

thread_local! {
    static MANUAL: RefCell<Option<Arc<Mutex<Times>>>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Times {
    instant: Instant,
    system_time: SystemTime,
    /// How far each reading moves the clock.
    step: Duration,
}

/// The clock of the current thread, from its start to its drop. The test moves it, and so do the
/// pauses of the code under test; if the test wants it, each reading moves it by a step.
///
/// It starts a day ago. So a thread that waits for a deadline of this clock does not sleep: the
/// deadline lies in the past of the operating system, each wait returns at once, and the code asks
/// [`has_passed`], which is true when the test has moved the clock so far.
#[derive(Debug)]
pub(crate) struct ManualClock(Arc<Mutex<Times>>);

impl ManualClock {
    pub(crate) fn start() -> Self {
        let instant = system::now().checked_sub(AGE).unwrap();
        let system_time = SystemTime::UNIX_EPOCH + DAY;
        let times = Times { instant, system_time, step: Duration::ZERO };
        Self::enter(Arc::new(Mutex::new(times)))
    }

    /// Returns the same clock for the current thread, which is another one.
    pub(crate) fn on_this_thread(&self) -> Self {
        Self::enter(Arc::clone(&self.0))
    }

    fn enter(times: Arc<Mutex<Times>>) -> Self {
        let former = MANUAL.replace(Some(Arc::clone(&times)));
        assert!(former.is_none(), "a thread has one manual clock at a time");
        Self(times)
    }

    /// Moves the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        advance(&self.0, by);
    }

    /// Moves the clock by `step` at each reading from now on, so that a wait reaches its end.
    pub(crate) fn tick_by(&self, step: Duration) {
        self.0.lock().step = step;
    }

    /// Moves the clock to the last nanosecond before an instant.
    pub(crate) fn advance_to_just_before(&self, deadline: Instant) {
        let by = deadline.duration_since(self.0.lock().instant);
        self.advance(by.checked_sub(TICK).expect("the deadline lies in the future"));
    }
}

/// The smallest step of a clock.
pub(crate) const TICK: Duration = Duration::from_nanos(1);

impl Drop for ManualClock {
    fn drop(&mut self) {
        MANUAL.take();
    }
}

fn advance(times: &Mutex<Times>, by: Duration) {
    let mut times = times.lock();
    times.instant += by;
    times.system_time += by;
}

fn read<T>(manual: impl FnOnce(&Mutex<Times>) -> T, system: impl FnOnce() -> T) -> T {
    let times = MANUAL.with_borrow(Clone::clone);
    times.map_or_else(system, |times| manual(&times))
}

pub(crate) fn now() -> Instant {
    let manual = |times: &Mutex<Times>| {
        let mut times = times.lock();
        let (instant, step) = (times.instant, times.step);
        times.instant += step;
        instant
    };
    read(manual, system::now)
}

pub(crate) fn system_now() -> SystemTime {
    read(|times| times.lock().system_time, system::system_now)
}

pub(crate) fn sleep(length: Duration) {
    read(|times| advance(times, length), || system::sleep(length));
}

#[test]
fn a_manual_clock_moves_only_by_hand_and_by_pauses() {
    let begin = now();
    let clock = ManualClock::start();
    let (start, day) = (now(), system_now());
    assert!(start < begin && elapsed_since(begin) == Duration::ZERO);
    assert_eq!(now(), start);
    clock.advance(Duration::from_secs(3));
    sleep(Duration::from_secs(3600));
    assert_eq!(elapsed_since(start), Duration::from_secs(3603));
    assert_eq!(system_now(), day + Duration::from_secs(3603));
    drop(clock);
    assert!(now() >= begin);
}

#[test]
fn a_deadline_passes_at_its_tick_and_no_earlier() {
    let clock = ManualClock::start();
    let deadline = deadline_after(Duration::from_secs(5));
    assert_eq!(time_left(deadline), Duration::from_secs(5));
    clock.advance_to_just_before(deadline);
    assert_eq!((has_passed(deadline), time_left(deadline)), (false, TICK));
    clock.advance(TICK);
    assert_eq!((has_passed(deadline), time_left(deadline)), (true, Duration::ZERO));
    clock.advance(Duration::from_secs(1));
    assert_eq!(time_left(deadline), Duration::ZERO);
}

#[test]
fn a_clock_that_ticks_ends_a_wait_at_the_first_tick_behind_its_deadline() {
    let clock = ManualClock::start();
    let (changed, lock, start) = (Condvar::new(), Mutex::new(()), now());
    clock.tick_by(Duration::from_secs(2));
    let deadline = deadline_after(Duration::from_secs(7));
    super::wait_while_until(&changed, &mut lock.lock(), |()| true, deadline);
    // Read at 0, 2, 4, 6 and 8 seconds.
    assert_eq!(elapsed_since(start), Duration::from_secs(10));
}

#[test]
fn a_limit_has_at_most_ten_years() {
    let clock = ManualClock::start();
    assert_eq!(time_left(deadline_after(Duration::MAX)), LONGEST);
    assert_eq!(time_left(deadline_after(LONGEST - TICK)), LONGEST - TICK);
    drop(clock);
    assert!(time_left(deadline_after(Duration::MAX)) <= LONGEST);
}

#[test]
fn a_wait_ends_when_another_thread_moves_the_clock_to_the_deadline() {
    let clock = ManualClock::start();
    let deadline = deadline_after(Duration::from_secs(60));
    clock.advance_to_just_before(deadline);
    let (changed, lock) = (Condvar::new(), Mutex::new(()));
    assert!(!wait_until(&changed, &mut lock.lock(), deadline));
    let (sender, receiver) = bounded::<()>(0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let _clock = clock.on_this_thread();
            recv_until(&receiver, deadline)
        });
        assert!(!waiter.is_finished());
        clock.advance(TICK);
        assert_eq!(waiter.join().unwrap(), Err(RecvTimeoutError::Timeout));
    });
    assert!(wait_until(&changed, &mut lock.lock(), deadline));
    drop(sender);
    assert_eq!(recv_until(&receiver, deadline), Err(RecvTimeoutError::Disconnected));
}
