//! The arguments of status events, parsed by action.

use std::net::IpAddr;

use crate::event::keyword::flag;
use crate::event::{Bootstrap, EventText, StatusEvent};
use crate::names::{
    AddressMethod, ClientProtocol, ClockSourceType, DescriptorListing, HibernationStatus,
    LibeventBadness, NameserverStatus, PortResult, StatusAction, Target, VersionReason,
};
use crate::wire::fields::read_number;

/// The arguments of a status event, by its action.
///
/// An argument that tor omitted, or that cannot be read, is `None`; its text, and unknown arguments,
/// are in [`StatusEvent::arguments`].
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
    /// Bootstrap progress.
    Bootstrap(Box<Bootstrap>),
    /// tor can no longer build circuits.
    #[non_exhaustive]
    CircuitNotEstablished {
        /// The status that is the reason for it.
        reason: Option<StatusAction>,
    },
    /// An application connects to a port whose protocol sends data in the clear.
    #[non_exhaustive]
    DangerousPort {
        /// The port.
        port: Option<u16>,
        /// What tor did with the stream.
        result: Option<PortResult>,
    },
    /// An application asked for an IP address, so it may have resolved the name outside of Tor.
    #[non_exhaustive]
    DangerousSocks {
        /// The protocol of the request.
        protocol: Option<ClientProtocol>,
        /// The requested address.
        address: Option<Target>,
    },
    /// An application sent something that is not SOCKS.
    #[non_exhaustive]
    SocksUnknownProtocol {
        /// The first bytes.
        data: Option<EventText>,
    },
    /// An application asked for an invalid host name.
    #[non_exhaustive]
    SocksBadHostname {
        /// The host name.
        hostname: Option<EventText>,
    },
    /// tor found a bug in itself.
    #[non_exhaustive]
    Bug {
        /// The description of the bug.
        reason: Option<EventText>,
    },
    /// The clock jumped.
    #[non_exhaustive]
    ClockJumped {
        /// The jump in seconds; negative if the clock was set back.
        time: Option<i64>,
        /// Whether tor was idle during the jump, as when the computer slept.
        idle: Option<bool>,
    },
    /// The clock is wrong.
    #[non_exhaustive]
    ClockSkew {
        /// The skew in seconds; negative if the clock is behind.
        skew: Option<i64>,
        /// The least skew in seconds.
        min_skew: Option<i64>,
        /// The source of the time.
        source: Option<ClockSource>,
    },
    /// This version of tor should not be used.
    #[non_exhaustive]
    DangerousVersion {
        /// The running version.
        current: Option<EventText>,
        /// Why it should not be used.
        reason: Option<VersionReason>,
        /// The recommended versions.
        recommended: Vec<EventText>,
    },
    /// tor is out of sockets.
    #[non_exhaustive]
    TooManyConnections {
        /// The number of open sockets.
        current: Option<u64>,
    },
    /// libevent has a known bug.
    #[non_exhaustive]
    BadLibevent {
        /// The event method of libevent.
        method: Option<EventText>,
        /// The version of libevent.
        version: Option<EventText>,
        /// The severity of the bug.
        badness: Option<LibeventBadness>,
        /// Whether tor switched to another method.
        recovered: Option<bool>,
    },
    /// The relay learned its external address, or the address changed.
    #[non_exhaustive]
    ExternalAddress {
        /// The address.
        address: Option<IpAddr>,
        /// The host name that was resolved to it.
        hostname: Option<EventText>,
        /// How the relay learned it.
        method: Option<AddressMethod>,
    },
    /// The relay tests whether it can be reached.
    #[non_exhaustive]
    CheckingReachability {
        /// The address of the `ORPort`, if it is tested.
        or_address: Option<Target>,
        /// The address of the `DirPort`, if it is tested.
        dir_address: Option<Target>,
    },
    /// The relay can be reached.
    #[non_exhaustive]
    ReachabilitySucceeded {
        /// The address of the `ORPort`, if it was tested.
        or_address: Option<Target>,
        /// The address of the `DirPort`, if it was tested.
        dir_address: Option<Target>,
    },
    /// The relay cannot be reached.
    #[non_exhaustive]
    ReachabilityFailed {
        /// The address of the `ORPort`, if it was tested.
        or_address: Option<Target>,
        /// The address of the `DirPort`, if it was tested.
        dir_address: Option<Target>,
    },
    /// A directory accepted the descriptor of the relay.
    #[non_exhaustive]
    AcceptedServerDescriptor {
        /// The directory.
        dirauth: Option<Target>,
    },
    /// A directory rejected the descriptor of the relay.
    #[non_exhaustive]
    BadServerDescriptor {
        /// The directory.
        dirauth: Option<Target>,
        /// The reason.
        reason: Option<EventText>,
    },
    /// The relay was added to the consensus or removed from it.
    #[non_exhaustive]
    ServerDescriptorStatus {
        /// Whether the relay is in the consensus.
        status: Option<DescriptorListing>,
    },
    /// A name server of the relay went up or down.
    #[non_exhaustive]
    NameserverStatus {
        /// The name server.
        ns: Option<EventText>,
        /// Whether the name server answers.
        status: Option<NameserverStatus>,
        /// The error, if it does not.
        err: Option<EventText>,
    },
    /// The relay began or ended hibernating, to stay within its bandwidth limit.
    #[non_exhaustive]
    HibernationStatus {
        /// The hibernation state.
        status: Option<HibernationStatus>,
    },
}

/// The source of the time by which tor found that the clock is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockSource {
    /// The kind of source.
    pub source_type: ClockSourceType,
    /// The address of the directory or relay, if the source is one.
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

    /// Reads a number, with or without a sign.
    fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.read(key, read_number)
    }

    fn target(&self, key: &str) -> Option<Target> {
        self.word(key, Target::from_bytes)
    }

    fn word<W>(&self, key: &str, read: fn(&[u8]) -> W) -> Option<W> {
        self.read(key, |value| Some(read(value)))
    }

    /// Reads one of two words, of which the first means `true`.
    fn flag(&self, key: &str, words: [&'static [u8]; 2]) -> Option<bool> {
        self.read(key, flag(words))
    }

    /// Splits a list at commas, with or without a space after them.
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
