//! Onion services: on a real tor whose network is off, and on a fake one that tells of uploads.

/// What holds accept, and what does not.
mod accepting;
/// Directories that change while their service runs, or that would stop tor.
mod changed_directory;
/// Clients that are authorized and revoked while the service runs.
mod clients;
/// The commands, and what a real tor answers to each.
mod commands;
/// Services that tor gets by the control connection.
mod ephemeral;
/// What goes wrong leaves nothing behind.
mod faults;
/// Services with a directory, beside those of others.
mod filesystem;
/// What a check of a service finds, and a forced publication.
mod health;
/// Connections of clients, and the end of waiting for them.
mod listener;
/// Replies that do not come through a proxy in front of tor.
mod lost_replies;
/// Many services and many clients, and that nothing of them is left.
mod many;
/// The thread that asks tor, and its end.
mod monitored;
/// On a whole network: published, and reached by others.
pub(crate) mod network;
/// A tor of one's own, and one for all.
mod owned;
/// Programs that are killed, and two at a time.
mod programs;
/// When a service counts as published.
mod publication;
/// Where tor reaches the local listener.
mod reached_at;
/// Reached by others after each reload of tor.
mod reloaded;
/// Services that tor loses: by a reload, or by other controllers.
mod removed;
/// A tor that sees other files than this program, as another user.
mod sandbox;
/// A tor whose kernel lets it open only the files that it knew when it started.
mod seccomp;
/// Services of tor's configuration that a program makes its own.
mod taken_over;
/// Uploads that tor or a filter tells little of.
mod unanswered;
/// Publication, judged by what real tors report of their uploads.
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

/// A limit that is never reached where all is well.
const LONG: Duration = Duration::from_secs(60);
/// A limit for what is over at once.
const SOON: Duration = Duration::from_secs(20);

/// Keys of the tests may be known to everybody.
fn key(number: u8) -> OnionKey {
    OnionKey::from_seed([number; 32])
}

/// Connects to the tor of the test.
#[track_caller]
fn controller(tor: &RealTor) -> Controller {
    torcon::connect(tor.endpoint()).expect("the tor of the test lets us in")
}

/// Returns an endpoint on a tor that publishes nothing, since its network is off.
fn endpoint(tor: &RealTor) -> OnionEndpoint {
    OnionEndpoint::system_tor(tor.endpoint(), 80).publication(Publication::None)
}

#[track_caller]
fn listen(endpoint: OnionEndpoint) -> OnionListener {
    endpoint.listen().expect("there is nothing against this service")
}

/// Returns where tor reaches the local listener, as tor was told.
fn target(listener: &OnionListener) -> String {
    let target = listener.service().ports()[0].target();
    target.expect("a listener has a target").to_string()
}

/// Returns the address of a local listener on TCP.
#[track_caller]
fn tcp_address(listener: &OnionListener) -> SocketAddr {
    match listener.local_addr() {
        PortTarget::Tcp(address) => *address,
        other => panic!("{other} is no address of TCP"),
    }
}

/// Returns the text of the refusal that a call met, with its causes.
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
