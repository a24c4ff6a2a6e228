//! The target or the source of a stream.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::names::{InvalidName, OnionAddress, printable, read_from_text};

/// A host name or an address with its port, as tor writes it.
///
/// tor has special forms: port 0 for a name that is only resolved, `:0` for an unknown target,
/// `(Tor_internal):0` for its internal streams, `unix:/path` for a unix socket, and
/// `address.$FINGERPRINT.exit` for an address with a chosen exit. All text from tor is kept
/// unchanged.
///
/// # Examples
///
/// ```
/// use torcon::names::Target;
///
/// let target: Target = "[2001:db8::1]:443".parse()?;
/// assert_eq!(target.host(), "2001:db8::1");
/// assert_eq!(target.port(), Some(443));
/// assert!(target.ip().is_some());
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    text: Box<str>,
}

impl Target {
    /// Keeps any text; bytes that are not UTF-8 are replaced.
    pub(crate) fn from_bytes(text: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(text).into() }
    }

    /// Returns the text as tor writes it.
    ///
    /// # Examples
    ///
    /// ```
    /// let target: torcon::names::Target = "example.com:80".parse()?;
    /// assert_eq!(target.as_str(), "example.com:80");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host name or address, without port and brackets.
    ///
    /// This is the whole text if there is no port, as for a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// let target: torcon::names::Target = "[2001:db8::1]:80".parse()?;
    /// assert_eq!(target.host(), "2001:db8::1");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.parts().map_or(&*self.text, |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// Returns the port, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let target: torcon::names::Target = "example.com:80".parse()?;
    /// assert_eq!(target.port(), Some(80));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.parts().map(|(_, port)| port)
    }

    /// Returns the IP address, if the host is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let target: torcon::names::Target = "192.0.2.7:80".parse()?;
    /// assert_eq!(target.ip(), Some([192, 0, 2, 7].into()));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    /// Returns the path, if this is a unix socket.
    ///
    /// # Examples
    ///
    /// ```
    /// let target: torcon::names::Target = "example.com:80".parse()?;
    /// assert_eq!(target.unix_path(), None);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn unix_path(&self) -> Option<&str> {
        self.text.strip_prefix("unix:")
    }

    /// Whether the host is an address, or can be a name that tor resolves.
    pub(super) fn has_valid_host(&self) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        self.ip().is_some() || self.host().bytes().all(is_part)
    }

    /// Splits at the last colon; an IPv6 address needs no brackets for that.
    fn parts(&self) -> Option<(&str, u16)> {
        if self.unix_path().is_some() {
            return None;
        }
        let (host, port) = self.text.rsplit_once(':')?;
        // `parse` would accept a sign.
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Without brackets, the end of an address could look like a port.
        if self.text.parse::<Ipv6Addr>().is_ok() && host.parse::<Ipv6Addr>().is_err() {
            return None;
        }
        Some((host, port.parse().ok()?))
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { text: address.to_string().into() }
    }
}

impl From<(IpAddr, u16)> for Target {
    fn from(address: (IpAddr, u16)) -> Self {
        Self::from(SocketAddr::from(address))
    }
}

impl From<(OnionAddress, u16)> for Target {
    fn from((address, port): (OnionAddress, u16)) -> Self {
        Self { text: format!("{address}:{port}").into() }
    }
}

impl TryFrom<(&str, u16)> for Target {
    type Error = InvalidName;

    /// Accepts an IPv6 address with or without brackets.
    fn try_from((host, port): (&str, u16)) -> Result<Self, InvalidName> {
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(Self::from((address, port))),
            Err(_) => format!("{host}:{port}").parse(),
        }
    }
}

impl TryFrom<(String, u16)> for Target {
    type Error = InvalidName;

    fn try_from((host, port): (String, u16)) -> Result<Self, InvalidName> {
        Self::try_from((&*host, port))
    }
}

read_from_text!(Target, InvalidName);

impl FromStr for Target {
    type Err = InvalidName;

    /// Reads `host:port`, an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = |problem| Err(InvalidName::new("target", problem));
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return refuse("must not contain blanks or control characters");
        }
        let target = Self { text: text.into() };
        let Some((host, _)) = target.parts() else {
            return refuse("must be host:port");
        };
        if host.is_empty() {
            return refuse("must have a host before the port");
        }
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if bracketed && target.ip().is_none() {
            return refuse("must have an IPv6 address between brackets");
        }
        if !bracketed && host.contains(':') {
            return refuse("must have an IPv6 address in brackets");
        }
        Ok(target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&*self.text))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Target, printable};

    #[test]
    fn every_form_that_tor_sends_is_understood() {
        let exit = "127.0.0.1.$E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC.exit";
        for (text, host, port) in [
            ("example.com:80", "example.com", Some(80)),
            (":0", "", Some(0)),
            ("127.0.0.1:33123", "127.0.0.1", Some(33123)),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("2001:db8::1:9050", "2001:db8::1", Some(9050)),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", None),
            ("1:2:3:4:5:6:7:8:9050", "1:2:3:4:5:6:7:8", Some(9050)),
            ("(Tor_internal):0", "(Tor_internal)", Some(0)),
            ("unix:/run/tor/socks:1", "unix:/run/tor/socks:1", None),
            (&format!("{exit}:5000"), exit, Some(5000)),
            ("nothing", "nothing", None),
            ("host:99999", "host:99999", None),
            ("host:+1", "host:+1", None),
            ("host:", "host:", None),
            ("", "", None),
        ] {
            let target = Target::from_bytes(text.as_bytes());
            assert_eq!((target.host(), target.port()), (host, port), "{text}");
            assert_eq!(target.to_string(), text);
        }
        let socket = Target::from_bytes(b"unix:/run/s");
        assert_eq!(socket.unix_path(), Some("/run/s"));
        assert_eq!(Target::from_bytes(b"[::1]:5").ip(), "::1".parse().ok());
        assert_eq!(Target::from_bytes(b"a\xff:5").as_str(), "a\u{fffd}:5");
    }

    #[test]
    fn users_must_write_host_and_port() {
        for (text, problem) in [
            ("", "must be host:port"),
            ("example.com", "must be host:port"),
            ("example.com:http", "must be host:port"),
            ("example.com:65536", "must be host:port"),
            ("unix:/run/s", "must be host:port"),
            (":80", "must have a host before the port"),
            ("[host]:80", "must have an IPv6 address between brackets"),
            ("::1:80", "must have an IPv6 address in brackets"),
            ("a b:80", "must not contain blanks or control characters"),
            ("a\r\nQUIT:80", "must not contain blanks or control characters"),
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(error.to_string(), format!("invalid target: {problem}"), "{text:?}");
        }
    }

    #[test]
    fn pairs_of_host_and_port_become_targets() {
        let id = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad";
        let onion: crate::names::OnionAddress = id.parse().unwrap();
        assert_eq!(Target::from((onion, 80)).as_str(), format!("{id}.onion:80"));
        for (host, text) in [
            ("a.example", "a.example:80"),
            ("::1", "[::1]:80"),
            ("[::1]", "[::1]:80"),
            ("1.2.3.4", "1.2.3.4:80"),
        ] {
            assert_eq!(Target::try_from((host, 80)).unwrap().as_str(), text);
            assert_eq!(Target::try_from((host.to_owned(), 80)), Target::try_from(text));
        }
        let error = Target::try_from(("a.example:80", 80)).unwrap_err();
        assert_eq!(error.to_string(), "invalid target: must have an IPv6 address in brackets");
    }

    proptest! {
        #[test]
        fn targets_of_users_round_trip(host in "[a-z0-9.-]{1,30}", port: u16) {
            let target: Target = format!("{host}:{port}").parse().unwrap();
            assert_eq!((target.host(), target.port()), (&*host, Some(port)));
            assert_eq!(target.to_string().parse(), Ok(target));
        }

        #[test]
        fn socket_addresses_become_targets(address: std::net::SocketAddrV6) {
            let address = std::net::SocketAddr::from(std::net::SocketAddrV6::new(
                *address.ip(), address.port(), 0, 0,
            ));
            let target = Target::from(address);
            assert_eq!((target.ip(), target.port()), (Some(address.ip()), Some(address.port())));
        }

        #[test]
        fn any_text_of_tor_prints_as_it_was(text in any::<String>()) {
            let target = Target::from_bytes(text.as_bytes());
            assert_eq!(target.to_string(), *printable(&text));
            assert!(text.contains(target.host()));
        }
    }
}
