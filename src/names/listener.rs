//! The kinds of tor's listeners.

super::keywords! {
    /// The kind of a listener of tor, as in `GETINFO net/listeners/socks`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::ListenerKind;
    ///
    /// assert_eq!(ListenerKind::from("extor"), ListenerKind::ExtOr);
    /// assert_eq!(ListenerKind::ExtOr.as_str(), "extor");
    /// assert!(!ListenerKind::from("FUTURE").is_recognized());
    /// ```
    pub enum ListenerKind {
        /// `ORPort`: connections of relays and clients to this relay.
        Or = "or",
        /// `ExtORPort`: pluggable transports of this bridge.
        ExtOr = "extor",
        /// `DirPort`: directory requests.
        Dir = "dir",
        /// `SocksPort`.
        Socks = "socks",
        /// `TransPort`: connections redirected by the packet filter.
        Trans = "trans",
        /// `NATDPort`: connections redirected by `natd`.
        Natd = "natd",
        /// `HTTPTunnelPort`.
        HttpTunnel = "httptunnel",
        /// `DNSPort`.
        Dns = "dns",
        /// `ControlPort` and `ControlSocket`.
        Control = "control",
        /// `MetricsPort`.
        Metrics = "metrics",
    }
}
