//! Proxies through which tor reaches the network.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::names::{InvalidName, Target};

/// The longest user name and the longest password of SOCKS5.
const SOCKS5_LIMIT: usize = 255;
/// tor refuses an authenticator of this length.
const AUTHENTICATOR_LIMIT: usize = 512;

/// A proxy through which tor makes all its connections: the options `Socks4Proxy`, `Socks5Proxy` and
/// `HTTPSProxy`.
///
/// It is not the proxy that tor offers to programs, which is a
/// [`SocksProxy`](crate::socks::SocksProxy).
///
/// `FromStr` parses a URL: `socks4://host:port`, `socks5://user:password@host:port`, or
/// `http://user:password@host:port` for a proxy that accepts the method `CONNECT`, as `HTTPSProxy` is
/// one. User and password may have percent codes. If the host is a name, tor resolves it when it
/// reads the option, without Tor.
///
/// `Debug` shows neither user nor password; the password is overwritten in memory when it is
/// dropped. [`reveal_options`](Self::reveal_options) returns the options.
///
/// # Examples
///
/// ```
/// use torcon::names::UpstreamProxy;
///
/// let proxy: UpstreamProxy = "socks5://alice:s%3ecret@proxy.example:1080".parse()?;
/// assert_eq!(proxy.option(), "Socks5Proxy");
/// assert_eq!(proxy.address().host(), "proxy.example");
/// assert_eq!(proxy.username(), Some("alice"));
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamProxy {
    kind: Kind,
    address: Target,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socks4,
    Socks5,
    Https,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    username: Box<str>,
    password: Zeroizing<String>,
}

impl UpstreamProxy {
    /// Returns a SOCKS4 proxy.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy = UpstreamProxy::socks4(([192, 0, 2, 1], 1080).into())?;
    /// assert_eq!(proxy.option(), "Socks4Proxy");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn socks4(address: SocketAddr) -> Result<Self, InvalidName> {
        Self::new(Kind::Socks4, address.into())
    }

    /// Returns a SOCKS5 proxy without authentication.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy = UpstreamProxy::socks5(([192, 0, 2, 1], 1080).into())?;
    /// assert_eq!(proxy.option(), "Socks5Proxy");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn socks5(address: SocketAddr) -> Result<Self, InvalidName> {
        Self::new(Kind::Socks5, address.into())
    }

    /// Returns an HTTP proxy that accepts the method `CONNECT`, without authentication. tor speaks no
    /// TLS with the proxy itself.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy = UpstreamProxy::https(([192, 0, 2, 1], 3128).into())?;
    /// assert_eq!(proxy.option(), "HTTPSProxy");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn https(address: SocketAddr) -> Result<Self, InvalidName> {
        Self::new(Kind::Https, address.into())
    }

    fn new(kind: Kind, address: Target) -> Result<Self, InvalidName> {
        match address.port() {
            None | Some(0) => Err(refused("must have a port")),
            Some(_) => Ok(Self { kind, address, credentials: None }),
        }
    }

    /// Returns the proxy with a user name and a password.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for a SOCKS4 proxy, since tor sends it neither; for a SOCKS5 proxy unless both
    /// have 1 to 255 bytes; for an HTTP proxy if the user name has a colon or both together more
    /// than 510 bytes; and if one of them has a control character.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy = UpstreamProxy::socks5(([192, 0, 2, 1], 1080).into())?;
    /// let proxy = proxy.with_credentials("alice", "secret")?;
    /// assert_eq!(format!("{proxy:?}"), "UpstreamProxy(socks5://[redacted]@192.0.2.1:1080)");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[doc(alias("Socks5ProxyUsername", "Socks5ProxyPassword", "HTTPSProxyAuthenticator"))]
    pub fn with_credentials(self, username: &str, password: &str) -> Result<Self, InvalidName> {
        let both = [username, password];
        if both.iter().any(|text| text.contains(char::is_control)) {
            return Err(refused("user name and password must not contain control characters"));
        }
        let is_socks5 = |text: &&str| (1..=SOCKS5_LIMIT).contains(&text.len());
        match self.kind {
            Kind::Socks4 => return Err(refused("tor sends no user name to a SOCKS4 proxy")),
            Kind::Socks5 if !both.iter().all(is_socks5) => {
                return Err(refused("user name and password must have 1 to 255 bytes"));
            }
            Kind::Https if username.contains(':') => {
                return Err(refused("the user name must not contain a colon"));
            }
            Kind::Https
                if username.len().saturating_add(password.len()) + 1 >= AUTHENTICATOR_LIMIT =>
            {
                return Err(refused("user name and password must have at most 510 bytes together"));
            }
            Kind::Socks5 | Kind::Https => {}
        }
        let password = Zeroizing::new(password.to_owned());
        Ok(Self { credentials: Some(Credentials { username: username.into(), password }), ..self })
    }

    /// Returns the name of tor's option: `Socks4Proxy`, `Socks5Proxy` or `HTTPSProxy`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy: UpstreamProxy = "http://192.0.2.1:3128".parse()?;
    /// assert_eq!(proxy.option(), "HTTPSProxy");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn option(&self) -> &'static str {
        match self.kind {
            Kind::Socks4 => "Socks4Proxy",
            Kind::Socks5 => "Socks5Proxy",
            Kind::Https => "HTTPSProxy",
        }
    }

    /// Returns the address of the proxy.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy: UpstreamProxy = "socks4://[2001:db8::1]:1080".parse()?;
    /// assert_eq!(proxy.address().port(), Some(1080));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> &Target {
        &self.address
    }

    /// Returns the user name, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy: UpstreamProxy = "http://alice:secret@192.0.2.1:3128".parse()?;
    /// assert_eq!(proxy.username(), Some("alice"));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| &*credentials.username)
    }

    /// Returns the options that make tor use the proxy, with user name and password, as names and
    /// values.
    ///
    /// [`Launcher::upstream_proxy`](crate::Launcher::upstream_proxy) sets them before tor starts.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::UpstreamProxy;
    ///
    /// let proxy: UpstreamProxy = "socks5://alice:secret@192.0.2.1:1080".parse()?;
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.set_conf(proxy.reveal_options())?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn reveal_options(&self) -> Vec<(&'static str, String)> {
        let mut options = vec![(self.option(), self.address.as_str().to_owned())];
        if let Some(Credentials { username, password }) = &self.credentials {
            match self.kind {
                Kind::Https => {
                    let authenticator = format!("{username}:{}", **password);
                    options.push(("HTTPSProxyAuthenticator", authenticator));
                }
                Kind::Socks4 | Kind::Socks5 => {
                    options.push(("Socks5ProxyUsername", username.to_string()));
                    options.push(("Socks5ProxyPassword", String::clone(password)));
                }
            }
        }
        options
    }
}

impl FromStr for UpstreamProxy {
    type Err = InvalidName;

    /// Reads `socks4://`, `socks5://` or `http://`, perhaps `user:password@`, and `host:port`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refused("must be a URL: socks4://, socks5:// or http://, then host:port"));
        };
        let kind = match &*scheme.to_ascii_lowercase() {
            "socks4" | "socks4a" => Kind::Socks4,
            "socks5" | "socks5h" => Kind::Socks5,
            "http" => Kind::Https,
            "https" => return Err(refused("tor speaks no TLS with a proxy: write http://")),
            _ => return Err(refused("must begin with socks4://, socks5:// or http://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest),
        };
        let address = address.parse::<Target>().ok().filter(Target::has_valid_host);
        let Some(address) = address else {
            return Err(refused("must have host:port, an IPv6 address in brackets"));
        };
        let proxy = Self::new(kind, address)?;
        let Some(credentials) = credentials else { return Ok(proxy) };
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        match (decode(username), decode(password)) {
            (Some(username), Some(password)) => proxy.with_credentials(&username, &password),
            _ => Err(refused("user name and password must have valid percent codes")),
        }
    }
}

/// Replaces percent codes. `None` if one is not valid, or the text is not UTF-8 then.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (code, after) = after.split_at_checked(2)?;
        // `from_str_radix` would accept a sign.
        let code = std::str::from_utf8(code).ok().filter(|code| !code.starts_with('+'))?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        rest = after;
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

fn refused(problem: &'static str) -> InvalidName {
    InvalidName::new("upstream proxy", problem)
}

impl fmt::Debug for UpstreamProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Socks4 => "socks4",
            Kind::Socks5 => "socks5",
            Kind::Https => "http",
        };
        let hidden = if self.credentials.is_some() { "[redacted]@" } else { "" };
        write!(f, "UpstreamProxy({scheme}://{hidden}{})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::UpstreamProxy;

    #[test]
    fn the_options_of_every_kind_are_those_of_tor() {
        for (url, options) in [
            ("socks4://192.0.2.1:1080", "Socks4Proxy 192.0.2.1:1080"),
            ("SOCKS5H://proxy.lan:1080/", "Socks5Proxy proxy.lan:1080"),
            (
                "socks5://a%20b:c%3Ad%C3%A9@[2001:db8::1]:1",
                "Socks5Proxy [2001:db8::1]:1, Socks5ProxyUsername a b, Socks5ProxyPassword \
                 c:d\u{e9}",
            ),
            ("http://192.0.2.1:3128", "HTTPSProxy 192.0.2.1:3128"),
            ("http://a:b:@c@p:1", "HTTPSProxy p:1, HTTPSProxyAuthenticator a:b:@c"),
            ("http://a@p:1", "HTTPSProxy p:1, HTTPSProxyAuthenticator a:"),
        ] {
            let proxy: UpstreamProxy = url.parse().unwrap();
            let lines =
                proxy.reveal_options().into_iter().map(|(name, value)| format!("{name} {value}"));
            assert_eq!(lines.collect::<Vec<_>>().join(", "), options);
        }
    }

    #[test]
    fn a_text_that_tor_refuses_is_refused_with_the_reason() {
        let long = "x".repeat(256);
        for (url, problem) in [
            ("192.0.2.1:1", "must be a URL: socks4://, socks5:// or http://, then host:port"),
            ("ftp://192.0.2.1:1", "must begin with socks4://, socks5:// or http://"),
            ("https://192.0.2.1:1", "tor speaks no TLS with a proxy: write http://"),
            ("socks5://192.0.2.1", "must have host:port, an IPv6 address in brackets"),
            ("socks5://::1:1", "must have host:port, an IPv6 address in brackets"),
            ("socks5://192.0.2.1:0", "must have a port"),
            ("socks5://192.0.2.1:1/x", "must have host:port, an IPv6 address in brackets"),
            ("socks5://a/x:1", "must have host:port, an IPv6 address in brackets"),
            ("socks5://a;b:1", "must have host:port, an IPv6 address in brackets"),
            ("http://caf\u{e9}:1", "must have host:port, an IPv6 address in brackets"),
            ("http://[::1:1", "must have host:port, an IPv6 address in brackets"),
            ("socks4://a:b@p:1", "tor sends no user name to a SOCKS4 proxy"),
            ("socks5://a@p:1", "user name and password must have 1 to 255 bytes"),
            (&format!("socks5://a:{long}@p:1"), "user name and password must have 1 to 255 bytes"),
            ("http://a%3a:b@p:1", "the user name must not contain a colon"),
            (
                &format!("http://{long}:{long}@p:1"),
                "user name and password must have at most 510 bytes together",
            ),
            ("http://a:%0a@p:1", "user name and password must not contain control characters"),
            ("http://a:%+1@p:1", "user name and password must have valid percent codes"),
            ("http://a:%f@p:1", "user name and password must have valid percent codes"),
            ("http://a:%ff@p:1", "user name and password must have valid percent codes"),
        ] {
            let error = url.parse::<UpstreamProxy>().unwrap_err();
            let expected = format!("invalid upstream proxy: {problem}");
            assert_eq!(error.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn debug_shows_neither_user_nor_password() {
        let proxy: UpstreamProxy = "http://hush:hush@p:1".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "UpstreamProxy(http://[redacted]@p:1)");
        let proxy: UpstreamProxy = "socks4://p:1".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "UpstreamProxy(socks4://p:1)");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_line_break(text in any::<String>()) {
            for url in [format!("socks5://{text}@p:1"), format!("http://{text}"), text] {
                if let Ok(proxy) = url.parse::<UpstreamProxy>() {
                    let options = proxy.reveal_options();
                    assert!(!options.iter().any(|(_, value)| value.contains(char::is_control)));
                }
            }
        }
    }
}
