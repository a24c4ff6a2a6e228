//! tor's configuration: `GETCONF`, `SETCONF`, `RESETCONF`, `SAVECONF`, `LOADCONF`.

mod get;
mod map;

use std::fmt;

use zeroize::Zeroizing;

pub use self::get::GetConf;
pub use self::map::ConfMap;
pub use self::map::ConfValue;
use super::{Command, ConfSettings, acknowledged};
use crate::error::{InvalidInput, Result};
use crate::names::starts_without_case;
use crate::wire::Request;

/// The new value of an option; or none, which clears the option.
///
/// `From` makes it from text, bytes, and `Option`s of them.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, ConfSetting, SetConf};
///
/// let settings = [("Nickname", ConfSetting::from("MyRelay")), ("ExitPolicy", ConfSetting::clear())];
/// let command = SetConf::new(settings);
/// assert_eq!(command.request()?.encode()?, b"SETCONF Nickname=MyRelay ExitPolicy\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfSetting(Option<Zeroizing<Vec<u8>>>);

impl ConfSetting {
    /// Returns the setting that clears an option.
    #[must_use]
    pub fn clear() -> Self {
        Self(None)
    }

    /// Returns the value; `None` if the setting clears the option.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|value| value.as_slice())
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
                /// Returns the command for one option, or for several in the given order. A
                /// repeated option gets several values.
                #[must_use]
                pub fn new<S, Form>(settings: S) -> Self
                where
                    S: ConfSettings<Form>,
                    Form: ?Sized,
                {
                    Self { settings: settings.into_settings() }
                }
            }

            impl Command for $name {
                acknowledged!($keyword);

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
            }
        )*
    };
}

settings! {
    /// Changes options: all of them, or none if tor refuses one.
    ///
    /// `SETCONF option[=value] ...`. A value is quoted and escaped if it is empty, begins with a
    /// quote, or contains a blank or a byte that is not printable ASCII; it cannot contain line
    /// breaks. Without a value the option is cleared, which for a number is not its default: see
    /// [`ResetConf`].
    ///
    /// An option with several values loses its former ones, and any option of an onion service
    /// replaces all onion services of the configuration.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::command::{Command, SetConf};
    ///
    /// let command = SetConf::new([("ContactInfo", "Ann <ann@example.com>"), ("Nickname", "MyRelay")]);
    /// let sent = command.request()?.encode()?;
    /// assert_eq!(sent, b"SETCONF ContactInfo=\"Ann <ann@example.com>\" Nickname=MyRelay\r\n");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    SetConf = "SETCONF";
    /// Resets options to their defaults, or to values: all of them, or none.
    ///
    /// `RESETCONF option[=value] ...`, with values as in [`SetConf`].
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::command::{Command, ResetConf};
    ///
    /// let command = ResetConf::new([("MaxCircuitDirtiness", None), ("Nickname", Some("MyRelay"))]);
    /// let sent = command.request()?.encode()?;
    /// assert_eq!(sent, b"RESETCONF MaxCircuitDirtiness Nickname=MyRelay\r\n");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    ResetConf = "RESETCONF";
}

/// Writes the configuration to tor's configuration file.
///
/// `SAVECONF [FORCE]`.
///
/// # Examples
///
/// ```no_run
/// use torcon::command::SaveConf;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// controller.set_conf(("MaxCircuitDirtiness", "300"))?;
/// // Also overwrites a torrc with `%include`.
/// controller.execute(&SaveConf::forced())?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveConf {
    force: bool,
}

impl SaveConf {
    /// Returns the command that tor refuses if the file has `%include` lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the command that writes the file even if `%include` lines are lost.
    #[must_use]
    pub fn forced() -> Self {
        Self { force: true }
    }
}

impl Command for SaveConf {
    acknowledged!("SAVECONF");

    fn request(&self) -> Result<Request, InvalidInput> {
        let request = Request::new(Self::KEYWORD);
        if self.force { request.token("force", "FORCE") } else { Ok(request) }
    }
}

/// Replaces the whole configuration with the text of a torrc.
///
/// `+LOADCONF`, the text, and a line with a dot. Options that the text does not set return to their
/// defaults, also `DataDirectory` and `ControlPort`.
///
/// # Examples
///
/// ```
/// use torcon::command::{Command, LoadConf};
///
/// let command = LoadConf::new("SocksPort 9050\nNickname MyRelay");
/// let sent = command.request()?.encode()?;
/// assert_eq!(sent, b"+LOADCONF\r\nSocksPort 9050\r\nNickname MyRelay\r\n.\r\n");
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct LoadConf {
    text: Zeroizing<Vec<u8>>,
}

impl LoadConf {
    /// Returns the command for the given text, of one or many lines.
    #[must_use]
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        Self { text: Zeroizing::new(text.as_ref().to_vec()) }
    }
}

impl Command for LoadConf {
    acknowledged!("LOADCONF");

    fn request(&self) -> Result<Request, InvalidInput> {
        Request::new(Self::KEYWORD).data("text", &self.text)
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

/// Refuses an invalid name. The prefixes `+` and `/` of a torrc are not part of a name.
fn check_option(name: &str) -> Result<(), InvalidInput> {
    if is_option(name.as_bytes()) {
        return Ok(());
    }
    Err(InvalidInput::new("option", "is not a name of letters, digits and underscores"))
}

/// Options that begin as those of one onion service do, but apply to all services.
const OF_ALL_SERVICES: [&str; 3] =
    ["HiddenServiceNonAnonymousMode", "HiddenServiceSingleHopMode", "HiddenServiceStatistics"];

/// Returns whether an option belongs to one onion service, in future versions of tor too. tor accepts
/// abbreviations of names.
pub(crate) fn is_service_option(name: &str) -> bool {
    starts_without_case(name, "HiddenService")
        && is_option(name.as_bytes())
        && !name.eq_ignore_ascii_case("HiddenServiceOptions")
        && !OF_ALL_SERVICES.iter().any(|other| starts_without_case(other, name))
}

#[cfg(test)]
mod tests;
