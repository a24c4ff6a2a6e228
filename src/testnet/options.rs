//! The configuration of the tors of a network.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::keys::Identity;
use crate::clock;
use crate::error::TestnetProblem;

/// A line of a configuration.
pub(super) type Setting = (String, String);

/// The seconds between two consensuses: the longest that tor allows for the first one too.
const INTERVAL: u64 = 1800;
/// The seconds until the first vote as it is scheduled at the start, before there are descriptors.
const FIRST_VOTE: u64 = 900;

/// The two fixed ports of an authority, which are in the configuration of every tor.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthorityPorts {
    pub(super) or: u16,
    pub(super) dir: u16,
}

/// Two ports of 127.0.0.1 that are reserved until this is dropped.
pub(super) struct ReservedPorts {
    pub(super) ports: AuthorityPorts,
    _listeners: [TcpListener; 2],
}

impl ReservedPorts {
    pub(super) fn bind() -> Result<Self, TestnetProblem> {
        let problem = |error| TestnetProblem::Resource {
            what: "a port for an authority",
            source: Arc::new(error),
        };
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(problem);
        let listeners = [listen()?, listen()?];
        let [or, dir] = &listeners;
        let port = |socket: &TcpListener| Ok(socket.local_addr().map_err(problem)?.port());
        let ports = AuthorityPorts { or: port(or)?, dir: port(dir)? };
        Ok(Self { ports, _listeners: listeners })
    }
}

pub(super) fn settings<const N: usize>(settings: [(&str, &str); N]) -> Vec<Setting> {
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Returns the `DirAuthority` line of an authority.
pub(super) fn dir_authority(nickname: &str, ports: AuthorityPorts, identity: Identity) -> Setting {
    let AuthorityPorts { or, dir } = ports;
    let Identity { v3ident, fingerprint } = identity;
    let value = format!("{nickname} orport={or} v3ident={v3ident} 127.0.0.1:{dir} {fingerprint}");
    ("DirAuthority".to_owned(), value)
}

/// Returns the options of every tor of the network.
pub(super) fn client(authorities: Vec<Setting>) -> Vec<Setting> {
    // Allows short intervals, private addresses, and several relays of one address in a path.
    let mut all = settings([("TestingTorNetwork", "1")]);
    all.extend(authorities);
    all.extend(settings([
        ("PathsNeededToBuildCircuits", "0.67"),
        // After a hundred circuits of a few milliseconds tor would give each less than 50 ms. On a
        // busy machine the circuits of onion services then fail, and visitors wait for minutes.
        ("LearnCircuitBuildTimeout", "0"),
        // A connection from this address cannot leave the machine.
        ("OutboundBindAddress", "127.0.0.1"),
    ]));
    all
}

/// Returns the options that relays and authorities have in common.
fn server(nickname: &str, or_port: Option<u16>) -> Vec<Setting> {
    let or_port = or_port.map_or("auto".to_owned(), |port| port.to_string());
    let mut all = settings([
        ("Nickname", nickname),
        ("ORPort", &format!("127.0.0.1:{or_port}")),
        // tor neither guesses nor tests its address.
        ("Address", "127.0.0.1"),
        ("AssumeReachable", "1"),
        ("SocksPort", "0"),
        ("ContactInfo", "none@example.invalid"),
        ("TestingMinTimeToReportBandwidth", "1 day"),
    ]);
    all.extend(settings([
        // SIGTERM ends a relay at once.
        ("ShutdownWaitLength", "0"),
        ("SafeLogging", "0"),
        ("LogTimeGranularity", "1"),
        // Less memory and time: no GeoIP tables, one worker thread.
        ("GeoIPFile", "/dev/null"),
        ("GeoIPv6File", "/dev/null"),
        ("AvoidDiskWrites", "1"),
        ("NumCPUs", "1"),
    ]));
    all
}

pub(super) fn relay(
    nickname: &str,
    or_port: Option<u16>,
    is_exit: bool,
    resolv_conf: &Path,
) -> Vec<Setting> {
    let mut all = server(nickname, or_port);
    if is_exit {
        all.extend(settings([("ExitRelay", "1"), ("ExitPolicy", "accept *:*")]));
    } else {
        all.extend(settings([("ExitRelay", "0"), ("ExitPolicy", "reject *:*")]));
    }
    all.extend(settings([
        ("ServerDNSResolvConfFile", &resolv_conf.to_string_lossy()),
        // No DNS queries for real names.
        ("ServerDNSDetectHijacking", "0"),
        ("ServerDNSTestAddresses", ""),
        ("ServerDNSSearchDomains", "0"),
    ]));
    all
}

pub(super) fn authority(nickname: &str, ports: AuthorityPorts) -> Vec<Setting> {
    let mut all = server(nickname, Some(ports.or));
    all.extend(settings([
        ("DirPort", &format!("127.0.0.1:{}", ports.dir)),
        ("AuthoritativeDirectory", "1"),
        ("V3AuthoritativeDirectory", "1"),
        ("ExitRelay", "0"),
        ("ExitPolicy", "reject *:*"),
        // A consensus is valid for a day.
        ("V3AuthVotingInterval", &format!("{INTERVAL} seconds")),
        ("V3AuthNIntervalsValid", "48"),
        // The shortest that tor accepts.
        ("V3AuthVoteDelay", "2 seconds"),
        ("V3AuthDistDelay", "2 seconds"),
        ("TestingV3AuthInitialVoteDelay", "2 seconds"),
        ("TestingV3AuthInitialDistDelay", "2 seconds"),
        // Every relay is running and has all flags.
        ("AuthDirTestReachability", "0"),
        ("TestingDirAuthVoteExit", "*"),
        ("TestingDirAuthVoteGuard", "*"),
        ("TestingDirAuthVoteHSDir", "*"),
    ]));
    all.extend(vote_at(since_epoch().0 + FIRST_VOTE));
    all
}

/// Returns the options by which the first consensus is published in this second.
pub(super) fn vote_at(seconds: u64) -> Vec<Setting> {
    settings([
        ("TestingV3AuthInitialVotingInterval", &format!("{INTERVAL} seconds")),
        ("TestingV3AuthVotingStartOffset", &format!("{} seconds", seconds % INTERVAL)),
    ])
}

/// Returns the current time in whole seconds, and the remaining milliseconds.
pub(super) fn since_epoch() -> (u64, u32) {
    let now = clock::system_now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_millis())
}

/// Returns the text of a `resolv.conf` file.
pub(super) fn resolv_conf(name_server: SocketAddr) -> String {
    format!("nameserver {name_server}\n")
}
