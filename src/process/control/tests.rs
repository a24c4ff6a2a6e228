use std::fs;

use super::{is_temporary, read_port_file};
use crate::error::{Error, InvalidInput, Timeout, Wait};

#[test]
fn the_port_is_read_from_the_file_of_tor() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control-port");
    for (text, address) in [
        ("PORT=127.0.0.1:42765\n", "127.0.0.1:42765"),
        // The user configured another control port and a unix socket.
        ("UNIX_PORT=/x\nPORT=127.0.0.1:1\nPORT=127.0.0.1:2\n", "127.0.0.1:1"),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(read_port_file(&path).unwrap().to_string(), address);
    }
}

#[test]
fn a_missing_or_empty_port_file_is_a_temporary_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control-port");
    let error = read_port_file(&path).unwrap_err();
    let missing = "No such file or directory (os error 2)";
    assert_eq!(error.to_string(), format!("cannot connect to {}: {missing}", path.display()));
    assert!(is_temporary(&error));
    fs::write(&path, "").unwrap();
    assert!(is_temporary(&read_port_file(&path).unwrap_err()));
}

#[test]
fn only_a_temporary_error_is_retried() {
    let timeout = Timeout::new(Wait::Connect, std::time::Duration::from_secs(1));
    assert!(is_temporary(&Error::from(timeout)));
    assert!(!is_temporary(&Error::from(InvalidInput::new("endpoint", "is no address"))));
}

#[test]
fn a_port_file_that_another_user_replaced_neither_blocks_nor_redirects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control-port");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&path, mode).unwrap();
    assert!(is_temporary(&read_port_file(&path).unwrap_err()));
    fs::remove_file(&path).unwrap();
    let other = directory.path().join("other");
    fs::write(&other, "PORT=127.0.0.1:1\n").unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    assert!(is_temporary(&read_port_file(&path).unwrap_err()));
}
