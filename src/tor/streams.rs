//! Streams through a tor, and names resolved by it.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Tor;
use crate::command::GetInfo;
use crate::error::{Error, ProtocolError, Result, SocksError, SocksProblem};
use crate::link::Endpoint;
use crate::names::Target;
use crate::socks::{SocksProxy, TorStream};
use crate::wire::quoted::read_cstring;

/// The key that says where tor takes SOCKS requests.
const LISTENERS: &str = "net/listeners/socks";

impl Tor {
    /// Returns the places where this tor takes SOCKS requests, in tor's order; none if its
    /// network is switched off.
    ///
    /// Sends `GETINFO net/listeners/socks`. A listener on every address of its machine is given by
    /// the address of this machine's loopback.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the answer cannot be read; otherwise those of
    /// [`Controller::get_info`](crate::Controller::get_info).
    pub fn socks_proxies(&self) -> Result<Vec<SocksProxy>> {
        let info = self.controller().execute(&GetInfo::new([LISTENERS]))?;
        let endpoints = read_listeners(info.bytes(LISTENERS).unwrap_or_default())?;
        endpoints.into_iter().map(SocksProxy::new).collect()
    }

    /// Returns the first place where this tor takes SOCKS requests, for streams with options of
    /// their own, such as isolation and other time limits.
    ///
    /// Asks tor as [`socks_proxies`](Self::socks_proxies) does.
    ///
    /// Blocks the current thread until tor has answered, at most for the
    /// [time limit](crate::Controller::with_timeout) of the controller.
    ///
    /// # Errors
    ///
    /// [`Error::Socks`] with [`SocksProblem::NoListener`] if there is none; otherwise those of
    /// [`socks_proxies`](Self::socks_proxies).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), torcon::Error> {
    /// use torcon::Tor;
    /// use torcon::socks::Isolation;
    ///
    /// let tor = Tor::connect("127.0.0.1:9051")?;
    /// let proxy = tor.socks_proxy()?.isolation(Isolation::fresh());
    /// let one = proxy.connect("example.com:80")?;
    /// let another = proxy.connect("example.com:80")?; // by another circuit
    /// # Ok(())
    /// # }
    /// ```
    pub fn socks_proxy(&self) -> Result<SocksProxy> {
        self.proxy_to("make a stream")
    }

    /// Connects to a target through tor: `host:port`, a pair of host and port, a socket address,
    /// or an onion address and a port.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// connects as [`SocksProxy::connect`] does.
    ///
    /// Blocks the current thread until the stream is open, at most for the time limit of the
    /// controller and 130 seconds; with [`socks_proxy`](Self::socks_proxy) for a limit of one's
    /// own.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::connect`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::{Read, Write};
    ///
    /// let tor = torcon::Tor::connect("127.0.0.1:9051")?;
    /// let mut stream = tor.connect_stream("example.com:80")?;
    /// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
    /// let mut page = String::new();
    /// stream.read_to_string(&mut page)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_stream<T>(&self, target: T) -> Result<TorStream>
    where
        T: TryInto<Target>,
        Error: From<T::Error>,
    {
        self.open(target.try_into()?)
    }

    /// Resolves a host name through tor.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// resolves as [`SocksProxy::resolve`] does.
    ///
    /// Blocks the current thread until tor has answered, at most for the time limit of the
    /// controller and 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve`].
    pub fn resolve(&self, name: &str) -> Result<IpAddr> {
        self.proxy_to("resolve a name")?.resolve(name)
    }

    /// Finds the host name of an address through tor.
    ///
    /// Asks tor where its `SocksPort` is, as [`socks_proxies`](Self::socks_proxies) does, and
    /// resolves as [`SocksProxy::resolve_ptr`] does.
    ///
    /// Blocks the current thread until tor has answered, at most for the time limit of the
    /// controller and 130 seconds.
    ///
    /// # Errors
    ///
    /// Those of [`socks_proxy`](Self::socks_proxy) and of [`SocksProxy::resolve_ptr`].
    pub fn resolve_ptr(&self, address: IpAddr) -> Result<String> {
        self.proxy_to("find the name of an address")?.resolve_ptr(address)
    }

    fn open(&self, target: Target) -> Result<TorStream> {
        self.proxy_to(&format!("connect to {target}"))?.connect(target)
    }

    fn proxy_to(&self, wish: &str) -> Result<SocksProxy> {
        self.socks_proxies()?.into_iter().next().ok_or_else(|| {
            let tor = self.controller().endpoint().to_string();
            SocksError::new(&format!("of the tor at {tor}"), wish, SocksProblem::NoListener).into()
        })
    }
}

/// Reads tor's list of listeners: quoted strings with blanks between them.
fn read_listeners(list: &[u8]) -> Result<Vec<Endpoint>, ProtocolError> {
    let unreadable = |found| ProtocolError::new(LISTENERS, "a list of quoted addresses", found);
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

    fn listeners(list: &[u8]) -> Vec<String> {
        read_listeners(list).unwrap().iter().map(ToString::to_string).collect()
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
            let error = read_listeners(list).unwrap_err().to_string();
            assert!(error.contains("expected a list of quoted addresses"), "{error}");
        }
    }
}
