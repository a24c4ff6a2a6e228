//! The relays of the consensus, loaded at the first request.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::State;
use crate::controller::{Controller, HookGuard, if_allowed};
use crate::descriptor::{RouterStatus, RouterStatuses};
use crate::error::{Disconnect, ProtocolError, Result};
use crate::event::{Event, EventKind, EventText};
use crate::link::{CommandLock, EventHook, RawEvent};
use crate::names::{Fingerprint, Nickname, RelayFlag, RelaySpec};
use crate::sync::Mutex;

const KINDS: &[EventKind] = &[EventKind::NewConsensus, EventKind::NewDesc, EventKind::Ns];

/// The relays of the consensus at one moment.
///
/// Returned by [`State::relays`](super::State::relays). Clones are cheap, and never change. A relay
/// keeps the text of the whole consensus in memory, unless it is
/// [`detached`](RouterStatus::detached).
///
/// # Examples
///
/// ```no_run
/// use torcon::names::RelayFlag;
///
/// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
/// let relays = state.relays()?;
/// for relay in &relays {
///     println!("{} at {}", relay.nickname(), relay.address());
/// }
/// println!("{} of {} are exits", relays.with_flag(RelayFlag::Exit).count(), relays.len());
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone)]
pub struct Relays {
    index: Arc<Index>,
}

#[derive(Clone, Default)]
struct Index {
    /// In the order of the consensus; relays that were reported later follow.
    list: Vec<RouterStatus>,
    indexes: HashMap<Fingerprint, usize>,
}

impl Index {
    fn insert(&mut self, relay: RouterStatus) {
        match self.indexes.get(&relay.identity()).and_then(|index| self.list.get_mut(*index)) {
            Some(known) => *known = relay,
            None => {
                self.indexes.insert(relay.identity(), self.list.len());
                self.list.push(relay);
            }
        }
    }

    /// Adds every entry that can be parsed.
    fn insert_all(&mut self, entries: &RouterStatuses, unreadable: &mut Vec<ProtocolError>) {
        self.list.reserve(entries.len().saturating_sub(self.list.len()));
        self.indexes.reserve(entries.len().saturating_sub(self.indexes.len()));
        for entry in entries {
            match entry {
                Ok(relay) => self.insert(relay),
                Err(error) => unreadable.push(error),
            }
        }
    }
}

impl Relays {
    /// Returns the number of relays.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// println!("{} relays", relays.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.list.len()
    }

    /// Returns whether there are no relays, as before tor has a consensus.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// if relays.is_empty() {
    ///     println!("tor has no consensus");
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.list.is_empty()
    }

    /// Returns the relays, in the order of the consensus.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// let fastest = relays.iter().max_by_key(|relay| relay.bandwidth());
    /// println!("{fastest:?}");
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn iter(&self) -> std::slice::Iter<'_, RouterStatus> {
        self.index.list.iter()
    }

    /// Returns the relay with a fingerprint.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// println!("{:?}", relays.get("9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?));
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&RouterStatus> {
        self.index.list.get(*self.index.indexes.get(&fingerprint)?)
    }

    /// Returns the relays with a nickname, which is not unique.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// for relay in relays.named("moria1".parse()?) {
    ///     println!("{}", relay.identity());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn named(&self, nickname: Nickname) -> impl Iterator<Item = &RouterStatus> {
        self.iter().filter(move |relay| relay.nickname() == nickname)
    }

    /// Returns the relays with a flag.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use torcon::names::RelayFlag;
    ///
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// println!("{} exits", relays.with_flag(RelayFlag::Exit).count());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn with_flag(&self, flag: RelayFlag) -> impl Iterator<Item = &RouterStatus> {
        self.iter().filter(move |relay| relay.has_flag(&flag))
    }

    /// Returns the directory authorities: the relays with the `Authority` flag.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// for authority in relays.authorities() {
    ///     println!("{}", authority.nickname());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn authorities(&self) -> impl Iterator<Item = &RouterStatus> {
        self.with_flag(RelayFlag::Authority)
    }

    /// Returns whether both share the same list of relays.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.index, &other.index)
    }
}

impl<'a> IntoIterator for &'a Relays {
    type Item = &'a RouterStatus;
    type IntoIter = std::slice::Iter<'a, RouterStatus>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relays({})", self.len())
    }
}

impl State {
    /// Returns the relays of the consensus.
    ///
    /// The first call loads them; later calls apply the events since then. If tor reports the
    /// descriptor of an unknown relay, or if a filter in front of tor refuses the events or has
    /// replaced one, the next call loads all relays again.
    ///
    /// Loading sends `SETEVENTS` with `NEWCONSENSUS`, `NEWDESC` and `NS` besides all other wanted
    /// events, then `GETINFO ns/all`. Blocks for at most the [time
    /// limit](Controller::with_timeout), including the wait for another thread that loads.
    ///
    /// # Errors
    ///
    /// Those of [`Controller::add_event_listener`] and of [`Controller::relay_statuses`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// let relays = state.relays()?;
    /// println!("{} relays", relays.len());
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relays(&self) -> Result<Relays> {
        {
            let generation = self.shared.present();
            generation.relays.get(&generation.controller)
        }
    }

    /// Returns the consensus entry of a relay; `None` if the relay is not listed. See
    /// [`relays`](Self::relays) for the commands and the time limit.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// if let Some(relay) = state.relay("9695DFC35FFEB861329B9F1AB04C46397020CE31".parse()?)? {
    ///     println!("{}", relay.nickname());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    #[doc(alias = "router_from_id")]
    pub fn relay(&self, fingerprint: Fingerprint) -> Result<Option<RouterStatus>> {
        Ok(self.relays()?.get(fingerprint).cloned())
    }

    /// Returns the consensus entries of the relays with a nickname. See [`relays`](Self::relays)
    /// for the commands and the time limit.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// let state = torcon::State::new(&torcon::connect("127.0.0.1:9051")?)?;
    /// for relay in state.relays_named("moria1".parse()?)? {
    ///     println!("{}", relay.identity());
    /// }
    /// # Ok::<(), torcon::Error>(())
    /// ```
    pub fn relays_named(&self, nickname: Nickname) -> Result<Vec<RouterStatus>> {
        Ok(self.relays()?.named(nickname).cloned().collect())
    }

    /// Returns the consensus entries of the directory authorities: the relays with the `Authority`
    /// flag. See [`relays`](Self::relays) for the commands and the time limit.
    ///
    /// # Errors
    ///
    /// Those of [`relays`](Self::relays).
    pub fn authorities(&self) -> Result<Vec<RouterStatus>> {
        Ok(self.relays()?.authorities().cloned().collect())
    }
}

/// The relays of a state, which are loaded at the first request.
#[derive(Default)]
pub(super) struct RelaySource {
    /// Held while relays are loaded. The reader thread does not take it.
    cache: CommandLock<RelayCache>,
}

#[derive(Default)]
struct RelayCache {
    index: Arc<Index>,
    /// The events since the last request; `None` before the first one.
    pending: Option<Arc<PendingEvents>>,
    hook: Option<HookGuard>,
    is_loaded: bool,
    /// The errors of the omitted entries, which are logged without the lock.
    unreadable: Vec<ProtocolError>,
}

/// The limit in bytes of the `NS` events for the next request. Beyond it that request loads all
/// relays again.
const MAX_STATUS_BYTES: usize = 4 << 20;

/// The limit of the relays with new descriptors for the next request: more than the network has.
const MAX_DESCRIBED: usize = 1 << 15;

/// The events that the next request applies.
#[derive(Default)]
struct PendingEvents {
    // A leaf lock.
    unread: Mutex<Unread>,
}

#[derive(Default)]
struct Unread {
    texts: Vec<(u64, EventText)>,
    /// The size of the `NS` events in bytes.
    size: usize,
    /// The relays of which tor has received descriptors.
    described: HashSet<Fingerprint>,
    /// The number of the last event that is not kept here, so that all relays must be loaded again:
    /// a limit was exceeded, or a filter has replaced an event.
    missing: Option<u64>,
}

impl Unread {
    /// Drops all kept events, and marks those up to this one as missing.
    fn overflow(&mut self, number: u64) {
        *self = Self { missing: Some(number), ..Self::default() };
    }
}

impl EventHook for PendingEvents {
    fn event(&self, raw: &RawEvent<'_>) {
        let wire = raw.wire();
        if wire.starts_with(b"650+NEWCONSENSUS") {
            // A consensus makes all events before it obsolete.
            let texts = vec![(raw.number(), raw.text().clone())];
            *self.unread.lock() = Unread { texts, ..Unread::default() };
        } else if wire.starts_with(b"650+NS") {
            let text = raw.text().clone();
            let mut unread = self.unread.lock();
            unread.size += wire.len();
            if unread.size > MAX_STATUS_BYTES {
                return unread.overflow(raw.number());
            }
            unread.texts.push((raw.number(), text));
        } else if let Event::NewDesc(event) = raw.event() {
            let mut unread = self.unread.lock();
            unread.described.extend(event.relays().iter().filter_map(RelaySpec::fingerprint));
            if unread.described.len() > MAX_DESCRIBED {
                unread.overflow(raw.number());
            }
        } else if raw.event().is_stray_line() {
            self.unread.lock().overflow(raw.number());
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

impl RelaySource {
    /// Returns the relays; loads them first if necessary.
    pub(super) fn get(&self, controller: &Controller) -> Result<Relays> {
        let (deadline, limit) = (controller.deadline(), controller.timeout());
        let mut cache = self.cache.lock_before("GETINFO", deadline, limit)?;
        cache.catch_up();
        let loaded = if cache.is_loaded { Ok(()) } else { cache.load(controller, deadline) };
        let relays = Relays { index: Arc::clone(&cache.index) };
        let unreadable = std::mem::take(&mut cache.unreadable);
        // A logger may read the relays.
        drop(cache);
        for error in unreadable {
            log::warn!("a relay is left out: {error}");
        }
        loaded.map(|()| relays)
    }
}

impl RelayCache {
    /// Subscribes before the query, so that no change is missed.
    fn load(&mut self, controller: &Controller, deadline: Instant) -> Result<()> {
        if self.hook.is_none() {
            let pending = Arc::new(PendingEvents::default());
            self.hook = if_allowed(controller.hook_before(KINDS, pending.clone(), deadline))?;
            self.pending = self.hook.is_some().then_some(pending);
        }
        let (entries, events_before) = controller.relay_statuses_before(deadline)?;
        if let Some(pending) = &self.pending {
            let mut unread = pending.unread.lock();
            unread.texts.retain(|(number, _)| *number >= events_before);
            unread.missing.take_if(|number| *number < events_before);
        }
        let mut index = Index::default();
        index.insert_all(&entries, &mut self.unreadable);
        self.index = Arc::new(index);
        // Without the events, each request loads all relays again.
        self.is_loaded = self.hook.is_some();
        self.catch_up();
        Ok(())
    }

    /// Applies the events since the last request.
    fn catch_up(&mut self) {
        let Some(pending) = &self.pending else { return };
        let unread = std::mem::take(&mut *pending.unread.lock());
        let Unread { texts, described, missing, .. } = unread;
        for (_, text) in texts {
            match Event::parse(text) {
                Event::NewConsensus(event) => {
                    let mut index = Index::default();
                    index.insert_all(
                        &RouterStatuses::new(event.body().as_bytes()),
                        &mut self.unreadable,
                    );
                    self.index = Arc::new(index);
                }
                Event::Ns(event) => {
                    let entries = RouterStatuses::new(event.body().as_bytes());
                    // Copied if a program holds former `Relays`.
                    Arc::make_mut(&mut self.index).insert_all(&entries, &mut self.unreadable);
                }
                _ => {}
            }
        }
        // A descriptor of a known relay does not change its consensus entry.
        let is_known = |fingerprint: &Fingerprint| self.index.indexes.contains_key(fingerprint);
        self.is_loaded &= missing.is_none() && described.iter().all(is_known);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DESCRIBED, MAX_STATUS_BYTES, PendingEvents};
    use crate::link::{EventHook as _, RawEvent};

    // The texts of all events were kept until the next call.
    #[test]
    fn events_between_two_calls_take_bounded_memory() {
        let pending = PendingEvents::default();
        let take = |number, wire: &str| pending.event(&RawEvent::new(number, wire.as_bytes()));
        let describe = |number: u64| format!("650 NEWDESC ${number:040X}~relay\r\n");
        let kept = || {
            let unread = pending.unread.lock();
            (unread.texts.len(), unread.described.len(), unread.missing)
        };
        for number in 0..10 {
            take(number, &describe(number % 2));
        }
        assert_eq!(kept(), (0, 2, None));
        let most = u64::try_from(MAX_DESCRIBED).unwrap();
        (2..most).for_each(|number| take(number, &describe(number)));
        assert_eq!(kept(), (0, MAX_DESCRIBED, None));
        take(most, &describe(most));
        assert_eq!(kept(), (0, 0, Some(most)));

        let line = "w Bandwidth=1\r\n";
        let entries = format!("650+NS\r\n{}.\r\n650 OK\r\n", line.repeat(1 << 14));
        let whole = MAX_STATUS_BYTES / entries.len();
        (0..=whole).for_each(|_| take(most, &entries));
        assert_eq!(kept(), (0, 0, Some(most)));
        take(most + 1, "650+NEWCONSENSUS\r\n.\r\n650 OK\r\n");
        (0..whole).for_each(|_| take(most, &entries));
        assert_eq!(kept(), (1 + whole, 0, None));
    }
}
