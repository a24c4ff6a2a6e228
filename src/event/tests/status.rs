//! The arguments of status actions.

use super::{parse, text};
use crate::event::{Event, StatusDetail};
use crate::names::{
    AddressMethod, ClientProtocol, ClockSourceType, DescriptorListing, HibernationStatus,
    LibeventBadness, NameserverStatus, PortResult, StatusAction, VersionReason,
};

/// Parses the arguments of a status, after checking that `extra` returns an unknown one.
fn detail(rest: &str) -> StatusDetail {
    let status = parse_as!(Status, &format!("STATUS_{rest} NEW=1"));
    let extra: Vec<_> = status.extra().map(|argument| argument.key.to_string()).collect();
    assert_eq!(extra, ["NEW"], "{rest}");
    let plain = parse_as!(Status, &format!("STATUS_{rest}"));
    assert_eq!((plain.detail(), plain.extra().count()), (status.detail(), 0));
    status.detail()
}

#[test]
fn a_status_without_arguments_has_no_detail() {
    // The first four are recorded.
    for rest in [
        "SERVER NOTICE GOOD_SERVER_DESCRIPTOR",
        "CLIENT NOTICE CIRCUIT_ESTABLISHED",
        "CLIENT NOTICE CONSENSUS_ARRIVED",
        "CLIENT NOTICE ENOUGH_DIR_INFO",
        "CLIENT NOTICE NOT_ENOUGH_DIR_INFO",
        "GENERAL ERR DIR_ALL_UNREACHABLE",
        "SERVER WARN NAMESERVER_ALL_DOWN",
        "SERVER NOTICE DNS_HIJACKED",
        "SERVER NOTICE DNS_USELESS",
    ] {
        assert_eq!(detail(rest), StatusDetail::None);
    }
    let unknown = parse_as!(Status, "STATUS_CLIENT NOTICE A_NEW_THING word K=v");
    assert_eq!((unknown.detail(), unknown.extra().count()), (StatusDetail::None, 2));
}

#[test]
fn the_recorded_details_of_a_client_are_read() {
    assert_eq!(
        detail("CLIENT WARN DANGEROUS_PORT PORT=23 RESULT=WARN"),
        StatusDetail::DangerousPort { port: Some(23), result: Some(PortResult::Warn) }
    );
    assert_eq!(
        detail("CLIENT WARN DANGEROUS_SOCKS PROTOCOL=SOCKS5 ADDRESS=1.2.3.4:80"),
        StatusDetail::DangerousSocks {
            protocol: Some(ClientProtocol::Socks5),
            address: Some("1.2.3.4:80".parse().unwrap()),
        }
    );
    assert_eq!(
        detail("CLIENT WARN SOCKS_UNKNOWN_PROTOCOL DATA=\"\"\\007zz\\\"\\001\"\""),
        StatusDetail::SocksUnknownProtocol { data: Some(text("\u{7}zz\"\u{1}")) }
    );
    let bootstrap =
        detail("CLIENT NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\"");
    let StatusDetail::Bootstrap(bootstrap) = bootstrap else { panic!("{bootstrap:?}") };
    assert_eq!((bootstrap.progress, &*bootstrap.summary), (5, "Connecting to a relay"));
    assert_eq!(detail("CLIENT NOTICE BOOTSTRAP TAG=conn"), StatusDetail::None);
}

#[test]
fn the_recorded_bug_is_read() {
    assert_eq!(
        detail("GENERAL WARN BUG REASON=\"f(): Bug: a (on Tor 0.4.9.11 )\\n\""),
        StatusDetail::Bug { reason: Some(text("f(): Bug: a (on Tor 0.4.9.11 )\n")) }
    );
}

// From here on, the events have the syntax of the specification or of tor's format strings, unless
// a comment calls them recorded.
#[test]
fn the_other_details_of_a_client_are_read() {
    assert_eq!(
        detail("CLIENT WARN CIRCUIT_NOT_ESTABLISHED REASON=CLOCK_JUMPED"),
        StatusDetail::CircuitNotEstablished { reason: Some(StatusAction::ClockJumped) }
    );
    assert_eq!(
        detail("CLIENT WARN DANGEROUS_PORT PORT=70000 RESULT=REJECT"),
        StatusDetail::DangerousPort { port: None, result: Some(PortResult::Reject) }
    );
    assert_eq!(
        detail("CLIENT WARN SOCKS_BAD_HOSTNAME HOSTNAME=\"bad\\\"host\""),
        StatusDetail::SocksBadHostname { hostname: Some(text("bad\"host")) }
    );
}

#[test]
fn the_details_of_tor_as_a_whole_are_read() {
    assert_eq!(
        detail("GENERAL NOTICE CLOCK_JUMPED TIME=-3600 IDLE=0"),
        StatusDetail::ClockJumped { time: Some(-3600), idle: Some(false) }
    );
    assert_eq!(
        detail("GENERAL NOTICE CLOCK_JUMPED TIME=3600 IDLE=1"),
        StatusDetail::ClockJumped { time: Some(3600), idle: Some(true) }
    );
    let skew = detail("GENERAL WARN CLOCK_SKEW SKEW=-3600 SOURCE=OR:192.0.2.1:9001");
    let StatusDetail::ClockSkew { skew, min_skew, source: Some(source) } = skew else {
        panic!("{skew:?}")
    };
    assert_eq!((skew, min_skew), (Some(-3600), None));
    assert_eq!(source.source_type, ClockSourceType::Or);
    assert_eq!(source.address.unwrap().as_str(), "192.0.2.1:9001");
    let skew = detail("GENERAL WARN CLOCK_SKEW SKEW=+7200 MIN_SKEW=+60 SOURCE=CONSENSUS");
    let StatusDetail::ClockSkew { skew, min_skew, source: Some(source) } = skew else {
        panic!("{skew:?}")
    };
    assert_eq!((skew, min_skew), (Some(7200), Some(60)));
    assert_eq!((source.source_type, source.address), (ClockSourceType::Consensus, None));
    assert_eq!(
        detail(
            "GENERAL WARN DANGEROUS_VERSION CURRENT=0.4.9.11 REASON=OBSOLETE \
             RECOMMENDED=\"0.4.10.1, 0.4.10.2,,0.4.10.3\""
        ),
        StatusDetail::DangerousVersion {
            current: Some(text("0.4.9.11")),
            reason: Some(VersionReason::Obsolete),
            recommended: vec![text("0.4.10.1"), text("0.4.10.2"), text("0.4.10.3")],
        }
    );
    assert_eq!(
        detail("GENERAL WARN TOO_MANY_CONNECTIONS CURRENT=1000"),
        StatusDetail::TooManyConnections { current: Some(1000) }
    );
    assert_eq!(
        detail("GENERAL WARN BAD_LIBEVENT METHOD=kqueue VERSION=1.1 BADNESS=BROKEN RECOVERED=YES"),
        StatusDetail::BadLibevent {
            method: Some(text("kqueue")),
            version: Some(text("1.1")),
            badness: Some(LibeventBadness::Broken),
            recovered: Some(true),
        }
    );
}

#[test]
fn the_details_of_a_relay_are_read() {
    assert_eq!(
        detail(
            "SERVER NOTICE EXTERNAL_ADDRESS ADDRESS=192.0.2.1 METHOD=RESOLVED \
             HOSTNAME=relay.example"
        ),
        StatusDetail::ExternalAddress {
            address: Some([192, 0, 2, 1].into()),
            hostname: Some(text("relay.example")),
            method: Some(AddressMethod::Resolved),
        }
    );
    let StatusDetail::ExternalAddress { address, .. } =
        detail("SERVER NOTICE EXTERNAL_ADDRESS ADDRESS=[2001:db8::1] METHOD=CONFIGURED")
    else {
        panic!()
    };
    assert_eq!(address, Some("2001:db8::1".parse().unwrap()));
    let relay = Some("192.0.2.1:9001".parse().unwrap());
    let directory = Some("192.0.2.1:9030".parse().unwrap());
    // These two are recorded.
    assert_eq!(
        detail("SERVER NOTICE ACCEPTED_SERVER_DESCRIPTOR DIRAUTH=127.0.0.1:42183"),
        StatusDetail::AcceptedServerDescriptor {
            dirauth: Some("127.0.0.1:42183".parse().unwrap()),
        }
    );
    assert_eq!(
        detail("SERVER NOTICE REACHABILITY_SUCCEEDED ORADDRESS=127.0.0.1:33855"),
        StatusDetail::ReachabilitySucceeded {
            or_address: Some("127.0.0.1:33855".parse().unwrap()),
            dir_address: None,
        }
    );
    assert_eq!(
        detail("SERVER NOTICE CHECKING_REACHABILITY ORADDRESS=192.0.2.1:9001"),
        StatusDetail::CheckingReachability { or_address: relay.clone(), dir_address: None }
    );
    assert_eq!(
        detail("SERVER NOTICE REACHABILITY_SUCCEEDED ORADDRESS=192.0.2.1:9001"),
        StatusDetail::ReachabilitySucceeded { or_address: relay.clone(), dir_address: None }
    );
    assert_eq!(
        detail("SERVER WARN REACHABILITY_FAILED DIRADDRESS=192.0.2.1:9030"),
        StatusDetail::ReachabilityFailed { or_address: None, dir_address: directory }
    );
    assert_eq!(
        detail(
            "SERVER WARN BAD_SERVER_DESCRIPTOR DIRAUTH=192.0.2.1:9001 REASON=\"Your clock is off\""
        ),
        StatusDetail::BadServerDescriptor {
            dirauth: relay,
            reason: Some(text("Your clock is off")),
        }
    );
    assert_eq!(
        detail("SERVER NOTICE SERVER_DESCRIPTOR_STATUS STATUS=UNLISTED"),
        StatusDetail::ServerDescriptorStatus { status: Some(DescriptorListing::Unlisted) }
    );
    assert_eq!(
        detail("SERVER WARN NAMESERVER_STATUS NS=192.0.2.53 STATUS=DOWN ERR=\"timed out\""),
        StatusDetail::NameserverStatus {
            ns: Some(text("192.0.2.53")),
            status: Some(NameserverStatus::Down),
            err: Some(text("timed out")),
        }
    );
    // Recorded.
    assert_eq!(
        detail("SERVER NOTICE HIBERNATION_STATUS STATUS=HARD"),
        StatusDetail::HibernationStatus { status: Some(HibernationStatus::Hard) }
    );
}

#[test]
fn arguments_that_are_missing_or_unreadable_are_none() {
    for (rest, expected) in [
        ("DANGEROUS_PORT PORT=x", StatusDetail::DangerousPort { port: None, result: None }),
        ("CLOCK_JUMPED TIME=soon", StatusDetail::ClockJumped { time: None, idle: None }),
        ("CLOCK_JUMPED IDLE=5", StatusDetail::ClockJumped { time: None, idle: None }),
        ("BUG", StatusDetail::Bug { reason: None }),
        ("TOO_MANY_CONNECTIONS", StatusDetail::TooManyConnections { current: None }),
    ] {
        assert_eq!(detail(&format!("GENERAL WARN {rest}")), expected);
    }
}

#[test]
fn an_address_that_tor_does_not_know_is_none() {
    let text = "NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"x\" WARNING=\"y\" REASON=TIMEOUT \
                COUNT=1 RECOMMENDATION=ignore HOSTID=\"E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC\" \
                HOSTADDR=\"?\"";
    let bootstrap: crate::event::Bootstrap = text.parse().unwrap();
    assert_eq!((bootstrap.host_addr, bootstrap.count), (None, Some(1)));
}
