//! Countries and flags of relays, which are looked up once for each connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use torcon::Controller;
use torcon::names::{Fingerprint, RelayFlag, RelaySpec};

use crate::model::{Relay, flag_letters};
use crate::text::printable;

/// The relays that one read of the state looks up: the rest follows with the next read, so that a
/// busy tor is not asked thousands of questions at once.
const LOOKUPS: usize = 100;

/// The time limit of a lookup.
const LIMIT: Duration = Duration::from_secs(10);

/// The entry of a relay in the consensus.
#[derive(Clone, Debug, Default)]
struct Known {
    nickname: Option<String>,
    country: Option<String>,
    flags: String,
    address: Option<String>,
}

/// The relays that were looked up.
#[derive(Debug, Default)]
pub(super) struct RelayBook {
    known: HashMap<Fingerprint, Known>,
}

impl RelayBook {
    /// Forgets all relays, as with another tor or a new consensus.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn lookup(&mut self, controller: &Controller) -> Lookup<'_> {
        let controller = controller.with_timeout(LIMIT);
        Lookup { book: self, controller, left: LOOKUPS, is_incomplete: false }
    }
}

/// The lookups of one read of the state.
pub(super) struct Lookup<'book> {
    book: &'book mut RelayBook,
    controller: Controller,
    left: usize,
    is_incomplete: bool,
}

impl Lookup<'_> {
    /// Returns whether more relays must be looked up.
    pub(super) fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// Returns a relay with its country and flags, as far as they are known.
    pub(super) fn relay(&mut self, spec: &RelaySpec) -> Relay {
        let known = spec.fingerprint().and_then(|fingerprint| self.known(fingerprint));
        let known = known.cloned().unwrap_or_default();
        let nickname = spec.nickname().map(|nickname| nickname.to_string()).or(known.nickname);
        let name = nickname.unwrap_or_else(|| match spec.fingerprint() {
            Some(fingerprint) => {
                format!("${}", fingerprint.to_string().get(..8).unwrap_or_default())
            }
            None => spec.to_string(),
        });
        Relay { name: printable(name), country: known.country, flags: known.flags }
    }

    /// Returns the address and OR port of a relay.
    pub(super) fn address(&mut self, spec: &RelaySpec) -> Option<String> {
        self.known(spec.fingerprint()?)?.address.clone()
    }

    fn known(&mut self, fingerprint: Fingerprint) -> Option<&Known> {
        if !self.book.known.contains_key(&fingerprint) {
            if self.left == 0 {
                self.is_incomplete = true;
                return None;
            }
            self.left -= 1;
            let found = look_up(&self.controller, fingerprint)?;
            self.book.known.insert(fingerprint, found);
        }
        self.book.known.get(&fingerprint)
    }
}

/// Returns `None` if tor does not answer, and an empty entry if the relay is not listed.
fn look_up(controller: &Controller, fingerprint: Fingerprint) -> Option<Known> {
    let Some(status) = controller.relay_status(fingerprint).ok()? else {
        return Some(Known::default());
    };
    // tor may have no GeoIP data.
    let country = controller.country(IpAddr::V4(status.address())).ok().flatten();
    let flags: Vec<_> = status.flags().collect();
    Some(Known {
        nickname: Some(status.nickname().to_string()),
        country: country.map(printable),
        flags: flag_letters(&flags.iter().map(RelayFlag::as_str).collect::<Vec<_>>()),
        address: Some(format!("{}:{}", status.address(), status.or_port())),
    })
}
