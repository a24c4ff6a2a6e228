//! Streams and names through a SOCKS proxy, through the public interface.

/// A scripted SOCKS proxy: a thread with a listener on a real socket.
mod fake_proxy;

/// Requests to the proxy and its replies.
mod scripted;

/// Proxies that are silent, broken, or not SOCKS proxies.
mod faults;

/// `TorStream` as a socket.
mod stream;

/// A real tor with the network disabled.
mod real;

/// A successful reply to CONNECT.
pub(crate) const GRANTED: &[u8] = b"\x05\x00\x00\x01\0\0\0\0\0\0";

/// An onion address with a valid checksum.
pub(crate) const ONION: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";
