use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use torcon::names::{ClientAuthKey, OnionKey};
use torcon::onion::{OnionEndpoint, Publication};

use super::{controller, endpoint, entries, key, listen, refusal, services, target};
use crate::support::real_tor::{RealTor, RealTorBuilder};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A tor that has a service in its torrc, with repeated and with unusual options.
fn tor_with_a_service(directory: &Path) -> (RealTorBuilder, Vec<String>) {
    let directory = directory.join("torrc service");
    let lines = [
        format!("HiddenServiceDir {}", directory.display()),
        "HiddenServicePort 80 127.0.0.1:8080".to_owned(),
        "HiddenServicePort 81".to_owned(),
        "HiddenServicePort 82 unix:\"/srv/with blank\"".to_owned(),
        "HiddenServiceMaxStreams 7".to_owned(),
        "HiddenServiceEnableIntroDoSDefense 1".to_owned(),
        "HiddenServicePoWDefensesEnabled 1".to_owned(),
    ];
    let conf = lines.iter().map(|line| line.replacen(' ', "=", 1)).collect();
    (lines.into_iter().fold(RealTor::builder(), RealTorBuilder::line), conf)
}

#[test]
fn temporary_dir_uses_a_temporary_directory() {
    let tor = RealTor::start();
    let listener = listen(endpoint(&tor).temporary_dir());
    let directory = listener.hidden_service_dir().unwrap().to_owned();
    assert_eq!(mode(&directory), 0o700);
    let hostname = fs::read_to_string(directory.join("hostname")).unwrap();
    assert_eq!(hostname.trim(), listener.onion_address().to_string());
    assert_eq!(listener.private_key().unwrap().address(), listener.onion_address());
    assert_eq!(
        services(&tor),
        [
            format!("HiddenServiceDir={}", directory.display()),
            format!("HiddenServicePort=80 {}", target(&listener)),
        ]
    );
    drop(listener);
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    assert!(!directory.exists());
}

#[test]
fn a_given_directory_stays_and_gives_the_same_address_again() {
    let tor = RealTor::start();
    let directory = tor.directory().join("a service");
    let first = listen(endpoint(&tor).hidden_service_dir(&directory));
    let address = first.onion_address();
    first.close().unwrap();
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
    assert_eq!(
        entries(&directory),
        ["authorized_clients", "hostname", "hs_ed25519_public_key", "hs_ed25519_secret_key"]
    );
    let again = listen(endpoint(&tor).hidden_service_dir(&directory));
    assert_eq!(again.onion_address(), address);
}

#[test]
fn a_given_key_is_used() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let listener = listen(endpoint(&tor).hidden_service_dir(&directory).key(key(5)));
    assert_eq!(listener.onion_address(), key(5).address());
    let file = directory.join("hs_ed25519_secret_key");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(OnionKey::read_file(&file).unwrap().reveal_blob(), key(5).reveal_blob());
    drop(listener);
    assert_eq!(
        refusal(endpoint(&tor).hidden_service_dir(&directory).key(key(6)).listen()),
        format!(
            "{directory:?} contains the key of {}, but the given key is that of {}",
            key(5).address(),
            key(6).address()
        )
    );
    let temporary = listen(endpoint(&tor).temporary_dir().key(key(6)));
    assert_eq!(temporary.onion_address(), key(6).address());
}

#[test]
fn other_services_survive_an_addition_and_a_removal() {
    // SETCONF HiddenServiceDir replaces all services; txtorcon lost unknown options (peers 30).
    let root = tempfile::tempdir().unwrap();
    let (builder, torrc_services) = tor_with_a_service(root.path());
    let tor = builder.start();
    assert_eq!(services(&tor), torrc_services);
    let one = listen(endpoint(&tor).temporary_dir());
    let other = listen(endpoint(&tor).temporary_dir().max_streams(3).export_circuit_id());
    let added = |listener: &torcon::onion::OnionListener| {
        [
            format!("HiddenServiceDir={}", listener.hidden_service_dir().unwrap().display()),
            format!("HiddenServicePort=80 {}", target(listener)),
        ]
    };
    let further = ["HiddenServiceMaxStreams=3", "HiddenServiceExportCircuitID=haproxy"];
    let further = further.map(str::to_owned);
    let all = [&torrc_services[..], &added(&one), &added(&other), &further].concat();
    assert_eq!(services(&tor), all);
    assert_ne!(one.onion_address(), other.onion_address());
    drop(one);
    assert_eq!(services(&tor), [&torrc_services[..], &added(&other), &further].concat());
    other.close().unwrap();
    assert_eq!(services(&tor), torrc_services);
}

#[test]
fn threads_do_not_lose_each_others_services() {
    let tor = RealTor::start();
    let shared = controller(&tor);
    thread::scope(|scope| {
        let make = |number: usize| {
            // Half of the services share a connection, the others have a new one each.
            let endpoint = match number % 2 {
                0 => shared.onion_endpoint(80),
                _ => OnionEndpoint::system_tor(tor.endpoint(), 80),
            };
            listen(endpoint.temporary_dir().publication(Publication::None))
        };
        let threads: Vec<_> = (0..6).map(|number| scope.spawn(move || make(number))).collect();
        let listeners: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(services(&tor).len(), 2 * listeners.len());
        let leaving = listeners.into_iter().map(|listener| scope.spawn(move || drop(listener)));
        leaving.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(services(&tor), ["HiddenServiceOptions"]);
}

#[test]
fn clients_have_files_that_tor_reads() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    let bob = ClientAuthKey::generate().unwrap().public();
    let listener = listen(
        endpoint(&tor)
            .hidden_service_dir(&directory)
            .authorize_client("alice")
            .authorize_client_key("bob", bob),
    );
    let clients = directory.join("authorized_clients");
    assert_eq!(entries(&clients), ["alice.auth", "bob.auth"]);
    assert_eq!((mode(&clients), mode(&clients.join("alice.auth"))), (0o700, 0o600));
    let text = fs::read_to_string(clients.join("bob.auth")).unwrap();
    assert_eq!(text, format!("descriptor:x25519:{bob}\n"));
    let alice = listener.clients()[0].clone();
    assert_eq!(alice.key.unwrap().public(), alice.public_key);
    // tor logs a warning about each file that it cannot parse, and has read these.
    assert!(!tor.log_text().contains("client authorization"), "{}", tor.log_text());
    drop(listener);

    // The keys in a given directory stay: the clients have them.
    let again = listen(endpoint(&tor).hidden_service_dir(&directory).authorize_client("alice"));
    assert_eq!(again.clients()[0].public_key, alice.public_key);
    assert!(again.clients()[0].key.is_none());
    // A client that is no longer named loses its authorization.
    assert_eq!(entries(&clients), ["alice.auth"]);
    drop(again);
    let again = listen(endpoint(&tor).hidden_service_dir(&directory));
    assert_eq!(again.clients().len(), 1);
    assert_eq!(again.clients()[0].public_key, alice.public_key);
    drop(again);
    let other = ClientAuthKey::generate().unwrap().public();
    assert_eq!(
        refusal(
            endpoint(&tor)
                .hidden_service_dir(&directory)
                .authorize_client_key("alice", other)
                .listen()
        ),
        "the client alice already has another key"
    );
}

#[test]
fn a_directory_or_an_address_has_one_service_only() {
    let root = tempfile::tempdir().unwrap();
    let (builder, torrc_services) = tor_with_a_service(root.path());
    let tor = builder.start();
    let torrc_directory = root.path().join("torrc service");
    let added = tor.directory().join("added");
    let _ours = listen(endpoint(&tor).hidden_service_dir(&added));
    assert_eq!(
        refusal(endpoint(&tor).hidden_service_dir(&added).listen()),
        format!("{added:?} is the directory of another onion service")
    );
    // The same directory by another path.
    let link = root.path().join("link");
    std::os::unix::fs::symlink(tor.directory(), &link).unwrap();
    let same = link.join("added");
    assert_eq!(
        refusal(endpoint(&tor).hidden_service_dir(&same).listen()),
        format!("{same:?} is the directory of another onion service")
    );
    drop(_ours);
    // tor would accept the address twice, and serve only one of the two services.
    let torrc_key = OnionKey::read_file(torrc_directory.join("hs_ed25519_secret_key")).unwrap();
    let in_use =
        format!("{} is the address of another onion service of this tor", torrc_key.address());
    assert_eq!(refusal(endpoint(&tor).temporary_dir().key(torrc_key.clone()).listen()), in_use);
    assert_eq!(refusal(endpoint(&tor).key(torrc_key).listen()), in_use);
    let _ephemeral = listen(endpoint(&tor).ephemeral().detach().key(key(9)));
    assert_eq!(
        refusal(endpoint(&tor).temporary_dir().key(key(9)).listen()),
        format!("{} is the address of another onion service of this tor", key(9).address())
    );
    assert_eq!(services(&tor), torrc_services);
    assert!(torrc_directory.join("hostname").exists());
}

#[test]
fn a_directory_that_tor_cannot_use_does_not_end_it() {
    // A directory under a missing or unwritable parent makes tor exit (peers 31).
    let root = tempfile::tempdir().unwrap();
    let (builder, torrc_services) = tor_with_a_service(root.path());
    let tor = builder.start();
    let path = |name: &str| root.path().join(name);
    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), Permissions::from_mode(0o755)).unwrap();
    fs::write(path("file"), "").unwrap();
    let me = nix::unistd::geteuid();
    let mut cases = vec![
        (path("missing/service"), "cannot be used: No such file or directory (os error 2)"),
        (path("file"), "is not a directory"),
        (path("file/below"), "cannot be used: Not a directory (os error 20)"),
        (path("open"), "has mode 0755, and tor requires a private directory (0700)"),
    ];
    if me.is_root() {
        fs::create_dir(path("foreign")).unwrap();
        fs::set_permissions(path("foreign"), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(path("foreign"), Some(65534), None).unwrap();
        cases.push((path("foreign"), "belongs to user 65534, and tor runs as user 0"));
    }
    let before = entries(root.path());
    for (path, problem) in cases {
        assert_eq!(
            refusal(endpoint(&tor).hidden_service_dir(&path).listen()),
            format!("{path:?} {problem}")
        );
    }
    assert_eq!(entries(root.path()), before);
    assert_eq!(services(&tor), torrc_services);
    assert!(tor.try_wait().is_none());
    let relative = listen(endpoint(&tor).temporary_dir());
    assert!(relative.hidden_service_dir().unwrap().is_absolute());
}

#[test]
fn a_bad_key_file_is_refused_before_tor_sees_it() {
    let tor = RealTor::start();
    let directory = tor.directory().join("service");
    drop(listen(endpoint(&tor).hidden_service_dir(&directory)));
    let file = directory.join("hs_ed25519_secret_key");
    let good = fs::read(&file).unwrap();
    let error = |bytes: &[u8], mode| {
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let text = refusal(endpoint(&tor).hidden_service_dir(&directory).listen());
        text.replace(&format!("{file:?}"), "FILE")
    };
    assert_eq!(
        error(&good[..50], 0o600),
        "FILE does not contain the expected key or address: invalid onion key: must be a file of 96 bytes"
    );
    let public = fs::read(directory.join("hs_ed25519_public_key")).unwrap();
    assert_eq!(
        error(&public, 0o600),
        "FILE does not contain the expected key or address: invalid onion key: must be the file of the \
         secret key, not that of the public one"
    );
    assert_eq!(error(&good, 0o644), "FILE has mode 0644, and a key file must be private (0600)");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    drop(listen(endpoint(&tor).hidden_service_dir(&directory)));
}

#[test]
fn a_refused_service_leaves_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let (builder, torrc_services) = tor_with_a_service(root.path());
    let tor = builder.start();
    let directory = tor.directory().join("service");
    let refused = endpoint(&tor)
        .hidden_service_dir(&directory)
        .authorize_client("alice")
        .option("HiddenServiceNoSuchThing", "1")
        .listen();
    assert_eq!(
        refusal(refused),
        "tor refused SETCONF: 552 \"Unrecognized option: Unknown option \
         'HiddenServiceNoSuchThing'.  Failing.\""
    );
    assert!(!directory.exists());
    assert_eq!(services(&tor), torrc_services);
    // A rejected option does not affect the next service (peers 34).
    drop(listen(endpoint(&tor).hidden_service_dir(&directory)));
}

#[test]
fn a_unix_target_may_have_blanks_here() {
    let tor = RealTor::start();
    let path = tor.directory().join("a socket");
    let listener = listen(
        endpoint(&tor).temporary_dir().local_unix(&path).port(81, Path::new("/srv/a \"b\"")),
    );
    assert_eq!(
        services(&tor)[1..],
        [
            format!("HiddenServicePort=80 unix:\"{}\"", path.display()),
            "HiddenServicePort=81 unix:\"/srv/a \\\"b\\\"\"".to_owned(),
        ]
    );
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_non_anonymous_filesystem_service_needs_a_non_anonymous_tor() {
    let tor = RealTor::start();
    assert_eq!(
        refusal(endpoint(&tor).temporary_dir().non_anonymous().listen()),
        "invalid argument \"non_anonymous\": needs a tor that was started with \
         HiddenServiceNonAnonymousMode"
    );
    let open = RealTor::builder()
        .line("HiddenServiceNonAnonymousMode 1")
        .line("HiddenServiceSingleHopMode 1")
        .start();
    drop(listen(endpoint(&open).temporary_dir().non_anonymous()));
    drop(listen(endpoint(&open).ephemeral().non_anonymous()));
}
