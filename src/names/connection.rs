//! Connections to relays and from other tors.

super::identifier::identifiers! {
    /// The identifier of a connection, unique in the life of a tor.
    pub struct ConnectionId = "connection id";
}

super::keywords! {
    /// The state of a connection to a relay or from another tor.
    pub enum OrConnStatus {
        /// A connection came in.
        New = "NEW",
        /// A connection was begun.
        Launched = "LAUNCHED",
        /// The connection is ready.
        Connected = "CONNECTED",
        /// The connection was never ready.
        Failed = "FAILED",
        /// The connection ended.
        Closed = "CLOSED",
    }
}

super::keywords! {
    /// Why a connection to a relay or from another tor ended.
    pub enum OrConnReason {
        /// In good order.
        Done = "DONE",
        /// The other side refused it.
        ConnectRefused = "CONNECTREFUSED",
        /// The other side is not who it should be.
        Identity = "IDENTITY",
        /// The connection was reset.
        ConnectReset = "CONNECTRESET",
        /// The connection timed out.
        Timeout = "TIMEOUT",
        /// There is no way to the address.
        NoRoute = "NOROUTE",
        /// Reading or writing failed.
        IoError = "IOERROR",
        /// Out of resources.
        ResourceLimit = "RESOURCELIMIT",
        /// The pluggable transport is not there.
        PtMissing = "PT_MISSING",
        /// TLS failed.
        TlsError = "TLS_ERROR",
        /// Something that has no name.
        Misc = "MISC",
        /// tor does not know.
        Unknown = "UNKNOWN",
    }
}

super::keywords! {
    /// What a connection is for.
    pub enum ConnectionType {
        /// Traffic within the network.
        Or = "OR",
        /// Descriptors and other directory information.
        Dir = "DIR",
        /// Traffic between an exit and where it goes.
        Exit = "EXIT",
    }
}

super::keywords! {
    /// An allowance of bytes that is filled again and again.
    pub enum TokenBucket {
        /// That of all traffic.
        Global = "GLOBAL",
        /// That of all traffic that is relayed for others.
        Relay = "RELAY",
        /// That of one connection between relays.
        OrConn = "ORCONN",
    }
}

super::keywords! {
    /// Whether the network can be reached.
    pub enum NetworkLiveness {
        /// It seems so.
        Up = "UP",
        /// It seems not.
        Down = "DOWN",
    }
}
