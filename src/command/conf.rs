//! tor's configuration: `GETCONF`, `SETCONF`, `RESETCONF`, `SAVECONF`, `LOADCONF`.

mod map;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

use zeroize::Zeroizing;

pub use map::{ConfMap, ConfValue};

use super::{Command, acknowledged, out_of_step, reading, refused_key};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::wire::quoted::decode_value;
use crate::wire::{Reply, ReplyLine, Request};

/// Asks for the values of options.
///
/// `GETCONF option [option ...]`. If tor refuses one of them, it answers none. tor would also
/// answer abbreviations, and old names with a value that is not theirs: such an answer is
/// [`Error::Protocol`](crate::Error::Protocol). `GETINFO config/names` lists the full names.
///
/// `HiddenServiceOptions`, and names such as `SocksPortLines`, stand for several options, which
/// tor answers in their order: see [`ConfMap::lines`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetConf {
    /// Invariant: no two are the same option. tor would answer twice, and a value asked for twice
    /// looks like two values.
    options: Vec<Box<str>>,
}

impl GetConf {
    /// Returns the command that asks for the given options; upper and lower case are the same.
    #[must_use]
    pub fn new<I>(options: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut seen = HashSet::new();
        let mut asked: Vec<Box<str>> = Vec::new();
        for option in options {
            let option = option.as_ref();
            if seen.insert(option.to_ascii_lowercase()) {
                asked.push(option.into());
            }
        }
        Self { options: asked }
    }

    /// Returns a reply that is a success and answers what was asked for, abbreviations too.
    pub(crate) fn check(&self, reply: Reply) -> Result<Reply> {
        self.check_refusal(&reply)?;
        let reply = reply.into_result(Self::KEYWORD)?;
        let asked = lower_case(&self.options);
        let lengths: BTreeSet<usize> = asked.iter().map(String::len).collect();
        for line in reply.lines() {
            let name = option_of(line)?.to_ascii_lowercase();
            // A name may be as long as the reply: only what can be in the set is looked up.
            let is_asked = |end: &usize| name.get(..*end).is_some_and(|it| asked.contains(it));
            // By its name, a short form of it, or a name for several.
            if !lengths.iter().any(is_asked) && !wholes(&name).any(|it| asked.contains(&it)) {
                let expected = "the options by the names that were asked for";
                let name = name.as_bytes();
                return Err(ProtocolError::new(&reading(Self::KEYWORD), expected, name).into());
            }
        }
        Ok(reply)
    }

    /// Checks that a refusal which names an option names one that was asked for.
    fn check_refusal(&self, reply: &Reply) -> Result<()> {
        let asked = lower_case(&self.options);
        let mut refusals = reply.lines().filter(|line| !line.is_success());
        refusals.try_for_each(|line| {
            let name = refused_key(line.bytes(), "Unrecognized configuration key \"");
            let name = name.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
            match name {
                Some(name) if !asked.contains(&name) => {
                    let expected = "a refusal of an option that was asked for";
                    Err(out_of_step(Self::KEYWORD, expected, b""))
                }
                _ => Ok(()),
            }
        })
    }
}

/// Returns the name of the option that a line of an answer is about.
fn option_of(line: ReplyLine<'_>) -> Result<Cow<'_, str>> {
    match split_at_equals(line.bytes()) {
        // An option always has a name of its own kind, and `OK` is none.
        (name, value)
            if line.data().is_none() && !(name == b"OK" && value.is_none()) && is_option(name) =>
        {
            Ok(String::from_utf8_lossy(name))
        }
        _ => Err(out_of_step(GetConf::KEYWORD, "an option", line.bytes())),
    }
}

impl Command for GetConf {
    type Reply = ConfMap;

    const KEYWORD: &'static str = "GETCONF";

    fn request(&self) -> Result<Request, InvalidInput> {
        if self.options.is_empty() {
            return Err(InvalidInput::new("options", "none is given"));
        }
        let asked = lower_case(&self.options);
        self.options.iter().try_fold(Request::new(Self::KEYWORD), |request, option| {
            check_option(option)?;
            if wholes(option).any(|whole| asked.contains(&whole)) {
                return Err(InvalidInput::new(
                    "option",
                    "is asked for together with a name that stands for it",
                ));
            }
            request.token("option", &**option)
        })
    }

    fn reply(&self, reply: Reply) -> Result<ConfMap> {
        self.check_refusal(&reply)?;
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut map = ConfMap::default();
        for line in reply.lines() {
            let (_, value) = split_at_equals(line.bytes());
            map.push(&option_of(line)?, value.map(decode_value));
        }
        let asked = lower_case(&self.options);
        let is_asked = |name: &str| {
            asked.contains(&name.to_ascii_lowercase())
                || wholes(name).any(|whole| asked.contains(&whole))
        };
        let stranger = map.iter().map(|(name, _)| name).find(|name| !is_asked(name));
        let answered: HashSet<String> = map
            .iter()
            .flat_map(|(name, _)| wholes(name).chain([name.to_ascii_lowercase()]))
            .collect();
        let missing =
            self.options.iter().find(|option| !answered.contains(&option.to_ascii_lowercase()));
        match (stranger, missing) {
            (None, None) => Ok(map),
            (stranger, _) => Err(ProtocolError::new(
                &reading(Self::KEYWORD),
                "the options by the full names of today",
                stranger.map_or(&b""[..], |name| name.as_bytes()),
            )
            .into()),
        }
    }
}

/// Options whose names are like those of an onion service, but which belong to all of them.
const OF_ALL_SERVICES: [&str; 3] =
    ["HiddenServiceNonAnonymousMode", "HiddenServiceSingleHopMode", "HiddenServiceStatistics"];

/// Returns whether an option belongs to one onion service of several, also one of a tor to come.
pub(crate) fn is_service_option(name: &str) -> bool {
    let start = name.get(.."HiddenService".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case("HiddenService"))
        && is_option(name.as_bytes())
        && !name.eq_ignore_ascii_case("HiddenServiceOptions")
        && !OF_ALL_SERVICES.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Returns the names in lower case, to look others up in.
fn lower_case(options: &[Box<str>]) -> HashSet<String> {
    options.iter().map(|option| option.to_ascii_lowercase()).collect()
}

/// Returns the names, in lower case, that tor answers by lines of the option `name` and others.
fn wholes(name: &str) -> impl Iterator<Item = String> {
    let name = name.to_ascii_lowercase();
    let is_of_service = is_service_option(&name);
    // `SocksPortLines` stands for `SocksPort` and `__SocksPort`.
    let lines = format!("{}lines", name.strip_prefix("__").unwrap_or(&name));
    is_of_service.then(|| "hiddenserviceoptions".to_owned()).into_iter().chain([lines])
}

/// What an option is set to: a value, or nothing, which clears it.
///
/// Made by `From` from text, bytes, and `Option`s of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfSetting(Option<Zeroizing<Vec<u8>>>);

impl ConfSetting {
    /// Returns the setting that clears an option.
    #[must_use]
    pub fn clear() -> Self {
        Self(None)
    }
}

impl From<Vec<u8>> for ConfSetting {
    fn from(value: Vec<u8>) -> Self {
        Self(Some(Zeroizing::new(value)))
    }
}

impl From<&[u8]> for ConfSetting {
    fn from(value: &[u8]) -> Self {
        Self::from(value.to_vec())
    }
}

impl From<&str> for ConfSetting {
    fn from(value: &str) -> Self {
        Self::from(value.as_bytes())
    }
}

impl From<&String> for ConfSetting {
    fn from(value: &String) -> Self {
        Self::from(value.as_bytes())
    }
}

impl From<String> for ConfSetting {
    fn from(value: String) -> Self {
        Self::from(value.into_bytes())
    }
}

impl<T: Into<ConfSetting>> From<Option<T>> for ConfSetting {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::clear, Into::into)
    }
}

impl fmt::Debug for ConfSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ConfSetting(..)" } else { "ConfSetting(clear)" })
    }
}

macro_rules! settings {
    ($( $(#[$attribute:meta])* $name:ident = $keyword:literal; )*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $name {
                settings: Vec<(Box<str>, ConfSetting)>,
            }

            impl $name {
                /// Returns the command for the given options, in the given order. An option that
                /// is repeated gets several values.
                #[must_use]
                pub fn new<I, K, V>(settings: I) -> Self
                where
                    I: IntoIterator<Item = (K, V)>,
                    K: AsRef<str>,
                    V: Into<ConfSetting>,
                {
                    let settings = settings
                        .into_iter()
                        .map(|(option, setting)| (option.as_ref().into(), setting.into()))
                        .collect();
                    Self { settings }
                }
            }

            impl Command for $name {
                type Reply = ();

                const KEYWORD: &'static str = $keyword;

                fn request(&self) -> Result<Request, InvalidInput> {
                    if self.settings.is_empty() {
                        return Err(InvalidInput::new("options", "none is given"));
                    }
                    let request = Request::new(Self::KEYWORD);
                    self.settings.iter().try_fold(request, |request, (option, setting)| {
                        check_option(option)?;
                        match &setting.0 {
                            Some(value) => request.cstring_pair("value", option, value),
                            None => request.token("option", &**option),
                        }
                    })
                }

                fn reply(&self, reply: Reply) -> Result<()> {
                    acknowledged(Self::KEYWORD, reply)
                }
            }
        )*
    };
}

settings! {
    /// Changes options: all of them, or none if tor refuses one.
    ///
    /// `SETCONF option[=value] ...`. A value is quoted and escaped where tor would not read it as it
    /// stands: if it is empty, begins with a quote, or has a blank or a byte that is not printable
    /// ASCII. Without a value the option is cleared, which for a number is not its default: see
    /// [`ResetConf`]. A value cannot hold line breaks.
    ///
    /// An option with several values loses those that are not given again, and any option of an
    /// onion service replaces all onion services of the configuration.
    SetConf = "SETCONF";
    /// Sets options back to tor's defaults, or to a value: all of them, or none.
    ///
    /// `RESETCONF option[=value] ...`, with values as in [`SetConf`].
    ResetConf = "RESETCONF";
}

/// Writes the configuration to the file that tor was started with.
///
/// `SAVECONF [FORCE]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveConf {
    force: bool,
}

impl SaveConf {
    /// Returns the command that writes the file if nothing is lost by it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the command that writes the file even where it has `%include` lines, which are
    /// lost.
    #[must_use]
    pub fn forced() -> Self {
        Self { force: true }
    }
}

impl Command for SaveConf {
    type Reply = ();

    const KEYWORD: &'static str = "SAVECONF";

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD);
        if self.force { request.token("force", "FORCE") } else { Ok(request) }
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

/// Replaces the whole configuration by the text of a torrc.
///
/// `+LOADCONF`, the text, and a line with a dot. What the text does not say again is back at its
/// default, the data directory and the control ports too.
#[derive(Clone)]
pub struct LoadConf {
    text: Zeroizing<Vec<u8>>,
}

impl LoadConf {
    /// Returns the command with the given text, of one or many lines.
    #[must_use]
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        Self { text: Zeroizing::new(text.as_ref().to_vec()) }
    }
}

impl Command for LoadConf {
    type Reply = ();

    const KEYWORD: &'static str = "LOADCONF";

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::new(Self::KEYWORD).data("text", &self.text)
    }

    fn reply(&self, reply: Reply) -> Result<()> {
        acknowledged(Self::KEYWORD, reply)
    }
}

impl fmt::Debug for LoadConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadConf({} bytes)", self.text.len())
    }
}

fn is_option(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Refuses what cannot be the name of an option; the signs `+` and `/` of a torrc are no part of
/// a name.
fn check_option(name: &str) -> Result<(), InvalidInput> {
    if is_option(name.as_bytes()) {
        return Ok(());
    }
    Err(InvalidInput::new("option", "is not a name of letters, digits and underscores"))
}

/// Splits a line at its first equals sign, if there is one.
fn split_at_equals(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = line.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next())
}

#[cfg(test)]
mod tests;
