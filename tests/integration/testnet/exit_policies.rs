use torcon::descriptor::ExitPolicy;
use torcon::names::ConsensusFlavor;
use torcon::testnet::PrivateNetwork;

use super::UP;
use crate::process::fake_process::FakeProcess;
use crate::support::real_tor::tor_binary;

/// The options of each relay.
const OPTIONS: [&str; 12] = [
    "--ExitPolicy 'accept *:80,accept *:443,reject *:*'",
    "--ExitPolicy 'reject *:25,reject *:119-139,accept *:*'",
    // Two networks of 8 bits may be rejected, and private ones.
    "--ExitPolicyRejectPrivate 1 --ExitPolicy 'reject 1.0.0.0/8:*,reject 2.0.0.0/8:80,accept *:*'",
    "--ExitPolicy 'reject 1.0.0.0/8:80,reject 2.0.0.0/8:80,reject 3.0.0.1:80,accept *:*'",
    "--ExitPolicy 'reject 1.0.0.0/7:80,reject 8.0.0.0/6:443,reject 10.0.0.0/8:22,accept *:*'",
    "--ExitPolicy 'accept 192.0.2.0/24:80,accept *:1-32767,reject *:*'",
    "--ExitPolicy 'accept 192.0.2.0/24:80,reject *:*'",
    // The default policy follows.
    "--ExitPolicy 'reject *:80-90,reject 0.0.0.0/1:443'",
    "--IPv6Exit 1 --ExitPolicy 'accept6 *:443,reject6 *:*,accept *4:80,reject *:*'",
    "--IPv6Exit 1 --ExitPolicy 'reject [2001::]/16:*,reject [2002::]/65:80,reject [fc00::]/7:*,\
     reject [2003::]/64:22,accept *:1-9999,reject *:*'",
    "--IPv6Exit 1 --ExitPolicyRejectPrivate 1 --ExitPolicy 'reject [2001::]/15:80,reject *4:22,\
     accept *:22-25,accept private:*,accept *6:*,reject *:*'",
    "--IPv6Exit 1 --ExitPolicy 'PORTS reject *:*'",
];

/// A program that starts tor with further options.
fn tor_with(options: &str) -> FakeProcess {
    // A summary of so many ports is cut.
    let ports: String = (1..=250).map(|n| format!("accept *:{},", n * 200)).collect();
    let options = options.replace("PORTS ", &ports);
    FakeProcess::new(&format!("exec '{}' \"$@\" {options}", tor_binary().display()))
}

#[test]
fn a_summary_is_that_of_the_authority() {
    let programs = OPTIONS.map(tor_with);
    let network = PrivateNetwork::builder().relays(OPTIONS.len()).timeout(UP);
    let network = programs
        .iter()
        .enumerate()
        .fold(network, |network, (n, program)| network.relay_tor(n, program.path()));
    let network = network.launch().unwrap();
    let authority = network.controller("auth0").unwrap();
    let consensus = authority.consensus(&ConsensusFlavor::Ns).unwrap().unwrap();
    let relays = consensus.relays();
    assert_eq!(relays.len(), OPTIONS.len() + 1);
    let mut summaries = Vec::new();
    let mut ipv6_summaries = Vec::new();
    for relay in relays.iter().map(Result::unwrap) {
        let name = relay.nickname();
        let descriptor = authority.server_descriptor(relay.identity()).unwrap().unwrap();
        let policy = descriptor.exit_policy().unwrap();
        let summary = policy.summary().to_string();
        assert_eq!(relay.exit_ports().unwrap().to_string(), summary, "{name}: {policy}");
        let microdescriptor = authority.microdescriptor(relay.identity()).unwrap().unwrap();
        let none: ExitPolicy = "reject 1-65535".parse().unwrap();
        let ports = microdescriptor.exit_ports().unwrap_or_else(|| none.clone());
        assert_eq!(ports.to_string(), summary, "{name}: {policy}");
        // The relay computes the summary for IPv6.
        let controller = network.controller(name.as_str()).unwrap();
        let full = controller.exit_policy().unwrap().unwrap();
        let ipv6_summary = full.ipv6_summary();
        assert_eq!(full.summary().to_string(), summary, "{name}: {full}");
        let ports = descriptor.ipv6_exit_ports().unwrap_or_else(|| none.clone());
        assert_eq!(ports, ipv6_summary, "{name}: {full}");
        let ports = microdescriptor.ipv6_exit_ports().unwrap_or(none);
        assert_eq!(ports, ipv6_summary, "{name}: {full}");
        assert_eq!(
            policy.has_private(),
            OPTIONS.iter().enumerate().any(|(n, options)| {
                name.as_str() == format!("relay{n}") && options.contains("RejectPrivate")
            }),
            "{name}: {policy}"
        );
        summaries.push(summary);
        ipv6_summaries.push(ipv6_summary.to_string());
    }
    // The policies are different ones.
    summaries.sort();
    summaries.dedup();
    assert!(summaries.len() >= 9, "{summaries:?}");
    ipv6_summaries.sort();
    ipv6_summaries.dedup();
    assert!(ipv6_summaries.len() >= 5, "{ipv6_summaries:?}");
}
