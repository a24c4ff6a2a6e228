//! Paths that are missing here: of a tor that is not proved to see the same files, no path is
//! refused because of them.

use torcon::names::Signal;

use super::connected;
use crate::support::fake_tor::FakeTor;
use crate::support::log_capture::LogCapture;
use crate::support::script::Script;

const MISSING: [(&str, &str); 2] =
    [("HiddenServiceDir", "/nonexistent/a/b"), ("HiddenServicePort", "80")];
const SETCONF: &str = "SETCONF HiddenServiceDir=/nonexistent/a/b HiddenServicePort=80";

// The control port of a container, published on a port of this machine, was taken for a tor with
// the files of this machine.
#[test]
fn a_loopback_address_does_not_prove_that_tor_sees_the_same_files() {
    let logged = LogCapture::start();
    let tor = FakeTor::tcp(|script| {
        script.greet();
        script.answer(SETCONF, &["250 OK"]);
        script.answer("SETCONF HiddenServiceDir=/nonexistent/a/b", &["250 OK"]).expect_end();
    });
    let controller = torcon::connect(tor.endpoint()).unwrap();
    controller.set_conf(MISSING).unwrap();
    controller.command("SETCONF HiddenServiceDir=/nonexistent/a/b").unwrap();
    drop(controller);
    tor.finish();
    let warnings = logged.lines_with("cannot check \"/nonexistent/a/b\" for HiddenServiceDir");
    assert!(warnings.len() >= 2, "{:?}", logged.lines());
    assert!(warnings[0].text.contains("a TCP connection does not prove where tor runs"));
}

// A filter, a tunnel or a container's volume can stand behind a unix socket.
#[test]
fn a_unix_socket_proves_it_only_if_tor_itself_listens_there() {
    // The process at the socket is that of this test, so a tor with another pid is behind it.
    let answers: [fn(&mut Script); 4] = [
        |script| {
            script.answer("GETINFO process/pid", &["250-process/pid=1", "250 OK"]);
        },
        |script| {
            script.answer("GETINFO process/pid", &["250-process/pid=4711999", "250 OK"]);
        },
        |script| {
            script.answer("GETINFO process/pid", &["510 Command filtered"]);
        },
        |script| {
            script.answer("GETINFO process/pid", &["250-process/pid=", "250 OK"]);
        },
    ];
    for answer in answers {
        let (tor, controller) = connected(move |script| {
            answer(script);
            script.answer(SETCONF, &["250 OK"]).expect_end();
        });
        controller.set_conf(MISSING).unwrap();
        drop(controller);
        tor.finish();
    }
}

#[test]
fn nothing_is_queried_while_no_path_is_missing() {
    let (tor, controller) = connected(|script| {
        script.answer("SETCONF HiddenServiceDir=/tmp/hs", &["250 OK"]);
        script.answer("SIGNAL NEWNYM", &["250 OK"]).expect_end();
    });
    controller.set_conf([("HiddenServiceDir", "/tmp/hs")]).unwrap();
    controller.signal(Signal::Newnym).unwrap();
    drop(controller);
    tor.finish();
}
