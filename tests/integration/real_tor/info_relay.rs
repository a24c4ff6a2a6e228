//! The status of tor as a relay, compared with the raw values.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use torcon::descriptor::ExitPolicy;
use torcon::names::{Fingerprint, HibernationStatus};
use torcon::{Controller, Signal};

use super::typed_info::flag;
use super::{controller, reader, refusal};
use crate::support::real_tor::{RealTor, shared};
use crate::support::watchdog::eventually;

#[test]
fn a_client_has_no_relay_status() {
    let controller = reader();
    let mut raw = shared().raw();
    assert_eq!(raw.ask("GETINFO fingerprint"), ["551 Not running in server mode"]);
    assert_eq!(controller.fingerprint().unwrap(), None);
    for key in ["address", "address/v4", "address/v6"] {
        assert_eq!(raw.ask(&format!("GETINFO {key}")), ["551 Address unknown"]);
    }
    assert_eq!(controller.external_address().unwrap(), None);
    assert_eq!(controller.external_ipv4().unwrap(), None);
    assert_eq!(controller.external_ipv6().unwrap(), None);
    assert_eq!(raw.ask("GETINFO exit-policy/full"), ["552 Not running in server mode"]);
    assert_eq!(controller.exit_policy().unwrap(), None);
    assert_eq!(controller.exit_policy_ipv4().unwrap(), None);
    assert_eq!(controller.exit_policy_ipv6().unwrap(), None);
    assert_eq!(controller.exit_policy_reject_private().unwrap(), None);
    assert_eq!(raw.ask("GETINFO status/fresh-relay-descs"), ["551 Only relays have descriptors"]);
    assert_eq!(controller.fresh_relay_descriptors().unwrap(), None);
    assert!(!controller.has_accepted_server_descriptor().unwrap());
    assert!(!controller.has_good_server_descriptor().unwrap());
    let reachability = controller.reachability().unwrap();
    assert_eq!((reachability.or, reachability.dir), (true, true));
    let counts = controller.handshake_counts().unwrap();
    assert_eq!((counts.ntor.requested, counts.tap.assigned), (0, 0));
    let clients = controller.clients_seen().unwrap();
    let text = raw.get_info("status/clients-seen");
    assert_eq!(clients.text(), format!("CLIENTS_SEEN {text}").as_str());
    assert_eq!(clients.time_started(), Some(SystemTime::UNIX_EPOCH));
    let accounting = controller.accounting().unwrap();
    assert_eq!((accounting.hibernation, accounting.interval), (HibernationStatus::Awake, None));
    assert_eq!(raw.get_info("accounting/hibernating"), "awake");
}

#[test]
fn the_default_exit_policies_equal_the_raw_values() {
    let controller = reader();
    let mut raw = shared().raw();
    let policy = controller.default_exit_policy().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/default"));
    assert!(!policy.allows([192, 0, 2, 1].into(), 25));
    assert!(policy.allows([192, 0, 2, 1].into(), 80));
    let policy = controller.default_exit_policy_reject_private().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/reject-private/default"));
    assert!(!policy.allows([10, 0, 0, 1].into(), 80));
}

/// A relay without network.
fn relay(lines: &[&str]) -> RealTor {
    let builder = RealTor::builder()
        .line("ORPort 127.0.0.1:12345")
        .line("Address 192.0.2.7")
        .line("Nickname somebody")
        .line("AssumeReachable 1")
        .line("PublishServerDescriptor 0");
    lines.iter().fold(builder, |builder, line| builder.line(*line)).start()
}

/// Makes a relay create its descriptor. Without a network, it does so only when its statistics are
/// queried.
fn with_descriptor(controller: &Controller) {
    assert_eq!(
        refusal(controller.exit_policy()),
        "tor refused GETINFO: 551 \"Descriptor still rebuilding - not ready yet\""
    );
    assert_eq!(controller.extra_info([0; 20]).unwrap(), None);
}

#[test]
fn the_status_of_a_relay_equals_the_raw_values() {
    let tor = relay(&["ExitRelay 1", "ExitPolicy accept *4:80,reject *:*", "IPv6Exit 1"]);
    let controller = controller(&tor);
    let mut raw = tor.raw();
    let fingerprint = controller.fingerprint().unwrap().unwrap();
    assert_eq!(fingerprint.to_string(), raw.get_info("fingerprint"));
    assert_eq!(controller.own_server_descriptor().unwrap(), None);
    assert!(controller.served_descriptors().unwrap().is_empty());

    with_descriptor(&controller);
    let policy = controller.exit_policy().unwrap().unwrap();
    let (four, six) = ([192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap());
    let address: IpAddr = [192, 0, 2, 7].into();
    assert!(policy.allows(four, 80) && !policy.allows(four, 443));
    assert!(!policy.allows(address, 80), "its own address");
    assert!(!policy.allows(six, 80), "{policy}");
    let lines = raw.get_info("exit-policy/full").replace(" *:", " *4:").replace("6 *4:", "6 *:");
    assert_eq!(policy.to_string(), lines.replace('\n', ","));
    let policy = controller.exit_policy_ipv4().unwrap().unwrap();
    assert!(policy.allows(four, 80) && !policy.allows(four, 443));
    let policy = controller.exit_policy_ipv6().unwrap().unwrap();
    assert_eq!(policy.to_string(), raw.get_info("exit-policy/ipv6"));
    assert!(!policy.allows(six, 80));
    let policy = controller.exit_policy_reject_private().unwrap().unwrap();
    assert_eq!(policy.to_string(), "reject 192.0.2.7:*");

    let descriptor = controller.own_server_descriptor().unwrap().unwrap();
    assert_eq!(descriptor.fingerprint(), Some(fingerprint));
    assert_eq!(descriptor.nickname().as_str(), "somebody");
    let text = raw.get_info("dir/server/authority");
    assert_eq!(descriptor.to_string().trim_end(), text.trim_end());
    let served = controller.served_descriptors_of([fingerprint, Fingerprint::from([9; 20])]);
    assert_eq!(served.unwrap().len(), 1);
    assert!(controller.served_descriptors_of(Vec::<Fingerprint>::new()).unwrap().is_empty());
    let unknown = controller.served_descriptors_of([Fingerprint::from([9; 20])]).unwrap();
    assert!(unknown.is_empty());
    assert_eq!(controller.server_descriptor_by_digest([9; 20]).unwrap(), None);
    let digest = descriptor.extra_info_digest().unwrap();
    let statistics = controller.extra_info(digest).unwrap().unwrap();
    assert_eq!(statistics.fingerprint(), fingerprint);
    let key = format!("extra-info/digest/{}", Fingerprint::from(digest));
    assert_eq!(statistics.to_string().trim_end(), raw.get_info(&key).trim_end());
    assert_eq!(statistics.published(), descriptor.published());

    // The relay knows its address once it has a descriptor.
    assert_eq!(controller.external_address().unwrap(), Some(address));
    assert_eq!(controller.external_ipv4().unwrap().map(IpAddr::V4), Some(address));
    assert_eq!(controller.external_ipv6().unwrap(), None);
    let (server, extra) = controller.fresh_relay_descriptors().unwrap().unwrap();
    let extra = extra.unwrap();
    assert_eq!(server.fingerprint(), Some(fingerprint));
    assert_eq!(extra.fingerprint(), fingerprint);
    assert!(server.signature().is_some() && extra.signature().is_some());
    assert!(!server.to_string().contains("extra-info somebody"));
    assert!(controller.fetches_server_descriptors().unwrap());
    assert!(controller.fetches_microdescriptors().unwrap());
    let reachability = controller.reachability().unwrap();
    assert_eq!(reachability.or, flag(&mut raw, "status/reachability-succeeded/or"));
    assert_eq!(reachability.dir, flag(&mut raw, "status/reachability-succeeded/dir"));
}

#[test]
fn the_exit_policy_of_a_relay_that_is_not_an_exit_rejects_everything() {
    let tor = relay(&["ExitRelay 0"]);
    let controller = controller(&tor);
    with_descriptor(&controller);
    for policy in [
        controller.exit_policy().unwrap(),
        controller.exit_policy_ipv4().unwrap(),
        controller.exit_policy_ipv6().unwrap(),
    ] {
        let policy = policy.unwrap();
        assert_eq!(policy, "reject *:*".parse::<ExitPolicy>().unwrap());
        assert!(!policy.allows("2001:db8::1".parse().unwrap(), 80));
    }
}

#[test]
fn a_relay_without_reject_private_has_no_such_rules() {
    let tor = relay(&["ExitPolicyRejectPrivate 0", "ExitRelay 1"]);
    let controller = controller(&tor);
    with_descriptor(&controller);
    assert_eq!(tor.raw().get_info("exit-policy/reject-private/relay"), "");
    assert_eq!(controller.exit_policy_reject_private().unwrap(), None);
}

#[test]
fn accounting_follows_its_rule() {
    for (rule, left) in [("max", (1 << 30, 1 << 30)), ("sum", (1 << 30, 1 << 30))] {
        let rule = format!("AccountingRule {rule}");
        let tor = relay(&["AccountingMax 1 GB", "AccountingStart day 00:00", &rule]);
        let accounting = controller(&tor).accounting().unwrap();
        let mut raw = tor.raw();
        assert_eq!(accounting.hibernation, HibernationStatus::Awake);
        let interval = accounting.interval.expect("it has an allowance");
        assert_eq!((interval.read, interval.written), (0, 0));
        assert_eq!((interval.read_left, interval.written_left), left, "{rule}");
        assert_eq!(raw.get_info("accounting/bytes-left"), format!("{} {}", left.0, left.1));
        assert!(interval.start <= interval.wake && interval.wake <= interval.end);
        let day = interval.end.duration_since(interval.start).unwrap();
        assert!((23 * 3600..=25 * 3600).contains(&day.as_secs()), "{interval:?}");
        assert!(interval.start <= SystemTime::now() && SystemTime::now() < interval.end);
        assert!(flag(&mut raw, "accounting/enabled"));
    }
}

#[test]
fn a_relay_that_is_shutting_down_reports_it() {
    let tor = relay(&["ShutdownWaitLength 30 seconds"]);
    let controller = controller(&tor);
    controller.signal(Signal::Shutdown).unwrap();
    let mut state = None;
    eventually(Duration::from_secs(30), "tor is about to end", || {
        state = controller.accounting().ok().map(|accounting| accounting.hibernation);
        state == Some(HibernationStatus::Exiting)
    });
    assert_eq!(state, Some(HibernationStatus::Exiting));
}
