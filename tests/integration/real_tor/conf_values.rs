//! Values of options on their way to tor and back: quoted where tor needs it, as they are elsewhere.

use proptest::prelude::{ProptestConfig, Strategy, prop_oneof};
use proptest::strategy::Just;
use proptest::test_runner::TestRunner;
use torcon::ConnectOptions;

use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;

/// Values that tor might read as something else.
const ODD: [&str; 17] = [
    "\"", "\"\"", "\\", "a\\", "#", "a#b", "a # b", "'", "=", "a=b", ";", "+", "/", "\t", "\u{b}",
    "\u{c}", "\u{7f}",
];

/// Text of every kind that one line can hold: plain, with quotes, blanks and escapes, and of other
/// alphabets.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!-~]{1,12}",
        "[ -~]{1,12}",
        "[\"\\\\ #'=\t]{1,8}",
        "[^\r\n\0]{1,8}",
        proptest::sample::select(&ODD).prop_map(str::to_owned),
        Just(String::new()),
    ]
}

#[test]
fn every_value_is_returned_unchanged_whether_it_was_quoted_or_not() {
    let tor = RealTor::start();
    let proxy = RecordingProxy::before(tor.address());
    let controller = ConnectOptions::new().connect(proxy.endpoint().as_str()).unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let values = (value(), value());
    let check = |(first, second): (String, String)| {
        // Both ways to set an option, and a neighbor that a value could swallow or become.
        controller.set_conf([("ContactInfo", &first), ("Nickname", &"before".to_owned())]).unwrap();
        let conf = controller.get_conf(["ContactInfo", "Nickname"]).unwrap();
        assert_eq!(conf.get("ContactInfo").unwrap().first().unwrap_or_default(), first);
        assert_eq!(conf.get("Nickname").unwrap().first(), Some("before"));
        controller.reset_conf([("Nickname", "after"), ("ContactInfo", second.as_str())]).unwrap();
        let conf = controller.get_conf(["ContactInfo", "Nickname"]).unwrap();
        assert_eq!(conf.get("ContactInfo").unwrap().first().unwrap_or_default(), second);
        assert_eq!(conf.get("Nickname").unwrap().first(), Some("after"));
        Ok(())
    };
    runner.run(&values, check).unwrap();
    drop(controller);
    // Some of both kinds were sent.
    let sent = proxy.sent();
    assert!(sent.iter().any(|line| line.starts_with("SETCONF ContactInfo=\"")), "none was quoted");
    let plain = |line: &&String| line.starts_with("SETCONF ContactInfo=") && !line.contains('"');
    assert!(sent.iter().find(plain).is_some(), "each was quoted");
}

#[test]
fn values_that_need_no_quotes_are_sent_unchanged() {
    let tor = RealTor::start();
    let proxy = RecordingProxy::before(tor.address());
    let controller = ConnectOptions::new().connect(proxy.endpoint().as_str()).unwrap();
    controller.set_conf([("DisableNetwork", "1")]).unwrap();
    controller.reset_conf([("DisableNetwork", Some("1")), ("ContactInfo", None)]).unwrap();
    controller.set_conf([("ContactInfo", "#a\"\\'=b")]).unwrap();
    let sent = proxy.sent();
    for line in [
        "SETCONF DisableNetwork=1",
        "RESETCONF DisableNetwork=1 ContactInfo",
        "SETCONF ContactInfo=#a\"\\'=b",
    ] {
        assert!(sent.iter().any(|sent| sent == line), "{line}: {sent:?}");
    }
}
