//! The arguments of status events, parsed by action.

use std::net::IpAddr;

use crate::event::keyword::flag;
use crate::event::{Bootstrap, EventText, StatusEvent};
use crate::names::{
    AddressMethod, ClientProtocol, ClockSourceType, DescriptorListing, HibernationStatus,
    LibeventBadness, NameserverStatus, PortResult, StatusAction, Target, VersionReason,
};

/// Generates [`StatusDetail`], the keys of each action and their reading from one table. A row is a
/// key, its field, and the method of [`Keyword`](crate::event::keyword::Keyword) that reads it.
macro_rules! status_details {
    (
        $(#[$attribute:meta])*
        pub enum StatusDetail {
            $(
                $(#[$action_attribute:meta])*
                $action:ident {
                    $(
                        $(#[$field_attribute:meta])*
                        $key:literal => $field:ident: $type:ty = $read:ident($($argument:expr),*);
                    )*
                }
            )*
        }
    ) => {
        $(#[$attribute])*
        pub enum StatusDetail {
            /// The action has no arguments, or is not known to this version of torcon.
            None,
            /// Bootstrap progress.
            Bootstrap(Box<Bootstrap>),
            $(
                $(#[$action_attribute])*
                #[non_exhaustive]
                $action {
                    $( $(#[$field_attribute])* $field: $type, )*
                },
            )*
        }

        impl StatusDetail {
            pub(super) fn read(status: &StatusEvent) -> Self {
                match status.action() {
                    StatusAction::Bootstrap => status
                        .bootstrap()
                        .map_or(Self::None, |bootstrap| Self::Bootstrap(Box::new(bootstrap))),
                    $(
                        StatusAction::$action => Self::$action {
                            $( $field: status.keyword($key).$read($($argument),*), )*
                        },
                    )*
                    _ => Self::None,
                }
            }
        }

        /// Returns the keys of the arguments of an action.
        pub(super) fn keys(action: &StatusAction) -> &'static [&'static str] {
            match action {
                StatusAction::Bootstrap => Bootstrap::KEYS,
                $( StatusAction::$action => &[$($key),*], )*
                _ => &[],
            }
        }
    };
}

status_details! {
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
    #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
    #[non_exhaustive]
    pub enum StatusDetail {
        /// tor can no longer build circuits.
        CircuitNotEstablished {
            /// The status that is the reason for it.
            "REASON" => reason: Option<StatusAction> = word(StatusAction::from_bytes);
        }
        /// An application connects to a port whose protocol sends data in the clear.
        DangerousPort {
            /// The port.
            "PORT" => port: Option<u16> = number();
            /// tor's action on the stream.
            "RESULT" => result: Option<PortResult> = word(PortResult::from_bytes);
        }
        /// An application asked for an IP address, so it may have resolved the name outside of Tor.
        DangerousSocks {
            /// The protocol of the request.
            "PROTOCOL" => protocol: Option<ClientProtocol> = word(ClientProtocol::from_bytes);
            /// The requested address.
            "ADDRESS" => address: Option<Target> = target();
        }
        /// An application sent something that is not SOCKS.
        SocksUnknownProtocol {
            /// The first bytes.
            "DATA" => data: Option<EventText> = text();
        }
        /// An application asked for an invalid host name.
        SocksBadHostname {
            /// The host name.
            "HOSTNAME" => hostname: Option<EventText> = text();
        }
        /// tor found a bug in itself.
        Bug {
            /// The description of the bug.
            "REASON" => reason: Option<EventText> = text();
        }
        /// The clock jumped.
        ClockJumped {
            /// The jump in seconds; negative if the clock was set back.
            "TIME" => time: Option<i64> = number();
            /// Whether tor was idle during the jump, as when the computer slept.
            "IDLE" => idle: Option<bool> = try_word(flag([b"1", b"0"]));
        }
        /// The clock is wrong.
        ClockSkew {
            /// The skew in seconds; negative if the clock is behind.
            "SKEW" => skew: Option<i64> = number();
            /// The least skew in seconds.
            "MIN_SKEW" => min_skew: Option<i64> = number();
            /// The source of the time.
            "SOURCE" => source: Option<ClockSource> = word(ClockSource::from_bytes);
        }
        /// This version of tor should not be used.
        DangerousVersion {
            /// The running version.
            "CURRENT" => current: Option<EventText> = text();
            /// Why it should not be used.
            "REASON" => reason: Option<VersionReason> = word(VersionReason::from_bytes);
            /// The recommended versions.
            "RECOMMENDED" => recommended: Vec<EventText> = texts();
        }
        /// tor is out of sockets.
        TooManyConnections {
            /// The number of open sockets.
            "CURRENT" => current: Option<u64> = number();
        }
        /// libevent has a known bug.
        BadLibevent {
            /// The event method of libevent.
            "METHOD" => method: Option<EventText> = text();
            /// The version of libevent.
            "VERSION" => version: Option<EventText> = text();
            /// The severity of the bug.
            "BADNESS" => badness: Option<LibeventBadness> = word(LibeventBadness::from_bytes);
            /// Whether tor switched to another method.
            "RECOVERED" => recovered: Option<bool> = try_word(flag([b"YES", b"NO"]));
        }
        /// The relay learned its external address, or the address changed.
        ExternalAddress {
            /// The address.
            "ADDRESS" => address: Option<IpAddr> = try_word(read_ip);
            /// The host name that was resolved to it.
            "HOSTNAME" => hostname: Option<EventText> = text();
            /// How the relay learned it.
            "METHOD" => method: Option<AddressMethod> = word(AddressMethod::from_bytes);
        }
        /// The relay tests whether it can be reached.
        CheckingReachability {
            /// The address of the `ORPort`, if it is tested.
            "ORADDRESS" => or_address: Option<Target> = target();
            /// The address of the `DirPort`, if it is tested.
            "DIRADDRESS" => dir_address: Option<Target> = target();
        }
        /// The relay can be reached.
        ReachabilitySucceeded {
            /// The address of the `ORPort`, if it was tested.
            "ORADDRESS" => or_address: Option<Target> = target();
            /// The address of the `DirPort`, if it was tested.
            "DIRADDRESS" => dir_address: Option<Target> = target();
        }
        /// The relay cannot be reached.
        ReachabilityFailed {
            /// The address of the `ORPort`, if it was tested.
            "ORADDRESS" => or_address: Option<Target> = target();
            /// The address of the `DirPort`, if it was tested.
            "DIRADDRESS" => dir_address: Option<Target> = target();
        }
        /// A directory accepted the descriptor of the relay.
        AcceptedServerDescriptor {
            /// The directory.
            "DIRAUTH" => dirauth: Option<Target> = target();
        }
        /// A directory rejected the descriptor of the relay.
        BadServerDescriptor {
            /// The directory.
            "DIRAUTH" => dirauth: Option<Target> = target();
            /// The reason.
            "REASON" => reason: Option<EventText> = text();
        }
        /// The relay was added to the consensus or removed from it.
        ServerDescriptorStatus {
            /// Whether the relay is in the consensus.
            "STATUS" => status: Option<DescriptorListing> = word(DescriptorListing::from_bytes);
        }
        /// A name server of the relay went up or down.
        NameserverStatus {
            /// The name server.
            "NS" => ns: Option<EventText> = text();
            /// Whether the name server answers.
            "STATUS" => status: Option<NameserverStatus> = word(NameserverStatus::from_bytes);
            /// The error, if it does not.
            "ERR" => err: Option<EventText> = text();
        }
        /// The relay began or ended hibernating, to stay within its bandwidth limit.
        HibernationStatus {
            /// The hibernation state.
            "STATUS" => status: Option<HibernationStatus> = word(HibernationStatus::from_bytes);
        }
    }
}

/// The source of the time by which tor found that the clock is wrong.
///
/// # Examples
///
/// ```
/// use torcon::event::{Event, EventText, StatusDetail};
/// use torcon::names::ClockSourceType;
///
/// let text = b"STATUS_GENERAL WARN CLOCK_SKEW SKEW=-3600 SOURCE=OR:192.0.2.1:9001";
/// let Event::Status(status) = Event::parse(EventText::new(text)) else { panic!() };
/// let StatusDetail::ClockSkew { source: Some(source), .. } = status.detail() else { panic!() };
/// assert_eq!(source.source_type, ClockSourceType::Or);
/// assert_eq!(source.address.unwrap().to_string(), "192.0.2.1:9001");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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

/// Reads an IP address; an IPv6 address may stand in brackets.
fn read_ip(address: &[u8]) -> Option<IpAddr> {
    let address = std::str::from_utf8(address).ok()?;
    let inside = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    inside.unwrap_or(address).parse().ok()
}
