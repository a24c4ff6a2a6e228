//! Endpoints from the environment variables that Tor Browser defines.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::Endpoint;
use super::endpoint::parse_port;
use crate::error::InvalidInput;

/// Returns the value of an environment variable, such as [`std::env::var_os`].
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The variables of one endpoint.
struct EndpointVariables {
    path: &'static str,
    host: &'static str,
    port: &'static str,
    /// The port if only the host is set: that of Tor Browser.
    default_port: u16,
}

/// The variables of the control port.
const CONTROL_VARIABLES: EndpointVariables = EndpointVariables {
    path: "TOR_CONTROL_IPC_PATH",
    host: "TOR_CONTROL_HOST",
    port: "TOR_CONTROL_PORT",
    default_port: 9151,
};

/// The variables of the `SocksPort`.
const SOCKS_VARIABLES: EndpointVariables = EndpointVariables {
    path: "TOR_SOCKS_IPC_PATH",
    host: "TOR_SOCKS_HOST",
    port: "TOR_SOCKS_PORT",
    default_port: 9150,
};

impl Endpoint {
    /// Returns the control port that the environment names; `None` if it names none.
    pub(crate) fn control_from_env(lookup: Lookup<'_>) -> Result<Option<Self>, InvalidInput> {
        CONTROL_VARIABLES.endpoint(lookup)
    }

    /// Returns the `SocksPort` that the environment names; `None` if it names none.
    pub(crate) fn socks_from_env(lookup: Lookup<'_>) -> Result<Option<Self>, InvalidInput> {
        SOCKS_VARIABLES.endpoint(lookup)
    }
}

impl EndpointVariables {
    /// Returns the endpoint that the variables name; `None` if none of them is set. As in Tor
    /// Browser, a path takes precedence, and either host or port is enough.
    fn endpoint(&self, lookup: Lookup<'_>) -> Result<Option<Endpoint>, InvalidInput> {
        if let Some(path) = env_value(lookup, self.path) {
            return Ok(Some(Endpoint::unix(PathBuf::from(path))));
        }
        let host = text(lookup, self.host)?.map(|host| read_host(self.host, host)).transpose()?;
        let port = text(lookup, self.port)?.map(|port| read_port(self.port, &port)).transpose()?;
        if host.is_none() && port.is_none() {
            return Ok(None);
        }
        let port = port.unwrap_or(self.default_port);
        Ok(Some(match host {
            Some(host) => Endpoint::tcp(&host, port),
            None => Endpoint::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        }))
    }
}

/// Returns the value of a variable; one that is set to nothing counts as not set.
pub(crate) fn env_value(lookup: Lookup<'_>, name: &str) -> Option<OsString> {
    lookup(name).filter(|value| !value.is_empty())
}

/// Returns the value of a variable as text.
fn text(lookup: Lookup<'_>, name: &'static str) -> Result<Option<String>, InvalidInput> {
    let invalid = |_| InvalidInput::new(name, "the environment variable is not UTF-8");
    env_value(lookup, name).map(|value| value.into_string().map_err(invalid)).transpose()
}

fn read_host(name: &'static str, host: String) -> Result<String, InvalidInput> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(address) = bare.filter(|host| host.parse::<IpAddr>().is_ok()) {
        return Ok(address.to_owned());
    }
    Endpoint::tcp(&host, 0).check().map_err(|_| {
        InvalidInput::new(name, "the environment variable is neither a host name nor an address")
    })?;
    Ok(host)
}

fn read_port(name: &'static str, port: &str) -> Result<u16, InvalidInput> {
    match parse_port(port) {
        Some(port @ 1..) => Ok(port),
        _ => {
            let problem = "the environment variable is not a port number from 1 to 65535";
            Err(InvalidInput::new(name, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::{CONTROL_VARIABLES, SOCKS_VARIABLES};

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn shown(variables: &super::EndpointVariables, set: Variables<'_>) -> String {
        let lookup = |name: &str| {
            let found = set.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        };
        match variables.endpoint(&lookup) {
            Ok(Some(endpoint)) => endpoint.to_string(),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_path_takes_precedence_and_host_or_port_is_enough() {
        let control: [(Variables<'_>, &str); 9] = [
            (&[], "none"),
            (&[("TOR_CONTROL_PORT", ""), ("TOR_CONTROL_HOST", "")], "none"),
            (&[("TOR_CONTROL_PORT", "9051")], "127.0.0.1:9051"),
            (&[("TOR_CONTROL_HOST", "10.0.0.7")], "10.0.0.7:9151"),
            (&[("TOR_CONTROL_HOST", "tor.local"), ("TOR_CONTROL_PORT", "1")], "tor.local:1"),
            (&[("TOR_CONTROL_HOST", "::1"), ("TOR_CONTROL_PORT", "1")], "[::1]:1"),
            (&[("TOR_CONTROL_HOST", "[::1]"), ("TOR_CONTROL_PORT", "1")], "[::1]:1"),
            (&[("TOR_CONTROL_IPC_PATH", "/a b"), ("TOR_CONTROL_PORT", "no")], "unix:/a b"),
            (&[("TOR_SOCKS_PORT", "9050")], "none"),
        ];
        for (set, expected) in control {
            assert_eq!(shown(&CONTROL_VARIABLES, set), expected, "{set:?}");
        }
        let socks: [(Variables<'_>, &str); 4] = [
            (&[("TOR_SOCKS_HOST", "10.152.152.10")], "10.152.152.10:9150"),
            (&[("TOR_SOCKS_PORT", "9050")], "127.0.0.1:9050"),
            (&[("TOR_SOCKS_IPC_PATH", "/run/socks")], "unix:/run/socks"),
            (&[("TOR_CONTROL_PORT", "9051")], "none"),
        ];
        for (set, expected) in socks {
            assert_eq!(shown(&SOCKS_VARIABLES, set), expected, "{set:?}");
        }
    }

    #[test]
    fn an_invalid_variable_is_named_in_the_error() {
        let port = "the environment variable is not a port number from 1 to 65535";
        let host = "the environment variable is neither a host name nor an address";
        for (name, value, problem) in [
            ("TOR_CONTROL_PORT", "0", port),
            ("TOR_CONTROL_PORT", "65536", port),
            ("TOR_CONTROL_PORT", "9051 ", port),
            ("TOR_CONTROL_PORT", "+1", port),
            ("TOR_CONTROL_PORT", "auto", port),
            ("TOR_CONTROL_HOST", "a b", host),
            ("TOR_CONTROL_HOST", "127.0.0.1:9051", host),
            ("TOR_CONTROL_HOST", "[tor]", host),
        ] {
            let expected = format!("invalid argument \"{name}\": {problem}");
            assert_eq!(shown(&CONTROL_VARIABLES, &[(name, value)]), expected, "{value:?}");
        }
        let lookup = |name: &str| {
            (name == "TOR_SOCKS_HOST").then(|| OsString::from_vec(b"caf\xe9".to_vec()))
        };
        assert_eq!(
            SOCKS_VARIABLES.endpoint(&lookup).unwrap_err().to_string(),
            "invalid argument \"TOR_SOCKS_HOST\": the environment variable is not UTF-8"
        );
    }
}
