//! The arguments of the program.

use std::time::Duration;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
A terminal monitor for tor.

usage: monitor [ENDPOINT] [--for SECONDS]
       monitor --private-network [--for SECONDS]

  ENDPOINT            the control port: host:port or unix:/path; by default the
                      first of the usual endpoints where a tor answers
  --private-network   starts a private Tor network on this machine, and monitors
                      a tor in it that makes some traffic
  --for SECONDS       ends after this time
  --help              prints this text

A password is read from TOR_CONTROL_PASSWD, in double quotes ('\"secret\"' in a
shell). Without ENDPOINT, TOR_CONTROL_HOST and TOR_CONTROL_PORT, or
TOR_CONTROL_IPC_PATH, name the control port. NO_COLOR turns colors off. If
the output is not a terminal, one summary is printed, or with --for one line per
second. The exit status is 0 if tor was reachable at the end.
";

/// The task that the arguments name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Help,
    Monitor(Arguments),
}

/// The arguments of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The control port; `None` for the usual endpoints.
    pub(crate) endpoint: Option<String>,
    pub(crate) private_network: bool,
    /// The time after which the program ends.
    pub(crate) time: Option<Duration>,
}

impl Call {
    /// Reads the arguments without the name of the program.
    pub(crate) fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut read = Arguments::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--private-network" => read.private_network = true,
                "--for" => {
                    let value = arguments.next().ok_or("--for needs a number of seconds")?;
                    let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
                    let seconds = seconds.ok_or_else(|| {
                        format!("--for needs a number of seconds above 0, not {value:?}")
                    })?;
                    read.time = Some(Duration::from_secs(seconds));
                }
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option:?}"));
                }
                _ if read.endpoint.is_some() => {
                    return Err(format!("unexpected argument {argument:?}"));
                }
                _ => read.endpoint = Some(argument),
            }
        }
        if read.private_network && read.endpoint.is_some() {
            return Err("an endpoint and --private-network exclude each other".to_owned());
        }
        Ok(Self::Monitor(read))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Arguments, Call};

    fn read(arguments: &[&str]) -> Result<Call, String> {
        Call::read(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn arguments_are_read() {
        assert_eq!(read(&[]), Ok(Call::Monitor(Arguments::default())));
        assert_eq!(read(&["127.0.0.1:9051", "--help"]), Ok(Call::Help));
        let endpoint = Some("unix:/run/tor/control".to_owned());
        let time = Some(Duration::from_secs(5));
        let expected = Arguments { endpoint, time, private_network: false };
        let call = read(&["--for", "5", "unix:/run/tor/control"]);
        assert_eq!(call, Ok(Call::Monitor(expected)));
        let expected = Arguments { private_network: true, ..Arguments::default() };
        assert_eq!(read(&["--private-network"]), Ok(Call::Monitor(expected)));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for (arguments, reason) in [
            (&["--fro", "5"][..], "unknown option \"--fro\""),
            (&["--for"], "--for needs a number of seconds"),
            (&["--for", "0"], "--for needs a number of seconds above 0, not \"0\""),
            (&["--for", "x"], "--for needs a number of seconds above 0, not \"x\""),
            (&["a", "b"], "unexpected argument \"b\""),
            (&["a", "--private-network"], "an endpoint and --private-network exclude each other"),
        ] {
            assert_eq!(read(arguments), Err(reason.to_owned()));
        }
    }
}
