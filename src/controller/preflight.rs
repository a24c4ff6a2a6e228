//! Checks of commands that would make tor exit or abort instead of refusing them.
//!
//! Every command of a connection passes this check. The table [`FATAL_OPTIONS`] was found by
//! setting every option of tor 0.4.9.11 to odd values, and every option that names a file to odd
//! files; 0.4.8.14 and 0.4.9.15 have no others.

mod paths;
mod policy;

use std::time::Instant;

use self::paths::FatalPath;
use super::{Controller, if_allowed};
use crate::clock;
use crate::error::{Error, InvalidInput, Result};
use crate::link::timeout;
use crate::names::{TorFeature, starts_without_case};
use crate::wire::Request;
use crate::wire::fields::Fields;
use crate::wire::torrc::read_options;

/// An option with values that make tor exit or abort.
struct FatalOption {
    name: &'static str,
    /// The length of the shortest abbreviation that means this option and no other of the table.
    shortest: usize,
    values: FatalValues,
}

enum FatalValues {
    /// Paths, depending on the file there.
    Path(FatalPath),
    /// Texts for which the function returns the problem.
    Text(fn(&[u8]) -> Option<&'static str>),
    /// Everything but `0`, if tor runs with `Sandbox 1` and the option is off.
    Sandboxed,
}

const fn fatal(name: &'static str, shortest: usize, values: FatalValues) -> FatalOption {
    FatalOption { name, shortest, values }
}

const FATAL_OPTIONS: [FatalOption; 19] = [
    // tor creates these files after it has dropped its former configuration, and exits if it cannot.
    fatal("HiddenServiceDir", 11, FatalValues::Path(FatalPath::Directory)),
    fatal("CookieAuthFile", 11, FatalValues::Path(FatalPath::File)),
    fatal("ExtORPortCookieAuthFile", "ExtORPortC".len(), FatalValues::Path(FatalPath::File)),
    // A relay exits if it cannot read the configuration of its DNS resolver.
    fatal("ServerDNSResolvConfFile", 11, FatalValues::Path(FatalPath::Readable)),
    // tor opens these without checking their type.
    fatal("ClientOnionAuthDir", "ClientO".len(), FatalValues::Path(FatalPath::Open)),
    fatal("DirPortFrontPage", 8, FatalValues::Path(FatalPath::Open)),
    fatal("GeoIPFile", 6, FatalValues::Path(FatalPath::Open)),
    fatal("GeoIPv6File", 6, FatalValues::Path(FatalPath::Open)),
    // tor writes a file for these when they are switched on, which its sandbox forbids. It writes none
    // if the option is on already.
    fatal("CookieAuthentication", "CookieAuthe".len(), FatalValues::Sandboxed),
    fatal("ExtORPort", "ExtO".len(), FatalValues::Sandboxed),
    // Unlike other policies, parsed only after the options were accepted.
    fatal("MetricsPortPolicy", "MetricsPortP".len(), FatalValues::Text(policy::problem)),
    // tor compares versions without checking that there is one.
    fatal("MinimalAcceptedServerVersion", 3, FatalValues::Text(empty)),
    // tor parses "nan" as a number of bytes, and an assertion fails when it prints it. Other options
    // of this type have bounds, which refuse it.
    fatal("AccountingMax", 3, FatalValues::Text(not_a_number)),
    fatal("ConstrainedSockSize", 3, FatalValues::Text(not_a_number)),
    fatal("MaxHSDirCacheBytes", 3, FatalValues::Text(not_a_number)),
    fatal("MaxMemInQueues", 3, FatalValues::Text(not_a_number)),
    fatal("MaxUnparseableDescSizeToLog", 3, FatalValues::Text(not_a_number)),
    fatal("TestingMinExitFlagThreshold", 3, FatalValues::Text(not_a_number)),
    fatal("TestingMinFastFlagThreshold", 3, FatalValues::Text(not_a_number)),
];

impl Controller {
    /// Refuses a `SETCONF`, `RESETCONF`, `LOADCONF`, `HSFETCH` or `SETCIRCUITPURPOSE` that would make
    /// tor exit or abort.
    ///
    /// A path is refused only if tor is proved to see the same files
    /// ([`path_view`](Self::path_view)); otherwise a warning is logged. Relative paths are not
    /// checked, since only tor knows its working directory.
    pub(in crate::controller) fn preflight(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<()> {
        match request.keyword() {
            "HSFETCH" => return self.with_deadline(deadline).refuse_unlisted_servers(request),
            // tor before 0.4.9.13 crashes.
            "SETCIRCUITPURPOSE" if request.arguments().trim_ascii().is_empty() => {
                return Err(InvalidInput::new("SETCIRCUITPURPOSE", "needs a circuit").into());
            }
            _ => {}
        }
        let settings = settings(request);
        if settings.is_empty() {
            return Ok(());
        }
        let within = self.with_deadline(deadline);
        for (option, value) in settings {
            match &option.values {
                FatalValues::Path(fatal) => within.refuse_path(option.name, *fatal, &value)?,
                FatalValues::Text(problem) => {
                    if let Some(problem) = problem(&value) {
                        return Err(InvalidInput::new(option.name, problem).into());
                    }
                }
                FatalValues::Sandboxed => {
                    let is_off = matches!(&value[..], b"" | b"0");
                    if !is_off && within.has_sandbox()? && !within.is_on(option.name)? {
                        let problem = "needs a new file, and this tor with Sandbox 1 would exit";
                        return Err(InvalidInput::new(option.name, problem).into());
                    }
                }
            }
        }
        // A query that was not answered in time has checked nothing.
        match clock::has_passed(deadline) {
            true => Err(timeout(request.keyword(), self.timeout()).into()),
            false => Ok(()),
        }
    }

    /// Returns whether tor runs in its sandbox, in which it may open only the files that were configured
    /// when it started; `false` if a filter refuses the query.
    pub(crate) fn has_sandbox(&self) -> Result<bool> {
        self.is_on("Sandbox")
    }

    /// Returns whether an option has a value other than `0`; `false` if a filter refuses the query.
    fn is_on(&self, option: &str) -> Result<bool> {
        let conf = if_allowed(self.get_conf([option]))?;
        let value = conf.as_ref().and_then(|conf| conf.get(option)?.first());
        Ok(value.is_some_and(|value| value != "0"))
    }

    /// Refuses an `HSFETCH` from a relay outside the consensus if tor would abort on it.
    fn refuse_unlisted_servers(&self, request: &Request) -> Result<()> {
        if TorFeature::HsFetchRefusesUnlisted.is_in(self.version()) {
            return Ok(());
        }
        for field in Fields::new(request.arguments()) {
            let server = field.value.bytes();
            let server = server.strip_prefix(b"$").unwrap_or(&server);
            // A nickname may follow.
            let Some(fingerprint) =
                server.get(..40).filter(|_| field.key.eq_ignore_ascii_case(b"SERVER"))
            else {
                continue;
            };
            let fingerprint = String::from_utf8_lossy(fingerprint);
            // For such a relay, the value is empty while tor has no consensus; with one, tor refuses
            // the key. A refusal by a filter proves nothing.
            let is_listed = match self.get_info_one(&format!("ns/id/{fingerprint}")) {
                Ok(entry) => !entry.trim().is_empty(),
                Err(Error::Rejected(rejection)) => rejection.is_filtered(),
                Err(error) => return Err(error),
            };
            if !is_listed {
                let problem = format!(
                    "{fingerprint} is not in the consensus, and this version of tor would abort"
                );
                return Err(InvalidInput::new("server", problem).into());
            }
        }
        Ok(())
    }
}

/// Returns the options of a request that are in the table, with their values.
fn settings(request: &Request) -> Vec<(&'static FatalOption, Vec<u8>)> {
    match request.keyword() {
        "SETCONF" | "RESETCONF" => in_settings(request.arguments(), request.keyword()),
        "LOADCONF" => in_torrc(&request.data_text()),
        _ => Vec::new(),
    }
}

fn in_settings(arguments: &[u8], keyword: &str) -> Vec<(&'static FatalOption, Vec<u8>)> {
    let fields = Fields::new(arguments).filter_map(|field| {
        if !field.key.is_empty() {
            // The value of any other option may be secret, and is not copied.
            let option = find(field.key)?;
            return Some((option, field.value.bytes().into_owned()));
        }
        let value = field.value.bytes();
        // Without a value, `SETCONF` clears the option, and `RESETCONF` sets its default.
        let option = find(&value).filter(|_| keyword == "SETCONF")?;
        Some((option, Vec::new()))
    });
    fields.collect()
}

fn in_torrc(text: &[u8]) -> Vec<(&'static FatalOption, Vec<u8>)> {
    let options = read_options(text, |name| find(name).is_some()).into_iter();
    options.filter_map(|(name, value)| Some((find(name)?, value.into_owned()))).collect()
}

/// Finds an option by its name, or by an abbreviation as tor accepts it.
fn find(name: &[u8]) -> Option<&'static FatalOption> {
    let is_meant = |option: &&FatalOption| {
        name.len() >= option.shortest && starts_without_case(option.name, name)
    };
    FATAL_OPTIONS.iter().find(is_meant)
}

fn empty(value: &[u8]) -> Option<&'static str> {
    value.is_empty().then_some("is empty, and tor would abort")
}

fn not_a_number(value: &[u8]) -> Option<&'static str> {
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    starts_without_case(value, "nan").then_some("is not a number, and tor would abort")
}

#[cfg(test)]
mod tests {
    use super::{FatalOption, FatalValues, in_settings, in_torrc};

    fn service(path: &str) -> Vec<(&'static str, String)> {
        vec![("HiddenServiceDir", path.to_owned())]
    }

    fn named(settings: Vec<(&'static FatalOption, Vec<u8>)>) -> Vec<(&'static str, String)> {
        let text = |(option, value): (&FatalOption, Vec<u8>)| {
            (option.name, String::from_utf8_lossy(&value).into_owned())
        };
        settings.into_iter().map(text).collect()
    }

    #[test]
    fn a_directory_is_found_however_its_option_is_spelled() {
        for arguments in [
            r#"HiddenServiceDir="/x/a/b" HiddenServicePort="80""#,
            r#"ContactInfo="/y" hiddenservicedir=/x/a/b"#,
            r#"HiddenServiceDi="/x\057a/b""#,
        ] {
            let found = named(in_settings(arguments.as_bytes(), "SETCONF"));
            assert_eq!(found, service("/x/a/b"), "{arguments}");
        }
        for text in [
            "  HiddenServiceDir /x/a/b",
            "hiddenservicedir \"/x/a\\057b\"",
            "HiddenServiceDir /x/\\\n# a comment\na/b",
            "+HiddenServiceDir /x/a/b",
        ] {
            assert_eq!(named(in_torrc(text.as_bytes())), service("/x/a/b"), "{text}");
        }
    }

    #[test]
    fn other_options_and_comments_name_no_directory() {
        let none: [(&str, String); 0] = [];
        assert_eq!(named(in_settings(b"ContactInfo=\"/x/a/b\"", "SETCONF")), none);
        // The comment was taken for the path.
        let text = b"# HiddenServiceDir /x/a/b\nContactInfo a # HiddenServiceDir /x";
        assert_eq!(named(in_torrc(text)), none);
        let text = b"HiddenServiceDir /srv # moved from /x/a/b";
        assert_eq!(named(in_torrc(text)), service("/srv"));
        assert_eq!(named(in_torrc(b"HiddenServiceDir # /x/a/b")), service(""));
        // Another option that begins alike.
        assert_eq!(named(in_settings(b"MetricsPort=127.0.0.1:9035", "SETCONF")), none);
    }

    #[test]
    fn a_text_that_makes_tor_exit_is_found() {
        let problem = |arguments: &str, keyword: &str| {
            let found = in_settings(arguments.as_bytes(), keyword);
            found.into_iter().find_map(|(option, value)| match option.values {
                FatalValues::Text(problem) => problem(&value),
                FatalValues::Path(_) | FatalValues::Sandboxed => None,
            })
        };
        for (arguments, keyword, is_fatal) in [
            ("AccountingMax=nan", "SETCONF", true),
            ("maxmeminq=\" -NaN(1) MB\"", "RESETCONF", true),
            ("AccountingMax=\"5 GB\"", "SETCONF", false),
            ("ContactInfo=nancy", "SETCONF", false),
            ("MinimalAcceptedServerVersion", "SETCONF", true),
            ("MinimalAcceptedServerVersion=\"\"", "SETCONF", true),
            ("MinimalAcceptedServerVersion", "RESETCONF", false),
            ("MetricsPortPolicy=x", "SETCONF", true),
            ("MetricsPortPol=x", "SETCONF", true),
            ("MetricsPortPolicy=\"accept 127.0.0.1\"", "SETCONF", false),
            ("MetricsPortPolicy", "SETCONF", false),
        ] {
            assert_eq!(problem(arguments, keyword).is_some(), is_fatal, "{keyword} {arguments}");
        }
    }
}
