//! The file that tor writes for `ControlPortWriteToFile`.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::Endpoint;
use super::endpoint::parse_port;
use crate::error::{ConnectAttempt, ConnectError, ConnectProblem, Result};

/// How much of the file is read: more than a path of a unix socket for each of many listeners.
const LIMIT: u64 = 64 << 10;

impl Endpoint {
    /// Returns the control ports in the file that tor writes if its option
    /// `ControlPortWriteToFile` is set, in tor's order.
    ///
    /// tor chooses the port of `ControlPort auto`, and this file says which one. It has a line
    /// `PORT=127.0.0.1:42765` for each TCP port and `UNIX_PORT=/run/tor/control` for each unix
    /// socket. A port on every address of tor's machine, such as `0.0.0.0:9051`, is returned with
    /// the loopback address. tor writes the file while it starts, so it may be missing at first;
    /// one that was left by a tor that has ended names ports that are closed.
    /// [`ConnectOptions::connect_first`](crate::ConnectOptions::connect_first) connects to the
    /// first that answers.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`](crate::Error::Connect), with the path of the file as its address, if the
    /// file cannot be read or names no port.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{ConnectOptions, Endpoint};
    ///
    /// let endpoints = Endpoint::read_port_file("/run/my-program/control-port")?;
    /// let controller = ConnectOptions::new().connect_first(&endpoints)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "ControlPortFromFileContents")]
    #[doc(alias = "ControlPortWriteToFile")]
    #[doc(alias = "from_port_file")]
    pub fn read_port_file(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        read(path.as_ref(), OFlag::O_NONBLOCK)
    }

    /// Does the same for a file in a directory of another user: follows no link.
    pub(crate) fn read_untrusted_port_file(path: &Path) -> Result<Vec<Self>> {
        read(path, OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK)
    }
}

/// Reads the file without blocking, also if it is a pipe.
fn read(path: &Path, flags: OFlag) -> Result<Vec<Endpoint>> {
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    opened
        .and_then(|file| {
            let mut text = Vec::new();
            file.take(LIMIT).read_to_end(&mut text)?;
            match parse(&text) {
                endpoints if endpoints.is_empty() => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "the file names no port"))
                }
                endpoints => Ok(endpoints),
            }
        })
        .map_err(|error| {
            let address = path.display().to_string();
            let attempt = ConnectAttempt::new(&address, ConnectProblem::Io(Arc::new(error)));
            ConnectError::new(vec![attempt]).into()
        })
}

/// Skips lines that are neither form, and an incomplete last line: tor may be writing it.
fn parse(text: &[u8]) -> Vec<Endpoint> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.filter_map(|line| parse_line(line.strip_suffix(b"\n")?)).collect()
}

fn parse_line(line: &[u8]) -> Option<Endpoint> {
    if let Some(path) = line.strip_prefix(b"UNIX_PORT=") {
        let endpoint = Endpoint::unix(OsStr::from_bytes(path));
        return endpoint.check().is_ok().then_some(endpoint);
    }
    let address = std::str::from_utf8(line.strip_prefix(b"PORT=")?).ok()?;
    // tor writes IPv6 addresses without brackets: `PORT=::1:9051`.
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let ip: IpAddr = bare.unwrap_or(host).parse().ok()?;
    let mut address = SocketAddr::new(ip, parse_port(port).filter(|port| *port != 0)?);
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Endpoint, parse};

    #[test]
    fn every_listener_is_returned_in_the_order_of_the_file() {
        for (text, expected) in [
            ("", vec![]),
            ("PORT=127.0.0.1:42765\n", vec!["127.0.0.1:42765"]),
            (
                "UNIX_PORT=/run/a b=c/control\nPORT=::1:1\nPORT=10.0.0.7:2\nPORT=[::1]:3\n",
                vec!["unix:/run/a b=c/control", "[::1]:1", "10.0.0.7:2", "[::1]:3"],
            ),
            ("PORT=0.0.0.0:1\nPORT=:::2\n", vec!["127.0.0.1:1", "[::1]:2"]),
            ("NEW=1\nPORT=x\nUNIX_PORT=\nPORT=127.0.0.1:1\n", vec!["127.0.0.1:1"]),
            // Such a path would be refused before any other port is tried.
            ("UNIX_PORT=/a\0b\nPORT=127.0.0.1:0\nPORT=::1:+1\nPORT=::1:1\n", vec!["[::1]:1"]),
            // Half a line is not a port.
            ("PORT=127.0.0.1:1\nPORT=127.0.0.1:42", vec!["127.0.0.1:1"]),
        ] {
            let found: Vec<_> = parse(text.as_bytes()).iter().map(Endpoint::to_string).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_trusted_file_may_be_a_link_and_no_file_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "PORT=127.0.0.1:1\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(Endpoint::read_port_file(&link).unwrap().len(), 1);
        assert_eq!(Endpoint::read_untrusted_port_file(&file).unwrap().len(), 1);
        assert!(Endpoint::read_untrusted_port_file(&link).is_err());
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(
            Endpoint::read_port_file(&pipe).unwrap_err().to_string(),
            format!("cannot connect to {}: the file names no port", pipe.display())
        );
    }
}
