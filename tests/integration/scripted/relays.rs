//! Relays: one, all, or one by one.

use std::ops::ControlFlow;

use torcon::Error;
use torcon::names::RouterPurpose;

use super::{answer, connected, value};
use crate::support::exclusive::exclusive;
use crate::support::leaks::{peak_growth, peak_memory};

/// The entry of a relay of a private network, as a client returned it.
const STATUS: &str = "r test004r 6PeNDK0uSrN68tulQ+U+hPeyBqw FANtNjdwf/PO5Ex06DjrCVOi690 \
                      2038-01-01 00:00:00 127.0.0.1 5004 0";
const FINGERPRINT: &str = "E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC";
const NO_SERVER_DESCRIPTORS: &str = "We fetch microdescriptors, not router descriptors. You'll \
                                     need to use md/id/* instead of desc/id/*.";

#[test]
fn each_method_queries_its_key_and_parses_the_value() {
    let (tor, controller) = connected(|script| {
        let key = format!("ns/id/{FINGERPRINT}");
        script.expect(&format!("GETINFO {key}"));
        script.send_lines(&[&format!("250+{key}="), STATUS, "s Valid", ".", "250 OK"]);
        script
            .answer("GETINFO ns/name/test004r", &["250+ns/name/test004r=", STATUS, ".", "250 OK"]);
        script.answer("GETINFO ns/all", &["250+ns/all=", STATUS, STATUS, ".", "250 OK"]);
        script.answer("GETINFO ns/purpose/bridge", &["250-ns/purpose/bridge=", "250 OK"]);
        let key = format!("md/id/{FINGERPRINT}");
        script.expect(&format!("GETINFO {key}"));
        script.send_lines(&[&format!("250+{key}="), "onion-key", "p accept 80", ".", "250 OK"]);
        script.answer("GETINFO md/name/test004r", &["250-md/name/test004r=onion-key", "250 OK"]);
        let both = ["250+md/all=", "onion-key", "onion-key", ".", "250 OK"];
        script.answer("GETINFO md/all", &both).answer("GETINFO md/all", &both);
        let key = format!("desc/id/{FINGERPRINT}");
        script.expect(&format!("GETINFO {key}"));
        let router = "router test004r 127.0.0.1 5004 0 0";
        script.send_lines(&[&format!("250+{key}="), router, "accept *:80", ".", "250 OK"]);
        script.answer("GETINFO desc/name/test004r", &["250-desc/name/test004r=", "250 OK"]);
        script.answer("GETINFO desc/all-recent", &["250-desc/all-recent=", "250 OK"]);
        script.drain();
    });
    let (fingerprint, nickname) = (FINGERPRINT.parse().unwrap(), "test004r".parse().unwrap());
    let status = controller.relay_status(fingerprint).unwrap().unwrap();
    assert_eq!((status.identity(), status.nickname()), (fingerprint, nickname));
    assert_eq!(status.flags().count(), 1);
    let named = controller.relay_status_by_name(nickname).unwrap().unwrap();
    assert_eq!((named.to_string().as_str(), named.flags().count()), (STATUS, 0));
    assert_eq!(controller.relay_statuses().unwrap().len(), 2);
    assert!(controller.relay_statuses_of_purpose(&RouterPurpose::Bridge).unwrap().is_empty());
    let micro = controller.microdescriptor(fingerprint).unwrap().unwrap();
    assert_eq!(micro.exit_ports().unwrap().to_string(), "accept 80");
    // A value of one line stands behind the key.
    let micro = controller.microdescriptor_by_name(nickname).unwrap().unwrap();
    assert_eq!(micro.to_string(), "onion-key");
    assert_eq!(controller.microdescriptors().unwrap().len(), 2);
    let mut count = 0;
    let take = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    controller.for_each_microdescriptor(take).unwrap();
    assert_eq!(count, 2);
    let server = controller.server_descriptor(fingerprint).unwrap().unwrap();
    assert_eq!(server.exit_policy().unwrap().to_string(), "accept *:80");
    assert_eq!(controller.server_descriptor_by_name(nickname).unwrap(), None);
    assert!(controller.server_descriptors().unwrap().is_empty());
    drop(controller);
    tor.finish();
}

#[test]
fn a_relay_that_is_not_known_is_none_and_every_other_refusal_an_error() {
    let (tor, controller) = connected(|script| {
        let unknown = |key: &str| format!("552 Unrecognized key \"{key}/{FINGERPRINT}\"");
        for key in ["ns/id", "md/id", "desc/id"] {
            script.answer(&format!("GETINFO {key}/{FINGERPRINT}"), &[&unknown(key)]);
        }
        // Before tor has a consensus.
        let empty = format!("250-ns/id/{FINGERPRINT}=");
        script.answer(&format!("GETINFO ns/id/{FINGERPRINT}"), &[&empty, "250 OK"]);
        let refusal = format!("552 {NO_SERVER_DESCRIPTORS}");
        script.answer(&format!("GETINFO desc/id/{FINGERPRINT}"), &[&refusal]);
        let other = format!("250-ns/id/{FINGERPRINT}=something else");
        script.answer(&format!("GETINFO ns/id/{FINGERPRINT}"), &[&other, "250 OK"]);
        script.drain();
    });
    let fingerprint = FINGERPRINT.parse().unwrap();
    assert_eq!(controller.relay_status(fingerprint).unwrap(), None);
    assert_eq!(controller.microdescriptor(fingerprint).unwrap(), None);
    assert_eq!(controller.server_descriptor(fingerprint).unwrap(), None);
    assert_eq!(controller.relay_status(fingerprint).unwrap(), None);
    let error = controller.server_descriptor(fingerprint).unwrap_err();
    assert_eq!(error.to_string(), format!("tor refused GETINFO: 552 {NO_SERVER_DESCRIPTORS:?}"));
    let error = controller.relay_status(fingerprint).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read a router status: expected a line that begins with r, got \"something else\""
    );
    drop(controller);
    tor.finish();
}

#[test]
fn a_bad_entry_is_reported_at_the_end_and_an_early_end_needs_no_more() {
    let (tor, controller) = connected(|script| {
        script.unchecked("entries that cannot be read");
        let lines = ["250+ns/all=", STATUS, "r bad", "r worse", STATUS, ".", "250 OK"];
        script.answer("GETINFO ns/all", &lines).answer("GETINFO ns/all", &lines);
        script.serve(answer);
    });
    let mut taken = 0;
    let take = |_| {
        taken += 1;
        ControlFlow::Continue(())
    };
    let error = controller.for_each_relay_status(take).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)));
    assert_eq!(
        error.to_string(),
        "cannot read a router status: expected an identity, got \"r bad\\n\""
    );
    assert_eq!(taken, 2);
    taken = 0;
    let take = |_| {
        taken += 1;
        ControlFlow::Break(())
    };
    controller.for_each_relay_status(take).unwrap();
    assert_eq!(taken, 1);
    assert_eq!(controller.get_info_one("x").unwrap(), value("x"));
    drop(controller);
    tor.finish();
}

#[test]
fn a_purpose_that_would_be_a_second_word_is_refused() {
    let (tor, controller) = connected(|script| {
        script.drain();
    });
    let error =
        controller.relay_statuses_of_purpose(&RouterPurpose::from("bridge ns/all")).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error}");
    drop(controller);
    tor.finish();
}

#[test]
fn server_descriptors_of_fifty_megabytes_pass_in_little_memory() {
    exclusive(|| {
        const COUNT: u64 = 22_000;
        let body = format!(
            "router test004r 127.0.0.1 5004 0 0\r\naccept *:80\r\nreject *:*\r\n{}router-signature\r\n",
            "opt filled with unknown words to the length of a real document\r\n".repeat(38)
        );
        assert!(body.len() as u64 * COUNT > 50 << 20);
        let (tor, controller) = connected(move |script| {
            script.expect("GETINFO desc/all-recent").send("250+desc/all-recent=\r\n");
            script.flood(body, COUNT).send(".\r\n250 OK\r\n").drain();
        });
        let before = peak_memory();
        let mut allowing = 0;
        let outcome = controller.for_each_server_descriptor(|descriptor| {
            allowing += u64::from(descriptor.allows_exit_to([192, 0, 2, 1].into(), 80));
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        assert_eq!(allowing, COUNT);
        let used = peak_growth(before);
        assert!(used < 16 << 20, "50 MB took {used} bytes");
        drop(controller);
        tor.finish();
    });
}
