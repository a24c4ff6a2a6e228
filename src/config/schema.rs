//! Which options there are, of which types, and which of them tor keeps together.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::known::KNOWN;
use crate::command::is_service_option;
use crate::error::InvalidInput;
use crate::names::keywords;

keywords! {
    /// The type of an option, as `GETINFO config/names` tells it.
    ///
    /// # Examples
    ///
    /// ```
    /// use torcon::config::OptionType;
    ///
    /// assert_eq!(OptionType::from("Boolean+Auto"), OptionType::AutoBoolean);
    /// assert!(OptionType::RouterList.is_list());
    /// ```
    pub enum OptionType {
        /// `0` or `1`.
        Boolean = "Boolean",
        /// `0`, `1` or `auto`.
        AutoBoolean = "Boolean+Auto",
        /// A number that is not negative.
        Integer = "Integer",
        /// A number.
        SignedInteger = "SignedInteger",
        /// The number of a port.
        Port = "Port",
        /// A number of bytes.
        DataSize = "DataSize",
        /// A time in seconds.
        TimeInterval = "TimeInterval",
        /// A time in milliseconds.
        TimeMsecInterval = "TimeMsecInterval",
        /// A moment, `YYYY-MM-DD HH:MM:SS`.
        Time = "Time",
        /// A number with a fraction.
        Float = "Float",
        /// A text.
        String = "String",
        /// The path of a file or directory.
        Filename = "Filename",
        /// Entries divided by commas, in one line.
        CommaList = "CommaList",
        /// Relays, countries and addresses divided by commas, in one line.
        RouterList = "RouterList",
        /// A line for each entry.
        LineList = "LineList",
        /// A line for each entry, of an option that tor keeps together with others: those of an
        /// onion service, or `SocksPort` with `__SocksPort`.
        Dependent = "Dependent",
        /// A name that stands for several options of the type `Dependent`, and has no value of
        /// its own.
        Virtual = "Virtual",
    }
}

impl OptionType {
    /// Returns whether the option has any number of entries.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.is_comma_list() || self.is_line_list()
    }

    /// Whether the entries stand in one line.
    pub(super) fn is_comma_list(&self) -> bool {
        matches!(self, Self::CommaList | Self::RouterList)
    }

    /// Whether each entry has a line.
    pub(super) fn is_line_list(&self) -> bool {
        matches!(self, Self::LineList | Self::Dependent)
    }

    /// Whether there always is a value, since tor takes nothing for zero.
    pub(super) fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Boolean
                | Self::AutoBoolean
                | Self::Integer
                | Self::SignedInteger
                | Self::Port
                | Self::DataSize
                | Self::TimeInterval
                | Self::TimeMsecInterval
                | Self::Float
        )
    }

    /// Whether an option of this type that is cleared is at its default: tor has no other default
    /// for them than nothing.
    pub(super) fn is_reset_by_clearing(&self) -> bool {
        self.is_line_list() || matches!(self, Self::RouterList | Self::Virtual)
    }
}

/// The name that stands for every option of every onion service.
pub(crate) const SERVICES: &str = "HiddenServiceOptions";

/// An option: its name in tor's spelling, its type, and what it is kept with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TorOption {
    pub(super) name: Arc<str>,
    pub(super) kind: OptionType,
    /// The name that stands for all options that tor keeps together with this one; the name of
    /// this one, if it stands alone.
    pub(super) group: Arc<str>,
}

impl TorOption {
    /// Whether setting this option takes away what the other options of its group have.
    pub(super) fn is_grouped(&self) -> bool {
        self.name != self.group
    }

    pub(super) fn is_of_services(&self) -> bool {
        &*self.group == SERVICES
    }

    /// Whether each entry opens a listener, and `0` none, as with `SocksPort`.
    pub(super) fn is_listener(&self) -> bool {
        self.kind == OptionType::Dependent && self.name.ends_with("Port")
    }

    /// Returns where the default comes from that tor uses while no line of the group is set, and
    /// that it drops as soon as there is one.
    pub(super) fn implied(&self) -> Implied {
        match &*self.group {
            // `GETCONF` and `GETINFO config/defaults` name neither of these.
            "SocksPortLines" => Implied::Line("SocksPort", "9050"),
            // With `RunAsDaemon` tor logs nowhere by default, and skips this line.
            "Log" => Implied::Line("Log", "notice stdout"),
            "DirAuthority" | "FallbackDir" => Implied::ToldByTor,
            _ => Implied::Nothing,
        }
    }
}

/// The default of a list that `GETCONF` shows as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Implied {
    Nothing,
    Line(&'static str, &'static str),
    /// `GETINFO config/defaults` names it.
    ToldByTor,
}

/// The options of one tor.
#[derive(Debug)]
pub(super) struct Schema {
    options: Vec<TorOption>,
    /// The places in `options`, by names in lower case.
    places: HashMap<Box<str>, usize>,
    /// Whether there are no others.
    is_complete: bool,
}

impl Schema {
    /// The options that tor has named.
    pub(super) fn of_tor(names: &[(String, String)]) -> Self {
        let option = |(name, kind): &(String, String)| {
            let kind = match kind.as_str() {
                // As older tors spell it.
                "Dependant" => OptionType::Dependent,
                kind => OptionType::from(kind),
            };
            (name.as_str().into(), kind)
        };
        Self::new(names.iter().map(option), true)
    }

    /// The options that this version of torcon knows; a tor may have others.
    pub(super) fn known() -> Self {
        let names = KNOWN.iter().flat_map(|(kind, names)| {
            names.split_ascii_whitespace().map(|name| (name.into(), kind.clone()))
        });
        Self::new(names, false)
    }

    fn new(names: impl Iterator<Item = (Arc<str>, OptionType)>, is_complete: bool) -> Self {
        let mut options: Vec<TorOption> =
            names.map(|(name, kind)| TorOption { group: Arc::clone(&name), name, kind }).collect();
        let is_virtual = |option: &&TorOption| option.kind == OptionType::Virtual;
        let groups: Vec<_> =
            options.iter().filter(is_virtual).map(|option| Arc::clone(&option.name)).collect();
        for option in options.iter_mut().filter(|option| option.kind == OptionType::Dependent) {
            if let Some(group) = groups.iter().find(|group| stands_for(group, &option.name)) {
                option.group = Arc::clone(group);
            }
        }
        let places = options.iter().enumerate();
        let places = places.map(|(at, option)| (option.name.to_ascii_lowercase().into(), at));
        Self { places: places.collect(), options, is_complete }
    }

    /// Returns every option, in tor's order.
    pub(super) fn options(&self) -> &[TorOption] {
        &self.options
    }

    /// Returns the option of a name, in whatever case it is written.
    pub(super) fn known_option(&self, name: &str) -> Option<&TorOption> {
        self.options.get(*self.places.get(&*name.to_ascii_lowercase())?)
    }

    /// Returns the option of a name.
    ///
    /// # Errors
    ///
    /// A name that no option can have; and one that this tor does not have, since tor would take
    /// the beginning of another for it.
    pub(super) fn option(&self, name: &str) -> Result<TorOption, InvalidInput> {
        if let Some(option) = self.known_option(name) {
            return Ok(option.clone());
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_part) {
            let problem = "is not a name of letters, digits and underscores";
            return Err(InvalidInput::new("option", problem));
        }
        if self.is_complete {
            let problem = match known_schema().known_option(name) {
                Some(_) => "is not an option of this tor; tor 0.4.9.15 has it",
                None => "is not an option of this tor",
            };
            return Err(InvalidInput::new(name.to_owned(), problem));
        }
        let name: Arc<str> = name.into();
        let kind = OptionType::Unrecognized("".into());
        Ok(TorOption { group: Arc::clone(&name), name, kind })
    }

    /// Returns the option of one onion service of that name.
    ///
    /// # Errors
    ///
    /// Any other name; also the beginning of a name, such as `HiddenServiceDi`, which tor would
    /// take for the whole.
    pub(super) fn service_option(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let refuse = |problem: &str| Err(InvalidInput::new(name.to_owned(), problem.to_owned()));
        if !is_service_option(name) {
            return refuse("is not an option of an onion service");
        }
        let option = self.option(name)?;
        if self.known_option(name).is_none() {
            let is_longer = |other: &&TorOption| {
                let start = other.name.get(..name.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(name))
            };
            if let Some(whole) = self.options.iter().find(is_longer) {
                return refuse(&format!(
                    "is the beginning of {}: write the whole name",
                    whole.name
                ));
            }
        }
        Ok(option)
    }

    /// Returns the option of a name if it has a value of its own.
    pub(super) fn readable(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let option = self.option(name)?;
        match option.kind {
            OptionType::Virtual => {
                let problem = "stands for several options and has no value of its own";
                Err(InvalidInput::new(name.to_owned(), problem))
            }
            _ => Ok(option),
        }
    }

    /// Returns the option of a name if it can be set by itself.
    pub(super) fn settable(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let option = self.readable(name)?;
        if option.is_of_services() {
            let problem = "belongs to one onion service of several: use the functions for these";
            return Err(InvalidInput::new(name.to_owned(), problem));
        }
        Ok(option)
    }
}

/// Returns the options that this version of torcon knows.
pub(super) fn known_schema() -> &'static Schema {
    static KNOWN: OnceLock<Schema> = OnceLock::new();
    KNOWN.get_or_init(Schema::known)
}

/// Whether the name `group` stands for an option: `HiddenServiceOptions` for those of services,
/// `SocksPortLines` for `SocksPort` and `__SocksPort`.
fn stands_for(group: &str, option: &str) -> bool {
    if group == SERVICES {
        return is_service_option(option);
    }
    let port = group.strip_suffix("Lines").unwrap_or_default();
    option.strip_prefix("__").unwrap_or(option) == port
}

#[cfg(test)]
mod tests {
    use super::{OptionType, Schema};

    fn schema() -> Schema {
        let names = "SocksPort Dependent\n__SocksPort Dependant\nSocksPortLines Virtual\n\
                     HiddenServiceDir Dependent\nHiddenServiceNovelty Dependent\n\
                     HiddenServiceOptions Virtual\nHiddenServiceStatistics Boolean\n\
                     LoneDependent Dependent\nUseBridges Boolean\nFuture Quantum";
        let pair = |line: &str| {
            let (name, kind) = line.split_once(' ').unwrap();
            (name.to_owned(), kind.to_owned())
        };
        Schema::of_tor(&names.lines().map(pair).collect::<Vec<_>>())
    }

    #[test]
    fn options_that_tor_keeps_together_know_each_other() {
        let schema = schema();
        for (name, group) in [
            ("SocksPort", "SocksPortLines"),
            ("__socksport", "SocksPortLines"),
            ("HiddenServiceDir", "HiddenServiceOptions"),
            ("HIDDENSERVICENOVELTY", "HiddenServiceOptions"),
            ("HiddenServiceStatistics", "HiddenServiceStatistics"),
            ("LoneDependent", "LoneDependent"),
            ("UseBridges", "UseBridges"),
        ] {
            assert_eq!(&*schema.option(name).unwrap().group, group, "{name}");
        }
        assert_eq!(schema.option("future").unwrap().kind.as_str(), "Quantum");
    }

    #[test]
    fn what_cannot_be_read_or_set_says_why() {
        let schema = schema();
        let cases = [
            (schema.option(""), "\"option\": is not a name of letters, digits and underscores"),
            (schema.option("a b"), "\"option\": is not a name of letters, digits and underscores"),
            (schema.option("UseBridge"), "\"UseBridge\": is not an option of this tor"),
            (
                schema.option("ConfluxEnabled"),
                "\"ConfluxEnabled\": is not an option of this tor; tor 0.4.9.15 has it",
            ),
            (
                schema.readable("SocksPortLines"),
                "\"SocksPortLines\": stands for several options and has no value of its own",
            ),
            (
                schema.settable("HiddenServiceDir"),
                "\"HiddenServiceDir\": belongs to one onion service of several: use the \
                 functions for these",
            ),
        ];
        for (outcome, text) in cases {
            assert_eq!(outcome.unwrap_err().to_string(), format!("invalid argument {text}"));
        }
    }

    #[test]
    fn without_a_tor_unknown_options_are_taken_as_they_are() {
        let schema = Schema::known();
        assert!(schema.options().len() > 350);
        assert_eq!(schema.option("exitnodes").unwrap().kind, OptionType::RouterList);
        assert_eq!(&*schema.option("SocksPort").unwrap().group, "SocksPortLines");
        assert!(!schema.option("Novelty").unwrap().kind.is_recognized());
    }
}
