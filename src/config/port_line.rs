//! The value of a `HiddenServicePort` line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::names::{OnionPort, PortTarget};
use crate::wire::quoted::decode_value;
use crate::wire::torrc::quoted_unix_path;

/// Returns the value of the line: `80`, `80 127.0.0.1:8080` or `80 unix:/path`. A path is quoted
/// if it needs quotes: without them tor ends it at the first blank.
pub(crate) fn port_value(port: &OnionPort) -> Vec<u8> {
    let virtual_port = port.virtual_port();
    match port.target() {
        None => virtual_port.to_string().into_bytes(),
        Some(PortTarget::Unix(path)) => {
            let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
            let bytes = path.as_os_str().as_bytes();
            let target = match bytes.iter().all(is_plain) {
                true => [b"unix:", bytes].concat(),
                false => quoted_unix_path(path),
            };
            [format!("{virtual_port} ").as_bytes(), &target].concat()
        }
        Some(target) => format!("{virtual_port} {target}").into_bytes(),
    }
}

/// Parses a value that tor has accepted. tor accepts more forms than [`OnionPort`] parses from
/// text: blanks before and between, signs before numbers, and unix sockets at any path.
pub(super) fn parse_port(value: &[u8]) -> Option<OnionPort> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (port, target) = value.split_at_checked(end)?;
    let number = |text: &[u8]| -> Option<u16> {
        let digits = text.strip_prefix(b"+").unwrap_or(text);
        let text = std::str::from_utf8(digits).ok()?;
        text.parse().ok().filter(|port| *port != 0 && text.starts_with(|c: char| c != '+'))
    };
    let virtual_port = number(port)?;
    let target = target.trim_ascii();
    if target.is_empty() {
        return Some(OnionPort::same(virtual_port));
    }
    if let Some(path) = target.strip_prefix(b"unix:") {
        let path = decode_value(path);
        return Some(OnionPort::new(virtual_port, Path::new(OsStr::from_bytes(&path))));
    }
    let target = match number(target) {
        Some(port) => PortTarget::Port(port),
        None => std::str::from_utf8(target).ok()?.parse().ok()?,
    };
    Some(OnionPort::new(virtual_port, target))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{parse_port, port_value};
    use crate::names::OnionPort;

    #[test]
    fn a_path_with_blanks_is_quoted() {
        for (path, value) in [
            ("/srv/x.sock", "80 unix:/srv/x.sock"),
            ("/srv/a b", "80 unix:\"/srv/a b\""),
            ("/srv/\"q\" \\", "80 unix:\"/srv/\\\"q\\\" \\\\\""),
        ] {
            let port = OnionPort::new(80, Path::new(path));
            assert_eq!(String::from_utf8(port_value(&port)).unwrap(), value);
            assert_eq!(parse_port(value.as_bytes()), Some(port));
        }
        assert_eq!(parse_port(b"x"), None);
    }
}
