//! The private network: its options, its features, and its end.
//!
//! A network needs seconds to start, so all tests that do not disturb it share one.

/// Attachers: their choices, failures and ends.
mod attaching;
/// Circuits of a state: built, extended, used and lost.
mod built;
/// Paths that a state chooses by rules.
mod chosen_paths;
/// Circuits that a controller builds, and streams that it attaches.
mod circuits;
/// Descriptors of relays and of onion services, posted and fetched.
mod descriptors;
/// Digests of documents, compared with those by which tor names the documents.
mod digests;
/// The documents in the data directories of tors.
mod directory_files;
/// A server for streams.
pub(crate) mod echo_server;
/// The end of networks, and the remains of those that fail.
mod endings;
/// The events of a tor that joins.
mod events;
/// Summaries of exit policies, compared with those of a directory authority.
mod exit_policies;
/// The features of a tor that joined the network.
mod joining;
/// Names resolved and descriptors fetched while the caller waits.
mod lookups;
/// Networks whose tors are of several versions.
mod mixed;
/// Networks with other numbers of relays.
mod numbers;
/// SOCKS without torcon, and an echo server.
mod raw_socks;
/// The relays of a network, as its tors report them.
mod relays;
/// Retries what depends on tor's random choices.
pub(crate) mod retry;
/// The network that all tests of a program share.
mod shared;
/// Signatures of documents.
mod signatures;
/// The state of a tor, compared with the replies of that tor.
mod state;
/// The typed answers of `GETINFO` from tors that have a network.
mod typed_info;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use torcon::testnet::PrivateNetwork;
use torcon::{Controller, Launcher, TorProcess};

/// The limit of a network, where two suites share two processors.
const UP: Duration = Duration::from_secs(180);
/// The limit of operations of a second or two.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns the network that the tests share: one authority and five exits.
///
/// No test may kill one of its relays or change its options.
#[track_caller]
pub(crate) fn shared_network() -> &'static PrivateNetwork {
    PrivateNetwork::shared().expect("a network starts")
}

/// Launches a tor that joins the shared network, with a port for SOCKS.
#[track_caller]
pub(crate) fn join() -> TorProcess {
    let launcher = Launcher::new().network(shared_network()).option("SocksPort", "127.0.0.1:auto");
    launcher.timeout(LIMIT).launch().expect("a tor can join the network")
}

/// Removes directories when this program has ended, and the tors that live in them with it.
///
/// For directories of a static, which is never dropped.
pub(crate) fn removed_at_the_end(directories: &[PathBuf]) -> Child {
    Command::new("/bin/sh")
        // The pipe ends with this program, and a second later every tor has ended.
        .args(["-c", "read -r _; sleep 1; rm -rf \"$@\"", "torcon-tidy-up"])
        .args(directories)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell can be started")
}

/// The directories of the configuration and the control socket of a launched tor.
pub(crate) fn private_directory(controller: &Controller) -> PathBuf {
    let endpoint = controller.endpoint().to_string();
    let path = endpoint.strip_prefix("unix:").and_then(|path| path.strip_suffix("/control"));
    PathBuf::from(path.expect("it has its control socket there"))
}

#[test]
fn every_relay_of_the_shared_network_knows_every_other() {
    let network = shared_network();
    let relays = network.relays();
    let names: Vec<_> = relays.iter().map(|relay| relay.nickname.as_str()).collect();
    assert_eq!(names, ["auth0", "relay0", "relay1", "relay2", "relay3", "relay4"]);
    for relay in &relays {
        assert_eq!(relay.is_authority, relay.nickname.as_str() == "auth0");
        assert_ne!(relay.is_authority, relay.is_exit);
        let controller = network.controller(relay.nickname.as_str()).unwrap();
        assert_eq!(controller.owned_pid(), relay.pid);
        let own = controller.get_info_one("fingerprint").unwrap();
        assert_eq!(own, relay.fingerprint.to_string());
        let entries = controller.get_info_one("ns/all").unwrap();
        for other in &relays {
            let entry = format!("r {} ", other.nickname);
            let address = format!(" 127.0.0.1 {} ", other.or_port);
            let found = entries.lines().find(|line| line.starts_with(&entry));
            assert!(found.is_some_and(|line| line.contains(&address)), "{other:?} in {entries}");
        }
        assert_eq!(controller.get_info_one("status/enough-dir-info").unwrap(), "1");
    }
}

#[test]
fn every_relay_listens_and_connects_on_the_loopback_address_only() {
    let network = shared_network();
    for relay in network.relays() {
        let controller = network.controller(relay.nickname.as_str()).unwrap();
        for kind in ["or", "dir", "socks", "control", "extor", "dns", "trans", "natd"] {
            let listeners = controller.get_info_one(&format!("net/listeners/{kind}")).unwrap();
            for listener in listeners.split(' ').filter(|listener| !listener.is_empty()) {
                let is_here =
                    listener.starts_with("\"127.0.0.1:") || listener.starts_with("\"unix:");
                assert!(is_here, "{listener} of {}", relay.nickname);
            }
        }
        let conf = controller.get_conf(["OutboundBindAddress"]).unwrap();
        let value = conf.get("OutboundBindAddress").and_then(torcon::command::ConfValue::first);
        assert_eq!(value, Some("127.0.0.1"));
    }
    assert!(network.name_server().ip().is_loopback());
}

#[test]
fn the_lines_for_a_torrc_are_the_options() {
    let network = shared_network();
    let lines: Vec<_> =
        network.client_options().iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(network.client_torrc().lines().collect::<Vec<_>>(), lines);
    let authority = &network.relays()[0];
    let begin = format!("DirAuthority auth0 orport={} v3ident=", authority.or_port);
    let line = lines.iter().find(|line| line.starts_with(&begin)).expect("there is an authority");
    assert!(line.ends_with(&format!(" {}", authority.fingerprint)), "{line}");
}

#[test]
fn a_relay_that_does_not_exist_is_refused() {
    let network = shared_network();
    let expected = "invalid argument \"nickname\": no relay of this network has this name";
    for result in
        [network.kill("relay5"), network.restart(""), network.controller("Auth0").map(drop)]
    {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
}

#[test]
fn invalid_numbers_of_a_network_are_refused() {
    for (builder, problem) in [
        (PrivateNetwork::builder().authorities(0), "\"authorities\": must be at least 1"),
        (
            PrivateNetwork::builder().relays(1),
            "\"relays\": must be at least 3 together with the authorities",
        ),
        (PrivateNetwork::builder().exits(6), "\"exits\": must not exceed the number of relays"),
        (PrivateNetwork::builder().authorities(10), "\"authorities\": must be at most 9"),
        (
            PrivateNetwork::builder().relays(40),
            "\"relays\": must be at most 40 together with the authorities",
        ),
        (
            PrivateNetwork::builder().relays(usize::MAX),
            "\"relays\": must be at most 40 together with the authorities",
        ),
        (
            PrivateNetwork::builder().relay_tor(5, "tor"),
            "\"relay_tor\": must be less than the number of relays",
        ),
        (
            PrivateNetwork::builder().authority_tor(1, "tor"),
            "\"authority_tor\": must be less than the number of authorities",
        ),
    ] {
        let begin = Instant::now();
        let error = builder.tor("no-such-program").launch().unwrap_err();
        assert_eq!(error.to_string(), format!("invalid argument {problem}"));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
