//! `GETCONF`.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{ConfMap, check_option, is_option, is_service_option};
use crate::command::{Command, ConfOptions, out_of_step, reading, refused_key};
use crate::error::{InvalidInput, ProtocolError, Result};
use crate::wire::quoted::decode_value;
use crate::wire::{Reply, ReplyLine, Request};

/// Queries the values of options.
///
/// `GETCONF option [option ...]`. If tor refuses one of them, it answers none. tor also accepts
/// abbreviations, and former names, for which it answers the value of another option: such a reply
/// is [`Error::Protocol`](crate::Error::Protocol). `GETINFO config/names` lists the full names.
///
/// `HiddenServiceOptions`, and names such as `SocksPortLines`, stand for several options, which tor
/// answers in the order of the configuration: see [`ConfMap::lines`].
///
/// # Examples
///
/// ```
/// use torcon::Reply;
/// use torcon::command::{Command, GetConf};
///
/// let command = GetConf::new(["SocksPort", "Nickname"]);
/// assert_eq!(command.request()?.encode()?, b"GETCONF SocksPort Nickname\r\n");
///
/// let reply = b"250-SocksPort=9050\r\n250-SocksPort=9150\r\n250 Nickname\r\n".to_vec();
/// let conf = command.reply(Reply::parse(reply)?)?;
/// assert_eq!(conf.get("SocksPort").unwrap().values(), ["9050", "9150"]);
/// assert!(conf.get("Nickname").unwrap().is_default());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetConf {
    /// Invariant: no option twice. tor would answer twice, which looks like two values.
    options: Vec<Box<str>>,
}

impl GetConf {
    /// Returns the command for the given options, case-insensitive.
    #[must_use]
    pub fn new<K, Answer>(options: K) -> Self
    where
        K: ConfOptions<Answer>,
    {
        let mut options = options.into_options();
        let mut seen = HashSet::new();
        options.retain(|option| seen.insert(option.to_ascii_lowercase()));
        Self { options }
    }

    /// Returns whether one of the names stands for several options.
    pub(in crate::command) fn has_group(&self) -> bool {
        let is_group = |name: &str| name == "hiddenserviceoptions" || name.ends_with("lines");
        self.options.iter().any(|option| is_group(&option.to_ascii_lowercase()))
    }

    /// Returns a successful reply whose options were queried, by abbreviations too.
    pub(crate) fn check(&self, reply: Reply) -> Result<Reply> {
        self.check_refusal(&reply)?;
        let reply = reply.into_result(Self::KEYWORD)?;
        let queried = lower_case(&self.options);
        let lengths: HashSet<usize> = queried.iter().map(String::len).collect();
        for line in reply.lines() {
            let name = option_of(line)?.to_ascii_lowercase();
            // The name may be as long as the reply: only prefixes of queried lengths are looked up.
            let is_queried = |end: &usize| name.get(..*end).is_some_and(|it| queried.contains(it));
            // By its name, an abbreviation, or a name of several options.
            if !lengths.iter().any(is_queried)
                && !group_names(&name).any(|it| queried.contains(&it))
            {
                let expected = "the options by the queried names";
                let name = name.as_bytes();
                return Err(ProtocolError::new(&reading(Self::KEYWORD), expected, name).into());
            }
        }
        Ok(reply)
    }

    /// Checks that the option which a refusal names was queried.
    fn check_refusal(&self, reply: &Reply) -> Result<()> {
        let queried = lower_case(&self.options);
        let mut refusals = reply.lines().filter(|line| !line.is_success());
        refusals.try_for_each(|line| {
            let name = refused_key(line.bytes(), "Unrecognized configuration key \"");
            let name = name.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
            match name {
                Some(name) if !queried.contains(&name) => {
                    let expected = "a refusal of a queried option";
                    Err(out_of_step(Self::KEYWORD, expected, b""))
                }
                _ => Ok(()),
            }
        })
    }
}

/// Returns the name of the option in a line of a reply.
fn option_of(line: ReplyLine<'_>) -> Result<Cow<'_, str>> {
    match split_at_equals(line.bytes()) {
        // `OK` alone ends replies of other commands; it is not an option.
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
        let queried = lower_case(&self.options);
        self.options.iter().try_fold(Request::new(Self::KEYWORD), |request, option| {
            check_option(option)?;
            if group_names(option).any(|group| queried.contains(&group)) {
                return Err(InvalidInput::new(
                    "option",
                    "is queried together with a name that includes it",
                ));
            }
            request.token("option", &**option)
        })
    }

    fn reply(&self, reply: Reply) -> Result<ConfMap> {
        self.check_refusal(&reply)?;
        let map = Self::values(reply)?;
        let queried = lower_case(&self.options);
        let is_queried = |name: &str| {
            queried.contains(&name.to_ascii_lowercase())
                || group_names(name).any(|group| queried.contains(&group))
        };
        let unexpected = map.iter().map(|(name, _)| name).find(|name| !is_queried(name));
        let answered: HashSet<String> = map
            .iter()
            .flat_map(|(name, _)| group_names(name).chain([name.to_ascii_lowercase()]))
            .collect();
        let missing =
            self.options.iter().find(|option| !answered.contains(&option.to_ascii_lowercase()));
        match (unexpected, missing) {
            (None, None) => Ok(map),
            (unexpected, _) => Err(ProtocolError::new(
                &reading(Self::KEYWORD),
                "the options by their full current names",
                unexpected.map_or(&b""[..], |name| name.as_bytes()),
            )
            .into()),
        }
    }
}

impl GetConf {
    /// Parses a reply that may call an option by another name than the query did.
    pub(crate) fn values(reply: Reply) -> Result<ConfMap> {
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut map = ConfMap::default();
        for line in reply.lines() {
            let (_, value) = split_at_equals(line.bytes());
            map.push(&option_of(line)?, value.map(decode_value));
        }
        Ok(map)
    }
}

fn lower_case(options: &[Box<str>]) -> HashSet<String> {
    options.iter().map(|option| option.to_ascii_lowercase()).collect()
}

/// Returns the names, in lower case, of several options that include the option `name`.
fn group_names(name: &str) -> impl Iterator<Item = String> {
    let name = name.to_ascii_lowercase();
    let is_of_service = is_service_option(&name);
    // `SocksPortLines` stands for `SocksPort` and `__SocksPort`.
    let lines = format!("{}lines", name.strip_prefix("__").unwrap_or(&name));
    is_of_service.then(|| "hiddenserviceoptions".to_owned()).into_iter().chain([lines])
}

/// Splits a line at its first equals sign, if there is one.
fn split_at_equals(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = line.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next())
}
