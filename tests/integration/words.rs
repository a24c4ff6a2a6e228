/// The words of the project's own sentences.
mod plain_language;

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use torcon::names;

use crate::support::source::library_sources;

/// Words that no tor sends, and some that differ a little from those it does.
const UNKNOWN: [&str; 8] =
    ["", "builtin", "FUTURE_WORD", "UNKNOWN_264", "caf\u{e9}", "A B", "\u{fffd}", "Built "];

/// Checks that every word is kept, known or not, and is only equal to itself.
fn check<T>(name: &str, known: &[T], is_recognized: fn(&T) -> bool, as_str: fn(&T) -> &str)
where
    T: Clone + Debug + Display + PartialEq + FromStr<Err: Debug> + for<'a> From<&'a str>,
{
    assert!(!known.is_empty(), "{name}");
    for value in known {
        let word = as_str(value);
        assert!(is_recognized(value), "{name} {word}");
        assert_eq!(value.to_string(), word, "{name}");
        assert_eq!(T::from(word), *value, "{name}");
        assert_eq!(word.parse::<T>().unwrap(), *value, "{name}");
        for spelled in [word.to_ascii_lowercase(), word.to_ascii_uppercase()] {
            assert_eq!(as_str(&T::from(&spelled)), word, "{name}: tor compares without case");
            assert_eq!(as_str(&spelled.parse::<T>().unwrap()), word, "{name}");
        }
        let same = known.iter().filter(|other| as_str(other) == word).count();
        assert_eq!(same, 1, "{name} has {word} twice");
    }
    for word in UNKNOWN {
        let value = T::from(word);
        assert!(!is_recognized(&value), "{name} knows {word:?}");
        assert_eq!(as_str(&value), word, "{name}");
        assert_eq!(value.to_string(), word, "{name}");
        assert_eq!(word.parse::<T>().unwrap(), value, "{name}");
        assert_eq!(value.clone(), value, "{name}");
        assert!(known.iter().all(|known| *known != value), "{name} {word:?}");
        assert_eq!(UNKNOWN.iter().filter(|other| T::from(**other) == value).count(), 1, "{name}");
    }
}

macro_rules! words {
    ($($path:path,)*) => {
        /// The name of every open enumeration that is checked.
        const NAMES: &[&str] = &[$(stringify!($path),)*];

        #[test]
        fn every_open_enumeration_keeps_unknown_words() {
            $(
                type_of! { $path }
            )*
        }
    };
}

macro_rules! type_of {
    ($path:path) => {{
        use $path as Word;
        check(stringify!($path), Word::KNOWN, Word::is_recognized, Word::as_str);
    }};
}

words! {
    names::AddressMethod,
    names::AuthMethod,
    names::BandwidthWeight,
    names::BootstrapTag,
    names::BridgeDistribution,
    names::BuildFlag,
    names::BuildTimeoutAction,
    names::CircMinorChange,
    names::CircuitPurpose,
    names::CircuitReason,
    names::CircuitStatus,
    names::ClientProtocol,
    names::ClockSourceType,
    names::ConnectionType,
    names::ConsensusFlavor,
    names::DescriptorListing,
    names::DigestAlgorithm,
    names::DirDownload,
    names::DirResponse,
    names::GuardStatus,
    names::GuardType,
    names::HibernationStatus,
    names::HsDescAction,
    names::HsDescAuth,
    names::HsDescReason,
    names::HsState,
    names::IpVersion,
    names::IsoField,
    names::LibeventBadness,
    names::ListenerKind,
    names::NameserverStatus,
    names::NetworkLiveness,
    names::OrConnReason,
    names::OrConnStatus,
    names::PaddingCount,
    names::PortResult,
    names::PtConnect,
    names::PtSeverity,
    names::Recommendation,
    names::RelayFlag,
    names::RouterPurpose,
    names::Signal,
    names::StatusAction,
    names::StreamPurpose,
    names::StreamReason,
    names::StreamSource,
    names::StreamStatus,
    names::TokenBucket,
    names::TransportType,
    names::VersionReason,
    torcon::EventKind,
    torcon::config::OptionType,
    torcon::info::DownloadBackoff,
    torcon::info::DownloadIncrement,
    torcon::info::DownloadSchedule,
    torcon::info::DownloadSource,
    torcon::info::EntryGuardStatus,
    torcon::info::MappingOrigin,
    torcon::info::VersionStanding,
}

#[test]
fn no_open_enumeration_is_missing_from_the_list() {
    let listed: BTreeSet<_> = NAMES.iter().filter_map(|path| path.rsplit("::").next()).collect();
    let mut found = BTreeSet::new();
    let sources = library_sources();
    for (file, text) in &sources {
        if file == "src/names/keyword.rs" {
            continue;
        }
        for block in text.split("keywords! {").skip(1) {
            let name = block.split("pub enum ").nth(1).and_then(|rest| rest.split(' ').next());
            found.insert(name.unwrap_or_else(|| panic!("{file}: an enumeration without a name")));
        }
    }
    assert!(found.len() > 40, "only {} were found", found.len());
    assert_eq!(found, listed, "the list of the words is not complete");
}
