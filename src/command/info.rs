//! What tor tells about itself: `GETINFO`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::{Command, out_of_step, refused_key};
use crate::error::{InvalidInput, Result};
use crate::names::secret::redact;
use crate::wire::{PartLine, Reply, ReplyLine, Request};

/// Asks tor for information.
///
/// `GETINFO key [key ...]`. Keys are case-sensitive. If tor refuses one of them, it answers none.
/// `GETINFO info/names` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetInfo {
    keys: Vec<Box<str>>,
}

impl GetInfo {
    /// Returns the command that asks for the given keys, in the given order.
    #[must_use]
    pub fn new<I>(keys: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Self { keys: keys.into_iter().map(|key| key.as_ref().into()).collect() }
    }

    /// Returns the command that a request is, if it is a `GETINFO` whose keys are certain: how tor
    /// reads a tab behind the first of them is not documented.
    pub(crate) fn of_request(request: &Request) -> Option<Self> {
        let arguments = String::from_utf8_lossy(request.arguments());
        let keys = arguments.trim_start_matches([' ', '\t']);
        let is_certain = request.keyword() == Self::KEYWORD && !keys.contains('\t');
        is_certain.then(|| Self::new(keys.split(' ').filter(|key| !key.is_empty())))
    }

    /// Returns a reply that is a success and answers every key as it was asked for.
    pub(crate) fn check(&self, reply: Reply) -> Result<Reply> {
        let mut check = AnswerCheck::new(self);
        let mut refusals = reply.lines().filter(|line| !line.is_success());
        refusals.try_for_each(|line| check.refusal(line.bytes()))?;
        drop(refusals);
        let reply = reply.into_result(Self::KEYWORD)?;
        let mut lines = reply.lines();
        for key in &self.keys {
            let line = lines.next();
            if line.and_then(|line| value_of(line, key)).is_none() {
                let found = line.map_or(&b""[..], |line| line.bytes());
                return Err(out_of_step(Self::KEYWORD, "each key as it was asked for", found));
            }
        }
        match (lines.next(), lines.next()) {
            (Some(last), None) if last.bytes() == b"OK" && last.data().is_none() => {}
            (line, _) => {
                let found = line.map_or(&b""[..], |line| line.bytes());
                return Err(out_of_step(Self::KEYWORD, "OK after the last key", found));
            }
        }
        drop(lines);
        Ok(reply)
    }
}

/// Checks an answer against the keys that were asked for.
#[derive(Debug)]
pub(crate) struct AnswerCheck<'a> {
    keys: &'a [Box<str>],
    /// How many of them were answered.
    answered: usize,
    /// All of them, to look up in; made when it is first needed.
    set: Option<HashSet<&'a [u8]>>,
}

impl<'a> AnswerCheck<'a> {
    pub(crate) fn new(command: &'a GetInfo) -> Self {
        Self { keys: &command.keys, answered: 0, set: None }
    }

    /// Checks the next line of an answer that is taken as it comes, and returns the value that
    /// stands in it.
    pub(crate) fn line<'l>(&mut self, line: PartLine<'l>) -> Result<Option<&'l [u8]>> {
        match line {
            PartLine::Data(_) => Ok(None),
            PartLine::Status { code: 400.., text, .. } => self.refusal(text).map(|()| None),
            PartLine::Status { is_last: true, text, .. } => {
                if self.answered == self.keys.len() && text == b"OK" {
                    return Ok(None);
                }
                Err(out_of_step(GetInfo::KEYWORD, "OK after the last key", text))
            }
            PartLine::Status { text, .. } => {
                let key = self.keys.get(self.answered);
                let value = key
                    .and_then(|key| text.strip_prefix(key.as_bytes()))
                    .and_then(|value| value.strip_prefix(b"="));
                if value.is_none() {
                    return Err(out_of_step(
                        GetInfo::KEYWORD,
                        "each key as it was asked for",
                        text,
                    ));
                }
                self.answered += 1;
                Ok(value)
            }
        }
    }

    /// Checks that a line of a refusal which names a key names one that was asked for.
    fn refusal(&mut self, line: &[u8]) -> Result<()> {
        let Some(key) = refused_key(line, "Unrecognized key \"") else { return Ok(()) };
        let keys = self.keys;
        let set = self.set.get_or_insert_with(|| keys.iter().map(|key| key.as_bytes()).collect());
        if set.contains(key) {
            return Ok(());
        }
        Err(out_of_step(GetInfo::KEYWORD, "a refusal of a key that was asked for", b""))
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
        Ok(InfoMap { keys: self.keys.clone(), reply })
    }
}

/// Returns the value of a line that answers the given key.
fn value_of<'a>(line: ReplyLine<'a>, key: &str) -> Option<&'a [u8]> {
    let value = line.bytes().strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
    match line.data() {
        None => Some(value),
        Some(data) => value.is_empty().then_some(data),
    }
}

/// The answers of a `GETINFO`, by key, in the order in which they were asked for.
///
/// Values are bytes, since tor's are. Values of several lines have line feeds between the lines.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> Result<(), torcon::Error> {
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let info = controller.get_info(["traffic/read", "traffic/written"])?;
/// for (key, value) in &info {
///     println!("{key}: {value}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InfoMap {
    keys: Vec<Box<str>>,
    /// Invariant: its first lines are the values of `keys`, in order.
    reply: Reply,
}

impl InfoMap {
    /// Returns the value of a key as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.bytes(key).map(String::from_utf8_lossy)
    }

    /// Returns the value of a key as tor sent it.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.iter_bytes().find(|(asked, _)| *asked == key).map(|(_, value)| value)
    }

    /// Returns the keys and their values as text; bytes that are not UTF-8 are replaced.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.iter_bytes().map(|(key, value)| (key, String::from_utf8_lossy(value)))
    }

    /// Returns the keys and their values as tor sent them.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys
            .iter()
            .zip(self.reply.lines())
            .map(|(key, line)| (&**key, value_of(line, key).unwrap_or_default()))
    }

    /// Returns the bytes of the reply, and where in them the value of the first key is.
    pub(crate) fn into_first_value(self) -> (Vec<u8>, Range<usize>) {
        let skipped = self.keys.first().map_or(0, |key| key.len() + "=".len());
        self.reply.into_first_value(skipped)
    }

    /// Returns the number of keys; one that was asked for twice counts twice.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there is no key, which is never so: tor is not asked for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl<'a> IntoIterator for &'a InfoMap {
    type Item = (&'a str, Cow<'a, str>);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl fmt::Debug for InfoMap {
    /// Shows the values without what is known to be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value| String::from_utf8_lossy(&redact(value)).into_owned();
        let entries = self.iter_bytes().map(|(key, value)| (key, shown(value)));
        f.debug_map().entries(entries).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{GetInfo, InfoMap};
    use crate::command::dialogue::{answered, error, misrouted, refusal, sent};

    fn info<const N: usize>(keys: [&str; N], reply: &[u8]) -> InfoMap {
        answered(&GetInfo::new(keys), reply).unwrap()
    }

    #[test]
    fn one_round_trip_answers_every_key_in_order() {
        let command = GetInfo::new(["traffic/read", "version"]);
        assert_eq!(sent(&command), "GETINFO traffic/read version\r\n");
        let reply = b"250-traffic/read=12\r\n250-version=0.4.9.11\r\n250 OK\r\n";
        let info = answered(&command, reply).unwrap();
        assert_eq!(format!("{info:?}"), r#"{"traffic/read": "12", "version": "0.4.9.11"}"#);
        assert_eq!(info.get("version").as_deref(), Some("0.4.9.11"));
        assert_eq!(info.get("VERSION"), None, "keys are case-sensitive");
        assert_eq!((info.len(), info.is_empty()), (2, false));
    }

    #[test]
    fn values_keep_equals_signs_blanks_and_quotes() {
        let info = info(
            ["net/listeners/control", "status/clients-seen"],
            b"250-net/listeners/control=\"127.0.0.1:1\" \"unix:/t/ctl.sock\"\r\n\
              250-status/clients-seen=TimeStarted=\"1970-01-01 00:00:00\" IPVersions=v4=0,v6=0\r\n\
              250 OK\r\n",
        );
        assert_eq!(
            info.get("net/listeners/control").unwrap(),
            "\"127.0.0.1:1\" \"unix:/t/ctl.sock\""
        );
        assert_eq!(
            info.get("status/clients-seen").unwrap(),
            "TimeStarted=\"1970-01-01 00:00:00\" IPVersions=v4=0,v6=0"
        );
    }

    #[test]
    fn a_value_may_be_empty_or_a_line_or_a_block() {
        let key = ["circuit-status"];
        assert_eq!(info(key, b"250-circuit-status=\r\n250 OK\r\n").get(key[0]).unwrap(), "");
        assert_eq!(
            info(key, b"250-circuit-status=1 LAUNCHED\r\n250 OK\r\n").get(key[0]).unwrap(),
            "1 LAUNCHED"
        );
        // Data that looks like reply lines was taken for them (peers 5); a dot is unstuffed, and
        // a line `OK` of the data is data.
        let block = b"250+circuit-status=\r\n250 OK\r\n..a.example b\r\nOK\r\n.\r\n250 OK\r\n";
        assert_eq!(info(key, block).get(key[0]).unwrap(), "250 OK\n.a.example b\nOK");
    }

    #[test]
    fn a_value_of_any_bytes_is_kept() {
        // txtorcon, torut: a byte that is not UTF-8 wedged the connection (peers 8).
        let info = info(["config-file"], b"250-config-file=/tmp/caf\xe9\r\n250 OK\r\n");
        assert_eq!(info.bytes("config-file").unwrap(), b"/tmp/caf\xe9");
        assert_eq!(info.get("config-file").unwrap(), "/tmp/caf\u{fffd}");
    }

    #[test]
    fn a_key_asked_for_twice_is_answered_twice() {
        let info = info(["a", "a"], b"250-a=1\r\n250-a=2\r\n250 OK\r\n");
        let values: Vec<_> = info.iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn a_key_may_hold_an_equals_sign() {
        let info = info(["x=y"], b"250-x=y=z\r\n250 OK\r\n");
        assert_eq!(info.get("x=y").unwrap(), "z");
    }

    #[test]
    fn keys_are_checked_before_anything_is_sent() {
        // Bare line feeds end a command, and a carriage return in a key gives a reply that has no
        // end (peers 16, 29).
        for (key, problem) in [
            ("version\nSIGNAL HALT", "contains a line feed"),
            ("a\rb", "contains a carriage return"),
            ("version\0x", "contains NUL"),
            ("version traffic/read", "contains a blank"),
            ("a\tb", "contains a blank"),
            ("a\x07", "contains a control character"),
            ("", "is empty"),
            ("downloads/desc/descs", "makes some versions of tor abort"),
        ] {
            let message = format!("invalid argument \"key\": {problem}");
            assert_eq!(refusal(&GetInfo::new(["version", key])), message);
        }
        assert_eq!(
            refusal(&GetInfo::new([""; 0])),
            "invalid argument \"keys\": none is given",
            "tor would say OK"
        );
    }

    #[test]
    fn refusals_keep_their_code_and_every_line() {
        // Stem made 510, 512 and 551 all into "malformed" (peers 28).
        let command = GetInfo::new(["a", "b"]);
        let error =
            error(&command, b"552-Unrecognized key \"a\"\r\n552 Unrecognized key \"b\"\r\n");
        assert_eq!(error.status_code(), Some(552));
        assert_eq!(
            error.to_string(),
            r#"tor refused GETINFO: 552 "Unrecognized key \"a\"" and 1 more"#
        );
        let address = answered(&GetInfo::new(["address"]), b"551 Address unknown\r\n");
        assert_eq!(address.unwrap_err().status_code(), Some(551));
        let filtered = answered(&command, b"510 Command filtered\r\n").unwrap_err();
        assert!(filtered.is_filtered());
    }

    #[test]
    fn the_reply_to_another_question_is_refused() {
        // Stem: a late reply after a timeout went to the next caller (peers 1).
        let command = GetInfo::new(["version", "uptime"]);
        for (reply, message) in [
            (&b"250 OK\r\n"[..], r#"each key as it was asked for, got "OK""#),
            (
                b"250-uptime=1\r\n250-version=2\r\n250 OK\r\n",
                r#"each key as it was asked for, got "uptime=""#,
            ),
            (b"250-version=2\r\n250 OK\r\n", r#"each key as it was asked for, got "OK""#),
            (b"250 version=2\r\n", r#"each key as it was asked for, got """#),
            (
                b"250-version=2\r\n250-uptime=1\r\n250-pid=4\r\n250 OK\r\n",
                r#"OK after the last key, got "pid=""#,
            ),
            (b"250-version=2\r\n250 uptime=1\r\n", r#"OK after the last key, got """#),
        ] {
            assert_eq!(
                misrouted(&command, reply),
                format!("cannot read the reply to GETINFO: expected {message}")
            );
        }
    }
}
