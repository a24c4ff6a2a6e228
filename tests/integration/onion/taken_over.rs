use std::fs;
use std::path::Path;

use super::{LONG, controller, endpoint, entries, listen, services};
use crate::support::log_capture::LogCapture;
use crate::support::real_tor::RealTor;
use crate::support::watchdog::eventually;

/// A tor with a service in its torrc, whose directory is below `directory`.
fn tor_with_a_service(directory: &Path) -> RealTor {
    RealTor::builder()
        .line(format!("HiddenServiceDir {}", directory.join("service").display()))
        .line("HiddenServicePort 80 127.0.0.1:8080")
        .line("HiddenServicePort 81")
        .line("HiddenServiceMaxStreams 7")
        .start()
}

#[test]
fn a_replaced_service_of_the_torrc_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    let tor = tor_with_a_service(directory.path());
    let path = directory.path().join("service");
    let (before, files) = (services(&tor), entries(&path));
    assert_eq!(before.len(), 4);
    let hostname = fs::read_to_string(path.join("hostname")).unwrap();
    for is_closed in [true, false] {
        let listener = listen(endpoint(&tor).hidden_service_dir(&path));
        assert_eq!(format!("{}\n", listener.onion_address()), hostname);
        assert_eq!(services(&tor).len(), 2, "{:?}", services(&tor));
        if is_closed {
            listener.close().unwrap();
        }
        drop(listener);
        assert_eq!(services(&tor), before);
        assert_eq!(entries(&path), files);
    }
    // A service that was removed from the torrc is not restored.
    fs::write(tor.torrc_path(), "").unwrap();
    listen(endpoint(&tor).hidden_service_dir(&path)).close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}

#[test]
fn a_replaced_service_of_the_torrc_is_restored_as_the_edited_torrc_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let tor = tor_with_a_service(directory.path());
    let path = directory.path().join("service");
    let torrc = fs::read_to_string(tor.torrc_path()).unwrap();
    let edited = torrc.replace("HiddenServicePort 81", "HiddenServicePort 82");
    let kept = |line: &&str| !line.starts_with("HiddenService");
    let removed: String = torrc.split_inclusive('\n').filter(kept).collect();
    for (text, left) in [(&edited, 4), (&removed, 1), (&edited, 4)] {
        let log = LogCapture::start();
        let listener = listen(endpoint(&tor).hidden_service_dir(&path));
        fs::write(tor.torrc_path(), text).unwrap();
        assert_eq!(tor.raw().ask("SIGNAL RELOAD"), ["250 OK"]);
        let again = format!("{} was added to tor again", listener.onion_address());
        eventually(LONG, "tor has the service again", || !log.lines_with(&again).is_empty());
        listener.close().unwrap();
        let services = services(&tor);
        assert_eq!(services.len(), left, "{services:?}");
        assert!(!services.iter().any(|line| line.ends_with("81")), "{services:?}");
    }
}

#[test]
fn a_replaced_service_of_another_controller_is_not_restored() {
    // Such as the service of a killed program, whose server has ended.
    let tor = RealTor::start();
    let path = tor.directory().join("service");
    let line = format!("HiddenServiceDir={} HiddenServicePort=80", path.display());
    assert_eq!(tor.raw().ask(&format!("SETCONF {line}")), ["250 OK"]);
    listen(endpoint(&tor).hidden_service_dir(&path)).close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    assert!(controller(&tor).detached_onions().unwrap().is_empty());
}
