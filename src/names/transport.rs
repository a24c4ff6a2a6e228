//! Pluggable transports.

super::keywords! {
    /// The type of a pluggable transport.
    pub enum TransportType {
        /// The client of a bridge.
        Client = "client",
        /// The bridge.
        Server = "server",
    }
}

super::keywords! {
    /// The severity of a message of a pluggable transport.
    pub enum PtSeverity {
        /// For debugging the transport.
        Debug = "debug",
        /// Frequent, normal messages.
        Info = "info",
        /// Rare, normal messages.
        Notice = "notice",
        /// A problem that the transport survives.
        Warning = "warning",
        /// A problem that ends the transport.
        Error = "error",
    }
}

super::keywords! {
    /// The outcome of a connection of a pluggable transport.
    pub enum PtConnect {
        /// The connection was made.
        Success = "Success",
        /// The connection failed.
        Failed = "Failed",
    }
}
