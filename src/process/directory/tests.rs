use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{DataDirectory, Directories, SOCKET_PATH_LIMIT};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn temporary_files_are_private_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let directories = Directories::prepare(DataDirectory::Temporary, root.path(), None).unwrap();
    directories.write_torrc(b"SocksPort 0\n").unwrap();
    let private = directories.torrc().parent().unwrap().to_owned();
    assert_eq!(mode(&private), 0o700);
    assert_eq!(mode(directories.data()), 0o700);
    assert_eq!(directories.control_socket(), directories.data().join("control"));
    assert_eq!(mode(&directories.torrc()), 0o600);
    assert_eq!(fs::read(directories.torrc()).unwrap(), b"SocksPort 0\n");
    // With a missing file or /dev/null, tor would read or write the files of the system.
    assert_eq!(fs::read(directories.defaults_torrc()).unwrap(), b"");
    fs::write(directories.data().join("state"), "x").unwrap();
    drop(directories);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_drop_removes_the_temporary_directories() {
    let root = tempfile::tempdir().unwrap();
    drop(Directories::prepare(DataDirectory::Temporary, root.path(), None).unwrap());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_given_directory_is_created_without_its_parents_and_kept() {
    let (root, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = given.path().join("data");
    let directories =
        Directories::prepare(DataDirectory::Given(data.clone()), root.path(), None).unwrap();
    assert_eq!(mode(&data), 0o700);
    drop(directories);
    assert!(data.is_dir());

    // A second use keeps its mode and files.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(data.join("kept"), "x").unwrap();
    drop(Directories::prepare(DataDirectory::Given(data.clone()), root.path(), None).unwrap());
    assert_eq!(mode(&data), 0o750);
    assert!(data.join("kept").exists());

    let deep = given.path().join("missing/data");
    let problem =
        Directories::prepare(DataDirectory::Given(deep.clone()), root.path(), None).unwrap_err();
    assert_eq!(problem.to_string(), format!("cannot create {deep:?}"));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn the_control_socket_is_not_in_a_given_directory() {
    // tor replaces the socket of another tor in the same directory.
    let (root, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let directories =
        Directories::prepare(DataDirectory::Given(given.path().to_owned()), root.path(), None)
            .unwrap();
    assert!(directories.control_socket().starts_with(root.path()));
}

#[test]
fn a_long_temporary_directory_does_not_make_the_socket_path_too_long() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("x".repeat(100));
    fs::create_dir(&deep).unwrap();
    let directories = Directories::prepare(DataDirectory::Temporary, &deep, None).unwrap();
    let socket = directories.control_socket().to_owned();
    assert!(socket.as_os_str().as_bytes().len() <= SOCKET_PATH_LIMIT);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    drop(directories);
    assert!(!socket.parent().unwrap().exists());
}
