//! Options from the environment, and the usual endpoints.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use super::ConnectOptions;
use crate::auth::Password;
use crate::error::{InvalidInput, Result};
use crate::link::{Endpoint, Lookup, env_value};
use crate::wire::quoted::read_cstring;

/// The usual endpoints of a control port, in the order in which they are tried.
const USUAL_ENDPOINTS: [&str; 6] = [
    "unix:/run/tor/control",
    "unix:/var/run/tor/control",
    "unix:/var/run/tor/control-sock",
    "127.0.0.1:9051",
    "127.0.0.1:9151",
    "127.0.0.1:951",
];

/// The variables of the authentication.
const PASSWORD: &str = "TOR_CONTROL_PASSWD";
const COOKIE_FILE: &str = "TOR_CONTROL_COOKIE_AUTH_FILE";

impl ConnectOptions {
    /// Creates options from the environment variables that Tor Browser and the programs beside it
    /// use for a tor that runs already.
    ///
    /// | variable | option |
    /// | --- | --- |
    /// | `TOR_CONTROL_IPC_PATH` | the unix socket to which [`connect_default`](Self::connect_default) connects |
    /// | `TOR_CONTROL_HOST`, `TOR_CONTROL_PORT` | the TCP port, if no unix socket is given; 127.0.0.1 or 9151 if only the other is set |
    /// | `TOR_CONTROL_PASSWD` | the [`password`](Self::password): a string in double quotes (`'"secret"'` in a shell), or an even number of hexadecimal digits |
    /// | `TOR_CONTROL_COOKIE_AUTH_FILE` | the [`cookie_file`](Self::cookie_file), unless there is a password |
    /// | `TOR_SOCKS_IPC_PATH`, `TOR_SOCKS_HOST`, `TOR_SOCKS_PORT` | the [`socks_port`](Self::socks_port), likewise; 127.0.0.1 or 9150 if only the other is set |
    ///
    /// A variable that is not set or empty changes nothing: without any, these are the default
    /// options. Whonix and Tails set these variables for Tor Browser, which reads them in its
    /// modules `TorProvider` and `TorLauncherUtil`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) with the name of a variable whose value
    /// is not valid. Tor Browser ignores such a value; a program that did would connect to
    /// another tor.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::ConnectOptions;
    ///
    /// // TOR_CONTROL_PORT=9051 TOR_CONTROL_PASSWD='"secret"' my-program
    /// let controller = ConnectOptions::from_env()?.connect_default()?;
    /// println!("tor {}", controller.version());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "TOR_CONTROL_IPC_PATH")]
    #[doc(alias = "TOR_CONTROL_HOST")]
    #[doc(alias = "TOR_CONTROL_PORT")]
    #[doc(alias = "TOR_CONTROL_PASSWD")]
    #[doc(alias = "TOR_CONTROL_COOKIE_AUTH_FILE")]
    pub fn from_env() -> Result<Self> {
        Ok(Self::from_variables(&|name| env::var_os(name))?)
    }

    fn from_variables(lookup: Lookup<'_>) -> Result<Self, InvalidInput> {
        let mut options = Self::new();
        options.endpoint = Endpoint::control_from_env(lookup)?;
        options.socks = Endpoint::socks_from_env(lookup)?.map(Ok);
        if let Some(password) = env_value(lookup, PASSWORD) {
            return Ok(options.password(read_password(&Zeroizing::new(password.into_vec()))?));
        }
        Ok(match env_value(lookup, COOKIE_FILE) {
            Some(path) => options.cookie_file(path),
            None => options,
        })
    }

    /// Returns the endpoints that [`connect_default`](Self::connect_default) tries, in order: the
    /// one of the environment, if [`from_env`](Self::from_env) found one, or else the usual ones.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::{ConnectOptions, Supervisor};
    ///
    /// let options = ConnectOptions::from_env()?;
    /// let supervisor = Supervisor::connect(options.default_endpoints(), options)?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn default_endpoints(&self) -> Vec<Endpoint> {
        if let Some(endpoint) = &self.endpoint {
            return vec![endpoint.clone()];
        }
        // On most systems both are the same directory.
        let real = |directory| fs::canonicalize(directory).ok();
        let is_one = real("/run").is_some_and(|run| real("/var/run") == Some(run));
        let usual =
            USUAL_ENDPOINTS.iter().filter(|text| !is_one || **text != "unix:/var/run/tor/control");
        usual.filter_map(|text| text.parse().ok()).collect()
    }
}

/// Reads a password as Tor Browser does. Without quotes it would be unclear whether `1234` is text
/// or two bytes.
fn read_password(text: &[u8]) -> Result<Password, InvalidInput> {
    if let Some((password, b"")) = read_cstring(text) {
        let password = Zeroizing::new(password.into_owned());
        return Ok(Password::from(password.as_slice()));
    }
    match HEXLOWER_PERMISSIVE.decode(text) {
        Ok(password) => Ok(Password::from(password)),
        Err(_) => {
            let problem = "the environment variable is neither text in double quotes nor an even \
                           number of hexadecimal digits";
            Err(InvalidInput::new(PASSWORD, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::Duration;

    use super::ConnectOptions;
    use crate::auth::CookieSource;

    fn options(set: &[(&str, &str)]) -> Result<ConnectOptions, String> {
        let lookup = |name: &str| {
            let found = set.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        };
        ConnectOptions::from_variables(&lookup).map_err(|error| error.to_string())
    }

    fn password(text: &str) -> Result<Option<Vec<u8>>, String> {
        let options = options(&[("TOR_CONTROL_PASSWD", text)])?;
        let password = options.password.password(Duration::from_secs(1), || Ok(())).unwrap();
        Ok(password.map(|password| password.as_bytes().to_vec()))
    }

    #[test]
    fn the_password_is_read_as_by_tor_browser() {
        for (text, expected) in [
            ("\"secret\"", "secret"),
            ("\"a \\\"b\\\" \\\\ \\x41\"", "a \"b\" \\ A"),
            ("\"\"", ""),
            ("666f6F", "foo"),
        ] {
            assert_eq!(password(text), Ok(Some(expected.into())), "{text}");
        }
        assert_eq!(password(""), Ok(None));
        let problem = "invalid argument \"TOR_CONTROL_PASSWD\": the environment variable is \
                       neither text in double quotes nor an even number of hexadecimal digits";
        for text in ["secret", "abc", "\"secret", "\"secret\" ", "'secret'"] {
            assert_eq!(password(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_password_takes_precedence_over_the_cookie_file() {
        let cookie = ("TOR_CONTROL_COOKIE_AUTH_FILE", "/run/cookie");
        let with = options(&[cookie]).unwrap();
        assert!(matches!(&with.cookie, CookieSource::File(path) if path.ends_with("cookie")));
        let without = options(&[cookie, ("TOR_CONTROL_PASSWD", "\"x\"")]).unwrap();
        assert!(matches!(without.cookie, CookieSource::NamedByTor), "{:?}", without.cookie);
        assert!(!format!("{without:?}").contains("\"x\""), "{without:?}");
    }

    #[test]
    fn the_endpoint_of_the_environment_is_the_only_default() {
        let options = options(&[("TOR_CONTROL_PORT", "1"), ("TOR_SOCKS_PORT", "2")]).unwrap();
        let shown: Vec<_> = options.default_endpoints().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:1"]);
        assert_eq!(options.socks.unwrap().unwrap().to_string(), "127.0.0.1:2");
        let usual = ConnectOptions::new().default_endpoints();
        assert!(usual.len() >= 5, "{usual:?}");
    }
}
