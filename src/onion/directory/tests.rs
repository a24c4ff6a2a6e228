use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::ServiceDirectory;
use crate::names::{ClientAuthKey, OnionKey};
use crate::onion::AuthorizedClient;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn entries(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn client(name: &str, seed: u8) -> AuthorizedClient {
    let key = ClientAuthKey::from_bytes([seed; 32]).unwrap();
    AuthorizedClient { name: name.parse().unwrap(), public_key: key.public(), key: Some(key) }
}

#[test]
fn a_new_directory_is_private_and_goes_unless_it_is_kept() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let directory = ServiceDirectory::prepare(Some(&path), None).unwrap();
    assert_eq!(mode(&path), 0o700);
    fs::write(path.join("hostname"), "tor's").unwrap();
    drop(directory);
    assert!(!path.exists());

    ServiceDirectory::prepare(Some(&path), None).unwrap().keep();
    assert!(path.exists(), "a given directory stays");

    let mut temporary = ServiceDirectory::prepare(None, None).unwrap();
    let path = temporary.path().to_owned();
    assert_eq!(mode(&path), 0o700);
    temporary.keep();
    drop(temporary);
    assert!(!path.exists(), "a temporary one goes in any case");
}

#[test]
fn of_a_directory_that_was_there_only_what_was_made_is_taken_back() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("mine"), "precious").unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o700)).unwrap();
    let key = OnionKey::from_seed([1; 32]);
    let mut directory = ServiceDirectory::prepare(Some(root.path()), None).unwrap();
    directory.put_key(&key).unwrap();
    directory.put_clients(&mut [client("alice", 1)]).unwrap();
    directory.expect_files();
    fs::write(root.path().join("hostname"), format!("{}\n", key.address())).unwrap();
    assert_eq!(directory.read_address().unwrap(), key.address());
    assert_eq!(directory.read_key().unwrap().reveal_blob(), key.reveal_blob());
    assert_eq!(mode(&root.path().join("hs_ed25519_secret_key")), 0o600);
    assert_eq!(mode(&root.path().join("authorized_clients")), 0o700);
    assert_eq!(mode(&root.path().join("authorized_clients/alice.auth")), 0o600);
    drop(directory);
    assert_eq!(entries(root.path()), ["mine"]);
}

#[test]
fn what_tor_would_refuse_is_refused_first() {
    let root = TempDir::new().unwrap();
    let refusal = |path: &Path, user| {
        let text = ServiceDirectory::prepare(Some(path), user).unwrap_err().to_string();
        text.replace(&root.path().display().to_string(), "")
    };
    let missing = root.path().join("a/b");
    assert_eq!(
        refusal(&missing, None),
        "\"/a/b\" cannot be used: No such file or directory (os error 2)"
    );
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refusal(&file, None), "\"/file\" is no directory");
    let open = root.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        refusal(&open, None),
        "\"/open\" has mode 0755, and tor wants one that is private (0700)"
    );
    fs::set_permissions(&open, Permissions::from_mode(0o700)).unwrap();
    let me = nix::unistd::geteuid().as_raw();
    assert_eq!(
        refusal(&open, Some(me + 1)),
        format!("\"/open\" belongs to user {me}, and tor runs as user {}", me + 1)
    );
    for (name, target) in [("link", "open"), ("dangling", "nowhere")] {
        symlink(root.path().join(target), root.path().join(name)).unwrap();
        assert_eq!(
            refusal(&root.path().join(name), None),
            format!("\"/{name}\" is a symbolic link, which tor does not follow")
        );
    }
}

#[test]
fn a_key_that_is_there_is_used_and_never_replaced() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let (mine, other) = (OnionKey::from_seed([1; 32]), OnionKey::from_seed([2; 32]));
    let mut directory = ServiceDirectory::prepare(Some(&path), None).unwrap();
    directory.put_key(&mine).unwrap();
    directory.keep();
    let mut again = ServiceDirectory::prepare(Some(&path), None).unwrap();
    assert_eq!(again.existing_address().unwrap(), Some(mine.address()));
    again.put_key(&mine).unwrap();
    assert_eq!(
        again.put_key(&other).unwrap_err().to_string(),
        format!(
            "{path:?} is the directory of {}, and the key that was given that of {}",
            mine.address(),
            other.address()
        )
    );
    drop(again);
    let secret = path.join("hs_ed25519_secret_key");
    assert!(secret.exists());

    let error = |bytes: &[u8], mode| {
        fs::write(&secret, bytes).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let directory = ServiceDirectory::prepare(Some(&path), None).unwrap();
        let error = directory.existing_address().unwrap_err();
        error.to_string().replace(&secret.display().to_string(), "key")
    };
    assert_eq!(
        error(b"short", 0o600),
        "\"key\" holds something else than it should: \
         invalid onion key: must be a file of 96 bytes"
    );
    assert_eq!(
        error(&mine.reveal_file_bytes(), 0o644),
        "\"key\" has mode 0644, but a key is for its owner alone (0600)"
    );
}

#[test]
fn a_client_that_is_there_keeps_its_key() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let mut directory = ServiceDirectory::prepare(Some(&path), None).unwrap();
    directory.put_clients(&mut [client("alice", 1)]).unwrap();
    directory.keep();

    let mut again = ServiceDirectory::prepare(Some(&path), None).unwrap();
    // A new pair was to be made: the client has one already, whose secret half nobody knows here.
    let mut made = [client("alice", 2), client("bob", 3)];
    again.put_clients(&mut made).unwrap();
    assert_eq!(made[0].public_key, client("alice", 1).public_key);
    assert!(made[0].key.is_none());
    assert!(made[1].key.is_some());
    let mut given = client("alice", 2);
    given.key = None;
    assert_eq!(
        again.put_clients(&mut [given]).unwrap_err().to_string(),
        "the client alice has another key already"
    );
    drop(again);
    assert_eq!(entries(&path.join("authorized_clients")), ["alice.auth"]);
}
