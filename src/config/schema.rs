//! The options of a tor, their types and their groups.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::known_options::KNOWN_OPTIONS;
use crate::command::is_service_option;
use crate::error::InvalidInput;
use crate::names::{keywords, starts_without_case};

keywords! {
    /// The type of an option, as `GETINFO config/names` reports it.
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
        /// A port number.
        Port = "Port",
        /// A number of bytes.
        DataSize = "DataSize",
        /// A time in seconds.
        TimeInterval = "TimeInterval",
        /// A time in milliseconds.
        TimeMsecInterval = "TimeMsecInterval",
        /// A date and time, `YYYY-MM-DD HH:MM:SS`.
        Time = "Time",
        /// A number with a fraction.
        Float = "Float",
        /// A text.
        String = "String",
        /// The path of a file or directory.
        Filename = "Filename",
        /// Entries separated by commas, in one line.
        CommaList = "CommaList",
        /// Relays, countries and addresses separated by commas, in one line.
        RouterList = "RouterList",
        /// One line for each entry.
        LineList = "LineList",
        /// One line for each entry of an option in a group: the options of an onion service, or
        /// `SocksPort` with `__SocksPort`.
        Dependent = "Dependent",
        /// A group of options of the type `Dependent`. It has no value itself.
        Virtual = "Virtual",
    }
}

impl OptionType {
    /// Returns whether an option of this type is a list.
    #[doc(alias = "is_list_config_type")]
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.is_comma_list() || self.is_line_list()
    }

    /// Whether the entries share one line.
    pub(super) fn is_comma_list(&self) -> bool {
        matches!(self, Self::CommaList | Self::RouterList)
    }

    /// Whether each entry has its own line.
    pub(super) fn is_line_list(&self) -> bool {
        matches!(self, Self::LineList | Self::Dependent)
    }

    /// Whether an option of this type cannot be empty: tor reads zero then.
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

    /// Whether clearing an option of this type resets it: tor has no other default for it than an
    /// empty list.
    pub(super) fn is_reset_by_clearing(&self) -> bool {
        self.is_line_list() || matches!(self, Self::RouterList | Self::Virtual)
    }
}

/// The group of the options of all onion services.
pub(crate) const SERVICES: &str = "HiddenServiceOptions";

/// An option: its name in tor's spelling, its type and its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TorOption {
    pub(super) name: Arc<str>,
    pub(super) kind: OptionType,
    /// The name of the group, or that of the option itself if it is in no group.
    pub(super) group: Arc<str>,
}

impl TorOption {
    /// Whether setting this option drops the lines of the other options of its group.
    pub(super) fn is_grouped(&self) -> bool {
        self.name != self.group
    }

    pub(super) fn is_of_services(&self) -> bool {
        &*self.group == SERVICES
    }

    /// Whether each entry opens a listener, except `0`, as with `SocksPort`.
    pub(super) fn is_listener(&self) -> bool {
        self.kind == OptionType::Dependent && self.name.ends_with("Port")
    }

    /// Returns the default that tor uses while no line of the group is set, and drops with the
    /// first line.
    pub(super) fn implied_default(&self) -> ImpliedDefault {
        match &*self.group {
            // `GETCONF` and `GETINFO config/defaults` report neither of these.
            "SocksPortLines" => ImpliedDefault::Line("SocksPort", "9050"),
            // With `RunAsDaemon` tor has no log by default, and ignores this line.
            "Log" => ImpliedDefault::Line("Log", "notice stdout"),
            "DirAuthority" | "FallbackDir" => ImpliedDefault::InDefaults,
            _ => ImpliedDefault::None,
        }
    }
}

/// The default of a list that `GETCONF` shows as not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImpliedDefault {
    None,
    Line(&'static str, &'static str),
    /// `GETINFO config/defaults` reports it.
    InDefaults,
}

/// The options of one tor.
#[derive(Debug)]
pub(super) struct Schema {
    options: Vec<TorOption>,
    /// The indices in `options`, by names in lower case.
    indices: HashMap<Box<str>, usize>,
    /// Whether tor has no other options.
    is_complete: bool,
}

impl Schema {
    /// Returns the options that tor reported.
    pub(super) fn of_tor(names: &[(String, String)]) -> Self {
        let option = |(name, kind): &(String, String)| {
            let kind = match kind.as_str() {
                // The spelling of older versions of tor.
                "Dependant" => OptionType::Dependent,
                kind => OptionType::from(kind),
            };
            (name.as_str().into(), kind)
        };
        Self::new(names.iter().map(option), true)
    }

    /// Returns the options that torcon knows; a tor can have others.
    pub(super) fn known() -> Self {
        let names = KNOWN_OPTIONS.iter().flat_map(|(kind, names)| {
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
            if let Some(group) = groups.iter().find(|group| contains(group, &option.name)) {
                option.group = Arc::clone(group);
            }
        }
        let indices = options.iter().enumerate();
        let indices = indices.map(|(at, option)| (option.name.to_ascii_lowercase().into(), at));
        Self { indices: indices.collect(), options, is_complete }
    }

    /// Returns all options, in tor's order.
    pub(super) fn options(&self) -> &[TorOption] {
        &self.options
    }

    /// Returns the option of a name. The case does not matter.
    pub(super) fn known_option(&self, name: &str) -> Option<&TorOption> {
        self.options.get(*self.indices.get(&*name.to_ascii_lowercase())?)
    }

    /// Returns the option of a name.
    ///
    /// # Errors
    ///
    /// A name that no option can have, and one that this tor does not have: tor would accept it as
    /// an abbreviation of another.
    pub(super) fn option(&self, name: &str) -> Result<TorOption, InvalidInput> {
        if let Some(option) = self.known_option(name) {
            return Ok(option.clone());
        }
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_valid) {
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

    /// Returns the option of a single onion service of that name.
    ///
    /// # Errors
    ///
    /// Any other name, and an abbreviation such as `HiddenServiceDi`, which tor would accept.
    pub(super) fn service_option(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let refuse = |problem: &str| Err(InvalidInput::new(name.to_owned(), problem.to_owned()));
        if !is_service_option(name) {
            return refuse("is not an option of an onion service");
        }
        let option = self.option(name)?;
        if self.known_option(name).is_none() {
            let is_longer = |other: &&TorOption| starts_without_case(&*other.name, name);
            if let Some(whole) = self.options.iter().find(is_longer) {
                return refuse(&format!(
                    "is the beginning of {}: write the whole name",
                    whole.name
                ));
            }
        }
        Ok(option)
    }

    /// Returns the option of a name, unless it is a group.
    pub(super) fn readable(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let option = self.option(name)?;
        match option.kind {
            OptionType::Virtual => {
                let problem = "is a group of options and has no value";
                Err(InvalidInput::new(name.to_owned(), problem))
            }
            _ => Ok(option),
        }
    }

    /// Returns the option of a name, unless it belongs to an onion service.
    pub(super) fn settable(&self, name: &str) -> Result<TorOption, InvalidInput> {
        let option = self.readable(name)?;
        if option.is_of_services() {
            let problem = "belongs to an onion service: use the methods for onion services";
            return Err(InvalidInput::new(name.to_owned(), problem));
        }
        Ok(option)
    }
}

/// Returns the options that torcon knows.
pub(super) fn known_schema() -> &'static Schema {
    static KNOWN: OnceLock<Schema> = OnceLock::new();
    KNOWN.get_or_init(Schema::known)
}

/// Whether a group contains an option: `HiddenServiceOptions` those of services, `SocksPortLines`
/// both `SocksPort` and `__SocksPort`.
fn contains(group: &str, option: &str) -> bool {
    if group == SERVICES {
        return is_service_option(option);
    }
    let port = group.strip_suffix("Lines").unwrap_or_default();
    option.strip_prefix("__").unwrap_or(option) == port
}

/// Returns the group of all onion services as an option, for pending changes.
pub(super) fn services_option() -> TorOption {
    TorOption { name: SERVICES.into(), kind: OptionType::Virtual, group: SERVICES.into() }
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
    fn each_option_has_its_group() {
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
    fn an_option_that_cannot_be_read_or_set_is_refused_with_the_reason() {
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
                "\"SocksPortLines\": is a group of options and has no value",
            ),
            (
                schema.settable("HiddenServiceDir"),
                "\"HiddenServiceDir\": belongs to an onion service: use the methods for onion \
                 services",
            ),
        ];
        for (outcome, text) in cases {
            assert_eq!(outcome.unwrap_err().to_string(), format!("invalid argument {text}"));
        }
    }

    #[test]
    fn without_a_tor_unknown_options_are_accepted() {
        let schema = Schema::known();
        assert!(schema.options().len() > 350);
        assert_eq!(schema.option("exitnodes").unwrap().kind, OptionType::RouterList);
        assert_eq!(&*schema.option("SocksPort").unwrap().group, "SocksPortLines");
        assert!(!schema.option("Novelty").unwrap().kind.is_recognized());
    }
}
