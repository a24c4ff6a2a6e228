//! Connections to relays and from other tors.

super::identifier::identifiers! {
    /// The identifier of a connection, unique in the life of a tor.
    pub struct ConnectionId = "connection id";
}

super::keywords! {
    /// The status of a connection to a relay or from another tor.
    pub enum OrConnStatus {
        /// An incoming connection.
        New = "NEW",
        /// An outgoing connection was launched.
        Launched = "LAUNCHED",
        /// The connection is open.
        Connected = "CONNECTED",
        /// The connection failed before it was open.
        Failed = "FAILED",
        /// The connection ended.
        Closed = "CLOSED",
    }
}

super::keywords! {
    /// Why a connection to a relay or from another tor ended.
    pub enum OrConnReason {
        /// It was closed cleanly.
        Done = "DONE",
        /// The other side refused it.
        ConnectRefused = "CONNECTREFUSED",
        /// The other side has another identity than expected.
        Identity = "IDENTITY",
        /// The connection was reset.
        ConnectReset = "CONNECTRESET",
        /// The connection timed out.
        Timeout = "TIMEOUT",
        /// There is no route to the address.
        NoRoute = "NOROUTE",
        /// Reading or writing failed.
        IoError = "IOERROR",
        /// Out of resources.
        ResourceLimit = "RESOURCELIMIT",
        /// The pluggable transport is missing.
        PtMissing = "PT_MISSING",
        /// TLS failed.
        TlsError = "TLS_ERROR",
        /// Another reason.
        Misc = "MISC",
        /// The reason is unknown.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// The purpose of a connection.
    pub enum ConnectionType {
        /// Traffic within the network.
        Or = "OR",
        /// Descriptors and other directory information.
        Dir = "DIR",
        /// Traffic between an exit relay and its targets.
        Exit = "EXIT",
    }
}

super::keywords! {
    /// A token bucket that limits bandwidth.
    pub enum TokenBucket {
        /// Limits all traffic.
        Global = "GLOBAL",
        /// Limits relayed traffic.
        Relay = "RELAY",
        /// Limits one connection between relays.
        OrConn = "ORCONN",
    }
}

super::keywords! {
    /// Whether tor believes that the network is reachable.
    pub enum NetworkLiveness {
        /// The network is reachable.
        Up = "UP",
        /// The network is not reachable.
        Down = "DOWN",
    }
}
