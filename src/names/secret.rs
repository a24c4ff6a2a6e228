//! The table of secret options and keys, and the redaction of texts that may contain a secret.
//!
//! `Debug` of every type that holds text of tor or of a user, and every error that quotes such text,
//! uses this module.

use std::borrow::Cow;

/// The replacement of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Parts of the names of options and keys whose values are secret, in lower case. Where only a part
/// of a value is secret, as in a bridge line, the whole value is.
const NAMES: &[&str] = &[
    // HashedControlPassword, __HashedControlSessionPassword, Socks5ProxyPassword, SOCKS_PASSWORD.
    "password",
    // They separate the streams of one user from those of another, and identify the user.
    "socks_username",
    "socks5proxyusername",
    // HTTPProxyAuthenticator, HTTPSProxyAuthenticator.
    "authenticator",
    // Bridge: the address of a bridge, and the arguments of its transport.
    "bridge",
    // ClientTransportPlugin, ServerTransportPlugin, ServerTransportOptions.
    "transportplugin",
    "transportoptions",
    // PrivateKey of ADD_ONION.
    "privatekey",
    "secret",
    // HidServAuth and ClientAuth of older tors, ClientAuthV3.
    "hidservauth",
    "clientauth",
    "authorizeclient",
];

/// Names that have one of these parts and hold no secret, in lower case.
const NOT_SECRET: &[&str] = &[
    "bridgeauthoritativedir",
    "bridgedistribution",
    "bridgerecordusagebycountry",
    "bridgerelay",
    "clientonionauthdir",
    "reconfigdropsbridgedescs",
    "testingbridgebootstrapdownloadinitialdelay",
    "testingbridgedownloadinitialdelay",
    "updatebridgesfromauthority",
    "usebridges",
];

/// Prefixes of keys that stand without a name.
const KEYS: &[&[u8]] = &[b"x25519:", b"ED25519-V3:", b"RSA1024:"];

/// The prefix of a hashed control password, and the number of digits after it.
const HASH: (&[u8], usize) = (b"16:", 58);

/// How many characters of a name are examined; no option of tor has half as many.
const LONGEST_NAME: usize = 100;

/// Returns whether the value of this option, or of this key of a reply or an event, is secret.
pub(crate) fn is_secret<T: AsRef<[u8]> + ?Sized>(name: &T) -> bool {
    let name = name.as_ref();
    let end = name.get(name.len().saturating_sub(LONGEST_NAME)..).unwrap_or(name);
    let lower = String::from_utf8_lossy(end).to_ascii_lowercase();
    NAMES.iter().any(|part| lower.contains(part)) && !NOT_SECRET.contains(&&*lower)
}

/// Returns the text with every secret replaced, to the end of its line.
pub(crate) fn redact<T: AsRef<[u8]> + ?Sized>(text: &T) -> Cow<'_, [u8]> {
    let text = text.as_ref();
    let is_shown = |line: &[u8]| secret_at(line).is_none();
    if text.split(|byte| *byte == b'\n').all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match secret_at(line).and_then(|secret| line.get(..secret)) {
            Some(before) => {
                shown.extend_from_slice(before);
                shown.extend_from_slice(REDACTED.as_bytes());
                shown.extend(line.ends_with(b"\n").then_some(b'\n'));
            }
            None => shown.extend_from_slice(line),
        }
    }
    Cow::Owned(shown)
}

/// Returns where in a line its first secret begins.
fn secret_at(line: &[u8]) -> Option<usize> {
    let named = || {
        memchr::memchr_iter(b'=', line)
            .find(|end| is_secret(name_before(line, *end)))
            .map(|n| n + 1)
    };
    // A line of a configuration file.
    let configured = || {
        let end = memchr::memchr2(b' ', b'\t', line)?;
        let name = line.get(..end)?;
        (name.len() <= LONGEST_NAME && name == name_before(line, end) && is_secret(name))
            .then_some(end + 1)
    };
    let key = || {
        memchr::memchr_iter(b':', line).find_map(|colon| {
            let up_to = line.get(..=colon)?;
            let is_key = |key: &&[u8]| {
                let start = up_to.len().checked_sub(key.len());
                start
                    .and_then(|start| up_to.get(start..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(key))
            };
            let after = line.get(colon + 1..)?;
            let is_hash = up_to.ends_with(HASH.0)
                && after.get(..HASH.1).is_some_and(|hash| hash.iter().all(u8::is_ascii_hexdigit));
            (KEYS.iter().any(is_key) || is_hash).then_some(colon + 1)
        })
    };
    [named(), configured(), key()].into_iter().flatten().min()
}

/// Returns the name that ends where the `=` is.
fn name_before(line: &[u8], end: usize) -> &[u8] {
    let before = line.get(end.saturating_sub(LONGEST_NAME)..end).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = before.iter().rev().take_while(|byte| is_part(byte)).count();
    before.get(before.len() - length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{is_secret, redact};

    fn shown(text: &str) -> String {
        String::from_utf8(redact(text).into_owned()).unwrap()
    }

    #[test]
    fn options_and_keys_with_secrets_are_known_in_any_case() {
        for name in [
            "HashedControlPassword",
            "__HashedControlSessionPassword",
            "socks5proxypassword",
            "HTTPSProxyAuthenticator",
            "HTTPProxyAuthenticator",
            "Bridge",
            "ServerTransportOptions",
            "ClientTransportPlugin",
            "PrivateKey",
            "ClientAuthV3",
            "HiddenServiceAuthorizeClient",
            "SOCKS_PASSWORD",
            "SOCKS_USERNAME",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["SocksPort", "UseBridges", "BridgeRelay", "ClientOnionAuthDir", "", "PURPOSE"]
        {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_hidden_up_to_the_end_of_its_line() {
        for (text, expected) in [
            ("PrivateKey=ED25519-V3:abc", "PrivateKey=[redacted]"),
            ("250-PrivateKey=abc\r\n250 OK\r\n", "250-PrivateKey=[redacted]\n250 OK\r\n"),
            ("STREAM 1 NEW 0 a:1 SOCKS_PASSWORD=\"x y\" B=1", {
                "STREAM 1 NEW 0 a:1 SOCKS_PASSWORD=[redacted]"
            }),
            ("CONF_CHANGED\nBridge=1.2.3.4\nNickname=a", {
                "CONF_CHANGED\nBridge=[redacted]\nNickname=a"
            }),
            ("Bridge 1.2.3.4:1 cert=x\nNickname a", "Bridge [redacted]\nNickname a"),
            ("CLIENT addr x25519:abc", "CLIENT addr x25519:[redacted]"),
            ("SETCONF A=b socks5proxypassword=c", "SETCONF A=b socks5proxypassword=[redacted]"),
        ] {
            assert_eq!(shown(text), expected);
        }
        let hash = "16:872860B76453A77D60CA2BB8C1A7042072093276A3D701AD684053EC4C";
        assert_eq!(shown(&format!("got {hash}")), "got 16:[redacted]");
    }

    #[test]
    fn text_without_secrets_is_shown() {
        for text in ["", "SocksPort=9050 x=1", "UseBridges 1", "16:30:00", "no = here", "a:b"] {
            assert_eq!(shown(text), text);
        }
    }
}
