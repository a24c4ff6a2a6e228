//! Streams through a tor of the private network, and names resolved by it.
//!
//! Most tests use one tor, which joined the shared network; a test that would disturb others starts
//! its own.

/// The end of streams, tors and programs.
mod endings;
/// Which streams share circuits.
mod isolation;
/// A `SocksPort` on every address of its machine.
mod places;
/// Targets that can be reached, by each port of tor, and the data that arrives.
mod reach;
/// Targets that cannot be reached or are late, and the codes of tor.
mod refusals;
/// Servers on the loopback interface.
mod server;
/// The URL of a proxy, and an HTTP client that uses it.
mod url;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use torcon::error::{SocksCode, SocksProblem};
use torcon::socks::SocksProxy;
use torcon::{Error, Launcher, Tor};

use crate::error_text::chain;
use crate::testnet::retry::retried;
use crate::testnet::{private_directory, removed_at_the_end, shared_network};

/// The limit of operations of a second or two.
const LIMIT: Duration = Duration::from_secs(90);

/// A launcher of tors that join the shared network.
fn launcher() -> Launcher {
    Launcher::new().network(shared_network()).timeout(LIMIT)
}

/// The tor that the tests share, and which no test may change.
///
/// It has three ports for SOCKS: one on TCP, which distinguishes the failures of onion services,
/// one on a unix socket whose path has a blank and a quotation mark, and one on IPv6.
fn shared_tor() -> &'static Tor {
    &shared().tor
}

/// The port of the shared tor on a unix socket.
fn unix_proxy() -> SocksProxy {
    SocksProxy::new(shared().socket.as_path()).unwrap()
}

struct Shared {
    tor: Tor,
    socket: PathBuf,
    _tidy_up: Child,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let directory = private_tempdir("torcon \"test\" ").keep();
        let socket = directory.join("socks");
        let path = socket.to_str().unwrap().replace('"', "\\\"");
        let launcher = launcher()
            .data_directory(directory.join("data"))
            .option("SocksPort", "127.0.0.1:auto ExtendedErrors")
            .option("SocksPort", format!("unix:\"{path}\""))
            .option("SocksPort", "[::1]:auto");
        let tor = Tor::launch(launcher).expect("a tor can join the network");
        let private = private_directory(tor.controller());
        let tidy_up = removed_at_the_end(&[directory, private]);
        Shared { tor, socket, _tidy_up: tidy_up }
    })
}

/// A directory in which tor accepts a socket.
fn private_tempdir(prefix: &str) -> TempDir {
    let mode = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(prefix).permissions(mode).tempdir().unwrap()
}

/// Returns the result of an operation that depends on tor's random choices.
#[track_caller]
fn done<T>(tor: &Tor, mut attempt: impl FnMut() -> torcon::Result<T>) -> T {
    retried(tor.controller(), "tor does it", || attempt().map_err(|error| chain(&error)))
}

/// Requires that tor refuses with this code, where that depends on its random choices.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    tor: &Tor,
    expected: SocksCode,
    mut attempt: impl FnMut() -> torcon::Result<T>,
) {
    retried(tor.controller(), &format!("tor refuses by {expected:?}"), || {
        let code = code(attempt());
        if code == expected { Ok(()) } else { Err(format!("refused by {code:?}")) }
    });
}

/// The problem of a failed request to a proxy.
#[track_caller]
fn problem<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> SocksProblem {
    match outcome {
        Err(Error::Socks(error)) => error.problem().clone(),
        other => panic!("{other:?}"),
    }
}

/// The code by which tor refused.
#[track_caller]
fn code<T: std::fmt::Debug>(outcome: torcon::Result<T>) -> SocksCode {
    match problem(outcome) {
        SocksProblem::Refused { code } => code,
        other => panic!("{other:?}"),
    }
}
