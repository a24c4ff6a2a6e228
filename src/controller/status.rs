//! What tor is doing now: circuits, streams, connections, guards, mappings and listeners.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Controller;
use crate::error::{ProtocolError, Result};
use crate::event::{CircEvent, OrConnEvent, StreamEvent};
use crate::info::{AddressMapping, EntryGuard, MappingOrigin};
use crate::link::Endpoint;
use crate::names::ListenerKind;
use crate::wire::quoted::read_cstring;

// Every method here blocks until tor has answered, at most for the handle's time limit.
impl Controller {
    /// Returns tor's circuits, each as the event that would tell of it.
    ///
    /// Sends `GETINFO circuit-status`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`](crate::Error::Protocol) if the answer cannot be read; otherwise those of
    /// [`get_info`](Self::get_info).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// for circuit in controller.circuit_status()? {
    ///     println!("{} {}", circuit.id, circuit.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn circuit_status(&self) -> Result<Vec<CircEvent>> {
        self.read_info("circuit-status", CircEvent::read_status)
    }

    /// Returns tor's streams, each as an event with its state, circuit and target, which is all
    /// that tor tells. A stream that waits for a controller is told as a new one.
    ///
    /// Sends `GETINFO stream-status`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn stream_status(&self) -> Result<Vec<StreamEvent>> {
        self.read_info("stream-status", StreamEvent::read_status)
    }

    /// Returns tor's connections to relays, each as an event with its peer and state.
    ///
    /// Sends `GETINFO orconn-status`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn orconn_status(&self) -> Result<Vec<OrConnEvent>> {
        self.read_info("orconn-status", OrConnEvent::read_status)
    }

    /// Returns the guards through which tor enters the network.
    ///
    /// Sends `GETINFO entry-guards`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn entry_guards(&self) -> Result<Vec<EntryGuard>> {
        self.read_info("entry-guards", EntryGuard::read_list)
    }

    /// Returns the names and addresses that stand for others: those of the configuration, those
    /// that tor remembers from resolving, and those of [`map_address`](Self::map_address).
    ///
    /// Sends `GETINFO address-mappings/all`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`circuit_status`](Self::circuit_status).
    pub fn address_mappings(&self) -> Result<Vec<AddressMapping>> {
        const KEY: &str = "address-mappings/all";
        self.read_info(KEY, |answer| AddressMapping::read_list(KEY, answer))
    }

    /// Returns those of [these](Self::address_mappings) that come from one place.
    ///
    /// Sends `GETINFO address-mappings/origin`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor knows no such place; otherwise those of
    /// [`circuit_status`](Self::circuit_status).
    pub fn address_mappings_from(&self, origin: &MappingOrigin) -> Result<Vec<AddressMapping>> {
        let key = format!("address-mappings/{origin}");
        self.read_info(&key, |answer| AddressMapping::read_list(&key, answer))
    }

    /// Returns where tor listens for one kind of client, in tor's order; nowhere, but for
    /// controllers, if its network is switched off.
    ///
    /// A listener on every address of its machine is given by the address of this machine's
    /// loopback, since nobody can connect to "every address".
    ///
    /// Sends `GETINFO net/listeners/kind`.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](Self::with_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`](crate::Error::Rejected) if tor knows no such kind; otherwise those of
    /// [`circuit_status`](Self::circuit_status).
    pub fn listeners(&self, kind: &ListenerKind) -> Result<Vec<Endpoint>> {
        let key = format!("net/listeners/{kind}");
        self.read_info(&key, |answer| read_listeners(&key, answer))
    }
}

/// Reads tor's list of listeners: quoted strings with blanks between them.
fn read_listeners(key: &str, list: &[u8]) -> Result<Vec<Endpoint>, ProtocolError> {
    let unreadable = |found| ProtocolError::new(key, "a list of quoted addresses", found);
    let mut endpoints = Vec::new();
    let mut rest = list.trim_ascii_start();
    while !rest.is_empty() {
        let (listener, after) = read_cstring(rest).ok_or_else(|| unreadable(rest))?;
        endpoints.push(read_listener(&listener).ok_or_else(|| unreadable(rest))?);
        rest = after.trim_ascii_start();
    }
    Ok(endpoints)
}

fn read_listener(listener: &[u8]) -> Option<Endpoint> {
    if let Some(path) = listener.strip_prefix(b"unix:") {
        return Some(Endpoint::from(Path::new(OsStr::from_bytes(path))));
    }
    let mut address: SocketAddr = std::str::from_utf8(listener).ok()?.parse().ok()?;
    // Nobody can connect to "every address".
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(Endpoint::from(address))
}

#[cfg(test)]
mod tests {
    use super::read_listeners;

    const KEY: &str = "net/listeners/socks";

    fn listeners(list: &[u8]) -> Vec<String> {
        read_listeners(KEY, list).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_listeners_unix_ones_and_quoted_paths_are_read() {
        // bine, Stem, txtorcon: two listeners, unix listeners, paths with blanks (peers 24).
        assert_eq!(listeners(b""), [""; 0]);
        assert_eq!(listeners(b"\"127.0.0.1:42375\""), ["127.0.0.1:42375"]);
        assert_eq!(
            listeners(br#""127.0.0.1:42375" "[::1]:9050" "unix:/run/a \"b\" \\c/socks""#),
            ["127.0.0.1:42375", "[::1]:9050", r#"unix:/run/a "b" \c/socks"#]
        );
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_this_machine() {
        assert_eq!(listeners(b"\"0.0.0.0:9050\" \"[::]:9050\""), ["127.0.0.1:9050", "[::1]:9050"]);
    }

    #[test]
    fn what_is_no_list_is_told() {
        for list in [&b"127.0.0.1:9050"[..], b"\"127.0.0.1:9050", b"\"somewhere\""] {
            let error = read_listeners(KEY, list).unwrap_err().to_string();
            assert!(error.contains("expected a list of quoted addresses"), "{error}");
        }
    }
}
