use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::{DirectoryPlace, ServiceDirectory};
use crate::error::Result;
use crate::names::{ClientAuthKey, OnionKey};
use crate::onion::AuthorizedClient;

fn prepare(path: Option<&Path>, user: Option<u32>) -> Result<ServiceDirectory> {
    let given = path.map(|path| DirectoryPlace::Given(path.to_owned()));
    ServiceDirectory::prepare(&given.unwrap_or(DirectoryPlace::Temporary), user)
}

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
    let directory = prepare(Some(&path), None).unwrap();
    assert_eq!(mode(&path), 0o700);
    fs::write(path.join("hostname"), "tor's").unwrap();
    drop(directory);
    assert!(!path.exists());

    prepare(Some(&path), None).unwrap().keep();
    assert!(path.exists(), "a given directory stays");

    let mut temporary = prepare(None, None).unwrap();
    let path = temporary.path().to_owned();
    assert_eq!(mode(&path), 0o700);
    temporary.keep();
    drop(temporary);
    assert!(!path.exists(), "a temporary one goes in any case");
}

#[test]
fn a_failure_reverts_only_its_changes_of_an_existing_directory() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("existing"), "precious").unwrap();
    fs::set_permissions(root.path(), Permissions::from_mode(0o700)).unwrap();
    let key = OnionKey::from_seed([1; 32]);
    let mut directory = prepare(Some(root.path()), None).unwrap();
    directory.install_key(&key).unwrap();
    directory.authorize_clients(vec![client("alice", 1)]).unwrap();
    directory.expect_files().unwrap();
    fs::write(root.path().join("hostname"), format!("{}\n", key.address())).unwrap();
    assert_eq!(directory.read_address().unwrap(), key.address());
    assert_eq!(directory.read_key().unwrap().reveal_blob(), key.reveal_blob());
    assert_eq!(mode(&root.path().join("hs_ed25519_secret_key")), 0o600);
    assert_eq!(mode(&root.path().join("authorized_clients")), 0o700);
    assert_eq!(mode(&root.path().join("authorized_clients/alice.auth")), 0o600);
    drop(directory);
    assert_eq!(entries(root.path()), ["existing"]);
}

#[test]
fn a_directory_that_tor_would_refuse_is_refused_first() {
    let root = TempDir::new().unwrap();
    let refusal = |path: &Path, user| {
        let text = prepare(Some(path), user).unwrap_err().to_string();
        text.replace(&root.path().display().to_string(), "")
    };
    let missing = root.path().join("a/b");
    assert_eq!(
        refusal(&missing, None),
        "\"/a/b\" cannot be used: No such file or directory (os error 2)"
    );
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refusal(&file, None), "\"/file\" is not a directory");
    let open = root.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        refusal(&open, None),
        "\"/open\" has mode 0755, and tor requires a private directory (0700)"
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
fn an_existing_key_is_used_and_never_replaced() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let (existing, other) = (OnionKey::from_seed([1; 32]), OnionKey::from_seed([2; 32]));
    let mut directory = prepare(Some(&path), None).unwrap();
    directory.install_key(&existing).unwrap();
    directory.keep();
    drop(directory);
    let mut again = prepare(Some(&path), None).unwrap();
    assert_eq!(again.existing_address().unwrap(), Some(existing.address()));
    again.install_key(&existing).unwrap();
    assert_eq!(
        again.install_key(&other).unwrap_err().to_string(),
        format!(
            "{path:?} contains the key of {}, but the given key is that of {}",
            existing.address(),
            other.address()
        )
    );
    drop(again);
    let secret = path.join("hs_ed25519_secret_key");
    assert!(secret.exists());

    let error = |bytes: &[u8], mode| {
        fs::write(&secret, bytes).unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let directory = prepare(Some(&path), None).unwrap();
        let error = directory.existing_address().unwrap_err();
        error.to_string().replace(&secret.display().to_string(), "key")
    };
    assert_eq!(
        error(b"short", 0o600),
        "\"key\" does not contain the expected key or address: \
         invalid onion key: must be a file of 96 bytes"
    );
    assert_eq!(
        error(&existing.reveal_file_bytes(), 0o644),
        "\"key\" has mode 0644, and a key file must be private (0600)"
    );
}

#[test]
fn an_existing_client_keeps_its_key() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let mut directory = prepare(Some(&path), None).unwrap();
    directory.authorize_clients(vec![client("alice", 1)]).unwrap();
    directory.keep();
    drop(directory);

    let mut again = prepare(Some(&path), None).unwrap();
    // The caller requested a new key pair for a client that has one; only the client has its secret
    // key.
    let made = again.authorize_clients(vec![client("alice", 2), client("bob", 3)]).unwrap();
    assert_eq!(made[0].public_key, client("alice", 1).public_key);
    assert!(made[0].key.is_none());
    assert!(made[1].key.is_some());
    let mut given = client("alice", 2);
    given.key = None;
    assert_eq!(
        again.authorize_clients(vec![given]).unwrap_err().to_string(),
        "the client alice already has another key"
    );
    drop(again);
    assert_eq!(entries(&path.join("authorized_clients")), ["alice.auth"]);
}

#[test]
fn only_the_named_clients_are_authorized_and_all_are_returned() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let with = |clients: Vec<AuthorizedClient>| {
        let mut directory = prepare(Some(&path), None).unwrap();
        let clients = directory.authorize_clients(clients).unwrap();
        let names: Vec<_> = clients.iter().map(|client| client.name.to_string()).collect();
        (directory, names)
    };
    let clients = || entries(&path.join("authorized_clients"));
    with(vec![client("alice", 1), client("bob", 2)]).0.keep();
    let (directory, names) = with(vec![client("bob", 2)]);
    assert_eq!((names, clients()), (vec!["bob".to_owned()], vec!["bob.auth".to_owned()]));
    // A service that could not be added leaves the clients as they were.
    drop(directory);
    assert_eq!(clients(), ["alice.auth", "bob.auth"]);
    // Without a named client, those of the directory are returned.
    let (directory, mut names) = with(Vec::new());
    names.sort();
    assert_eq!(names, ["alice", "bob"]);
    drop(directory);
    assert_eq!(clients(), ["alice.auth", "bob.auth"]);
}

#[test]
fn nothing_but_regular_files_is_read_and_no_link_is_followed() {
    // A named pipe in a directory blocked listen(), and by a link root changed the owner of another
    // file.
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    prepare(Some(&path), None).unwrap().keep();
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let key_file = path.join("hs_ed25519_secret_key");
    let refusal = || {
        let directory = prepare(Some(&path), None).unwrap();
        let error = directory.existing_address().and(directory.read_address()).unwrap_err();
        error.to_string().rsplit(": ").next().unwrap_or_default().to_owned()
    };
    for name in ["hs_ed25519_secret_key", "hostname"] {
        let file = path.join(name);
        mkfifo(&file, Mode::S_IRWXU).unwrap();
        assert_eq!(refusal(), "it is not a regular file");
        fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        assert_eq!(refusal(), "it is not a regular file");
        fs::remove_file(&file).unwrap();
        fs::write(&file, vec![b'a'; 5000]).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(!refusal().is_empty());
        fs::remove_file(&file).unwrap();
    }
    assert!(!key_file.exists());
    symlink(&elsewhere, path.join("authorized_clients")).unwrap();
    let error = prepare(Some(&path), None).unwrap().authorize_clients(vec![client("alice", 1)]);
    assert!(error.is_err());
    assert!(entries(&elsewhere).is_empty());

    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    mkfifo(&other.join("hostname"), Mode::S_IRWXU).unwrap();
    assert_eq!(super::address_in(&other), None);
}

#[test]
fn a_directory_is_used_by_one_service_at_a_time() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("service");
    let mut first = prepare(Some(&path), None).unwrap();
    first.keep();
    let error = prepare(Some(&path), None).unwrap_err();
    assert_eq!(error.to_string(), format!("{path:?} is the directory of another onion service"));
    drop(first);
    prepare(Some(&path), None).unwrap();
}
