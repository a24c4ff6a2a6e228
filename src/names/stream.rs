//! Streams: their identifiers, states, origins and ends.

super::identifier::identifiers! {
    /// The identifier of a stream, unique in the life of a tor.
    pub struct StreamId = "stream id";
}

super::keywords! {
    /// What has happened to a stream.
    pub enum StreamStatus {
        /// A request to connect came in.
        New = "NEW",
        /// A request to resolve a name came in.
        NewResolve = "NEWRESOLVE",
        /// The target was replaced by another address.
        Remap = "REMAP",
        /// The request to connect went out over a circuit; a stream may say so twice.
        SentConnect = "SENTCONNECT",
        /// The request to resolve went out over a circuit.
        SentResolve = "SENTRESOLVE",
        /// The stream is connected, or the name resolved.
        Succeeded = "SUCCEEDED",
        /// The stream failed, and will not be tried again.
        Failed = "FAILED",
        /// The stream ended.
        Closed = "CLOSED",
        /// The stream left its circuit, and may be tried on another.
        Detached = "DETACHED",
        /// The stream waits for a controller to choose its circuit.
        ControllerWait = "CONTROLLER_WAIT",
        /// We asked the other side to send no more for now.
        XoffSent = "XOFF_SENT",
        /// The other side asked us to send no more for now.
        XoffReceived = "XOFF_RECV",
        /// We asked the other side to go on sending.
        XonSent = "XON_SENT",
        /// The other side asked us to go on sending.
        XonReceived = "XON_RECV",
    }
}

super::keywords! {
    /// Why a stream ended or left its circuit; also the reason that the other side gave.
    pub enum StreamReason {
        /// Nothing that has a name.
        Misc = "MISC",
        /// The name could not be resolved.
        ResolveFailed = "RESOLVEFAILED",
        /// The target refused the connection.
        ConnectRefused = "CONNECTREFUSED",
        /// The exit does not connect to this target.
        ExitPolicy = "EXITPOLICY",
        /// The circuit ended.
        Destroy = "DESTROY",
        /// The connection ended in good order.
        Done = "DONE",
        /// The connection timed out.
        Timeout = "TIMEOUT",
        /// There is no way to the target.
        NoRoute = "NOROUTE",
        /// The relay is not working at this time, to save bandwidth.
        Hibernating = "HIBERNATING",
        /// An internal error.
        Internal = "INTERNAL",
        /// Out of resources.
        ResourceLimit = "RESOURCELIMIT",
        /// The connection was reset.
        ConnReset = "CONNRESET",
        /// Somebody violated the protocol.
        TorProtocol = "TORPROTOCOL",
        /// A request to a directory went to a relay that is none.
        NotDirectory = "NOTDIRECTORY",
        /// The other side ended it; its reason is the remote one.
        End = "END",
        /// No circuit could be found for it.
        CantAttach = "CANT_ATTACH",
        /// The network of the target cannot be reached.
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
    /// Returns the number of the reason on the wire between relays, if it has one: 1 to 14. The
    /// others are known to this tor alone.
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
    /// What a stream is for.
    pub enum StreamPurpose {
        /// tor fetches directory information.
        DirFetch = "DIR_FETCH",
        /// tor uploads directory information.
        DirUpload = "DIR_UPLOAD",
        /// A relay tests whether its directory port can be reached.
        DirportTest = "DIRPORT_TEST",
        /// A request to resolve a name.
        DnsRequest = "DNS_REQUEST",
        /// An application asked for it.
        User = "USER",
    }
}

super::keywords! {
    /// The protocol by which an application asked for a stream.
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
        /// None: tor itself asked.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// A property of streams that keeps two of them on different circuits if they differ in it.
    pub enum IsoField {
        /// The user name of the SOCKS request.
        SocksUsername = "SOCKS_USERNAME",
        /// The password of the SOCKS request.
        SocksPassword = "SOCKS_PASSWORD",
        /// The protocol by which the application asked.
        ClientProtocol = "CLIENT_PROTOCOL",
        /// The address of the application.
        ClientAddress = "CLIENTADDR",
        /// The port that the stream goes to.
        DestinationPort = "DESTPORT",
        /// The address that the stream goes to.
        DestinationAddress = "DESTADDR",
        /// The group of the port of tor that the application used.
        SessionGroup = "SESSION_GROUP",
        /// The number of `NEWNYM` signals before the stream.
        NymEpoch = "NYM_EPOCH",
    }
}

super::keywords! {
    /// Who replaced the target of a stream by another address.
    pub enum StreamSource {
        /// tor, which knew the address.
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
