use super::TorVersion;

/// A feature that the library uses and that not every tor has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TorFeature {
    /// `STREAM` events with the status `CONTROLLER_WAIT`.
    ControllerWait,
    /// The proof-of-work arguments of `ADD_ONION`.
    AddOnionPow,
    /// `HSFETCH` refuses a server that is not in the consensus. Older versions abort.
    HsFetchRefusesUnlisted,
}

impl TorFeature {
    /// Returns the first version that has the feature.
    fn since(self) -> TorVersion {
        match self {
            Self::ControllerWait => TorVersion::new(0, 4, 5, 1),
            Self::AddOnionPow => TorVersion::new(0, 4, 9, 2),
            Self::HsFetchRefusesUnlisted => TorVersion::new(0, 4, 9, 12),
        }
    }

    /// Returns whether `tor` is known to have the feature.
    pub(crate) fn is_in(self, tor: &TorVersion) -> bool {
        *tor >= self.since()
    }

    /// Returns the problem of a tor that is known to lack the feature.
    pub(crate) fn problem_of(self, tor: &TorVersion) -> Option<String> {
        (tor.is_recognized() && !self.is_in(tor))
            .then(|| format!("needs tor {} or later, and this is tor {tor}", self.since()))
    }
}

#[cfg(test)]
mod tests {
    use super::TorFeature;
    use crate::names::TorVersion;

    #[test]
    fn a_version_that_is_not_recognized_neither_has_a_feature_nor_lacks_it() {
        for (text, is_in, problem) in [
            ("0.4.8.14", false, Some("needs tor 0.4.9.2 or later, and this is tor 0.4.8.14")),
            ("0.4.9.2-alpha", true, None),
            ("0.4.9.11", true, None),
            ("dev", false, None),
        ] {
            let tor = TorVersion::from_text(text);
            assert_eq!(TorFeature::AddOnionPow.is_in(&tor), is_in, "{text}");
            assert_eq!(TorFeature::AddOnionPow.problem_of(&tor).as_deref(), problem, "{text}");
        }
    }
}
