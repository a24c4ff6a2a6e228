//! The pause of a restorer between two corrections, with a fake tor.
#![cfg(feature = "testkit")]

use std::sync::Arc;
use std::time::Duration;

use super::Restorer;
use crate::clock::deadline_after;
use crate::error::Disconnect;
use crate::supervisor::SupervisorOptions;
use crate::supervisor::shared::Shared;
use crate::sync::Mutex;
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
