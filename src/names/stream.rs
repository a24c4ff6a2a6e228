//! Streams: identifiers, statuses, purposes and reasons.

super::identifier::identifiers! {
    /// The identifier of a stream, unique in the life of a tor.
    ///
    /// # Examples
    ///
    /// ```
    /// let id: torcon::names::StreamId = "7".parse()?;
    /// assert_eq!((id.as_str(), id), ("7", 7.into()));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub struct StreamId = "stream id";
}

super::keywords! {
    /// The status of a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StreamStatus;
    ///
    /// assert_eq!(StreamStatus::from("NEWRESOLVE"), StreamStatus::NewResolve);
    /// assert_eq!(StreamStatus::NewResolve.as_str(), "NEWRESOLVE");
    /// assert!(!StreamStatus::from("FUTURE").is_recognized());
    /// ```
    pub enum StreamStatus {
        /// A new request to connect.
        New = "NEW",
        /// A new request to resolve a name.
        NewResolve = "NEWRESOLVE",
        /// The target was replaced by another address.
        Remap = "REMAP",
        /// The request to connect was sent on a circuit; reported twice for some streams.
        SentConnect = "SENTCONNECT",
        /// The request to resolve was sent on a circuit.
        SentResolve = "SENTRESOLVE",
        /// The stream is connected, or the name resolved.
        Succeeded = "SUCCEEDED",
        /// The stream failed and is not retried.
        Failed = "FAILED",
        /// The stream ended.
        Closed = "CLOSED",
        /// The stream was detached from its circuit and may be retried on another.
        Detached = "DETACHED",
        /// The stream waits for a controller to attach it.
        ControllerWait = "CONTROLLER_WAIT",
        /// tor sent XOFF: the other side is to pause.
        XoffSent = "XOFF_SENT",
        /// tor received XOFF, and pauses.
        XoffReceived = "XOFF_RECV",
        /// tor sent XON: the other side is to resume.
        XonSent = "XON_SENT",
        /// tor received XON, and resumes.
        XonReceived = "XON_RECV",
    }
}

super::keywords! {
    /// Why a stream ended or was detached: tor's own reason, or the one that the exit sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StreamReason;
    ///
    /// assert_eq!(StreamReason::from("RESOLVEFAILED"), StreamReason::ResolveFailed);
    /// assert_eq!(StreamReason::ResolveFailed.as_str(), "RESOLVEFAILED");
    /// assert!(!StreamReason::from("FUTURE").is_recognized());
    /// ```
    pub enum StreamReason {
        /// Another reason.
        Misc = "MISC",
        /// The name could not be resolved.
        ResolveFailed = "RESOLVEFAILED",
        /// The target refused the connection.
        ConnectRefused = "CONNECTREFUSED",
        /// The exit policy does not allow the target.
        ExitPolicy = "EXITPOLICY",
        /// The circuit ended.
        Destroy = "DESTROY",
        /// The connection was closed cleanly.
        Done = "DONE",
        /// The connection timed out.
        Timeout = "TIMEOUT",
        /// There is no route to the target.
        NoRoute = "NOROUTE",
        /// The relay is hibernating to stay within its bandwidth limit.
        Hibernating = "HIBERNATING",
        /// An internal error.
        Internal = "INTERNAL",
        /// Out of resources.
        ResourceLimit = "RESOURCELIMIT",
        /// The connection was reset.
        ConnReset = "CONNRESET",
        /// A protocol violation.
        TorProtocol = "TORPROTOCOL",
        /// A directory request was sent to a relay that is no directory.
        NotDirectory = "NOTDIRECTORY",
        /// An `END` cell arrived; the remote reason gives the cause.
        End = "END",
        /// No circuit was available for the stream.
        CantAttach = "CANT_ATTACH",
        /// The network of the target is unreachable.
        NetUnreachable = "NET_UNREACHABLE",
        /// The client's SOCKS request was wrong.
        SocksProtocol = "SOCKS_PROTOCOL",
        /// The client's HTTP request was wrong.
        HttpProtocol = "HTTP_PROTOCOL",
        /// The target is a private address, which no exit connects to.
        PrivateAddress = "PRIVATE_ADDR",
    }
}

impl StreamReason {
    /// Returns the number of the reason on the wire between relays, if it has one: 1 to 14. Relays
    /// never send the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StreamReason;
    ///
    /// assert_eq!(StreamReason::Misc.number(), Some(1));
    /// ```
    #[must_use]
    pub fn number(&self) -> Option<u8> {
        let numbered = [
            Self::Misc,
            Self::ResolveFailed,
            Self::ConnectRefused,
            Self::ExitPolicy,
            Self::Destroy,
            Self::Done,
            Self::Timeout,
            Self::NoRoute,
            Self::Hibernating,
            Self::Internal,
            Self::ResourceLimit,
            Self::ConnReset,
            Self::TorProtocol,
            Self::NotDirectory,
        ];
        (1..).zip(&numbered).find_map(|(number, reason)| (reason == self).then_some(number))
    }
}

super::keywords! {
    /// The purpose of a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StreamPurpose;
    ///
    /// assert_eq!(StreamPurpose::from("DIR_UPLOAD"), StreamPurpose::DirUpload);
    /// assert_eq!(StreamPurpose::DirUpload.as_str(), "DIR_UPLOAD");
    /// assert!(!StreamPurpose::from("FUTURE").is_recognized());
    /// ```
    pub enum StreamPurpose {
        /// tor fetches directory information.
        DirFetch = "DIR_FETCH",
        /// tor uploads directory information.
        DirUpload = "DIR_UPLOAD",
        /// A relay tests whether its directory port can be reached.
        DirportTest = "DIRPORT_TEST",
        /// A request to resolve a name.
        DnsRequest = "DNS_REQUEST",
        /// A stream of an application.
        User = "USER",
    }
}

super::keywords! {
    /// The protocol by which an application opened a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ClientProtocol;
    ///
    /// assert_eq!(ClientProtocol::from("SOCKS5"), ClientProtocol::Socks5);
    /// assert_eq!(ClientProtocol::Socks5.as_str(), "SOCKS5");
    /// assert!(!ClientProtocol::from("FUTURE").is_recognized());
    /// ```
    pub enum ClientProtocol {
        /// SOCKS 4 or 4a.
        Socks4 = "SOCKS4",
        /// SOCKS 5.
        Socks5 = "SOCKS5",
        /// A transparent proxy port.
        Trans = "TRANS",
        /// A port for the NATD protocol.
        Natd = "NATD",
        /// A port for DNS requests.
        Dns = "DNS",
        /// An HTTP `CONNECT` port.
        HttpConnect = "HTTPCONNECT",
        /// A port for metrics.
        Metrics = "METRICS",
        /// None: the stream is tor's own.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// A property by which streams are isolated: two that differ in it do not share a circuit.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::IsoField;
    ///
    /// assert_eq!(IsoField::from("SOCKS_PASSWORD"), IsoField::SocksPassword);
    /// assert_eq!(IsoField::SocksPassword.as_str(), "SOCKS_PASSWORD");
    /// assert!(!IsoField::from("FUTURE").is_recognized());
    /// ```
    pub enum IsoField {
        /// The user name of the SOCKS request.
        SocksUsername = "SOCKS_USERNAME",
        /// The password of the SOCKS request.
        SocksPassword = "SOCKS_PASSWORD",
        /// The protocol of the request.
        ClientProtocol = "CLIENT_PROTOCOL",
        /// The address of the application.
        ClientAddress = "CLIENTADDR",
        /// The port of the target.
        DestinationPort = "DESTPORT",
        /// The address of the target.
        DestinationAddress = "DESTADDR",
        /// The session group of tor's port that the application used.
        SessionGroup = "SESSION_GROUP",
        /// The number of `NEWNYM` signals before the stream.
        NymEpoch = "NYM_EPOCH",
    }
}

super::keywords! {
    /// The component that remapped the target of a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::StreamSource;
    ///
    /// assert_eq!(StreamSource::from("EXIT"), StreamSource::Exit);
    /// assert_eq!(StreamSource::Exit.as_str(), "EXIT");
    /// assert!(!StreamSource::from("FUTURE").is_recognized());
    /// ```
    pub enum StreamSource {
        /// tor, from its cache of addresses.
        Cache = "CACHE",
        /// The exit.
        Exit = "EXIT",
    }
}

#[cfg(test)]
mod tests {
    use super::StreamReason;

    #[test]
    fn reasons_have_the_numbers_of_the_specification_of_tor() {
        for (reason, number) in [
            (StreamReason::Misc, Some(1)),
            (StreamReason::Destroy, Some(5)),
            (StreamReason::NotDirectory, Some(14)),
            (StreamReason::from("NOROUTE"), Some(8)),
            (StreamReason::End, None),
            (StreamReason::PrivateAddress, None),
            (StreamReason::from("0"), None),
            (StreamReason::from("UNKNOWN_264"), None),
        ] {
            assert_eq!(reason.number(), number, "{reason}");
        }
    }
}
