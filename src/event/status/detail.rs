//! The arguments of each action of a status, read.

use std::net::IpAddr;

use crate::event::{Bootstrap, EventText, StatusEvent};
use crate::names::{
    AddressMethod, ClientProtocol, ClockSourceType, DescriptorListing, HibernationStatus,
    LibeventBadness, NameserverStatus, PortResult, StatusAction, Target, VersionReason,
};
use crate::wire::fields::read_number;

/// What a status says, by its action: the arguments that the specification names, read.
///
/// An argument that tor left out, or that cannot be read, is `None`; its text, and arguments that
/// are not known, are in [`StatusEvent::arguments`].
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, StatusDetail};
/// use torcon::names::PortResult;
///
/// let text = EventText::new(b"STATUS_CLIENT WARN DANGEROUS_PORT PORT=23 RESULT=REJECT");
/// let Event::Status(status) = Event::parse(text) else { panic!() };
/// match status.detail() {
///     StatusDetail::DangerousPort { port, result, .. } => {
///         assert_eq!((port, result), (Some(23), Some(PortResult::Reject)));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusDetail {
    /// The action has no arguments, or is not known to this version of torcon.
    None,
    /// How far tor has come on its way to its first circuit.
    Bootstrap(Box<Bootstrap>),
    /// tor can no longer build circuits.
    #[non_exhaustive]
    CircuitNotEstablished {
        /// The status that is the reason.
        reason: Option<StatusAction>,
    },
    /// An application asked for a port whose protocol does not protect its user.
    #[non_exhaustive]
    DangerousPort {
        /// The port.
        port: Option<u16>,
        /// What tor did.
        result: Option<PortResult>,
    },
    /// An application asked for an address, so it may have leaked the name.
    #[non_exhaustive]
    DangerousSocks {
        /// The protocol by which it asked.
        protocol: Option<ClientProtocol>,
        /// The address that it asked for.
        address: Option<Target>,
    },
    /// An application speaks something else than SOCKS.
    #[non_exhaustive]
    SocksUnknownProtocol {
        /// The first bytes that it sent.
        data: Option<EventText>,
    },
    /// An application asked for a host name that cannot be one.
    #[non_exhaustive]
    SocksBadHostname {
        /// The name.
        hostname: Option<EventText>,
    },
    /// tor found a fault in itself.
    #[non_exhaustive]
    Bug {
        /// What it found.
        reason: Option<EventText>,
    },
    /// The clock made a jump.
    #[non_exhaustive]
    ClockJumped {
        /// By how many seconds; backwards if this is negative.
        time: Option<i64>,
        /// Whether tor was idle during the jump, as after the computer slept.
        idle: Option<bool>,
    },
    /// The clock is wrong.
    #[non_exhaustive]
    ClockSkew {
        /// By how many seconds, negative if the clock is behind.
        skew: Option<i64>,
        /// By how many seconds at least.
        min_skew: Option<i64>,
        /// From what tor took the time.
        source: Option<ClockSource>,
    },
    /// This version of tor should not be used.
    #[non_exhaustive]
    DangerousVersion {
        /// This version.
        current: Option<EventText>,
        /// Why it should not be used.
        reason: Option<VersionReason>,
        /// The versions that should be used.
        recommended: Vec<EventText>,
    },
    /// tor has no sockets left.
    #[non_exhaustive]
    TooManyConnections {
        /// How many it has.
        current: Option<u64>,
    },
    /// libevent has a known fault.
    #[non_exhaustive]
    BadLibevent {
        /// The method of libevent.
        method: Option<EventText>,
        /// The version of libevent.
        version: Option<EventText>,
        /// How bad it is.
        badness: Option<LibeventBadness>,
        /// Whether tor could take another method.
        recovered: Option<bool>,
    },
    /// The address of the relay is known, or has changed.
    #[non_exhaustive]
    ExternalAddress {
        /// The address.
        address: Option<IpAddr>,
        /// The name that was resolved to it.
        hostname: Option<EventText>,
        /// How it was found.
        method: Option<AddressMethod>,
    },
    /// The relay tests whether it can be reached.
    #[non_exhaustive]
    CheckingReachability {
        /// The address of its relay port, if this is tested.
        or_address: Option<Target>,
        /// The address of its directory port, if this is tested.
        dir_address: Option<Target>,
    },
    /// The relay can be reached.
    #[non_exhaustive]
    ReachabilitySucceeded {
        /// The address of its relay port, if this was tested.
        or_address: Option<Target>,
        /// The address of its directory port, if this was tested.
        dir_address: Option<Target>,
    },
    /// The relay cannot be reached.
    #[non_exhaustive]
    ReachabilityFailed {
        /// The address of its relay port, if this was tested.
        or_address: Option<Target>,
        /// The address of its directory port, if this was tested.
        dir_address: Option<Target>,
    },
    /// A directory took the descriptor of the relay.
    #[non_exhaustive]
    AcceptedServerDescriptor {
        /// The directory.
        dirauth: Option<Target>,
    },
    /// A directory refused the descriptor of the relay.
    #[non_exhaustive]
    BadServerDescriptor {
        /// The directory.
        dirauth: Option<Target>,
        /// Why it refused.
        reason: Option<EventText>,
    },
    /// The relay came into the consensus or left it.
    #[non_exhaustive]
    ServerDescriptorStatus {
        /// Whether it is in it.
        status: Option<DescriptorListing>,
    },
    /// A name server of the relay came or went.
    #[non_exhaustive]
    NameserverStatus {
        /// The name server.
        ns: Option<EventText>,
        /// Whether it answers.
        status: Option<NameserverStatus>,
        /// Why it does not.
        err: Option<EventText>,
    },
    /// The relay went to sleep or woke, to stay within its allowance.
    #[non_exhaustive]
    HibernationStatus {
        /// How far it has gone to sleep.
        status: Option<HibernationStatus>,
    },
}

/// From what tor took the time when it found that the clock is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockSource {
    /// What it is.
    pub source_type: ClockSourceType,
    /// The address of the directory or the relay, if it is one.
    pub address: Option<Target>,
}

impl ClockSource {
    /// Reads `DIRSERV:192.0.2.1:80` or `CONSENSUS`.
    fn from_bytes(source: &[u8]) -> Self {
        let colon = memchr::memchr(b':', source).unwrap_or(source.len());
        let (source_type, address) = source.split_at_checked(colon).unwrap_or((source, b""));
        let address = address.strip_prefix(b":").map(Target::from_bytes);
        Self { source_type: ClockSourceType::from_bytes(source_type), address }
    }
}

/// Returns the keys of the arguments of an action.
pub(super) fn keys(action: &StatusAction) -> &'static [&'static str] {
    match action {
        StatusAction::Bootstrap => &[
            "PROGRESS",
            "TAG",
            "SUMMARY",
            "WARNING",
            "REASON",
            "COUNT",
            "RECOMMENDATION",
            "HOSTID",
            "HOSTADDR",
        ],
        StatusAction::CircuitNotEstablished | StatusAction::Bug => &["REASON"],
        StatusAction::DangerousPort => &["PORT", "RESULT"],
        StatusAction::DangerousSocks => &["PROTOCOL", "ADDRESS"],
        StatusAction::SocksUnknownProtocol => &["DATA"],
        StatusAction::SocksBadHostname => &["HOSTNAME"],
        StatusAction::ClockJumped => &["TIME", "IDLE"],
        StatusAction::ClockSkew => &["SKEW", "MIN_SKEW", "SOURCE"],
        StatusAction::DangerousVersion => &["CURRENT", "REASON", "RECOMMENDED"],
        StatusAction::TooManyConnections => &["CURRENT"],
        StatusAction::BadLibevent => &["METHOD", "VERSION", "BADNESS", "RECOVERED"],
        StatusAction::ExternalAddress => &["ADDRESS", "HOSTNAME", "METHOD"],
        StatusAction::CheckingReachability
        | StatusAction::ReachabilitySucceeded
        | StatusAction::ReachabilityFailed => &["ORADDRESS", "DIRADDRESS"],
        StatusAction::AcceptedServerDescriptor => &["DIRAUTH"],
        StatusAction::BadServerDescriptor => &["DIRAUTH", "REASON"],
        StatusAction::ServerDescriptorStatus | StatusAction::HibernationStatus => &["STATUS"],
        StatusAction::NameserverStatus => &["NS", "STATUS", "ERR"],
        StatusAction::CircuitEstablished
        | StatusAction::ConsensusArrived
        | StatusAction::EnoughDirInfo
        | StatusAction::NotEnoughDirInfo
        | StatusAction::DirAllUnreachable
        | StatusAction::GoodServerDescriptor
        | StatusAction::NameserverAllDown
        | StatusAction::DnsHijacked
        | StatusAction::DnsUseless
        | StatusAction::Unrecognized(_) => &[],
    }
}

/// Reads the arguments of one status.
struct Arguments<'a> {
    status: &'a StatusEvent,
}

impl Arguments<'_> {
    fn text(&self, key: &str) -> Option<EventText> {
        self.status.argument(key)
    }

    /// Reads a decoded value.
    fn read<T>(&self, key: &str, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        read(self.status.argument(key)?.as_bytes())
    }

    /// Reads a number; that of a difference may have a sign.
    fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.read(key, read_number)
    }

    fn target(&self, key: &str) -> Option<Target> {
        self.word(key, Target::from_bytes)
    }

    fn word<W>(&self, key: &str, read: fn(&[u8]) -> W) -> Option<W> {
        self.read(key, |value| Some(read(value)))
    }

    /// Reads one of two words, of which the first means yes.
    fn flag(&self, key: &str, [yes, no]: [&[u8]; 2]) -> Option<bool> {
        self.read(key, |value| match value {
            value if value == yes => Some(true),
            value if value == no => Some(false),
            _ => None,
        })
    }

    /// Divides a list with a comma and perhaps a blank between its elements.
    fn list(&self, key: &str) -> Vec<EventText> {
        let Some(list) = self.status.argument(key) else { return Vec::new() };
        let elements = list.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        elements.filter(|element| !element.is_empty()).map(|element| list.part(element)).collect()
    }

    fn ip(&self, key: &str) -> Option<IpAddr> {
        self.read(key, |value| {
            let address = std::str::from_utf8(value).ok()?;
            let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            inner.unwrap_or(address).parse().ok()
        })
    }
}

impl StatusDetail {
    pub(super) fn read(status: &StatusEvent) -> Self {
        let get = Arguments { status };
        let or_address = || get.target("ORADDRESS");
        let dir_address = || get.target("DIRADDRESS");
        match &status.action() {
            StatusAction::Bootstrap => match status.bootstrap() {
                Some(bootstrap) => Self::Bootstrap(Box::new(bootstrap)),
                None => Self::None,
            },
            StatusAction::CircuitNotEstablished => {
                Self::CircuitNotEstablished { reason: get.word("REASON", StatusAction::from_bytes) }
            }
            StatusAction::DangerousPort => Self::DangerousPort {
                port: get.number("PORT"),
                result: get.word("RESULT", PortResult::from_bytes),
            },
            StatusAction::DangerousSocks => Self::DangerousSocks {
                protocol: get.word("PROTOCOL", ClientProtocol::from_bytes),
                address: get.target("ADDRESS"),
            },
            StatusAction::SocksUnknownProtocol => {
                Self::SocksUnknownProtocol { data: get.text("DATA") }
            }
            StatusAction::SocksBadHostname => {
                Self::SocksBadHostname { hostname: get.text("HOSTNAME") }
            }
            StatusAction::Bug => Self::Bug { reason: get.text("REASON") },
            StatusAction::ClockJumped => {
                Self::ClockJumped { time: get.number("TIME"), idle: get.flag("IDLE", [b"1", b"0"]) }
            }
            StatusAction::ClockSkew => Self::ClockSkew {
                skew: get.number("SKEW"),
                min_skew: get.number("MIN_SKEW"),
                source: get.word("SOURCE", ClockSource::from_bytes),
            },
            StatusAction::DangerousVersion => Self::DangerousVersion {
                current: get.text("CURRENT"),
                reason: get.word("REASON", VersionReason::from_bytes),
                recommended: get.list("RECOMMENDED"),
            },
            StatusAction::TooManyConnections => {
                Self::TooManyConnections { current: get.number("CURRENT") }
            }
            StatusAction::BadLibevent => Self::BadLibevent {
                method: get.text("METHOD"),
                version: get.text("VERSION"),
                badness: get.word("BADNESS", LibeventBadness::from_bytes),
                recovered: get.flag("RECOVERED", [b"YES", b"NO"]),
            },
            StatusAction::ExternalAddress => Self::ExternalAddress {
                address: get.ip("ADDRESS"),
                hostname: get.text("HOSTNAME"),
                method: get.word("METHOD", AddressMethod::from_bytes),
            },
            StatusAction::CheckingReachability => {
                Self::CheckingReachability { or_address: or_address(), dir_address: dir_address() }
            }
            StatusAction::ReachabilitySucceeded => {
                Self::ReachabilitySucceeded { or_address: or_address(), dir_address: dir_address() }
            }
            StatusAction::ReachabilityFailed => {
                Self::ReachabilityFailed { or_address: or_address(), dir_address: dir_address() }
            }
            StatusAction::AcceptedServerDescriptor => {
                Self::AcceptedServerDescriptor { dirauth: get.target("DIRAUTH") }
            }
            StatusAction::BadServerDescriptor => Self::BadServerDescriptor {
                dirauth: get.target("DIRAUTH"),
                reason: get.text("REASON"),
            },
            StatusAction::ServerDescriptorStatus => Self::ServerDescriptorStatus {
                status: get.word("STATUS", DescriptorListing::from_bytes),
            },
            StatusAction::NameserverStatus => Self::NameserverStatus {
                ns: get.text("NS"),
                status: get.word("STATUS", NameserverStatus::from_bytes),
                err: get.text("ERR"),
            },
            StatusAction::HibernationStatus => Self::HibernationStatus {
                status: get.word("STATUS", HibernationStatus::from_bytes),
            },
            StatusAction::CircuitEstablished
            | StatusAction::ConsensusArrived
            | StatusAction::EnoughDirInfo
            | StatusAction::NotEnoughDirInfo
            | StatusAction::DirAllUnreachable
            | StatusAction::GoodServerDescriptor
            | StatusAction::NameserverAllDown
            | StatusAction::DnsHijacked
            | StatusAction::DnsUseless
            | StatusAction::Unrecognized(_) => Self::None,
        }
    }
}
