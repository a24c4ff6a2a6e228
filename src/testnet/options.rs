//! The configuration of the tors of a network.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::keys::Identity;

/// A line of a configuration.
pub(super) type Setting = (String, String);

/// The time between two consensuses, in seconds. The longest that tor allows for the first one,
/// too, so that a network that is up is left in peace.
const INTERVAL: u64 = 1800;
/// How far away the first vote is at first: it waits until there is something to vote on.
const HOLD: u64 = 900;

/// The two fixed ports of an authority; they stand in the configuration of every tor.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthorityPorts {
    pub(super) or: u16,
    pub(super) dir: u16,
}

pub(super) fn settings<const N: usize>(settings: [(&str, &str); N]) -> Vec<Setting> {
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Returns the line that makes an authority known.
pub(super) fn dir_authority(nickname: &str, ports: AuthorityPorts, identity: Identity) -> Setting {
    let AuthorityPorts { or, dir } = ports;
    let Identity { v3ident, fingerprint } = identity;
    let value = format!("{nickname} orport={or} v3ident={v3ident} 127.0.0.1:{dir} {fingerprint}");
    ("DirAuthority".to_owned(), value)
}

/// What every tor needs to live in the network.
pub(super) fn client(authorities: Vec<Setting>) -> Vec<Setting> {
    // Short intervals; private addresses, and several relays with the same, in one path.
    let mut all = settings([("TestingTorNetwork", "1")]);
    all.extend(authorities);
    all.extend(settings([
        ("PathsNeededToBuildCircuits", "0.67"),
        // Nothing can leave the machine by this address.
        ("OutboundBindAddress", "127.0.0.1"),
    ]));
    all
}

/// What relays and authorities have in common.
fn server(nickname: &str, or_port: Option<u16>) -> Vec<Setting> {
    let or_port = or_port.map_or("auto".to_owned(), |port| port.to_string());
    let mut all = settings([
        ("Nickname", nickname),
        ("ORPort", &format!("127.0.0.1:{or_port}")),
        // No guessing of addresses, and no test of them.
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
        // Small and quick: no tables of countries, one worker thread.
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
        // No question to anyone about real names.
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
        // The shortest that tor takes.
        ("V3AuthVoteDelay", "2 seconds"),
        ("V3AuthDistDelay", "2 seconds"),
        ("TestingV3AuthInitialVoteDelay", "2 seconds"),
        ("TestingV3AuthInitialDistDelay", "2 seconds"),
        // Every relay is running, and has the flags that it would have to earn.
        ("AuthDirTestReachability", "0"),
        ("TestingDirAuthVoteExit", "*"),
        ("TestingDirAuthVoteGuard", "*"),
        ("TestingDirAuthVoteHSDir", "*"),
    ]));
    all.extend(vote_at(since_epoch().0 + HOLD));
    all
}

/// The options that make this second the end of the first voting round: the consensus is
/// published then.
pub(super) fn vote_at(seconds: u64) -> Vec<Setting> {
    settings([
        ("TestingV3AuthInitialVotingInterval", &format!("{INTERVAL} seconds")),
        ("TestingV3AuthVotingStartOffset", &format!("{} seconds", seconds % INTERVAL)),
    ])
}

/// The whole seconds of now, and the rest in milliseconds.
pub(super) fn since_epoch() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_millis())
}

/// The text of a resolver's configuration file.
pub(super) fn resolv_conf(name_server: SocketAddr) -> String {
    format!("nameserver {name_server}\n")
}
