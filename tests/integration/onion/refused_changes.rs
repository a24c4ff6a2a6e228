use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use torcon::Result;
use torcon::onion::{OnionEndpoint, OnionListener, Publication};

use super::{LONG, is_configured, key, listen, refusal};
use crate::support::real_tor::RealTor;
use crate::support::recording_proxy::RecordingProxy;

type Damage = fn(&Path);
type Change = fn(&OnionListener) -> Result<()>;

const DAMAGES: [(&str, Damage); 9] = [
    ("No such file or directory", |path| fs::rename(path, path.with_extension("moved")).unwrap()),
    ("is a symbolic link", |path| {
        fs::rename(path, path.with_extension("moved")).unwrap();
        symlink(path.with_extension("moved"), path).unwrap();
    }),
    ("has been replaced by another", |path| {
        fs::rename(path, path.with_extension("moved")).unwrap();
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    }),
    ("has mode 0755", |path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap()),
    ("entity not found", |path| fs::remove_file(path.join("hs_ed25519_secret_key")).unwrap()),
    ("it is not a regular file", |path| fifo(&path.join("hostname"))),
    ("it is not a regular file", |path| fifo(&path.join("authorized_clients/alice.auth"))),
    ("authorized_clients\" cannot be used", |path| {
        fs::remove_dir_all(path.join("authorized_clients")).unwrap();
        fs::write(path.join("authorized_clients"), "").unwrap();
    }),
    ("has another key than before", |path| {
        let file = path.join("hs_ed25519_secret_key");
        fs::remove_file(&file).unwrap();
        key(77).write_file(file).unwrap();
    }),
];

const CHANGES: [(&str, Change); 4] = [
    ("authorize", |listener| listener.authorize_client("carol").map(drop)),
    ("revoke", |listener| listener.revoke_client("bob").map(drop)),
    ("disable", |listener| listener.service().disable_client_auth().map(drop)),
    ("upload", |listener| listener.upload_again(Publication::None, LONG)),
];

fn fifo(path: &Path) {
    fs::remove_file(path).unwrap();
    mkfifo(path, Mode::from_bits_truncate(0o600)).unwrap();
}

/// tor would exit, read a named pipe forever, or make a key of another address.
#[test]
fn a_change_of_a_service_whose_directory_was_changed_is_refused_before_tor_reads_it() {
    let tor = RealTor::start();
    for (number, (reason, damage)) in DAMAGES.into_iter().enumerate() {
        let proxy = RecordingProxy::before(tor.address());
        let settings = || proxy.sent().iter().filter(|line| line.starts_with("SETCONF ")).count();
        let directory = tor.directory().join(number.to_string());
        let listener = listen(
            OnionEndpoint::system_tor(proxy.endpoint(), 80)
                .hidden_service_dir(&directory)
                .publication(Publication::None)
                .authorize_client("alice")
                .authorize_client("bob"),
        );
        let before = settings();
        damage(&directory);
        for (name, change) in CHANGES {
            let text = refusal(change(&listener));
            assert!(text.contains(reason), "{name}: {text}, not {reason}");
        }
        assert_eq!((settings(), listener.clients().len()), (before, 2), "{reason}");
        assert!(is_configured(&tor, &listener) && tor.try_wait().is_none(), "{reason}");
        listener.close().unwrap();
    }
}

#[test]
fn a_change_that_was_refused_is_made_when_the_directory_is_what_it_was() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = listen(super::endpoint(&tor).hidden_service_dir(&directory));
    let aside = directory.with_extension("aside");
    fs::rename(&directory, &aside).unwrap();
    refusal(listener.authorize_client("alice"));
    refusal(listener.upload_again(Publication::None, LONG));
    fs::rename(&aside, &directory).unwrap();
    listener.authorize_client("alice").unwrap();
    listener.upload_again(Publication::None, LONG).unwrap();
    assert!(is_configured(&tor, &listener));
}
