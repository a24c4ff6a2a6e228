//! Bridge lines.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::names::{Fingerprint, InvalidName};

/// The longest arguments, as tor joins them: they must fit in a user name and a password of SOCKS5.
const ARGUMENTS_LIMIT: usize = 510;
/// The port of an address without one.
const DEFAULT_PORT: u16 = 443;

/// A bridge line: the value of tor's option `Bridge`.
///
/// It has the address of a bridge, the name of the pluggable transport that reaches it, unless tor
/// connects to it directly, the bridge's fingerprint if that is known, and arguments for the
/// transport, each a key and a value. All transports have this form: obfs4, snowflake, meek,
/// webtunnel, conjure and every other.
///
/// `FromStr` parses a line as bridges are given out and as a torrc has it, with or without the word
/// `Bridge` before it. It refuses what tor would refuse. `Display` and [`as_str`](Self::as_str)
/// return the line in the form that tor accepts, on one line and without the word `Bridge`; the two
/// round-trip.
///
/// A bridge line can be a secret: who knows it can block the bridge. `Debug` shows only the name of
/// the transport.
///
/// [`Launcher::bridge`](crate::Launcher::bridge) launches a tor that uses the bridge. A running tor
/// uses it with the options `UseBridges` and `Bridge`, as in the second example.
///
/// # Examples
///
/// ```
/// use torcon::names::BridgeLine;
///
/// let line = "obfs4 192.0.2.7:443 E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC cert=c0ffee iat-mode=0";
/// let bridge: BridgeLine = line.parse()?;
/// assert_eq!(bridge.transport(), Some("obfs4"));
/// assert_eq!(bridge.address().port(), 443);
/// assert!(bridge.fingerprint().is_some());
/// assert_eq!(bridge.argument("cert"), Some("c0ffee"));
/// assert_eq!(bridge.to_string(), line);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
///
/// ```no_run
/// use torcon::names::BridgeLine;
///
/// let bridge: BridgeLine = "192.0.2.7:443".parse()?;
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// controller.set_conf([("UseBridges", "1"), ("Bridge", bridge.as_str())])?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeLine {
    /// Invariant: the words of the line, each of printable ASCII, with one blank between them.
    text: Box<str>,
    has_transport: bool,
    address: SocketAddr,
    fingerprint: Option<Fingerprint>,
}

/// The parts of a line.
struct Parts<'a> {
    transport: Option<&'a str>,
    address: SocketAddr,
    fingerprint: Option<Fingerprint>,
    /// `key=value`
    arguments: Vec<&'a str>,
}

impl BridgeLine {
    /// Returns the line of a bridge that tor connects to directly.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge = BridgeLine::new(([192, 0, 2, 7], 9001).into())?;
    /// assert_eq!(bridge.to_string(), "192.0.2.7:9001");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn new(address: SocketAddr) -> Result<Self, InvalidName> {
        Parts { transport: None, address, fingerprint: None, arguments: Vec::new() }.line()
    }

    /// Returns the line with this fingerprint, which tor then expects of the bridge.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge = BridgeLine::new(([192, 0, 2, 7], 9001).into())?;
    /// let bridge = bridge.with_fingerprint("E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC".parse()?);
    /// assert_eq!(bridge.to_string(), "192.0.2.7:9001 E8F78D0CAD2E4AB37AF2DBA543E53E84F7B206AC");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn with_fingerprint(self, fingerprint: Fingerprint) -> Self {
        let parts = Parts { fingerprint: Some(fingerprint), ..self.parts() };
        Self { text: parts.text(), fingerprint: Some(fingerprint), ..self }
    }

    /// Returns the line with this pluggable transport.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the name is not one of letters, digits and underscores.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge = BridgeLine::new(([192, 0, 2, 3], 80).into())?
    ///     .with_transport("snowflake")?
    ///     .with_argument("url", "https://snowflake.example/")?;
    /// assert_eq!(bridge.to_string(), "snowflake 192.0.2.3:80 url=https://snowflake.example/");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn with_transport(self, name: &str) -> Result<Self, InvalidName> {
        Parts { transport: Some(name), ..self.parts() }.line()
    }

    /// Returns the line with one more argument, after the others.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if there is no transport to have it, if the key is empty or has a `=`, if one
    /// of the two has a blank or a character other than printable ASCII, or if the arguments are
    /// too long for tor: together 510 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "obfs4 192.0.2.7:443 cert=c0ffee".parse()?;
    /// let bridge = bridge.with_argument("iat-mode", "1")?;
    /// assert_eq!(bridge.as_str(), "obfs4 192.0.2.7:443 cert=c0ffee iat-mode=1");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn with_argument(self, key: &str, value: &str) -> Result<Self, InvalidName> {
        if key.contains('=') {
            return Err(refused("the key of an argument must not contain ="));
        }
        let argument = format!("{key}={value}");
        let mut parts = self.parts();
        parts.arguments.push(&argument);
        parts.line()
    }

    /// Returns the line in the form of the option `Bridge`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::Config;
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "Bridge  [2001:db8::7]:443".parse()?;
    /// assert_eq!(bridge.as_str(), "[2001:db8::7]:443");
    ///
    /// let config = Config::offline();
    /// config.set("UseBridges", true)?;
    /// config.set("Bridge", [&bridge])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name of the pluggable transport, such as `obfs4`. `None` if tor connects to the
    /// bridge directly.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "webtunnel [2001:db8::7]:443 url=https://a.example/x".parse()?;
    /// assert_eq!(bridge.transport(), Some("webtunnel"));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn transport(&self) -> Option<&str> {
        self.text.split(' ').next().filter(|_| self.has_transport)
    }

    /// Returns the address of the bridge. Transports that need no address, such as snowflake, have
    /// one that only tells bridges apart.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "192.0.2.7".parse()?;
    /// assert_eq!(bridge.address(), ([192, 0, 2, 7], 443).into());
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the fingerprint of the bridge, if the line has it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "192.0.2.7:443".parse()?;
    /// assert_eq!(bridge.fingerprint(), None);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// Returns the arguments for the transport, as keys and values, in their order. A key can be
    /// there several times.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "obfs4 192.0.2.7:443 cert=c0ffee iat-mode=0".parse()?;
    /// let arguments: Vec<_> = bridge.arguments().collect();
    /// assert_eq!(arguments, [("cert", "c0ffee"), ("iat-mode", "0")]);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.argument_words().filter_map(|word| word.split_once('='))
    }

    /// Returns the value of the first argument with this key. The case of the key matters.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::BridgeLine;
    ///
    /// let bridge: BridgeLine = "obfs4 192.0.2.7:443 cert=c0ffee iat-mode=0".parse()?;
    /// assert_eq!(bridge.argument("iat-mode"), Some("0"));
    /// assert_eq!(bridge.argument("url"), None);
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.arguments().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    fn argument_words(&self) -> impl Iterator<Item = &str> {
        let before = 1 + usize::from(self.has_transport) + usize::from(self.fingerprint.is_some());
        self.text.split(' ').skip(before)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            transport: self.transport(),
            address: self.address,
            fingerprint: self.fingerprint,
            arguments: self.argument_words().collect(),
        }
    }
}

impl Parts<'_> {
    /// Returns the line, if tor accepts it.
    fn line(self) -> Result<BridgeLine, InvalidName> {
        if let Some(name) = self.transport {
            if !is_transport_name(name) {
                return Err(refused(
                    "the transport must be a name of letters, digits and underscores",
                ));
            }
            if name.eq_ignore_ascii_case("Bridge") {
                return Err(refused("the transport must not have the name Bridge"));
            }
        }
        if self.address.port() == 0 {
            return Err(refused("the port must not be 0"));
        }
        if self.transport.is_none() && !self.arguments.is_empty() {
            return Err(refused("arguments need a transport before the address"));
        }
        // tor joins them with semicolons, and escapes those in them and backslashes.
        let mut length = self.arguments.len().saturating_sub(1);
        for argument in &self.arguments {
            if !argument.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(refused("an argument must be printable ASCII without blanks"));
            }
            if argument.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                return Err(refused("an argument must be key=value"));
            }
            let escaped = argument.bytes().filter(|byte| matches!(byte, b';' | b'\\')).count();
            length = length.saturating_add(argument.len()).saturating_add(escaped);
        }
        if length > ARGUMENTS_LIMIT {
            return Err(refused("the arguments must not have more than 510 bytes together"));
        }
        Ok(BridgeLine {
            text: self.text(),
            has_transport: self.transport.is_some(),
            address: plain(self.address),
            fingerprint: self.fingerprint,
        })
    }

    fn text(&self) -> Box<str> {
        let address = plain(self.address).to_string();
        let fingerprint = self.fingerprint.map(|fingerprint| fingerprint.to_string());
        let words = self.transport.into_iter().chain([&*address]).chain(fingerprint.as_deref());
        words.chain(self.arguments.iter().copied()).collect::<Vec<_>>().join(" ").into()
    }
}

impl FromStr for BridgeLine {
    type Err = InvalidName;

    /// Reads `[Bridge] [transport] address[:port] [fingerprint] [key=value ...]`. An IPv6 address is
    /// in brackets; the port is 443 if it is left out. Without a transport, the fingerprint may
    /// have blanks.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim_ascii();
        if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(refused("must not contain a line break or NUL"));
        }
        let mut words = text.split_ascii_whitespace().peekable();
        words.next_if(|word| word.eq_ignore_ascii_case("Bridge"));
        let transport = words.next_if(|word| is_transport_name(word));
        let Some(address) = words.next() else {
            return Err(refused("must have an address"));
        };
        let Some(address) = read_address(address) else {
            return Err(refused(
                "the address must be an IP address and a port from 1 to 65535, IPv6 in brackets",
            ));
        };
        let mut digits = String::new();
        // tor joins all words of a line without a transport.
        while let Some(word) =
            words.next_if(|word| !word.contains('=') && (digits.is_empty() || transport.is_none()))
        {
            digits.push_str(word);
        }
        let fingerprint = match digits.is_empty() {
            true => None,
            false => match Fingerprint::from_hex(digits.as_bytes()) {
                None => return Err(refused("the fingerprint must be 40 hexadecimal digits")),
                found => found,
            },
        };
        Parts { transport, address, fingerprint, arguments: words.collect() }.line()
    }
}

/// Reads an address, with or without a port.
fn read_address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        // tor refuses a scope.
        return (!text.contains('%')).then_some(address);
    }
    let ip = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(ip) => IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?),
        // Of a bare IPv6 address, the end could be meant as a port.
        None => IpAddr::V4(text.parse().ok()?),
    };
    Some(SocketAddr::new(ip, DEFAULT_PORT))
}

/// Returns the address without the scope and the flow of an IPv6 address.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Whether tor takes this word as the name of a transport: an identifier of C.
pub(super) fn is_transport_name(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn refused(problem: &'static str) -> InvalidName {
    InvalidName::new("bridge line", problem)
}

/// Prints the whole line, as [`as_str`](BridgeLine::as_str) returns it.
impl fmt::Display for BridgeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for BridgeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "BridgeLine({}..)",
            self.transport().map_or(String::new(), |name| format!("{name} "))
        )
    }
}

impl AsRef<str> for BridgeLine {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests;
