//! The consensus of the directory authorities.

use std::time::SystemTime;

use data_encoding::BASE64;

use super::answers::Answers;
use crate::error::ProtocolError;
use crate::names::ConsensusFlavor;

/// The validity of tor's consensus.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// if let Some(lifetime) = controller.consensus_lifetime()? {
///     println!("until {:?}", lifetime.valid_until);
/// }
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConsensusLifetime {
    /// `valid-after`.
    pub valid_after: SystemTime,
    /// `fresh-until`: the time at which the next consensus is due.
    pub fresh_until: SystemTime,
    /// `valid-until`. Clients use it a day longer if they find no newer one.
    pub valid_until: SystemTime,
}

/// The shared random values of the consensus.
///
/// They determine which relays store an onion service's descriptors.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// println!("{:?}", controller.shared_random()?.current);
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SharedRandom {
    /// The current value; `None` if tor has no consensus, or its consensus has none.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::names::serialize::base64"))]
    pub current: Option<[u8; 32]>,
    /// The previous value.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::names::serialize::base64"))]
    pub previous: Option<[u8; 32]>,
}

impl ConsensusFlavor {
    /// Returns the key for the document.
    pub(crate) fn document_key(&self) -> String {
        match self {
            Self::Ns => "dir/status-vote/current/consensus".to_owned(),
            other => format!("dir/status-vote/current/consensus-{}", other.as_str()),
        }
    }
}

impl ConsensusLifetime {
    pub(crate) const KEYS: &'static [&'static str] =
        &["consensus/valid-after", "consensus/fresh-until", "consensus/valid-until"];

    /// Returns `None` if tor has no consensus: the value is then empty.
    pub(crate) fn read(answers: Answers<'_>) -> Result<Option<Self>, ProtocolError> {
        if Self::KEYS.iter().all(|key| answers.bytes(key).is_empty()) {
            return Ok(None);
        }
        Ok(Some(Self {
            valid_after: answers.time("consensus/valid-after")?,
            fresh_until: answers.time("consensus/fresh-until")?,
            valid_until: answers.time("consensus/valid-until")?,
        }))
    }
}

impl SharedRandom {
    pub(crate) const KEYS: &'static [&'static str] = &["sr/current", "sr/previous"];

    pub(crate) fn read(answers: Answers<'_>) -> Result<Self, ProtocolError> {
        let value = |key: &str| {
            let digits = answers.bytes(key);
            if digits.is_empty() {
                return Ok(None);
            }
            let bytes = BASE64.decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.map(Some).ok_or_else(|| ProtocolError::new(key, "32 bytes in base64", digits))
        };
        Ok(Self { current: value("sr/current")?, previous: value("sr/previous")? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ConsensusLifetime, SharedRandom};
    use crate::info::answers::tests::read;
    use crate::names::ConsensusFlavor;

    #[test]
    fn the_three_times_are_read() {
        let text = "consensus/valid-after=2026-11-23 09:26:00\n\
                    consensus/fresh-until=2026-11-23 09:26:20\n\
                    consensus/valid-until=2026-11-23 09:26:40";
        let lifetime = read(text, ConsensusLifetime::read).unwrap().unwrap();
        let step = Duration::from_secs(20);
        assert_eq!(lifetime.fresh_until, lifetime.valid_after + step);
        assert_eq!(lifetime.valid_until, lifetime.fresh_until + step);
        let without = "consensus/valid-after=\nconsensus/fresh-until=\nconsensus/valid-until=";
        assert_eq!(read(without, ConsensusLifetime::read), Ok(None));
        assert_eq!(
            read(&text.replace(":40", ""), ConsensusLifetime::read).unwrap_err(),
            "cannot read consensus/valid-until: expected a time, got \"2026-11-23 09:26\""
        );
    }

    #[test]
    fn random_values_are_read() {
        let text = "sr/current=fkt6GfVvBeRdbcvPHLjUbZG9Zom6pedSpocK/j66rBE=\nsr/previous=";
        let random = read(text, SharedRandom::read).unwrap();
        assert_eq!(random.current.unwrap()[..3], [0x7e, 0x4b, 0x7a]);
        assert_eq!(random.previous, None);
        assert_eq!(
            read("sr/current=fkt6", SharedRandom::read).unwrap_err(),
            "cannot read sr/current: expected 32 bytes in base64, got \"fkt6\""
        );
    }

    #[test]
    fn each_flavor_has_its_document() {
        let ns = ConsensusFlavor::Ns.document_key();
        assert_eq!(ns, "dir/status-vote/current/consensus");
        let microdesc = ConsensusFlavor::Microdesc.document_key();
        assert_eq!(microdesc, "dir/status-vote/current/consensus-microdesc");
    }
}
