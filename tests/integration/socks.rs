//! Streams and names through a SOCKS proxy, by the public interface.

/// A SOCKS proxy that is none: a listener on a real socket, played by a thread.
mod fake_proxy;

/// What is asked of the proxy, and what comes back.
mod scripted;

/// Proxies that are late, broken, or none.
mod faults;

/// The stream as a stream of std.
mod stream;

/// A real tor that has no network.
mod real;

/// The beginning and the end of a good answer to CONNECT.
pub(crate) const GRANTED: &[u8] = b"\x05\x00\x00\x01\0\0\0\0\0\0";

/// An address with a right checksum.
pub(crate) const ONION: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
