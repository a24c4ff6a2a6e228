//! Connections to relays and from other tors.

super::identifier::identifiers! {
    /// The identifier of a connection, unique in the life of a tor.
    ///
    /// # Examples
    ///
    /// ```
    /// let id: torcon::names::ConnectionId = "16".parse()?;
    /// assert_eq!((id.as_str(), id), ("16", 16.into()));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub struct ConnectionId = "connection id";
}

super::keywords! {
    /// The status of a connection to a relay or from another tor.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OrConnStatus;
    ///
    /// assert_eq!(OrConnStatus::from("LAUNCHED"), OrConnStatus::Launched);
    /// assert_eq!(OrConnStatus::Launched.as_str(), "LAUNCHED");
    /// assert!(!OrConnStatus::from("FUTURE").is_recognized());
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OrConnReason;
    ///
    /// assert_eq!(OrConnReason::from("CONNECTREFUSED"), OrConnReason::ConnectRefused);
    /// assert_eq!(OrConnReason::ConnectRefused.as_str(), "CONNECTREFUSED");
    /// assert!(!OrConnReason::from("FUTURE").is_recognized());
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ConnectionType;
    ///
    /// assert_eq!(ConnectionType::from("DIR"), ConnectionType::Dir);
    /// assert_eq!(ConnectionType::Dir.as_str(), "DIR");
    /// assert!(!ConnectionType::from("FUTURE").is_recognized());
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TokenBucket;
    ///
    /// assert_eq!(TokenBucket::from("RELAY"), TokenBucket::Relay);
    /// assert_eq!(TokenBucket::Relay.as_str(), "RELAY");
    /// assert!(!TokenBucket::from("FUTURE").is_recognized());
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::NetworkLiveness;
    ///
    /// assert_eq!(NetworkLiveness::from("DOWN"), NetworkLiveness::Down);
    /// assert_eq!(NetworkLiveness::Down.as_str(), "DOWN");
    /// assert!(!NetworkLiveness::from("FUTURE").is_recognized());
    /// ```
    pub enum NetworkLiveness {
        /// The network is reachable.
        Up = "UP",
        /// The network is not reachable.
        Down = "DOWN",
    }
}
