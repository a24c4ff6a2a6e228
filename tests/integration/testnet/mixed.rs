//! Networks whose tors are of several versions.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use torcon::names::TorVersion;
use torcon::testnet::PrivateNetwork;

use super::UP;
use crate::support::real_tor::tor_binary;

/// The tors of the test runner, or the installed one.
fn tors() -> Vec<PathBuf> {
    let list = std::env::var("TORCON_TEST_TORS").unwrap_or_default();
    let named: Vec<PathBuf> =
        list.split([':', ' ']).filter(|tor| !tor.is_empty()).map(PathBuf::from).collect();
    if named.is_empty() { vec![tor_binary()] } else { named }
}

/// Returns the version of a program: `Tor version 0.4.9.11.`
fn version(tor: &PathBuf) -> TorVersion {
    let output = Command::new(tor).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.lines().next().and_then(|line| line.strip_prefix("Tor version "));
    version.unwrap().trim_end_matches('.').parse().unwrap()
}

#[test]
fn each_relay_runs_its_program() {
    let directory = tempfile::tempdir().unwrap();
    let mut tors = tors();
    if let [only] = tors.as_slice() {
        let other = directory.path().join("tor");
        symlink(only, &other).unwrap();
        tors.push(other);
    }
    let tor = |number: usize| &tors[number % tors.len()];
    let network = PrivateNetwork::builder()
        .relays(4)
        .authority_tor(0, tor(0))
        .relay_tor(0, tor(0))
        .relay_tor(1, tor(1))
        .relay_tor(2, tor(2))
        .timeout(UP)
        .launch()
        .unwrap();
    let expected = [tor(0), tor(0), tor(1), tor(2)].map(version);
    let relays = network.relays();
    let versions: Vec<_> = relays.iter().map(|relay| relay.version.clone()).collect();
    assert_eq!(versions[..4], expected);
    assert_eq!(versions[4], version(&tor_binary()));
    if tors[1].starts_with(directory.path()) {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", relays[2].pid.unwrap())).unwrap();
        let program = tors[1].to_str().unwrap().as_bytes();
        assert!(arguments.starts_with(program), "\"{}\"", arguments.escape_ascii());
    }
    // It has its program after a restart too.
    network.restart("relay1").unwrap();
    assert_eq!(network.relays()[2].version, expected[2]);
}
