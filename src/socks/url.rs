//! The URL of a proxy, for other libraries.

use std::fmt::Write;

use super::SocksProxy;
use crate::error::{InvalidInput, Result};

impl SocksProxy {
    /// Returns the proxy as a URL for HTTP clients and other libraries that speak SOCKS:
    /// `socks5h://user:password@127.0.0.1:9050`.
    ///
    /// With the scheme `socks5h`, as curl and ureq define it, the client leaves host names to tor.
    /// With `socks5` it would resolve them itself, without Tor, and could not reach onion services.
    ///
    /// User name and password are those of the [`isolation`](Self::isolation), percent-encoded:
    /// none by default, always the same for a [token](crate::socks::Isolation::token), and new ones
    /// in each URL for [`Isolation::fresh`](crate::socks::Isolation::fresh). A client sends them
    /// with each of its connections, so all connections of a client with one URL may share
    /// circuits. The [time limits](Self::timeout) are not part of the URL.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if the proxy is on a unix socket, which
    /// such a URL cannot name, or its host is not valid; [`Error::Socks`](crate::Error::Socks) if
    /// the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// An HTTP client whose connections share no circuits with those of other clients:
    ///
    /// ```no_run
    /// use torcon::socks::{Isolation, SocksProxy};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tor = SocksProxy::new("127.0.0.1:9050")?.isolation(Isolation::fresh());
    /// let proxy = ureq::Proxy::new(&tor.url()?)?;
    /// let agent = ureq::Agent::config_builder().proxy(Some(proxy)).build().new_agent();
    /// println!("{}", agent.get("http://example.com/").call()?.body_mut().read_to_string()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Without isolation there are no credentials:
    ///
    /// ```
    /// use torcon::socks::{Isolation, SocksProxy};
    ///
    /// let proxy = SocksProxy::new("127.0.0.1:9050")?;
    /// assert_eq!(proxy.url()?, "socks5h://127.0.0.1:9050");
    /// let account = proxy.isolation(Isolation::credentials("my-program", "account 7")?);
    /// assert_eq!(account.url()?, "socks5h://my-program:account%207@127.0.0.1:9050");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias("web_agent", "tor_agent", "agent_for_socks_port"))]
    #[doc(alias = "socks5h")]
    pub fn url(&self) -> Result<String> {
        self.endpoint.check()?;
        let Some(authority) = self.endpoint.url_authority() else {
            let problem = "is a unix socket, which a proxy URL cannot name: give tor a SocksPort on \
                           TCP too";
            return Err(InvalidInput::new("endpoint", problem).into());
        };
        let credentials = self
            .isolation
            .next_credentials()
            .map_err(|problem| self.error("make a URL", problem))?;
        let mut url = String::from("socks5h://");
        if let Some(credentials) = credentials {
            encode(&mut url, credentials.user().as_bytes());
            url.push(':');
            encode(&mut url, credentials.password().as_bytes());
            url.push('@');
        }
        url.push_str(&authority);
        Ok(url)
    }
}

/// Appends text with everything percent-encoded but the unreserved characters of RFC 3986.
fn encode(url: &mut String, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::link::Endpoint;
    use crate::socks::{Isolation, SocksProxy};

    fn proxy(endpoint: &str) -> SocksProxy {
        SocksProxy::new(endpoint).unwrap()
    }

    #[test]
    fn the_url_has_the_credentials_of_the_isolation() {
        let plain = proxy("127.0.0.1:9050");
        assert_eq!(plain.url().unwrap(), "socks5h://127.0.0.1:9050");
        let token = plain.clone().isolation(Isolation::token("account 7").unwrap());
        assert_eq!(token.url().unwrap(), "socks5h://torcon:account%207@127.0.0.1:9050");
        assert_eq!(token.url().unwrap(), token.url().unwrap());
        let fresh = plain.isolation(Isolation::fresh());
        let (one, other) = (fresh.url().unwrap(), fresh.url().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with("socks5h://torcon-stream:"), "{one}");
        assert_eq!(format!("{fresh:?}").matches("torcon-stream").count(), 0);
    }

    #[test]
    fn every_character_of_credentials_is_kept() {
        let (user, password) = ("a:b@c/d?e#f%g+h", "\u{e9}\"'[]{}|\\^`<>&=~.-_");
        let isolation = Isolation::credentials(user, password).unwrap();
        let url = proxy("[::1]:9050").isolation(isolation).url().unwrap();
        assert_eq!(
            url,
            "socks5h://a%3Ab%40c%2Fd%3Fe%23f%25g%2Bh:%C3%A9%22%27%5B%5D%7B%7D%7C%5C%5E%60%3C%3E%26\
             %3D~.-_@[::1]:9050"
        );
        let read = ureq::Proxy::new(&url).unwrap();
        assert_eq!((read.username(), read.password()), (Some(user), Some(password)));
        assert_eq!((read.host(), read.port()), ("[::1]", 9050));
        assert_eq!(read.protocol(), ureq::ProxyProtocol::Socks5h);
        assert!(!read.resolve_target(), "tor resolves the names");
    }

    #[test]
    fn endpoints_without_a_url_are_refused() {
        assert_eq!(proxy("tor.local:9050").url().unwrap(), "socks5h://tor.local:9050");
        let unix = SocksProxy::new(Path::new("/run/tor/socks")).unwrap();
        assert_eq!(
            unix.url().unwrap_err().to_string(),
            "invalid argument \"endpoint\": is a unix socket, which a proxy URL cannot name: give \
             tor a SocksPort on TCP too"
        );
        let invalid = SocksProxy::new(Endpoint::tcp("a b@c", 1)).unwrap();
        assert_eq!(
            invalid.url().unwrap_err().to_string(),
            "invalid argument \"endpoint\": has a host that is neither a name nor an address"
        );
    }
}
