//! Pluggable transports.

super::keywords! {
    /// The side of a pluggable transport.
    pub enum TransportType {
        /// That of the client of a bridge.
        Client = "client",
        /// That of the bridge.
        Server = "server",
    }
}

super::keywords! {
    /// How grave a message of a pluggable transport is.
    pub enum PtSeverity {
        /// For those who look for a fault in the transport.
        Debug = "debug",
        /// What happens often and as it should.
        Info = "info",
        /// What happens rarely and as it should.
        Notice = "notice",
        /// Something is wrong, and the transport goes on.
        Warning = "warning",
        /// Something is so wrong that the transport cannot go on.
        Error = "error",
    }
}

super::keywords! {
    /// What became of a connection of a pluggable transport.
    pub enum PtConnect {
        /// It was made.
        Success = "Success",
        /// It could not be made.
        Failed = "Failed",
    }
}
