//! Onion services: on a real tor whose network is off, and on a fake one that reports uploads.

/// Delays of accept, and conditions that do not delay it.
mod accepting;
/// Directories that change while their service runs, or that would stop tor.
mod changed_directory;
/// The keys that tor has during checks.
mod checked_keys;
/// Clients in files that other programs change while the service runs.
mod client_files;
/// Keys of clients, in every form that is in use.
mod client_keys;
/// Clients that are authorized and revoked while the service runs.
mod clients;
/// The commands, and the replies of a real tor.
mod commands;
/// Descriptors of the private network, decrypted.
mod descriptors;
/// Services that are added by `ADD_ONION`.
mod ephemeral;
/// Failures, which leave nothing behind.
mod faults;
/// Services with a directory, beside those of other controllers.
mod filesystem;
/// The check of a service, and a forced publication.
mod health;
/// An HTTP server behind an onion address.
mod http;
/// Services that stay in tor when a change is refused or late.
mod kept;
/// Files of keys.
mod key_files;
/// Changes to which tor replies late.
mod late_changes;
/// Connections of clients, and the end of accept.
mod listener;
/// Replies that a proxy in front of tor drops.
mod lost_replies;
/// Many services and many clients, which leave nothing behind.
mod many;
/// The thread that queries tor, and its end.
mod monitored;
/// Services on a whole network: published, and reached by clients.
pub(crate) mod network;
/// A private tor, and the shared one.
mod owned;
/// Programs that are killed, and two at the same time.
mod programs;
/// The conditions of publication.
mod publication;
/// Services whose lines another program puts back.
mod put_back;
/// The target at which tor reaches the local listener.
mod reached_at;
/// Changes of a running service whose directory tor would refuse.
mod refused_changes;
/// Services that clients reach after each reload of tor.
mod reloaded;
/// Services that tor loses: by a reload, or by other controllers.
mod removed;
/// The publication after a forced upload, by the events of a fake tor.
mod republication;
/// A tor that sees other files than this program, as another user.
mod sandbox;
/// A tor with a seccomp filter, which can open only files that it knew when it started.
mod seccomp;
/// Services of the configuration of tor that a program replaces.
mod taken_over;
/// The targets of the virtual ports of a service.
mod targets;
/// Uploads about which tor or a filter reports little.
mod unanswered;
/// Publication, by the events of real tors.
mod uploads;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use torcon::names::{OnionKey, PortTarget};
use torcon::onion::{OnionEndpoint, OnionListener, Publication};
use torcon::{Controller, Error};

use crate::error_text::{chain, check_text};
use crate::support::real_tor::RealTor;

/// A limit that is never reached in a successful run.
const LONG: Duration = Duration::from_secs(60);
/// A limit for steps that end at once.
const SOON: Duration = Duration::from_secs(20);

/// Returns a key of the tests, which is not secret.
fn key(number: u8) -> OnionKey {
    OnionKey::from_seed([number; 32])
}

/// Connects to the tor of the test.
#[track_caller]
fn controller(tor: &RealTor) -> Controller {
    torcon::connect(tor.endpoint()).expect("the tor of the test accepts the authentication")
}

/// Returns an endpoint on a tor that publishes nothing, since its network is off.
fn endpoint(tor: &RealTor) -> OnionEndpoint {
    OnionEndpoint::system_tor(tor.endpoint(), 80).publication(Publication::None)
}

#[track_caller]
fn listen(endpoint: OnionEndpoint) -> OnionListener {
    endpoint.listen().expect("the service is added")
}

/// Returns the target that tor has for the local listener.
fn target(listener: &OnionListener) -> String {
    let target = listener.service().ports()[0].target();
    target.expect("a listener has a target").to_string()
}

/// Returns the address of a local listener on TCP.
#[track_caller]
fn tcp_address(listener: &OnionListener) -> SocketAddr {
    match listener.local_addr() {
        PortTarget::Tcp(address) => *address,
        other => panic!("{other} is not a TCP address"),
    }
}

/// Returns the text of the error of a call, with its causes.
#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    let error = outcome.expect_err("this is refused");
    check_text(&error);
    chain(&error)
}

/// Returns what tor has in its configuration of onion services, line by line.
fn services(tor: &RealTor) -> Vec<String> {
    let lines = tor.raw().get_conf("HiddenServiceOptions");
    lines.into_iter().map(|line| line[4..].to_owned()).collect()
}

/// Whether the configuration of tor has the service of a listener at port 80.
fn is_configured(tor: &RealTor, listener: &OnionListener) -> bool {
    services(tor).contains(&format!("HiddenServicePort=80 {}", target(listener)))
}

/// Opens files until this process may open no more.
fn exhaust_descriptors() -> Vec<File> {
    let pid = std::process::id().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=100:"]).status();
    assert!(limited.unwrap().success());
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Returns the names of what is in a directory, sorted.
fn entries(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}
