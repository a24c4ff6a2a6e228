use std::process::Command;
use std::sync::OnceLock;

use super::real_tor::tor_binary;

/// A feature that not every tested tor has. The test of a tor without it expects the refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Capability {
    /// `ADD_ONION` accepts the proof-of-work arguments.
    AddOnionPow,
    /// The option `MinimalAcceptedServerVersion`.
    MinimalAcceptedServerVersion,
    /// `HSFETCH` refuses a server outside the consensus; older ones abort.
    HsFetchRefusesUnlisted,
}

impl Capability {
    /// Returns the first version that has it.
    fn since(self) -> [u32; 4] {
        match self {
            Self::AddOnionPow => [0, 4, 9, 2],
            Self::MinimalAcceptedServerVersion => [0, 4, 9, 1],
            Self::HsFetchRefusesUnlisted => [0, 4, 9, 12],
        }
    }

    /// Returns whether the tor under test has it.
    #[track_caller]
    pub(crate) fn is_available(self) -> bool {
        static VERSION: OnceLock<[u32; 4]> = OnceLock::new();
        *VERSION.get_or_init(version) >= self.since()
    }
}

/// Returns the version that `tor --version` prints in its first line: `Tor version 0.4.9.11.`
fn version() -> [u32; 4] {
    let output = Command::new(tor_binary()).arg("--version").output().expect("tor can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers = text.strip_prefix("Tor version ").and_then(|text| {
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
        let mut next = || numbers.next()?.parse().ok();
        Some([next()?, next()?, next()?, next()?])
    });
    numbers.unwrap_or_else(|| panic!("no version: {text}"))
}
