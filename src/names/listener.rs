//! What tor listens for.

super::keywords! {
    /// A kind of client for which tor listens, as in `GETINFO net/listeners/socks`.
    pub enum ListenerKind {
        /// Other relays, and clients of this relay.
        Or = "or",
        /// Pluggable transports, in front of this relay.
        ExtOr = "extor",
        /// Those who fetch directories.
        Dir = "dir",
        /// Applications that speak SOCKS.
        Socks = "socks",
        /// Connections redirected by the packet filter.
        Trans = "trans",
        /// Connections redirected by `natd`.
        Natd = "natd",
        /// Applications that speak `HTTP CONNECT`.
        HttpTunnel = "httptunnel",
        /// Those who resolve names.
        Dns = "dns",
        /// Controllers.
        Control = "control",
        /// Those who collect metrics.
        Metrics = "metrics",
    }
}
