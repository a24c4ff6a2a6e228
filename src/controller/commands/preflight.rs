//! Settings that make tor exit or abort instead of refusing them: checked before they are sent.
//!
//! The table [`DEADLY`] was found by setting every option of tor 0.4.9.11 to odd values and every
//! option that names a file to odd files; 0.4.8.14 and 0.4.9.15 were tried too, and are not worse.

mod paths;
mod policy;

use self::paths::FatalPath;
use crate::controller::Controller;
use crate::error::{Error, InvalidInput, Result};
use crate::names::TorFeature;
use crate::wire::Request;
use crate::wire::fields::Fields;
use crate::wire::torrc::read_options;

/// An option of which some values end tor.
struct FatalOption {
    option: &'static str,
    /// How many letters tor takes for this option and for no other one that has such values.
    shortest: usize,
    hazard: FatalValues,
}

/// Which values end tor.
enum FatalValues {
    /// Paths, depending on what is there.
    Path(FatalPath),
    /// Texts for which the function returns the problem.
    Text(fn(&[u8]) -> Option<&'static str>),
    /// Everything but `0`, if tor runs with `Sandbox 1`.
    Sandboxed,
}

const fn deadly(option: &'static str, shortest: usize, hazard: FatalValues) -> FatalOption {
    FatalOption { option, shortest, hazard }
}

const DEADLY: [FatalOption; 19] = [
    // tor creates these when it acts on the options, after it has given up the old ones: it exits
    // if that fails.
    deadly("HiddenServiceDir", 11, FatalValues::Path(FatalPath::Directory)),
    deadly("CookieAuthFile", 11, FatalValues::Path(FatalPath::File)),
    deadly("ExtORPortCookieAuthFile", "ExtORPortC".len(), FatalValues::Path(FatalPath::File)),
    // A relay exits if it cannot read the configuration of its resolver.
    deadly("ServerDNSResolvConfFile", 11, FatalValues::Path(FatalPath::Readable)),
    // tor opens these without a look at what they are.
    deadly("ClientOnionAuthDir", "ClientO".len(), FatalValues::Path(FatalPath::Open)),
    deadly("DirPortFrontPage", 8, FatalValues::Path(FatalPath::Open)),
    deadly("GeoIPFile", 6, FatalValues::Path(FatalPath::Open)),
    deadly("GeoIPv6File", 6, FatalValues::Path(FatalPath::Open)),
    // tor writes a file for these when it acts on the options, which its sandbox forbids unless the
    // option was set when tor started.
    deadly("CookieAuthentication", "CookieAuthe".len(), FatalValues::Sandboxed),
    deadly("ExtORPort", "ExtO".len(), FatalValues::Sandboxed),
    // Parsed only when tor acts on the options, unlike the other policies.
    deadly("MetricsPortPolicy", "MetricsPortP".len(), FatalValues::Text(policy::problem)),
    // Compared with a version without a check that there is one.
    deadly("MinimalAcceptedServerVersion", 3, FatalValues::Text(empty)),
    // tor reads "nan" as a number of bytes that it cannot print, and an assertion fails. The
    // options of this type that are not here have bounds, which refuse it.
    deadly("AccountingMax", 3, FatalValues::Text(not_a_number)),
    deadly("ConstrainedSockSize", 3, FatalValues::Text(not_a_number)),
    deadly("MaxHSDirCacheBytes", 3, FatalValues::Text(not_a_number)),
    deadly("MaxMemInQueues", 3, FatalValues::Text(not_a_number)),
    deadly("MaxUnparseableDescSizeToLog", 3, FatalValues::Text(not_a_number)),
    deadly("TestingMinExitFlagThreshold", 3, FatalValues::Text(not_a_number)),
    deadly("TestingMinFastFlagThreshold", 3, FatalValues::Text(not_a_number)),
];

impl Controller {
    /// Refuses a command that would make tor exit: a `SETCONF`, `RESETCONF`, `LOADCONF`, `HSFETCH`
    /// or `SETCIRCUITPURPOSE`.
    ///
    /// What is at a path here is a reason only if tor sees the same files; otherwise a warning is
    /// logged and tor decides. Relative paths are left to tor, since nobody else knows its
    /// directory. Asks [`path_view`](Self::path_view) if there is a reason.
    pub(in crate::controller) fn preflight(&self, request: &Request) -> Result<()> {
        match request.keyword() {
            "HSFETCH" => return self.refuse_unlisted_servers(request),
            // tor before 0.4.9.13 crashes.
            "SETCIRCUITPURPOSE" if request.arguments().trim_ascii().is_empty() => {
                return Err(InvalidInput::new("SETCIRCUITPURPOSE", "needs a circuit").into());
            }
            _ => {}
        }
        for (deadly, value) in settings(request) {
            match &deadly.hazard {
                FatalValues::Path(hazard) => self.refuse_path(deadly.option, *hazard, &value)?,
                FatalValues::Text(problem) => {
                    if let Some(problem) = problem(&value) {
                        return Err(InvalidInput::new(deadly.option, problem).into());
                    }
                }
                FatalValues::Sandboxed => {
                    if !matches!(&value[..], b"" | b"0") && self.has_sandbox()? {
                        let problem = "needs a new file, and this tor with Sandbox 1 would exit";
                        return Err(InvalidInput::new(deadly.option, problem).into());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Controller {
    /// Returns whether tor may open only the files that were configured when it started. A filter
    /// may keep that back.
    pub(crate) fn has_sandbox(&self) -> Result<bool> {
        match self.get_conf(["Sandbox"]) {
            Ok(conf) => Ok(conf.get("Sandbox").is_some_and(|value| value.first() == Some("1"))),
            Err(Error::Rejected(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Refuses an `HSFETCH` from a relay that is not in the consensus if tor would abort on it.
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
            // For a relay that is not listed, tor answers with nothing while it has no consensus,
            // and refuses the key when it has one. Behind a filter nothing can be known.
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

/// Returns the settings of a request of which some values end tor.
fn settings(request: &Request) -> Vec<(&'static FatalOption, Vec<u8>)> {
    match request.keyword() {
        "SETCONF" | "RESETCONF" => in_settings(request.arguments(), request.keyword()),
        "LOADCONF" => in_torrc(&request.data_text()),
        _ => Vec::new(),
    }
}

fn in_settings(arguments: &[u8], keyword: &str) -> Vec<(&'static FatalOption, Vec<u8>)> {
    let fields = Fields::new(arguments).filter_map(|field| {
        let value = field.value.bytes();
        if !field.key.is_empty() {
            return Some((find(field.key)?, value.into_owned()));
        }
        // A word alone: `SETCONF` clears the option, `RESETCONF` takes it back to its default.
        let deadly = find(&value).filter(|_| keyword == "SETCONF")?;
        Some((deadly, Vec::new()))
    });
    fields.collect()
}

fn in_torrc(text: &[u8]) -> Vec<(&'static FatalOption, Vec<u8>)> {
    let options = read_options(text).into_iter();
    options.filter_map(|(name, value)| Some((find(name)?, value.to_vec()))).collect()
}

/// Finds the option that tor takes a name for. It takes the first that begins with a word that is
/// no option.
fn find(name: &[u8]) -> Option<&'static FatalOption> {
    let is_meant = |deadly: &&FatalOption| {
        let start = deadly.option.as_bytes().get(..name.len());
        name.len() >= deadly.shortest && start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    DEADLY.iter().find(is_meant)
}

fn empty(value: &[u8]) -> Option<&'static str> {
    value.is_empty().then_some("is empty, and tor would abort")
}

fn not_a_number(value: &[u8]) -> Option<&'static str> {
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    let is_nan = value.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"nan"));
    is_nan.then_some("is not a number, and tor would abort")
}

#[cfg(test)]
mod tests {
    use super::{FatalOption, FatalValues, in_settings, in_torrc};

    fn service(path: &str) -> Vec<(&'static str, String)> {
        vec![("HiddenServiceDir", path.to_owned())]
    }

    fn named(settings: Vec<(&'static FatalOption, Vec<u8>)>) -> Vec<(&'static str, String)> {
        let text = |(deadly, value): (&FatalOption, Vec<u8>)| {
            (deadly.option, String::from_utf8_lossy(&value).into_owned())
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
        // An option of its own.
        assert_eq!(named(in_settings(b"MetricsPort=127.0.0.1:9035", "SETCONF")), none);
    }

    #[test]
    fn a_text_that_ends_tor_is_seen() {
        let problem = |arguments: &str, keyword: &str| {
            let found = in_settings(arguments.as_bytes(), keyword);
            found.into_iter().find_map(|(deadly, value)| match deadly.hazard {
                FatalValues::Text(problem) => problem(&value),
                FatalValues::Path(_) | FatalValues::Sandboxed => None,
            })
        };
        for (arguments, keyword, is_deadly) in [
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
            assert_eq!(problem(arguments, keyword).is_some(), is_deadly, "{keyword} {arguments}");
        }
    }
}
