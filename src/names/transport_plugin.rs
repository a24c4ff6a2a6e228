//! The client side of pluggable transports.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::bridge::is_transport_name;
use crate::names::{InvalidName, Target};

/// A value of tor's option `ClientTransportPlugin`: the program or the proxy that provides pluggable
/// transports.
///
/// A [`BridgeLine`](super::BridgeLine) with a transport needs one. tor starts a program of
/// [`exec`](Self::exec) itself, once a bridge needs one of its transports, and ends it. A proxy of
/// [`socks4`](Self::socks4) and [`socks5`](Self::socks5) must run already.
///
/// `FromStr` parses the text of the option, with or without the word `ClientTransportPlugin` before
/// it, and refuses what tor would refuse. `Display` and [`as_str`](Self::as_str) return the form that
/// tor accepts. `Debug` does not show the arguments, which can be secrets.
///
/// # Examples
///
/// ```
/// use std::path::Path;
///
/// use torcon::names::TransportPlugin;
///
/// let plugin: TransportPlugin = "obfs4,webtunnel exec /usr/bin/lyrebird -enableLogging".parse()?;
/// assert_eq!(plugin.transports().collect::<Vec<_>>(), ["obfs4", "webtunnel"]);
/// assert_eq!(plugin.program(), Some(Path::new("/usr/bin/lyrebird")));
/// assert_eq!(plugin.arguments().collect::<Vec<_>>(), ["-enableLogging"]);
/// # Ok::<(), torcon::names::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportPlugin {
    /// Invariant: the words of the option with one blank between them: transports, kind, then the
    /// program and its arguments, or the address.
    text: Box<str>,
}

impl TransportPlugin {
    /// Returns the plugin of a program that tor starts, and the names of the transports that tor
    /// uses of it.
    ///
    /// tor does not search the program: it must have a path, or tor looks for it in its current
    /// directory. [`Launcher::transport_plugin`](crate::Launcher::transport_plugin) searches a name
    /// without a slash in `PATH`.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if there is no transport, if the name of one is not one of letters, digits and
    /// underscores, or if the path is empty, has a blank, which tor cannot read, or is not UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::exec(["obfs4"], "/usr/bin/obfs4proxy")?;
    /// assert_eq!(plugin.to_string(), "obfs4 exec /usr/bin/obfs4proxy");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn exec<T: AsRef<str>>(
        transports: impl IntoIterator<Item = T>,
        program: impl AsRef<Path>,
    ) -> Result<Self, InvalidName> {
        let mut names = String::new();
        for name in transports {
            let separator = if names.is_empty() { "" } else { "," };
            names.push_str(separator);
            names.push_str(checked_name(name.as_ref())?);
        }
        if names.is_empty() {
            return Err(refused("must have a transport"));
        }
        let program = program.as_ref().to_str().map_or_else(
            || Err(refused("the program must be UTF-8")),
            |program| checked_word(program, PROGRAM),
        )?;
        Ok(Self { text: format!("{names} exec {program}").into() })
    }

    /// Returns the plugin with one more argument for its program, after the others.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the plugin has no program, or if the argument is empty or has a blank,
    /// which tor cannot read.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::exec(["obfs4"], "/usr/bin/obfs4proxy")?;
    /// let plugin = plugin.with_argument("-logLevel=WARN")?;
    /// assert_eq!(plugin.to_string(), "obfs4 exec /usr/bin/obfs4proxy -logLevel=WARN");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn with_argument(self, argument: &str) -> Result<Self, InvalidName> {
        if self.program().is_none() {
            return Err(refused("only a program can have arguments"));
        }
        let argument = checked_word(argument, ARGUMENT)?;
        Ok(Self { text: format!("{} {argument}", self.text).into() })
    }

    /// Returns the plugin of a transport behind a SOCKS4 proxy that runs already.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the name is not one of letters, digits and underscores, or the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::socks4("obfs3", ([127, 0, 0, 1], 9998).into())?;
    /// assert_eq!(plugin.to_string(), "obfs3 socks4 127.0.0.1:9998");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn socks4(transport: &str, proxy: SocketAddr) -> Result<Self, InvalidName> {
        format!("{} socks4 {proxy}", checked_name(transport)?).parse()
    }

    /// Returns the plugin of a transport behind a SOCKS5 proxy that runs already.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if the name is not one of letters, digits and underscores, or the port is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::socks5("snowflake", ([127, 0, 0, 1], 1234).into())?;
    /// assert_eq!(plugin.to_string(), "snowflake socks5 127.0.0.1:1234");
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn socks5(transport: &str, proxy: SocketAddr) -> Result<Self, InvalidName> {
        format!("{} socks5 {proxy}", checked_name(transport)?).parse()
    }

    /// Returns the value of the option `ClientTransportPlugin`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin = TransportPlugin::exec(["obfs4"], "/usr/bin/obfs4proxy")?;
    /// let controller = torcon::connect("127.0.0.1:9051")?;
    /// controller.set_conf([("ClientTransportPlugin", plugin.as_str())])?;
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the names of the transports, such as `obfs4`.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin: TransportPlugin = "meek,obfs4 exec /usr/bin/lyrebird".parse()?;
    /// assert!(plugin.transports().any(|name| name == "obfs4"));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn transports(&self) -> impl Iterator<Item = &str> {
        self.word(0).split(',')
    }

    /// Returns the program that tor starts. `None` if a proxy runs already.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin: TransportPlugin = "obfs4 exec /usr/bin/obfs4proxy".parse()?;
    /// assert_eq!(plugin.program(), Some(Path::new("/usr/bin/obfs4proxy")));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn program(&self) -> Option<&Path> {
        (self.word(1) == "exec").then(|| Path::new(self.word(2)))
    }

    /// Returns the arguments of the program.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin: TransportPlugin = "obfs4 exec /usr/bin/obfs4proxy -enableLogging".parse()?;
    /// assert_eq!(plugin.arguments().next(), Some("-enableLogging"));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ').skip(3)
    }

    /// Returns the address of the proxy that runs already. `None` if tor starts a program.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::names::TransportPlugin;
    ///
    /// let plugin: TransportPlugin = "snowflake socks5 127.0.0.1:1234".parse()?;
    /// assert_eq!(plugin.proxy().map(|proxy| proxy.to_string()), Some("127.0.0.1:1234".to_owned()));
    /// # Ok::<(), torcon::names::InvalidName>(())
    /// ```
    #[must_use]
    pub fn proxy(&self) -> Option<Target> {
        self.program().is_none().then(|| Target::from_bytes(self.word(2).as_bytes()))
    }

    /// Returns the plugin with another program, and the same transports and arguments. `None` if it
    /// has none, or this path cannot be one.
    pub(crate) fn replace_program(&self, program: PathBuf) -> Option<Self> {
        self.program()?;
        let replaced = Self::exec(self.transports(), program).ok()?;
        self.arguments().try_fold(replaced, Self::with_argument).ok()
    }

    fn word(&self, number: usize) -> &str {
        self.text.split(' ').nth(number).unwrap_or_default()
    }
}

impl FromStr for TransportPlugin {
    type Err = InvalidName;

    /// Reads `transport,... exec program [argument ...]`, `transport socks4 address:port` or
    /// `transport socks5 address:port`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim_ascii();
        if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(refused("must not contain a line break or NUL"));
        }
        let mut words = text.split_ascii_whitespace().peekable();
        words.next_if(|word| word.eq_ignore_ascii_case("ClientTransportPlugin"));
        let (Some(transports), Some(kind), Some(end)) = (words.next(), words.next(), words.next())
        else {
            return Err(refused(
                "must be transport exec program, transport socks4 address:port or transport socks5 \
                 address:port",
            ));
        };
        // tor ignores empty names.
        let transports = transports.split(',').filter(|name| !name.is_empty());
        if kind == "exec" {
            let plugin = Self::exec(transports, end)?;
            return words.try_fold(plugin, Self::with_argument);
        }
        if !matches!(kind, "socks4" | "socks5") {
            return Err(refused("the second word must be exec, socks4 or socks5"));
        }
        let [transport] = transports.collect::<Vec<_>>()[..] else {
            return Err(refused("a proxy must have exactly one transport"));
        };
        let transport = checked_name(transport)?;
        let is_valid = |proxy: &Target| proxy.port() != Some(0) && proxy.has_valid_host();
        let proxy = end.parse::<Target>().ok().filter(is_valid);
        let Some(proxy) = proxy else {
            return Err(refused("the proxy must be address:port"));
        };
        match words.next() {
            Some(_) => Err(refused("only a program can have arguments")),
            None => Ok(Self { text: format!("{transport} {kind} {proxy}").into() }),
        }
    }
}

const PROGRAM: &str = "the program must not be empty or contain blanks or control characters";
const ARGUMENT: &str = "an argument must not be empty or contain blanks or control characters";

/// Refuses a word that tor would split.
fn checked_word<'a>(word: &'a str, problem: &'static str) -> Result<&'a str, InvalidName> {
    let is_part = |letter: char| !letter.is_whitespace() && !letter.is_control();
    match !word.is_empty() && word.chars().all(is_part) {
        true => Ok(word),
        false => Err(refused(problem)),
    }
}

fn checked_name(name: &str) -> Result<&str, InvalidName> {
    match is_transport_name(name) {
        true => Ok(name),
        false => Err(refused("a transport must be a name of letters, digits and underscores")),
    }
}

fn refused(problem: &'static str) -> InvalidName {
    InvalidName::new("transport plugin", problem)
}

/// Prints the whole value, as [`as_str`](TransportPlugin::as_str) returns it.
impl fmt::Display for TransportPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for TransportPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.arguments().next().is_some() { " .." } else { "" };
        let (transports, kind, end) = (self.word(0), self.word(1), self.word(2));
        write!(f, "TransportPlugin({transports} {kind} {end}{more})")
    }
}

impl AsRef<str> for TransportPlugin {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::TransportPlugin;

    #[test]
    fn every_form_is_read_and_printed() {
        for (text, printed) in [
            ("obfs4 exec /usr/bin/obfs4proxy", "obfs4 exec /usr/bin/obfs4proxy"),
            (" ClientTransportPlugin  a,,b exec\t/x -y z\n", "a,b exec /x -y z"),
            ("snowflake socks5 127.0.0.1:1234", "snowflake socks5 127.0.0.1:1234"),
            ("a socks4 [::1]:1", "a socks4 [::1]:1"),
            ("a socks5 localhost:1", "a socks5 localhost:1"),
        ] {
            let plugin: TransportPlugin = text.parse().unwrap();
            assert_eq!(plugin.to_string(), printed);
            assert_eq!(plugin.program().is_some(), plugin.proxy().is_none());
            assert_eq!(plugin.as_str().parse(), Ok(plugin));
        }
    }

    #[test]
    fn a_text_that_tor_refuses_is_refused_with_the_reason() {
        let form = "must be transport exec program, transport socks4 address:port or transport \
                    socks5 address:port";
        let name = "a transport must be a name of letters, digits and underscores";
        for (text, problem) in [
            ("", form),
            ("obfs4 exec", form),
            (", exec /x", "must have a transport"),
            ("obfs-4 exec /x", name),
            ("obfs-4 socks5 127.0.0.1:1", name),
            ("obfs4 socks6 127.0.0.1:1", "the second word must be exec, socks4 or socks5"),
            ("a,b socks5 127.0.0.1:1", "a proxy must have exactly one transport"),
            ("a socks5 127.0.0.1", "the proxy must be address:port"),
            ("a socks5 127.0.0.1:0", "the proxy must be address:port"),
            ("a socks5 local(host:1", "the proxy must be address:port"),
            ("a socks5 caf\u{e9}:1", "the proxy must be address:port"),
            ("a socks5 127.0.0.1:1 more", "only a program can have arguments"),
            ("a exec /x\nLog debug", "must not contain a line break or NUL"),
            ("a exec /x\u{1b}", super::PROGRAM),
        ] {
            let error = text.parse::<TransportPlugin>().unwrap_err();
            let expected = format!("invalid transport plugin: {problem}");
            assert_eq!(error.to_string(), expected, "{text:?}");
        }
        for program in ["", "/a b", "/a\u{a0}b"] {
            let error = TransportPlugin::exec(["a"], program).unwrap_err();
            assert_eq!(error.problem(), super::PROGRAM);
        }
        let plugin = TransportPlugin::exec(["a"], "/x").unwrap();
        assert_eq!(plugin.with_argument("b c").unwrap_err().problem(), super::ARGUMENT);
        assert!(TransportPlugin::socks5("a", ([127, 0, 0, 1], 0).into()).is_err());
    }

    #[test]
    fn debug_does_not_show_arguments() {
        let plugin: TransportPlugin = "a exec /x --key hush".parse().unwrap();
        assert_eq!(format!("{plugin:?}"), "TransportPlugin(a exec /x ..)");
    }

    #[test]
    fn the_program_is_replaced() {
        let plugin: TransportPlugin = "a,b exec x -y".parse().unwrap();
        let replaced = plugin.replace_program("/bin/x".into()).unwrap();
        assert_eq!(replaced.as_str(), "a,b exec /bin/x -y");
        assert_eq!(plugin.replace_program("/b in/x".into()), None);
        let proxy: TransportPlugin = "a socks5 127.0.0.1:1".parse().unwrap();
        assert_eq!(proxy.replace_program("/x".into()), None);
    }

    proptest! {
        #[test]
        fn every_accepted_value_round_trips(text in any::<String>(), argument in any::<String>()) {
            for text in [text.clone(), format!("a exec {text}"), format!("a socks5 {text}")] {
                if let Ok(plugin) = text.parse::<TransportPlugin>() {
                    assert!(!plugin.as_str().contains(char::is_control));
                    assert_eq!(plugin.to_string().parse(), Ok(plugin));
                }
            }
            let plugin = TransportPlugin::exec(["a"], "/x").unwrap();
            if let Ok(plugin) = plugin.with_argument(&argument) {
                assert_eq!(plugin.arguments().collect::<Vec<_>>(), [argument]);
            }
        }
    }
}
