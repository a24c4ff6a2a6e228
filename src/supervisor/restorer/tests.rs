//! A restorer and a fake tor: the pause between two corrections, and the errors that end a restore.
#![cfg(feature = "testkit")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Restorer;
use crate::clock::{ManualClock, deadline_after, now};
use crate::error::{Disconnect, Error, Result};
use crate::event::EventKind;
use crate::link::{EventBatch, logged_by};
use crate::state::State;
use crate::supervisor::SupervisorOptions;
use crate::supervisor::parts::SubscriptionEntry;
use crate::supervisor::shared::{Shared, stopped};
use crate::supervisor::status::{SupervisedPart, UnrestoredPart};
use crate::supervisor::subscription::{Sink, Subscription};
use crate::sync::Mutex;
use crate::sync::channel::unbounded;
use crate::testkit::{Answer, FakeTor};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn options_that_others_change_again_and_again_are_set_again_after_a_pause() {
    let tor = FakeTor::start();
    let value = Arc::new(Mutex::new("1"));
    let of_tor = Arc::clone(&value);
    tor.answer_with(move |_, command| match command {
        "GETCONF NumEntryGuards" => {
            Some(Answer::lines([format!("250 NumEntryGuards={}", *of_tor.lock())]))
        }
        "SETCONF NumEntryGuards=1" => {
            *of_tor.lock() = "1";
            Some(Answer::ok())
        }
        _ => None,
    });
    let controller = tor.controller();
    let shared = Arc::new(Shared::new(SupervisorOptions::new(), 1 << 20));
    shared.settings.record(&[("NumEntryGuards".into(), "1".into())], true);
    shared.settings.settle(&controller, deadline_after(LIMIT)).unwrap();
    let corrections =
        || tor.commands().iter().filter(|command| command.starts_with("SETCONF")).count();
    let mut restorer = Restorer::new(&shared, &controller, 1);
    restorer.correct_options().unwrap();
    assert_eq!(corrections(), 0, "the option has its value");
    *value.lock() = "3";
    restorer.correct_options().unwrap();
    assert_eq!(corrections(), 1);
    *value.lock() = "3";
    restorer.corrected_until = Some(deadline_after(Duration::from_millis(50)));
    restorer.correct_options().unwrap();
    assert_eq!(corrections(), 2, "after the pause");
    // The end of the connection ends the pause, and nothing is set.
    *value.lock() = "3";
    restorer.corrected_until = Some(deadline_after(LIMIT));
    shared.set_ended(0, &Disconnect::EndOfStream);
    restorer.correct_options().unwrap();
    assert_eq!(corrections(), 2);
}

/// A receiver of events that keeps none.
struct Nothing;

impl Sink for Nothing {
    fn events(&self, _: &EventBatch<'_>) {}

    fn lose(&self, _: &EventBatch<'_>) {}

    fn reconnected(&self, _: Duration) -> bool {
        true
    }

    fn end(&self, _: &Error) {}
}

#[test]
fn a_subscription_or_state_that_tor_refuses_is_named_and_silence_ends_the_restore() {
    type Restore = fn(&mut Restorer<'_>) -> Result<()>;
    let cases: [(Restore, &str); 2] = [
        (|restorer| restorer.restore_subscriptions(), "the subscription to BW"),
        (|restorer| restorer.restore_state(), "the state"),
    ];
    for (restore, part) in cases {
        let (former, tor) = (FakeTor::start(), FakeTor::start());
        let shared = Arc::new(Shared::new(SupervisorOptions::new(), 1 << 20));
        let subscription = Subscription::new([EventKind::Bw].into(), Arc::new(Nothing));
        let entry = SubscriptionEntry { subscription, listener: None };
        shared.subscriptions.lock().entries.push(entry);
        let state = State::supervised(&former.controller(), deadline_after(LIMIT)).unwrap();
        shared.lock_state(deadline_after(LIMIT), LIMIT).unwrap().replace(Some(state));
        let answer = Arc::new(Mutex::new(Answer::refused(510, "Command filtered")));
        let (sender, subscribed) = unbounded();
        let of_tor = Arc::clone(&answer);
        tor.answer_with(move |_, command| {
            let is_it = command.starts_with("SETEVENTS ");
            is_it.then(|| {
                sender.send(()).unwrap();
                of_tor.lock().clone()
            })
        });
        let controller = tor.controller().with_timeout(LIMIT);
        let mut restorer = Restorer::new(&shared, &controller, 1);
        restore(&mut restorer).unwrap();
        let unrestored: Vec<_> =
            restorer.unrestored.iter().map(|part| part.part.to_string()).collect();
        assert_eq!(unrestored, [part]);
        *answer.lock() = Answer::none();
        while subscribed.try_recv().is_ok() {}
        let clock = ManualClock::start();
        thread::scope(|scope| {
            scope.spawn(|| {
                subscribed.recv_timeout(LIMIT).unwrap();
                clock.tick_by(Duration::from_secs(1));
            });
            assert!(matches!(restore(&mut restorer), Err(Error::Timeout(_))));
        });
    }
}

#[test]
fn a_part_that_could_not_be_restored_is_logged_once() {
    let tor = FakeTor::start();
    let shared = Arc::new(Shared::new(SupervisorOptions::new(), 1 << 20));
    let mut restorer = Restorer::new(&shared, &tor.controller(), 1);
    let parts = [SupervisedPart::State, SupervisedPart::Events([EventKind::Bw].into())];
    let mut reported = Vec::new();
    for part in parts {
        restorer.unrestored.push(UnrestoredPart { part, error: stopped() });
        let before = reported.clone();
        let lines = logged_by(|| reported = restorer.report(now(), &before));
        assert_eq!(lines, reported[before.len()..]);
        assert_eq!(lines.len(), 1);
    }
}
