//! The options and keys that a supervisor records, and the commands by which it restores them.
#![cfg(feature = "testkit")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{IfChanged, Progress, RestoredOptions, Settings, WantedOption};
use crate::clock::{ManualClock, deadline_after};
use crate::command::{ConfSetting, ConfValue};
use crate::controller::Controller;
use crate::error::{Error, Result};
use crate::supervisor::SupervisorOptions;
use crate::supervisor::shared::Shared;
use crate::supervisor::status::UnrestoredPart;
use crate::sync::channel::unbounded;
use crate::testkit::{FakeTor, Script};

mod keys;

/// A limit that is never reached in a successful run.
const LIMIT: Duration = Duration::from_secs(60);
const FILTERED: &str = "510 Command filtered";
const REFUSED: &str = "513 Unacceptable option value: no";

fn settings(options: &[(&str, &str)]) -> Vec<(Box<str>, ConfSetting)> {
    options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn recorded(options: &[(&str, &str)], is_sent: bool) -> Settings {
    let recorded = Settings::default();
    recorded.record(&settings(options), is_sent);
    recorded
}

/// Returns settings of one line that tor has accepted.
fn accepted(options: &[(&str, &str)]) -> Settings {
    let settings = recorded(options, true);
    for (name, text) in options {
        settings.kept.lock().option(name).unwrap().returned(&value(&[text]));
    }
    settings
}

fn value(values: &[&str]) -> ConfValue {
    ConfValue::Set(values.iter().map(|&value| value.to_owned()).collect())
}

/// Returns each option with the number of its lines and its progress.
fn options(settings: &Settings) -> Vec<String> {
    let text = |option: &WantedOption| {
        let progress = match &option.progress {
            Progress::Pending => "pending".to_owned(),
            Progress::Sent(last) => format!("sent {:?}", last.as_ref().map(ConfValue::values)),
            Progress::Read(value) => format!("read {:?}", value.values()),
            Progress::Accepted(value) => format!("accepted {:?}", value.values()),
        };
        format!("{} {} {progress}", option.name, option.settings.len())
    };
    settings.options(|_| true).iter().map(text).collect()
}

/// Runs a test with a controller of a tor that follows the script.
fn with_tor(script: impl FnOnce(&mut Script) + Send + 'static, test: impl FnOnce(&Controller)) {
    let tor = FakeTor::script(|tor| {
        tor.greet();
        script(tor);
        tor.expect_end();
    });
    test(&tor.controller());
    tor.finish();
}

fn restore(
    settings: &Settings,
    controller: &Controller,
    is_new: bool,
    if_changed: IfChanged,
) -> RestoredOptions {
    settings.restore_options(controller, is_new, if_changed, deadline_after(LIMIT)).unwrap()
}

#[test]
fn an_option_is_recorded_with_all_its_lines_and_replaces_the_former_ones() {
    let settings = Settings::default();
    assert!(settings.is_empty());
    settings.record(&self::settings(&[("Log", "a"), ("NumCPUs", "1"), ("log", "b")]), false);
    assert_eq!(options(&settings), ["Log 2 pending", "NumCPUs 1 pending"]);
    settings.record(&self::settings(&[("LOG", "c")]), true);
    assert_eq!(options(&settings), ["NumCPUs 1 pending", "LOG 1 sent None"]);
    assert!(!settings.is_empty());
    assert!(settings.forget("numcpus") && !settings.forget("NumCPUs"));
    assert_eq!(options(&settings), ["LOG 1 sent None"]);
    assert!(settings.forget("Log") && settings.is_empty());
}

#[test]
fn a_value_is_that_of_the_settings_if_it_is_written_alike_or_returned_twice() {
    let returned = |values: &[&[&str]]| {
        let settings = recorded(&[("MaxCircuitDirtiness", "10 minutes")], true);
        for (number, values) in values.iter().enumerate() {
            let mut kept = settings.kept.lock();
            let option = kept.option("maxcircuitdirtiness").unwrap();
            // Returned twice without being sent again, a value counts once.
            (0..number).for_each(|_| option.sent(false));
            (0..2).for_each(|_| option.returned(&value(values)));
        }
        options(&settings).remove(0).replace("MaxCircuitDirtiness 1 ", "")
    };
    assert_eq!(returned(&[]), "sent None");
    assert_eq!(returned(&[&["10 minutes"]]), r#"accepted ["10 minutes"]"#);
    assert_eq!(returned(&[&["600"]]), r#"read ["600"]"#);
    assert_eq!(returned(&[&["600"], &["500"]]), r#"read ["500"]"#);
    assert_eq!(returned(&[&["600"], &["600"]]), r#"accepted ["600"]"#);
    assert_eq!(returned(&[&["10 minutes", "10 minutes"]]).split(' ').next(), Some("read"));
    // An accepted value stays until the settings are sent again.
    assert_eq!(returned(&[&["10 minutes"], &["500"]]), r#"accepted ["10 minutes"]"#);
    let settings = recorded(&[("NumCPUs", "1")], false);
    let mut kept = settings.kept.lock();
    let option = kept.option("NumCPUs").unwrap();
    option.returned(&value(&["1"]));
    assert!(matches!(option.progress, Progress::Pending));
    option.progress = Progress::Accepted(value(&["2"]));
    option.sent(false);
    assert!(matches!(option.progress, Progress::Accepted(_)));
    option.sent(true);
    option.sent(true);
    assert!(matches!(&option.progress, Progress::Sent(Some(last)) if *last == value(&["2"])));
}

#[test]
fn without_settings_nothing_is_sent() {
    with_tor(
        |_| {},
        |controller| {
            let settings = Settings::default();
            let restored = restore(&settings, controller, true, IfChanged::SetAgain);
            assert!(restored.unrestored.is_empty() && !restored.has_corrected);
            let keys = settings.restore_client_auths(controller, deadline_after(LIMIT)).unwrap();
            assert!(keys.is_empty());
            settings.settle(controller, deadline_after(LIMIT)).unwrap();
        },
    );
}

#[test]
fn a_new_tor_gets_every_option_in_one_command() {
    let settings = recorded(&[("NumCPUs", "1"), ("Log", "a"), ("Log", "b")], false);
    with_tor(
        |tor| {
            tor.answer("GETCONF NumCPUs Log", &["250-NumCPUs=0", "250 Log=notice stdout"]);
            tor.answer("SETCONF NumCPUs=1 Log=a Log=b", &["250 OK"]);
            tor.answer("GETCONF NumCPUs Log", &["250-NumCPUs=1", "250-Log=a", "250 Log=b"]);
        },
        |controller| {
            let restored = restore(&settings, controller, true, IfChanged::SetAgain);
            assert!(restored.unrestored.is_empty() && !restored.has_corrected);
        },
    );
    let accepted = [r#"NumCPUs 1 accepted ["1"]"#, r#"Log 2 accepted ["a", "b"]"#];
    assert_eq!(options(&settings), accepted);
    // tor has them: nothing is set.
    with_tor(
        |tor| {
            tor.answer("GETCONF NumCPUs Log", &["250-NumCPUs=1", "250-Log=a", "250 Log=b"]);
        },
        |controller| {
            let restored = restore(&settings, controller, true, IfChanged::SetAgain);
            assert!(restored.unrestored.is_empty() && !restored.has_corrected);
        },
    );
}

#[test]
fn a_value_that_tor_writes_in_another_way_is_set_and_read_twice() {
    let settings = recorded(&[("MaxCircuitDirtiness", "10 minutes")], true);
    with_tor(
        |tor| {
            tor.answer("GETCONF MaxCircuitDirtiness", &["250 MaxCircuitDirtiness=600"]);
            tor.answer("SETCONF MaxCircuitDirtiness=\"10 minutes\"", &["250 OK"]);
            tor.answer("GETCONF MaxCircuitDirtiness", &["250 MaxCircuitDirtiness=600"]);
        },
        |controller| settings.settle(controller, deadline_after(LIMIT)).unwrap(),
    );
    assert_eq!(options(&settings), [r#"MaxCircuitDirtiness 1 accepted ["600"]"#]);
}

#[test]
fn an_option_that_others_changed_is_set_again_or_reported() {
    for (if_changed, is_new, is_set) in [
        (IfChanged::SetAgain, false, true),
        (IfChanged::Report, false, false),
        (IfChanged::Report, true, true),
    ] {
        let settings = accepted(&[("NumCPUs", "1"), ("Nickname", "x")]);
        with_tor(
            move |tor| {
                tor.answer("GETCONF NumCPUs Nickname", &["250-NumCPUs=4", "250 Nickname=x"]);
                if is_set {
                    tor.answer("SETCONF NumCPUs=1", &["250 OK"]);
                }
                if is_new {
                    tor.answer("GETCONF NumCPUs", &["250 NumCPUs=1"]);
                }
            },
            |controller| {
                let restored = restore(&settings, controller, is_new, if_changed);
                let unrestored: Vec<_> =
                    restored.unrestored.iter().map(|part| part.part.to_string()).collect();
                assert_eq!(unrestored.is_empty(), is_set, "{unrestored:?}");
                assert!(is_set || unrestored == ["the option NumCPUs"], "{unrestored:?}");
                assert_eq!(restored.has_corrected, is_set && !is_new);
            },
        );
    }
}

#[test]
fn the_value_of_another_program_that_sets_an_option_again_at_once_is_not_taken_for_the_own() {
    let settings = accepted(&[("NumCPUs", "1")]);
    with_tor(
        |tor| {
            for _ in 0..3 {
                tor.answer("GETCONF NumCPUs", &["250 NumCPUs=4"]);
                tor.answer("SETCONF NumCPUs=1", &["250 OK"]);
            }
        },
        |controller| {
            for _ in 0..3 {
                let restored = restore(&settings, controller, false, IfChanged::SetAgain);
                assert!(restored.has_corrected);
            }
        },
    );
}

#[test]
fn behind_a_filter_that_refuses_queries_a_new_tor_gets_what_was_set() {
    for is_new in [true, false] {
        let settings = recorded(&[("NumCPUs", "1")], true);
        settings.record(&self::settings(&[("Nickname", "x")]), false);
        with_tor(
            move |tor| {
                tor.answer("GETCONF NumCPUs Nickname", &[FILTERED]);
                let set =
                    if is_new { "SETCONF NumCPUs=1 Nickname=x" } else { "SETCONF Nickname=x" };
                tor.answer(set, &["250 OK"]);
                tor.answer("GETCONF NumCPUs Nickname", &[FILTERED]);
            },
            |controller| {
                let restored = restore(&settings, controller, is_new, IfChanged::SetAgain);
                assert!(restored.unrestored.is_empty() && !restored.has_corrected);
            },
        );
    }
}

#[test]
fn if_tor_refuses_the_options_of_one_call_those_of_the_others_are_set() {
    let settings = recorded(&[("NumCPUs", "x"), ("Address", "a")], false);
    settings.record(&self::settings(&[("Nickname", "y")]), false);
    with_tor(
        |tor| {
            tor.answer(
                "GETCONF NumCPUs Address Nickname",
                &["250-NumCPUs=0", "250-Address", "250 Nickname=z"],
            );
            tor.answer("SETCONF NumCPUs=x Address=a Nickname=y", &[REFUSED]);
            tor.answer("SETCONF NumCPUs=x Address=a", &[REFUSED]);
            tor.answer("SETCONF Nickname=y", &["250 OK"]);
            tor.answer("GETCONF Nickname", &["250 Nickname=y"]);
        },
        |controller| {
            let restored = restore(&settings, controller, true, IfChanged::SetAgain);
            let parts = restored.unrestored.iter().map(|part| part.part.to_string());
            assert_eq!(parts.collect::<Vec<_>>(), ["the option NumCPUs", "the option Address"]);
            let is_rejected = |part: &UnrestoredPart| matches!(part.error, Error::Rejected(_));
            assert!(restored.unrestored.iter().all(is_rejected), "{:?}", restored.unrestored);
        },
    );
    let wanted = ["NumCPUs 1 pending", "Address 1 pending", r#"Nickname 1 accepted ["y"]"#];
    assert_eq!(options(&settings), wanted);
}

#[test]
fn an_option_that_a_new_tor_refuses_is_set_at_the_next_check() {
    for if_changed in [IfChanged::SetAgain, IfChanged::Report] {
        let settings = accepted(&[("NumCPUs", "1")]);
        with_tor(
            |tor| {
                for reply in [REFUSED, "250 OK"] {
                    tor.answer("GETCONF NumCPUs", &["250 NumCPUs=4"]);
                    tor.answer("SETCONF NumCPUs=1", &[reply]);
                }
                tor.answer("GETCONF NumCPUs", &["250 NumCPUs=1"]);
            },
            |controller| {
                let restored = restore(&settings, controller, true, if_changed);
                let [part] = &restored.unrestored[..] else { panic!("{:?}", restored.unrestored) };
                assert!(matches!(part.error, Error::Rejected(_)), "{part}");
                let restored = restore(&settings, controller, false, if_changed);
                assert!(restored.unrestored.is_empty() && !restored.has_corrected);
            },
        );
        assert_eq!(options(&settings), [r#"NumCPUs 1 accepted ["1"]"#]);
    }
}

#[test]
fn an_option_that_others_changed_is_not_set_again_if_tor_refuses_it() {
    let settings = accepted(&[("NumCPUs", "1")]);
    with_tor(
        |tor| {
            tor.answer("GETCONF NumCPUs", &["250 NumCPUs=4"]);
            tor.answer("SETCONF NumCPUs=1", &[REFUSED]);
        },
        |controller| {
            let restored = restore(&settings, controller, false, IfChanged::SetAgain);
            assert!(!restored.has_corrected && restored.unrestored.len() == 1);
        },
    );
}

#[test]
fn an_option_with_a_name_that_tor_does_not_use_is_queried_alone() {
    let settings = recorded(&[("NumCPUs", "1"), ("OldName", "2")], true);
    with_tor(
        |tor| {
            tor.answer(
                "GETCONF NumCPUs OldName",
                &["552 Unrecognized configuration key \"OldName\""],
            );
            tor.answer("GETCONF NumCPUs", &["250 NumCPUs=1"]);
            tor.answer("GETCONF OldName", &["250 NewName=2"]);
        },
        |controller| settings.settle(controller, deadline_after(LIMIT)).unwrap(),
    );
    assert_eq!(options(&settings), [r#"NumCPUs 1 accepted ["1"]"#, r#"OldName 1 accepted ["2"]"#]);
}

#[test]
fn a_value_is_the_same_whether_it_is_queried_alone_or_with_others() {
    let settings = recorded(&[("ContactInfo", "Ann #1"), ("OldName", "2")], true);
    let contact = r#"ContactInfo="Ann #1""#;
    with_tor(
        move |tor| {
            tor.answer(
                "GETCONF ContactInfo OldName",
                &["552 Unrecognized configuration key \"OldName\""],
            );
            tor.answer("GETCONF ContactInfo", &[&format!("250 {contact}")]);
            tor.answer("GETCONF OldName", &["250 NewName=2"]);
            // tor's name is known now.
            tor.answer(
                "GETCONF ContactInfo NewName",
                &[&format!("250-{contact}"), "250 NewName=2"],
            );
        },
        |controller| {
            settings.settle(controller, deadline_after(LIMIT)).unwrap();
            let restored = restore(&settings, controller, false, IfChanged::SetAgain);
            assert!(restored.unrestored.is_empty() && !restored.has_corrected);
        },
    );
    let accepted = [r#"ContactInfo 1 accepted ["Ann #1"]"#, r#"OldName 1 accepted ["2"]"#];
    assert_eq!(options(&settings), accepted);
}

#[test]
fn of_two_names_of_one_option_the_later_call_counts() {
    let set = |names: [&str; 2]| {
        let settings = recorded(&[(names[0], "1")], true);
        settings.record(&self::settings(&[(names[1], "2")]), true);
        let mut kept = settings.kept.lock();
        kept.set_tor_name("OldName", "NewName");
        kept.set_tor_name("NewName", "NewName");
        drop(kept);
        settings
    };
    assert_eq!(options(&set(["OldName", "NewName"])), ["NewName 1 sent None"]);
    let settings = set(["NewName", "OldName"]);
    assert_eq!(options(&settings), ["OldName 1 sent None"]);
    settings.record(&self::settings(&[("newname", "3"), ("Nickname", "x")]), false);
    assert_eq!(options(&settings), ["newname 1 pending", "Nickname 1 pending"]);
    assert!(set(["NewName", "OldName"]).forget("NewName"));
    // An older tor knows only the name of the program.
    let settings = set(["NewName", "OldName"]);
    with_tor(
        |tor| {
            tor.answer("GETCONF NewName", &[REFUSED]).answer("GETCONF OldName", &["250 OldName=2"]);
        },
        |controller| settings.settle(controller, deadline_after(LIMIT)).unwrap(),
    );
    assert_eq!(options(&settings), [r#"OldName 1 accepted ["2"]"#]);
}

#[test]
fn a_setting_that_tor_refuses_the_second_time_is_restored_and_tried_at_the_next_check() {
    let settings = recorded(&[("MaxCircuitDirtiness", "10 minutes")], false);
    with_tor(
        |tor| {
            for (reply, value) in [("250 OK", "700"), (REFUSED, "600")] {
                let value = format!("250 MaxCircuitDirtiness={value}");
                tor.answer("GETCONF MaxCircuitDirtiness", &[&value]);
                tor.answer("SETCONF MaxCircuitDirtiness=\"10 minutes\"", &[reply]);
            }
        },
        |controller| {
            let restored = restore(&settings, controller, true, IfChanged::SetAgain);
            assert!(restored.unrestored.is_empty(), "{:?}", restored.unrestored);
        },
    );
    assert_eq!(options(&settings), [r#"MaxCircuitDirtiness 1 read ["600"]"#]);
    // A value that is returned again counts only if the settings were sent again.
    with_tor(
        |tor| {
            tor.answer("SETCONF MaxCircuitDirtiness=\"10 minutes\"", &["250 OK"]);
            tor.answer("GETCONF MaxCircuitDirtiness", &["250 MaxCircuitDirtiness=600"]);
        },
        |controller| settings.settle(controller, deadline_after(LIMIT)).unwrap(),
    );
    assert_eq!(options(&settings), [r#"MaxCircuitDirtiness 1 accepted ["600"]"#]);
}

/// Runs a call with a tor that does not answer the last command of the script, and requires that
/// the call ends at its limit and sends nothing behind that command.
fn assert_silence_ends(
    script: impl FnOnce(&mut Script) + Send + 'static,
    call: impl FnOnce(&Controller, Instant) -> Result<()>,
) {
    let (sender, is_silent) = unbounded();
    with_tor(
        move |tor| {
            script(tor);
            sender.send(()).unwrap();
            tor.expect_matching("a probe", |line| line.starts_with("GETINFO torcon/sync/"));
        },
        |controller| {
            let clock = ManualClock::start();
            thread::scope(|scope| {
                scope.spawn(|| {
                    is_silent.recv_timeout(LIMIT).unwrap();
                    clock.tick_by(Duration::from_secs(1));
                });
                let error = call(controller, deadline_after(LIMIT)).unwrap_err();
                assert!(matches!(error, Error::Timeout(_)), "{error}");
            });
        },
    );
}

#[test]
fn a_tor_that_does_not_answer_gets_no_further_command() {
    let options = || {
        let options = recorded(&[("NumCPUs", "1")], false);
        options.record(&settings(&[("Nickname", "x")]), false);
        options
    };
    let restore = |settings: &Settings, controller: &Controller, deadline| {
        settings.restore_options(controller, true, IfChanged::SetAgain, deadline).map(drop)
    };
    let query = |tor: &mut Script| {
        tor.answer("GETCONF NumCPUs Nickname", &["250-NumCPUs=0", "250 Nickname=y"]);
    };
    let set = "SETCONF NumCPUs=1 Nickname=x";
    // Each of the commands that restore options.
    assert_silence_ends(
        |tor| {
            tor.expect("GETCONF NumCPUs Nickname");
        },
        |controller, deadline| restore(&options(), controller, deadline),
    );
    assert_silence_ends(
        move |tor| {
            query(tor);
            tor.expect(set);
        },
        |controller, deadline| restore(&options(), controller, deadline),
    );
    assert_silence_ends(
        move |tor| {
            query(tor);
            tor.answer(set, &[REFUSED]).expect("SETCONF NumCPUs=1");
        },
        |controller, deadline| restore(&options(), controller, deadline),
    );
    assert_silence_ends(
        move |tor| {
            query(tor);
            tor.answer(set, &["250 OK"]);
            query(tor);
            tor.expect(set);
        },
        |controller, deadline| restore(&options(), controller, deadline),
    );
    // Those that restore keys.
    let keys = || {
        let settings = Settings::default();
        settings.record_client_auth(&keys::client_auth(8));
        settings
    };
    assert_silence_ends(
        |tor| {
            tor.expect("ONION_CLIENT_AUTH_VIEW");
        },
        |controller, deadline| keys().restore_client_auths(controller, deadline).map(drop),
    );
    assert_silence_ends(
        |tor| {
            tor.answer("ONION_CLIENT_AUTH_VIEW", &["250-ONION_CLIENT_AUTH_VIEW", "250 OK"]);
            tor.expect_matching("the key", |line| line.starts_with("ONION_CLIENT_AUTH_ADD "));
        },
        |controller, deadline| keys().restore_client_auths(controller, deadline).map(drop),
    );
}

#[test]
fn changes_are_watched_once_on_a_connection_and_no_longer_after_the_end() {
    let shared = Arc::new(Shared::new(SupervisorOptions::new(), 1 << 20));
    let settings = &shared.settings;
    with_tor(
        |tor| {
            tor.answer("SETEVENTS CONF_CHANGED SIGNAL", &["250 OK"]);
            tor.answer("SETEVENTS", &["250 OK"]);
        },
        |controller| {
            for _ in 0..2 {
                settings.watch(&shared, controller, 1, deadline_after(LIMIT)).unwrap();
            }
            settings.end();
        },
    );
}
