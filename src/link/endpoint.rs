//! The address of a control port or a SOCKS port.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::InvalidInput;
use crate::names::{printable, read_from_text};

/// The address of a control port or a SOCKS port: a TCP address or a unix socket.
///
/// The text form is `host:port`, `tcp:host:port`, `unix:/path` or `/path`. A host is a name, an IPv4
/// address, or an IPv6 address in brackets.
///
/// # Examples
///
/// ```
/// use torcon::Endpoint;
///
/// let tcp: Endpoint = "localhost:9051".parse()?;
/// let unix: Endpoint = "unix:/run/tor/control".parse()?;
/// assert_eq!(tcp.to_string(), "localhost:9051");
/// assert_eq!(unix.to_string(), "unix:/run/tor/control");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(pub(super) Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Address(SocketAddr),
    /// A host name, resolved at each connection.
    Name(Box<str>, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Creates the endpoint of a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Endpoint;
    ///
    /// assert_eq!(Endpoint::unix("/run/tor/control").to_string(), "unix:/run/tor/control");
    /// ```
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Unix(path.into()))
    }

    /// Creates the endpoint of a TCP port; the host name is resolved at each connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Endpoint;
    ///
    /// assert_eq!(Endpoint::tcp("localhost", 9051).to_string(), "localhost:9051");
    /// assert_eq!(Endpoint::tcp("::1", 9051).to_string(), "[::1]:9051");
    /// ```
    #[must_use]
    pub fn tcp(host: &str, port: u16) -> Self {
        match host.parse() {
            Ok(address) => Self(Kind::Address(SocketAddr::new(address, port))),
            Err(_) => Self(Kind::Name(host.into(), port)),
        }
    }

    /// Returns the path, if this is a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use torcon::Endpoint;
    ///
    /// let endpoint = Endpoint::unix("/run/tor/control");
    /// assert_eq!(endpoint.path(), Some(Path::new("/run/tor/control")));
    /// assert_eq!(Endpoint::tcp("localhost", 9051).path(), None);
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Unix(path) => Some(path),
            Kind::Address(_) | Kind::Name(..) => None,
        }
    }

    /// Returns host and port as in a URL; `None` for a unix socket.
    pub(crate) fn url_authority(&self) -> Option<String> {
        match &self.0 {
            // A scope identifier follows `%25` in a URL.
            Kind::Address(address) => Some(address.to_string().replace('%', "%25")),
            Kind::Name(host, port) => Some(format!("{host}:{port}")),
            Kind::Unix(_) => None,
        }
    }

    /// Refuses invalid hosts and paths, which [`tcp`](Self::tcp) and [`unix`](Self::unix) accept.
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        match &self.0 {
            Kind::Address(_) => Ok(()),
            Kind::Name(host, _) => check_host(host),
            Kind::Unix(path) if path.as_os_str().is_empty() => {
                Err(InvalidInput::new("endpoint", "has an empty path"))
            }
            Kind::Unix(path) if path.as_os_str().as_bytes().contains(&0) => {
                Err(InvalidInput::new("endpoint", "contains NUL"))
            }
            Kind::Unix(_) => Ok(()),
        }
    }

    /// Returns whether this is a unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.0, Kind::Unix(_))
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Address(address))
    }
}

impl From<PathBuf> for Endpoint {
    fn from(path: PathBuf) -> Self {
        Self(Kind::Unix(path))
    }
}

impl From<&Path> for Endpoint {
    fn from(path: &Path) -> Self {
        Self(Kind::Unix(path.into()))
    }
}

read_from_text!(Endpoint, InvalidInput);

impl FromStr for Endpoint {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let invalid = |problem: &'static str| InvalidInput::new("endpoint", problem);
        if text.contains('\0') {
            return Err(invalid("contains NUL"));
        }
        let path = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text));
        if let Some(path) = path {
            return match path {
                "" => Err(invalid("has an empty path")),
                path => Ok(Self::unix(path)),
            };
        }
        let address = text.strip_prefix("tcp:").unwrap_or(text);
        if let Ok(address) = address.parse() {
            return Ok(Self(Kind::Address(address)));
        }
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(invalid("is not host:port, tcp:host:port or unix:/path"));
        };
        let Some(port) = parse_port(port) else {
            return Err(invalid("has no port number from 0 to 65535"));
        };
        check_host(host)?;
        Ok(Self(Kind::Name(host.into(), port)))
    }
}

/// Parses digits; `str::parse` would accept a sign too.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn check_host(host: &str) -> Result<(), InvalidInput> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !host.bytes().all(is_name) {
        let problem = "has a host that is neither a name nor an address";
        return Err(InvalidInput::new("endpoint", problem));
    }
    Ok(())
}

impl fmt::Display for Endpoint {
    /// Writes the text form. Unprintable characters are escaped, since the peer reports the address
    /// of a `SocksPort`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(address) => address.fmt(f),
            Kind::Name(host, port) => write!(f, "{}:{port}", printable(&**host)),
            Kind::Unix(path) => {
                write!(f, "unix:{}", printable(path.as_os_str().as_encoded_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    fn shown(text: &str) -> Result<String, String> {
        text.parse().map(|e: Endpoint| e.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_of_an_address_is_parsed() {
        for (text, canonical) in [
            ("127.0.0.1:9051", "127.0.0.1:9051"),
            ("tcp:127.0.0.1:9051", "127.0.0.1:9051"),
            ("[::1]:9051", "[::1]:9051"),
            ("localhost:9051", "localhost:9051"),
            ("tcp:my-host.example:1", "my-host.example:1"),
            ("unix:/run/tor/control", "unix:/run/tor/control"),
            ("/run/tor/control", "unix:/run/tor/control"),
            ("unix:with blank", "unix:with blank"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn a_path_is_a_unix_socket_and_an_address_or_a_name_is_not() {
        let is_unix = |text: &str| text.parse::<Endpoint>().unwrap().is_unix();
        assert!(is_unix("unix:/run/tor/control") && is_unix("/run/tor/control"));
        assert!(!is_unix("127.0.0.1:9051") && !is_unix("localhost:9051"));
    }

    // A reply to `GETINFO net/listeners/socks` becomes an endpoint, and appears in errors and logs.
    #[test]
    fn unprintable_characters_are_escaped() {
        let path = "/run/a b/caf\u{e9}\r\n[info] forged\u{1b}[2J\u{202e}";
        let shown = Endpoint::unix(path).to_string();
        assert_eq!(shown, "unix:/run/a b/caf\u{e9}\\r\\n[info] forged\\u{1b}[2J\\u{202e}");
        assert_eq!(Endpoint::tcp("a\nb", 1).to_string(), "a\\nb:1");
        assert!(Endpoint::unix("x".repeat(1 << 20)).to_string().len() < 500);
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for (text, problem) in [
            ("", "is not host:port, tcp:host:port or unix:/path"),
            ("9051", "is not host:port, tcp:host:port or unix:/path"),
            ("localhost:", "has no port number from 0 to 65535"),
            ("127.0.0.1:+1", "has no port number from 0 to 65535"),
            ("localhost:65536", "has no port number from 0 to 65535"),
            (":9051", "has a host that is neither a name nor an address"),
            ("::1:9051", "has a host that is neither a name nor an address"),
            ("a b:1", "has a host that is neither a name nor an address"),
            ("a\nb:1", "has a host that is neither a name nor an address"),
            ("unix:", "has an empty path"),
            ("unix:/a\0b", "contains NUL"),
        ] {
            assert_eq!(
                shown(text),
                Err(format!("invalid argument \"endpoint\": {problem}")),
                "{text:?}"
            );
        }
    }
}
