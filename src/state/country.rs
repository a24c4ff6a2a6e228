//! The countries of addresses and relays, kept until tor's GeoIP data change.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::State;
use crate::clock::deadline_after;
use crate::controller::{Controller, HookGuard, if_allowed};
use crate::error::{Disconnect, Result};
use crate::event::{Event, EventKind};
use crate::link::{CommandLock, EventHook, RawEvent};
use crate::names::{CountryCode, Fingerprint};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The most addresses of one command.
const MAX_ADDRESSES: usize = 500;

impl State {
    /// Returns the country of an address by tor's GeoIP data; `None` if the data do not contain the
    /// address, or if tor has no data for its family.
    ///
    /// The answers are kept until tor loads other data, which it does if `GeoIPFile` or `GeoIPv6File`
    /// changes. If a filter in front of tor refuses `CONF_CHANGED`, no answer is kept.
    ///
    /// Sends `GETINFO ip-to-country/address` for a new address. Blocks for at most the
    /// [time limit](Controller::with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`Controller::country`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for relay in &state.relays()? {
    ///     if state.country(relay.address())?.is_some_and(|country| country == "is") {
    ///         println!("{}", relay.nickname());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn country(&self, address: impl Into<IpAddr>) -> Result<Option<CountryCode>> {
        let generation = self.shared.present();
        let deadline = deadline_after(generation.controller.timeout());
        let address = address.into();
        let found = generation.countries.get(&generation.controller, &[address], deadline)?;
        Ok(found.first().copied().flatten())
    }

    /// Returns the country of the IPv4 address of a relay, as [`country`](Self::country) does;
    /// `None` also if the consensus does not list the relay.
    ///
    /// Sends what [`relays`](Self::relays) and [`country`](Self::country) do, and blocks as they do.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays) and of [`country`](Self::country).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> torcon::Result<()> {
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for circuit in state.circuits() {
    ///     for relay in circuit.path() {
    ///         let country = relay.fingerprint().map(|relay| state.relay_country(relay));
    ///         println!("{relay}: {:?}", country.transpose()?.flatten());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn relay_country(&self, relay: Fingerprint) -> Result<Option<CountryCode>> {
        match self.relays()?.get(relay) {
            Some(status) => self.country(status.address()),
            None => Ok(None),
        }
    }
}

/// The countries of one connection.
#[derive(Default)]
pub(super) struct CountryCache {
    /// Held across the queries. The reader thread does not take it.
    cache: CommandLock<KnownCountries>,
}

#[derive(Default)]
struct KnownCountries {
    countries: HashMap<IpAddr, Option<CountryCode>>,
    changes: Arc<GeoIpChanges>,
    /// The number of changes when the countries were queried.
    seen: u64,
    hook: Option<HookGuard>,
}

/// Counts the events after which tor may have other GeoIP data.
#[derive(Default)]
struct GeoIpChanges(AtomicU64);

impl EventHook for GeoIpChanges {
    fn event(&self, raw: &RawEvent<'_>) {
        let is_geoip = |name: &[u8]| {
            name.eq_ignore_ascii_case(b"GeoIPFile") || name.eq_ignore_ascii_case(b"GeoIPv6File")
        };
        let may_change = match raw.event() {
            Event::ConfChanged(event) => {
                event.changes().any(|change| is_geoip(change.name.as_bytes()))
            }
            stray => stray.is_stray_line(),
        };
        if may_change {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

impl CountryCache {
    /// Returns the countries of addresses, in their order.
    pub(super) fn get(
        &self,
        controller: &Controller,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<Vec<Option<CountryCode>>> {
        let mut cache = self.cache.lock_before("GETINFO", deadline, controller.timeout())?;
        if cache.hook.is_none() {
            let (kinds, hook) = (&[EventKind::ConfChanged], Arc::clone(&cache.changes));
            cache.hook = if_allowed(controller.hook_before(kinds, hook, deadline))?;
        }
        let changes = cache.changes.0.load(Ordering::SeqCst);
        if cache.hook.is_none() || cache.seen != changes {
            cache.countries.clear();
            cache.seen = changes;
        }
        let is_new = |address: &&IpAddr| !cache.countries.contains_key(address);
        let mut unknown: Vec<IpAddr> = addresses.iter().filter(is_new).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        // tor may have data for one family only, and answers no key if it refuses one.
        for family in unknown.chunk_by(|one, other| one.is_ipv4() == other.is_ipv4()) {
            for some in family.chunks(MAX_ADDRESSES) {
                let found = controller.countries_before(some, deadline)?;
                cache.countries.extend(some.iter().copied().zip(found));
            }
        }
        let of = |address| cache.countries.get(address).copied().flatten();
        Ok(addresses.iter().map(of).collect())
    }
}
