//! Networks whose tors are of several versions.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use torcon::names::TorVersion;
use torcon::testnet::PrivateNetwork;

use super::UP;
use crate::process::fake_process::FakeProcess;
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
    let mut tors = tors();
    // If there is only one tor, this program runs it, and records its processes.
    let recording = format!("echo $$ >>\"$0.pid\"\nexec '{}' \"$@\"", tors[0].display());
    let recording = FakeProcess::new(&recording);
    if tors.len() == 1 {
        tors.push(recording.path());
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
    let recorded = || {
        let pids = fs::read_to_string(recording.pid_file()).unwrap_or_default();
        let is_recorded = |pid: u32| pids.lines().any(|line| line == pid.to_string());
        network.relays().iter().map(|relay| is_recorded(relay.pid.unwrap())).collect::<Vec<_>>()
    };
    let expected_records = [false, false, tors[1] == recording.path(), false, false];
    assert_eq!(recorded(), expected_records);
    // It has its program after a restart too.
    network.restart("relay1").unwrap();
    assert_eq!(network.relays()[2].version, expected[2]);
    assert_eq!(recorded(), expected_records);
}
