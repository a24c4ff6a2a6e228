//! Targets and host names as SOCKS5 encodes them.

use std::net::IpAddr;

use crate::error::{InvalidInput, Result};
use crate::names::{OnionAddress, Target};

/// A text of 1 to 255 bytes without control characters, the limit of SOCKS5 strings.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ShortText {
    text: Box<str>,
    length: u8,
}

impl ShortText {
    pub(super) fn new(argument: &'static str, text: &str) -> Result<Self, InvalidInput> {
        let length = match u8::try_from(text.len()) {
            Ok(length) if length > 0 => length,
            _ => return Err(InvalidInput::new(argument, "must have 1 to 255 bytes")),
        };
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(InvalidInput::new(
                argument,
                "must not contain NUL, line breaks or other control characters",
            ));
        }
        Ok(Self { text: text.into(), length })
    }

    pub(super) fn length(&self) -> u8 {
        self.length
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// A host name, or an address.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(ShortText),
}

impl Host {
    /// Reads a host; an IPv6 address may stand in brackets.
    pub(super) fn new(argument: &'static str, text: &str) -> Result<Self, InvalidInput> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse() {
            return Ok(Self::Ip(address));
        }
        let name = ShortText::new(argument, text)?;
        let refuse = |problem: &'static str| Err(InvalidInput::new(argument, problem));
        if !text.is_ascii() {
            return refuse("must be ASCII: an international name is written with xn--");
        }
        if text.bytes().any(|byte| matches!(byte, b' ' | b':' | b'[' | b']' | b'%' | b'/')) {
            return refuse("must be a host name or an address");
        }
        check_onion(argument, text)?;
        Ok(Self::Name(name))
    }
}

/// Refuses a mistyped onion address, for which tor reports a general failure after some seconds.
/// Labels before the address, as in `www.address.onion`, are not checked.
fn check_onion(argument: &'static str, name: &str) -> Result<(), InvalidInput> {
    let mut labels = name.rsplit('.');
    if !labels.next().is_some_and(|last| last.eq_ignore_ascii_case("onion")) {
        return Ok(());
    }
    match labels.next().unwrap_or_default().parse::<OnionAddress>() {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(InvalidInput::new(argument, format!("the onion address {}", error.problem())))
        }
    }
}

/// Splits a target into host and port.
pub(super) fn host_and_port(target: &Target) -> Result<(Host, u16), InvalidInput> {
    match target.port() {
        Some(port @ 1..) => Ok((Host::new("target", target.host())?, port)),
        Some(0) => Err(InvalidInput::new("target", "must not have port 0")),
        None => Err(InvalidInput::new("target", "must be host:port")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, host_and_port};
    use crate::names::Target;

    const ONION: &str = "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion";

    fn problem(target: &str) -> String {
        let target = Target::from_bytes(target.as_bytes());
        host_and_port(&target).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn names_and_addresses_are_distinguished() {
        for (text, is_address) in [
            ("127.0.0.1:80", true),
            ("[2001:db8::1]:80", true),
            ("example.com:80", false),
            ("example.com.:80", false),
            ("under_score.example:80", false),
            ("1.2.3:80", false),
        ] {
            let target: Target = text.parse().unwrap();
            let (host, port) = host_and_port(&target).unwrap();
            assert_eq!((matches!(host, Host::Ip(_)), port), (is_address, 80), "{text}");
        }
        for host in ["::1", "[::1]"] {
            assert!(matches!(Host::new("name", host), Ok(Host::Ip(_))), "{host}");
        }
    }

    #[test]
    fn targets_that_tor_could_not_reach_are_refused() {
        let name = "must be a host name or an address";
        for (target, expected) in [
            (format!("{}:80", "a".repeat(256)), "must have 1 to 255 bytes"),
            (":80".to_owned(), "must have 1 to 255 bytes"),
            ("a\0b:80".to_owned(), "must not contain NUL, line breaks or other control characters"),
            (
                "a\r\nb:80".to_owned(),
                "must not contain NUL, line breaks or other control characters",
            ),
            (
                "caf\u{e9}.example:80".to_owned(),
                "must be ASCII: an international name is written with xn--",
            ),
            ("a b:80".to_owned(), name),
            ("[fe80::1%2]:80".to_owned(), name),
            ("http://a.example:80".to_owned(), name),
            ("a.example:0".to_owned(), "must not have port 0"),
            ("a.example".to_owned(), "must be host:port"),
            ("unix:/run/socket".to_owned(), "must be host:port"),
            ("abc.onion:80".to_owned(), "the onion address must have 56 characters before .onion"),
            (
                "expyuzz4wqqyqhjn.onion:80".to_owned(),
                "the onion address is of version 2, which tor no longer supports",
            ),
            (
                format!("{}:80", ONION.replace("duckduck", "duckduch")),
                "the onion address has a wrong checksum: a character is wrong",
            ),
        ] {
            assert_eq!(
                problem(&target),
                format!("invalid argument \"target\": {expected}"),
                "{target:?}"
            );
        }
        let longest = Target::from_bytes(format!("{}:80", "a".repeat(255)).as_bytes());
        assert!(host_and_port(&longest).is_ok());
    }

    #[test]
    fn onion_addresses_may_have_subdomains() {
        for target in [format!("{ONION}:80"), format!("www.{}:80", ONION.to_uppercase())] {
            assert!(host_and_port(&target.parse().unwrap()).is_ok(), "{target}");
        }
    }
}
