//! Pluggable transports.

super::keywords! {
    /// The type of a pluggable transport.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportType;
    ///
    /// assert_eq!(TransportType::from("server"), TransportType::Server);
    /// assert_eq!(TransportType::Server.as_str(), "server");
    /// assert!(!TransportType::from("FUTURE").is_recognized());
    /// ```
    pub enum TransportType {
        /// The client of a bridge.
        Client = "client",
        /// The bridge.
        Server = "server",
    }
}

super::keywords! {
    /// The severity of a message of a pluggable transport.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PtSeverity;
    ///
    /// assert_eq!(PtSeverity::from("info"), PtSeverity::Info);
    /// assert_eq!(PtSeverity::Info.as_str(), "info");
    /// assert!(!PtSeverity::from("FUTURE").is_recognized());
    /// ```
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
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PtConnect;
    ///
    /// assert_eq!(PtConnect::from("Failed"), PtConnect::Failed);
    /// assert_eq!(PtConnect::Failed.as_str(), "Failed");
    /// assert!(!PtConnect::from("FUTURE").is_recognized());
    /// ```
    pub enum PtConnect {
        /// The connection was made.
        Success = "Success",
        /// The connection failed.
        Failed = "Failed",
    }
}
