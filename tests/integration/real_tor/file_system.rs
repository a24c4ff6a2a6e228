//! Paths in the configuration: refused only if tor is proved to see the same files.

use torcon::process::Launcher;

use super::{controller, refusal};
use crate::support::real_tor::{RealTor, tor_binary};

const WOULD_EXIT: &str = "invalid argument \"HiddenServiceDir\": is in a directory that does not \
                          exist, and tor would exit";

#[test]
fn a_tor_behind_its_own_unix_socket_and_a_launched_one_are_protected() {
    let tor = RealTor::start();
    let missing = [("HiddenServiceDir", "/nonexistent/a/b"), ("HiddenServicePort", "80")];
    let controller = controller(&tor);
    assert_eq!(refusal(controller.set_conf(missing)), WOULD_EXIT);
    assert_eq!(refusal(controller.set_conf(missing)), WOULD_EXIT);

    // A launched tor is known on every kind of connection.
    let via = torcon::process::ControlVia::Tcp;
    let launcher = Launcher::new().program(tor_binary()).control(via);
    let launcher = launcher.option("DisableNetwork", "1").option("SocksPort", "0");
    let process = launcher.wait_for(torcon::process::Ready::Controller).launch().unwrap();
    let controller = process.controller().unwrap();
    assert_eq!(refusal(controller.set_conf(missing)), WOULD_EXIT);
    assert!(controller.is_alive());
}

// The comment was read as a part of the path, and its directory was checked.
#[test]
fn a_comment_behind_a_path_is_not_a_part_of_it() {
    let tor = RealTor::start();
    let controller = controller(&tor);
    let root = tor.directory().display().to_string();
    let lines = [
        format!("DataDirectory {root}/data\nControlSocket {root}/control\nSocksPort 0"),
        format!("DisableNetwork 1\nCookieAuthentication 1\nCookieAuthFile {root}/cookie"),
        format!("HiddenServiceDir {root}/one # moved from /nonexistent/a/b"),
        "HiddenServicePort 80".to_owned(),
        format!("HiddenServiceDir \"{root}/two\" # /nonexistent/a/b"),
        "HiddenServicePort 80".to_owned(),
        format!("HiddenServiceDir {root}/th\\\n# /nonexistent/a/b\nree"),
        "HiddenServicePort 80\n".to_owned(),
    ];
    controller.load_conf(lines.join("\n")).unwrap();
    for name in ["one", "two", "three"] {
        assert!(tor.directory().join(name).join("hostname").exists(), "{name}");
    }
    let continued = format!("{}HiddenServiceDir /nonex\\\nistent/a/b\n", lines.join("\n"));
    assert_eq!(refusal(controller.load_conf(continued)), WOULD_EXIT);
}
