//! The arguments of the program.

use std::ffi::OsString;

pub(crate) const USAGE: &str = "\
usage: prompt [ENDPOINT]
       prompt --private-network

Sends commands to the control port of a running tor, and shows its replies and events.

  ENDPOINT            host:port or unix:/path; the default is the endpoint of the environment,
                      or else the first tor at the usual endpoints, such as
                      unix:/run/tor/control and 127.0.0.1:9051
  --private-network   launches a private network on this machine and a tor on it; needs the
                      programs tor and tor-gencert, and no internet
  --help              shows this text

The environment may name a tor as for other programs: TOR_CONTROL_HOST, TOR_CONTROL_PORT or
TOR_CONTROL_IPC_PATH, and TOR_CONTROL_COOKIE_AUTH_FILE or TOR_CONTROL_PASSWD, a password in double
quotes: TOR_CONTROL_PASSWD='\"secret\"'. If tor needs a password that is not given, it is asked for.

If the standard input is not a terminal, it is read as one command a line. The exit status is 1 if
tor refuses a command or the connection is lost.";

/// The tor to which the prompt connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// The first tor at the usual endpoints.
    Default,
    Endpoint(String),
    PrivateNetwork,
}

impl Arguments {
    /// Reads the arguments behind the name of the program. `None` is a request for help.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Self>, String> {
        let mut read = Self::Default;
        for argument in arguments {
            let argument =
                argument.into_string().map_err(|raw| format!("{raw:?} is not valid text"))?;
            let next = match argument.as_str() {
                "--help" | "-h" => return Ok(None),
                "--private-network" => Self::PrivateNetwork,
                option if option.starts_with('-') => {
                    return Err(format!("unknown argument {option:?}"));
                }
                "" => return Err("the endpoint is empty".to_owned()),
                _ => Self::Endpoint(argument),
            };
            if read != Self::Default {
                return Err("more than one tor is given".to_owned());
            }
            read = next;
        }
        Ok(Some(read))
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn read(arguments: &[&str]) -> Result<Option<Arguments>, String> {
        Arguments::read(arguments.iter().map(Into::into))
    }

    #[test]
    fn one_tor_is_read() {
        assert_eq!(read(&[]), Ok(Some(Arguments::Default)));
        assert_eq!(read(&["[::1]:9051"]), Ok(Some(Arguments::Endpoint("[::1]:9051".to_owned()))));
        assert_eq!(read(&["--private-network"]), Ok(Some(Arguments::PrivateNetwork)));
        assert_eq!(read(&["localhost:9051", "--help"]), Ok(None));
    }

    #[test]
    fn unknown_and_contradictory_arguments_are_refused() {
        assert_eq!(read(&["--verbose"]).unwrap_err(), "unknown argument \"--verbose\"");
        assert_eq!(read(&["a:1", "b:2"]).unwrap_err(), "more than one tor is given");
        assert!(read(&["--private-network", "a:1"]).is_err());
        assert!(read(&[""]).is_err());
    }
}
