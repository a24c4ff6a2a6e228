//! `GETINFO`: queries of tor's state.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use memchr::memchr;

use super::{Command, InfoKeys, out_of_step, refused_key};
use crate::error::{Error, InvalidInput, Result};
use crate::names::secret::redact;
use crate::names::{into_text, to_text};
use crate::wire::{PartLine, Reply, ReplyLine, Request};

/// Queries tor's state by keys.
///
/// `GETINFO key [key ...]`. Keys are case-sensitive. If tor refuses one of them, it answers none.
/// `GETINFO info/names` lists them.
///
/// # Examples
///
/// ```
/// use torcon::Reply;
/// use torcon::command::{Command, GetInfo};
///
/// let command = GetInfo::new(["version", "config-text"]);
/// assert_eq!(command.request()?.encode()?, b"GETINFO version config-text\r\n");
///
/// let reply = "250-version=0.4.9.11\r\n\
///              250+config-text=\r\nSocksPort 9050\r\nNickname MyRelay\r\n.\r\n\
///              250 OK\r\n";
/// let info = command.reply(Reply::parse(reply.into())?)?;
/// assert_eq!(info.get("version").unwrap(), "0.4.9.11");
/// assert_eq!(info.get("config-text").unwrap(), "SocksPort 9050\nNickname MyRelay");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetInfo {
    keys: Vec<Box<str>>,
}

impl GetInfo {
    /// Returns the command for the given keys, in the given order.
    #[must_use]
    pub fn new<K, Answer>(keys: K) -> Self
    where
        K: InfoKeys<Answer>,
    {
        Self { keys: keys.into_keys() }
    }

    /// Returns the `GETINFO` of a request, if its keys are certain: how tor parses a tab behind the
    /// first of them is not documented.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        let arguments = String::from_utf8_lossy(request.arguments());
        let keys = arguments.trim_start_matches([' ', '\t']);
        let is_certain = request.keyword() == Self::KEYWORD && !keys.contains('\t');
        is_certain.then(|| Self::new(keys.split(' ').filter(|key| !key.is_empty())))
    }

    /// Returns a successful reply that answers every key in the order of the request.
    pub(crate) fn check(&self, reply: Reply) -> Result<Reply> {
        let mut check = AnswerCheck::new(self);
        let mut refusals = reply.lines().filter(|line| !line.is_success());
        refusals.try_for_each(|line| check.refusal(line.bytes()))?;
        drop(refusals);
        let reply = reply.into_result(Self::KEYWORD)?;
        let last = reply.lines().len().saturating_sub(1);
        for (index, line) in reply.lines().enumerate() {
            let value = check.answer(line.bytes(), index == last)?;
            if line.data().is_some() && value != Some(b"") {
                return Err(check.out_of_step(line.bytes()));
            }
        }
        Ok(reply)
    }
}

/// Checks a reply, line by line, against the keys of its `GETINFO`.
#[derive(Debug)]
pub(crate) struct AnswerCheck<'a> {
    keys: &'a [Box<str>],
    /// The number of answered keys.
    answered: usize,
    /// The keys as a set, made for the first refusal.
    set: Option<HashSet<&'a [u8]>>,
}

impl<'a> AnswerCheck<'a> {
    pub(crate) fn new(command: &'a GetInfo) -> Self {
        Self { keys: &command.keys, answered: 0, set: None }
    }

    /// Checks the next line, and returns the value of a key, or its beginning if data follow.
    pub(crate) fn line<'l>(&mut self, line: PartLine<'l>) -> Result<Option<&'l [u8]>> {
        match line {
            PartLine::Data(_) => Ok(None),
            PartLine::Status { code: 400.., text, .. } => self.refusal(text).map(|()| None),
            PartLine::Status { is_last, text, .. } => self.answer(text, is_last),
        }
    }

    fn answer<'l>(&mut self, text: &'l [u8], is_last: bool) -> Result<Option<&'l [u8]>> {
        let Some(key) = self.keys.get(self.answered) else {
            return if is_last && text == b"OK" { Ok(None) } else { Err(self.out_of_step(text)) };
        };
        let value = text.strip_prefix(key.as_bytes()).and_then(|value| value.strip_prefix(b"="));
        if value.is_none() {
            return Err(self.out_of_step(text));
        }
        self.answered += 1;
        if is_last { Err(self.out_of_step(b"")) } else { Ok(value) }
    }

    fn out_of_step(&self, found: &[u8]) -> Error {
        let expected = match self.answered < self.keys.len() {
            true => "each queried key",
            false => "OK after the last key",
        };
        out_of_step(GetInfo::KEYWORD, expected, found)
    }

    /// Checks that the key which a refusal names is one of the request.
    fn refusal(&mut self, line: &[u8]) -> Result<()> {
        let Some(key) = refused_key(line, "Unrecognized key \"") else { return Ok(()) };
        let keys = self.keys;
        let set = self.set.get_or_insert_with(|| keys.iter().map(|key| key.as_bytes()).collect());
        if set.contains(key) {
            return Ok(());
        }
        Err(out_of_step(GetInfo::KEYWORD, "a refusal of a queried key", b""))
    }
}

impl Command for GetInfo {
    type Reply = InfoMap;

    const KEYWORD: &'static str = "GETINFO";

    fn request(&self) -> Result<Request, InvalidInput> {
        if self.keys.is_empty() {
            return Err(InvalidInput::new("keys", "none is given"));
        }
        self.keys.iter().try_fold(Request::new(Self::KEYWORD), |request, key| {
            if &**key == "downloads/desc/descs" {
                return Err(InvalidInput::new("key", "makes some versions of tor abort"));
            }
            request.token("key", &**key)
        })
    }

    fn reply(&self, reply: Reply) -> Result<InfoMap> {
        let reply = self.check(reply)?;
        let contains_equals = self.keys.iter().any(|key| key.contains('='));
        let lengths = self.keys.iter().filter(|_| contains_equals).map(|key| key.len()).collect();
        Ok(InfoMap { reply, lengths })
    }
}

/// Returns the key, of this length or else up to the first `=`, and the value in a line.
fn key_and_value(line: ReplyLine<'_>, length: Option<usize>) -> (&str, &[u8]) {
    let text = line.bytes();
    let length = length.or_else(|| memchr(b'=', text)).unwrap_or(text.len());
    let (key, value) = text.split_at_checked(length).unwrap_or_default();
    let value = value.strip_prefix(b"=").unwrap_or_default();
    // The keys are those of the request, which are text.
    (std::str::from_utf8(key).unwrap_or_default(), line.data().unwrap_or(value))
}

/// The values of a `GETINFO`, by key, in the order of the request.
///
/// Values are bytes. The lines of a value are separated by line feeds.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let info = controller.get_info(["traffic/read", "traffic/written"])?;
/// for (key, value) in &info {
///     println!("{key}: {value}");
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InfoMap {
    /// Invariant: each line but the last is a key with its value, in the order of the request.
    reply: Reply,
    /// The lengths of the keys; empty if no key contains `=`.
    lengths: Vec<usize>,
}

impl InfoMap {
    /// Returns the value of a key as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.bytes(key).map(to_text)
    }

    /// Returns the value of a key as tor sent it.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.iter_bytes().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Returns the keys and their values as text; bytes that are not UTF-8 are replaced.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.iter_bytes().map(|(key, value)| (key, to_text(value)))
    }

    /// Returns the keys and their values as tor sent them.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut lengths = self.lengths.iter().copied();
        self.reply.lines().take(self.len()).map(move |line| key_and_value(line, lengths.next()))
    }

    /// Returns the bytes of the reply, and the range of the first key's value in them.
    pub(crate) fn into_first_value(self) -> (Vec<u8>, Range<usize>) {
        let skipped = self.iter_bytes().next().map_or(0, |(key, _)| key.len() + "=".len());
        self.reply.into_first_value(skipped)
    }

    /// Returns the first key's value as text, in the memory of the reply if it is UTF-8.
    pub(crate) fn into_first_text(self) -> String {
        let (mut bytes, value) = self.into_first_value();
        bytes.truncate(value.end);
        bytes.drain(..value.start);
        into_text(bytes)
    }

    /// Returns the number of keys; a repeated key counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reply.lines().len().saturating_sub(1)
    }

    /// Returns whether there is no key. A reply of tor always has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> IntoIterator for &'a InfoMap {
    type Item = (&'a str, Cow<'a, str>);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Serializes a map: each key with its value as text, without known secrets.
#[cfg(feature = "serde")]
impl serde::Serialize for InfoMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = |value| to_text(&redact(value)).into_owned();
        serializer.collect_map(self.iter_bytes().map(|(key, value)| (key, shown(value))))
    }
}

impl fmt::Debug for InfoMap {
    /// Redacts values that are known to be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value| to_text(&redact(value)).into_owned();
        let entries = self.iter_bytes().map(|(key, value)| (key, shown(value)));
        f.debug_map().entries(entries).finish()
    }
}

#[cfg(test)]
mod tests;
