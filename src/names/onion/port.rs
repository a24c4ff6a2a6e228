//! The virtual ports of an onion service, and their targets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::names::{InvalidName, read_from_text};

/// The target of a virtual port of an onion service: tor forwards connections to it.
///
/// `From` makes it from a port of 127.0.0.1, an address with or without a port, or the path of a
/// unix socket, `TryFrom` from a listener; `FromStr` and `TryFrom` parse text. `Display` keeps the given form: tor reads `8080` as `127.0.0.1:8080`, but a filter
/// in front of its control port may not.
///
/// Addresses and paths are those of the machine on which tor runs.
///
/// # Examples
///
/// ```
/// use torcon::names::PortTarget;
///
/// assert_eq!(PortTarget::from(8080).to_string(), "8080");
/// assert_eq!("unix:/run/web".parse::<PortTarget>()?.to_string(), "unix:/run/web");
/// assert_eq!("web.lan:80".parse::<PortTarget>()?.to_string(), "web.lan:80");
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PortTarget {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A port of 127.0.0.1, written without the address.
    Port(u16),
    /// An address without a port; the port is the virtual port.
    Ip(IpAddr),
    /// A host name, which tor resolves when the option is set.
    Host {
        /// The name.
        name: Box<str>,
        /// The port; if it is `None`, the virtual port.
        port: Option<u16>,
    },
    /// A unix socket, by its absolute path.
    Unix(PathBuf),
}

impl PortTarget {
    /// Returns the target that reaches a server which listens at this address.
    ///
    /// For 127.0.0.1 and for every address of the machine (`0.0.0.0`) it is the port alone, which
    /// tor reads as a port of 127.0.0.1; for `[::]` it has the address `::1`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PortTarget;
    ///
    /// assert_eq!(PortTarget::of_listener(([0, 0, 0, 0], 8080).into()), PortTarget::Port(8080));
    /// ```
    #[must_use]
    pub fn of_listener(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => {
                return Self::Port(address.port());
            }
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self::Tcp(SocketAddr::new(ip, address.port()))
    }

    /// Returns the path of a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use torcon::names::PortTarget;
    ///
    /// let target: PortTarget = "unix:/run/web".parse()?;
    /// assert_eq!(target.unix_path(), Some(Path::new("/run/web")));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the port, if the target names one.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::PortTarget;
    ///
    /// assert_eq!("192.0.2.7:8080".parse::<PortTarget>()?.port(), Some(8080));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Port(port) => Some(*port),
            Self::Host { port, .. } => *port,
            Self::Ip(_) | Self::Unix(_) => None,
        }
    }
}

impl From<u16> for PortTarget {
    fn from(port: u16) -> Self {
        Self::Port(port)
    }
}

impl From<IpAddr> for PortTarget {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<SocketAddr> for PortTarget {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for PortTarget {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for PortTarget {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

read_from_text!(PortTarget, InvalidName);

impl FromStr for PortTarget {
    type Err = InvalidName;

    /// Reads `port`, `address`, `address:port` with an IPv6 address in brackets, `name:port`,
    /// `name` with a dot, or `unix:/path`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("target of an onion port", problem));
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => refuse("must have an absolute path after unix:"),
            };
        }
        if let Some(port) = read_port(text) {
            return Ok(Self::Port(port));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.map_or_else(|| text.parse(), |ip| ip.parse().map(IpAddr::V6)) {
            return Ok(Self::Ip(address));
        }
        match read_host(text) {
            Some((name, port)) => Ok(Self::Host { name: name.into(), port }),
            None => refuse("must be a port, an address, name:port or unix:/path"),
        }
    }
}

/// Reads `name:port`, or `name` if it has a dot: tor reads other words as a port.
fn read_host(text: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(read_port(port)?)),
        None => (text, None),
    };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = name.bytes().all(is_part) && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (is_name && (port.is_some() || name.contains('.'))).then_some((name, port))
}

impl fmt::Display for PortTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Host { name, port: None } => f.write_str(name),
            Self::Host { name, port: Some(port) } => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A port of an onion service and its target.
///
/// `Display` prints the form of `ADD_ONION`, `80,127.0.0.1:8080`; `FromStr` also accepts the form
/// of a torrc, with a blank instead of the comma.
///
/// # Examples
///
/// ```
/// use torcon::names::OnionPort;
///
/// let port = OnionPort::new(80, 8080);
/// assert_eq!(port.to_string(), "80,8080");
/// assert_eq!("80 8080".parse(), Ok(port));
/// assert_eq!("80".parse(), Ok(OnionPort::same(80)));
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnionPort {
    virtual_port: u16,
    target: Option<PortTarget>,
}

read_from_text!(OnionPort, InvalidName);

impl TryFrom<(u16, &str)> for OnionPort {
    type Error = InvalidName;

    /// Reads the target from text, such as `unix:/run/web`.
    fn try_from((virtual_port, target): (u16, &str)) -> Result<Self, InvalidName> {
        Ok(Self::new(virtual_port, target.parse::<PortTarget>()?))
    }
}

impl OnionPort {
    /// Returns the port of the onion address with the given target.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use torcon::names::OnionPort;
    ///
    /// let unix = OnionPort::new(80, Path::new("/run/web"));
    /// assert_eq!(unix.to_string(), "80,unix:/run/web");
    /// ```
    #[must_use]
    pub fn new(virtual_port: u16, target: impl Into<PortTarget>) -> Self {
        Self { virtual_port, target: Some(target.into()) }
    }

    /// Returns the port of the onion address whose target is the same port of 127.0.0.1, written
    /// without a target.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionPort;
    ///
    /// assert_eq!(OnionPort::same(22).target(), None);
    /// ```
    #[must_use]
    pub fn same(virtual_port: u16) -> Self {
        Self { virtual_port, target: None }
    }

    /// Returns the port of the onion address.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::OnionPort;
    ///
    /// assert_eq!(OnionPort::new(80, 8080).virtual_port(), 80);
    /// ```
    #[must_use]
    pub fn virtual_port(&self) -> u16 {
        self.virtual_port
    }

    /// Returns the target as it was written; `None` if it was left out, which means the same port
    /// of 127.0.0.1.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::{OnionPort, PortTarget};
    ///
    /// assert_eq!(OnionPort::new(80, 8080).target(), Some(&PortTarget::Port(8080)));
    /// ```
    #[must_use]
    pub fn target(&self) -> Option<&PortTarget> {
        self.target.as_ref()
    }
}

impl FromStr for OnionPort {
    type Err = InvalidName;

    /// Reads `port`, `port,target` or `port target`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        let (port, target) = text.split_at_checked(end).unwrap_or((text, ""));
        let virtual_port = read_port(port)
            .ok_or(InvalidName::new("onion port", "must begin with a number from 1 to 65535"))?;
        let target = match target.trim_start_matches([',', ' ']) {
            "" => None,
            target => Some(target.parse()?),
        };
        Ok(Self { virtual_port, target })
    }
}

impl fmt::Display for OnionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{},{target}", self.virtual_port),
            None => write!(f, "{}", self.virtual_port),
        }
    }
}

/// Reads a port number other than 0; `parse` would accept a sign.
fn read_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::proptest;

    use super::{OnionPort, PortTarget};

    #[test]
    fn every_form_of_a_port_is_read() {
        for (text, printed) in [
            ("80", "80"),
            ("80,8080", "80,8080"),
            ("80 8080", "80,8080"),
            ("80 localhost:8080", "80,localhost:8080"),
            ("80 web.example", "80,web.example"),
            ("80 127.0.0.1", "80,127.0.0.1"),
            ("80 [::1]", "80,[::1]"),
            ("80 ::1", "80,[::1]"),
            ("81,127.0.0.1:8181", "81,127.0.0.1:8181"),
            ("83,[::1]:99", "83,[::1]:99"),
            ("82,unix:/srv/x.sock", "82,unix:/srv/x.sock"),
            ("82 unix:\"/srv/a b.sock\"", "82,unix:/srv/a b.sock"),
        ] {
            assert_eq!(text.parse::<OnionPort>().unwrap().to_string(), printed);
        }
    }

    const NO_TARGET: &str = "invalid target of an onion port: must be a port, an address, \
                             name:port or unix:/path";

    #[test]
    fn an_invalid_port_is_refused() {
        for (text, problem) in [
            ("", "invalid onion port: must begin with a number from 1 to 65535"),
            ("0", "invalid onion port: must begin with a number from 1 to 65535"),
            ("+1", "invalid onion port: must begin with a number from 1 to 65535"),
            ("65536", "invalid onion port: must begin with a number from 1 to 65535"),
            ("80,localhost", NO_TARGET),
            ("80,localhost:", NO_TARGET),
            ("80,localhost:0", NO_TARGET),
            ("80,a b:80", NO_TARGET),
            ("80,0", NO_TARGET),
            ("80,65536", NO_TARGET),
            (
                "80,unix:x",
                "invalid target of an onion port: must have an absolute path after unix:",
            ),
        ] {
            assert_eq!(text.parse::<OnionPort>().unwrap_err().to_string(), problem, "{text}");
        }
    }

    #[test]
    fn a_listener_is_reached_by_the_shortest_target() {
        for (listens, reached) in [
            ("0.0.0.0:5", "5"),
            ("[::]:5", "[::1]:5"),
            ("127.0.0.1:5", "5"),
            ("127.0.0.2:5", "127.0.0.2:5"),
            ("192.0.2.7:5", "192.0.2.7:5"),
        ] {
            let address: SocketAddr = listens.parse().unwrap();
            assert_eq!(PortTarget::of_listener(address).to_string(), reached);
        }
    }

    proptest! {
        #[test]
        fn ports_round_trip(virtual_port in 1_u16.., address: std::net::SocketAddrV4) {
            let port = OnionPort::new(virtual_port, SocketAddr::from(address));
            assert_eq!(port.to_string().parse(), Ok(port));
        }
    }
}
