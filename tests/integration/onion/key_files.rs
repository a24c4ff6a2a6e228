use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use torcon::names::{ClientAuthKey, OnionKey};

use super::{endpoint, entries, key, listen, refusal};
use crate::support::program::{End, Program, run_as_program};
use crate::support::real_tor::RealTor;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_key_file_is_created_once_and_keeps_the_address_of_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.key");
    let created = OnionKey::read_or_create_file(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read(&path).unwrap(), created.reveal_file_bytes());
    let tor = RealTor::start();
    for _ in 0..2 {
        let key = OnionKey::read_or_create_file(&path).unwrap();
        let listener = listen(endpoint(&tor).key(key));
        assert_eq!(listener.onion_address(), created.address());
        listener.close().unwrap();
    }
    // Nothing else is left in the directory.
    assert_eq!(entries(directory.path()), ["web.key"]);
    assert_eq!(OnionKey::read_file(&path).unwrap().address(), created.address());
}

#[test]
fn a_created_key_file_is_that_of_a_directory_of_tor() {
    let directory = tempfile::tempdir().unwrap();
    let service = directory.path().join("service");
    fs::create_dir(&service).unwrap();
    set_mode(&service, 0o700);
    let key = OnionKey::read_or_create_file(service.join("hs_ed25519_secret_key")).unwrap();
    let _tor = RealTor::builder()
        .line(format!("HiddenServiceDir {}", service.display()))
        .line("HiddenServicePort 80")
        .start();
    let hostname = fs::read_to_string(service.join("hostname")).unwrap();
    assert_eq!(hostname.trim(), key.address().to_string());
}

#[test]
fn a_key_file_may_have_the_text_of_add_onion() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.key");
    let tor = RealTor::start();
    let reply = tor.raw().ask("ADD_ONION NEW:ED25519-V3 Port=80");
    let id = reply[0].strip_prefix("250-ServiceID=").unwrap();
    let blob = reply[1].strip_prefix("250-PrivateKey=").unwrap();
    for text in [blob.to_owned(), format!("{blob}\n"), format!("{blob}\r\n")] {
        fs::write(&path, &text).unwrap();
        set_mode(&path, 0o600);
        assert_eq!(OnionKey::read_or_create_file(&path).unwrap().address().service_id(), id);
        assert_eq!(OnionKey::read_file(&path).unwrap().reveal_blob(), blob);
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "the file is as it was");
    }
}

#[test]
fn threads_that_create_one_key_file_at_once_get_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = directory.path().join(format!("{round}.key"));
        let barrier = Barrier::new(8);
        let addresses: Vec<_> = thread::scope(|scope| {
            let create = || {
                barrier.wait();
                OnionKey::read_or_create_file(&path).unwrap().address()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let kept = OnionKey::read_file(&path).unwrap().address();
        assert!(addresses.iter().all(|address| *address == kept));
    }
    assert_eq!(entries(directory.path()).len(), 20);
}

#[test]
fn processes_that_create_one_key_file_at_once_get_the_same_key() {
    let is_program = run_as_program(|_, directory| {
        let read = |number| OnionKey::read_or_create_file(directory.join(format!("{number}.key")));
        ((), (0..30).map(|number| read(number).unwrap().address().to_string()).collect())
    });
    if is_program {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let name = "onion::key_files::processes_that_create_one_key_file_at_once_get_the_same_key";
    let mut programs: Vec<_> =
        (0..4).map(|_| Program::start(name, End::Return, "", directory.path())).collect();
    let reports: Vec<_> = programs.iter_mut().map(Program::report).collect();
    programs.into_iter().for_each(Program::end);
    assert!(reports.iter().all(|report| report.len() == 30 && *report == reports[0]));
    assert_eq!(entries(directory.path()).len(), 30);
}

#[test]
fn anything_but_a_private_file_with_a_key_is_refused_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    key(1).write_file(place("key")).unwrap();
    key(1).write_file(place("open")).unwrap();
    set_mode(&place("open"), 0o640);
    symlink(place("key"), place("link")).unwrap();
    symlink(place("nowhere"), place("dangling")).unwrap();
    mkfifo(&place("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
    fs::create_dir(place("directory")).unwrap();
    fs::write(place("empty"), "").unwrap();
    fs::write(place("public"), key(1).public_file_bytes()).unwrap();
    fs::write(place("long"), [b'x'; 5000]).unwrap();
    for name in ["empty", "public", "long"] {
        set_mode(&place(name), 0o600);
    }
    let before = entries(directory.path());
    for (name, problem) in [
        ("open", "has mode 0640, and a key file must be private (0600)"),
        ("link", "is not a regular file, and a link is not followed"),
        ("dangling", "is not a regular file, and a link is not followed"),
        ("pipe", "is not a regular file, and a link is not followed"),
        ("directory", "is not a regular file, and a link is not followed"),
        ("empty", "must be a file of 96 bytes"),
        ("public", "must be the file of the secret key, not that of the public one"),
        ("long", "must be a file that begins with == ed25519v1-secret: type0 =="),
        ("missing/key", "No such file or directory"),
        ("key/key", "Not a directory"),
        ("..", "is a directory"),
        ("new/", "is a directory"),
        ("new\0", "a path must not contain NUL"),
    ] {
        let path = place(name);
        for refused in
            [refusal(OnionKey::read_or_create_file(&path)), refusal(OnionKey::read_file(&path))]
        {
            assert!(refused.contains(problem), "{name}: {refused}");
            assert!(refused.contains(&*directory.path().to_string_lossy()), "{refused}");
        }
    }
    assert!(refusal(OnionKey::read_file(place("missing"))).contains("entity not found"));
    assert!(refusal(key(2).write_file(place("key"))).contains("already exists"));
    assert_eq!(entries(directory.path()), before);
    assert_eq!(OnionKey::read_file(place("key")).unwrap().address(), key(1).address());
}

#[test]
fn a_file_of_a_client_is_written_for_tor_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o700);
    let path = directory.path().join("web.auth_private");
    let (client, service) = (ClientAuthKey::generate().unwrap(), key(3).address());
    client.write_auth_private_file(&path, service).unwrap();
    assert_eq!(mode(&path), 0o600);
    let tor = RealTor::builder()
        .line(format!("ClientOnionAuthDir {}", directory.path().display()))
        .start();
    let known = super::controller(&tor).onion_client_auth(service).unwrap().unwrap();
    assert!(known.permanent && known.key.reveal_bytes() == client.reveal_bytes());
    let (address, read) = ClientAuthKey::read_auth_private_file(&path).unwrap();
    assert_eq!((address, read.reveal_bytes()), (service, client.reveal_bytes()));
    let refused = refusal(client.write_auth_private_file(&path, service));
    assert!(refused.contains("already exists"), "{refused}");
    set_mode(&path, 0o604);
    let refused = refusal(ClientAuthKey::read_auth_private_file(&path).map(drop));
    assert!(refused.contains("has mode 0604"), "{refused}");
    fs::write(&path, client.reveal_blob()).unwrap();
    set_mode(&path, 0o600);
    let refused = refusal(ClientAuthKey::read_auth_private_file(&path).map(drop));
    assert!(refused.contains("must be an address and :descriptor:x25519:"), "{refused}");
    assert!(!refused.contains(&client.reveal_base64()), "{refused}");
}
