//! The relays of the consensus, loaded when they are first asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::controller::{Controller, HookGuard, if_allowed};
use crate::descriptor::{RouterStatus, RouterStatuses};
use crate::error::{Disconnect, ProtocolError, Result};
use crate::event::{Event, EventKind, EventText};
use crate::link::{EventHook, RawEvent, deadline_after, lock_before};
use crate::names::{Fingerprint, Nickname, RelayFlag, RelaySpec};

const KINDS: &[EventKind] = &[EventKind::NewConsensus, EventKind::NewDesc, EventKind::Ns];

/// The relays of the consensus, as they were known at one moment.
///
/// Returned by [`State::relays`](super::State::relays). Clones are cheap. It never changes; a relay
/// that is kept keeps the text of all of them, unless it is
/// [`detached`](RouterStatus::detached).
#[derive(Clone)]
pub struct Relays {
    index: Arc<Index>,
}

#[derive(Clone, Default)]
struct Index {
    /// In the order of the consensus; those that came later at the end.
    list: Vec<RouterStatus>,
    places: HashMap<Fingerprint, usize>,
}

impl Index {
    /// Takes a relay, in the place of what was known of it.
    fn insert(&mut self, relay: RouterStatus) {
        match self.places.get(&relay.identity()).and_then(|place| self.list.get_mut(*place)) {
            Some(place) => *place = relay,
            None => {
                self.places.insert(relay.identity(), self.list.len());
                self.list.push(relay);
            }
        }
    }

    /// Takes every entry that can be read.
    fn insert_all(&mut self, entries: &RouterStatuses, unreadable: &mut Vec<ProtocolError>) {
        self.list.reserve(entries.len().saturating_sub(self.list.len()));
        self.places.reserve(entries.len().saturating_sub(self.places.len()));
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
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.list.len()
    }

    /// Returns whether there is none, as long as tor has no consensus.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.list.is_empty()
    }

    /// Returns the relays, in the order of the consensus.
    pub fn iter(&self) -> impl Iterator<Item = &RouterStatus> {
        self.index.list.iter()
    }

    /// Returns a relay.
    #[must_use]
    pub fn get(&self, fingerprint: Fingerprint) -> Option<&RouterStatus> {
        self.index.list.get(*self.index.places.get(&fingerprint)?)
    }

    /// Returns the relays of a nickname, of which there may be several.
    pub fn named(&self, nickname: Nickname) -> impl Iterator<Item = &RouterStatus> {
        self.iter().filter(move |relay| relay.nickname() == nickname)
    }

    /// Returns the relays that are directory authorities, by their flag.
    pub fn authorities(&self) -> impl Iterator<Item = &RouterStatus> {
        self.iter().filter(|relay| relay.has_flag(&RelayFlag::Authority))
    }
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relays({})", self.len())
    }
}

/// What a state knows of relays: nothing, until somebody asks.
#[derive(Default)]
pub(super) struct RelaySource {
    /// Held while relays are loaded. The reader does not take it.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    index: Arc<Index>,
    news: Option<Arc<News>>,
    /// `None` as long as nobody has asked.
    watch: Option<HookGuard>,
    loaded: bool,
    /// What is left out, which is still to be logged.
    unreadable: Vec<ProtocolError>,
}

/// How many bytes of statuses are kept for who asks next, beside those of one consensus. Beyond
/// that everything is loaded anew.
const STATUSES: usize = 4 << 20;

/// How many relays with new descriptors are kept for who asks next; more than there are in the
/// network.
const DESCRIBED: usize = 1 << 15;

/// What events have told and nobody has looked at yet.
#[derive(Default)]
struct News {
    // A leaf lock.
    unread: Mutex<Unread>,
}

#[derive(Default)]
struct Unread {
    texts: Vec<(u64, EventText)>,
    /// How many bytes these are, without those of a consensus.
    size: usize,
    /// The relays of which tor has got descriptors.
    described: HashSet<Fingerprint>,
    /// There was too much: everything is to be loaded anew.
    overflowed: bool,
}

impl Unread {
    fn overflow(&mut self) {
        *self = Self { overflowed: true, ..Self::default() };
    }
}

impl EventHook for News {
    fn event(&self, raw: &RawEvent<'_>) {
        let wire = raw.wire();
        if wire.starts_with(b"650+NEWCONSENSUS") {
            // It says everything.
            let texts = vec![(raw.number(), raw.text().clone())];
            *self.unread.lock() = Unread { texts, ..Unread::default() };
        } else if wire.starts_with(b"650+NS") {
            let text = raw.text().clone();
            let mut unread = self.unread.lock();
            unread.size += wire.len();
            if unread.size > STATUSES {
                return unread.overflow();
            }
            unread.texts.push((raw.number(), text));
        } else if let Event::NewDesc(event) = raw.event() {
            let mut unread = self.unread.lock();
            unread.described.extend(event.relays.iter().filter_map(RelaySpec::fingerprint));
            if unread.described.len() > DESCRIBED {
                unread.overflow();
            }
        }
    }

    fn ended(&self, _reason: &Disconnect) {}
}

impl RelaySource {
    /// Returns what is known, after it was loaded if need be.
    pub(super) fn get(&self, controller: &Controller) -> Result<Relays> {
        let limit = controller.timeout();
        let deadline = deadline_after(limit);
        let mut known = lock_before(&self.known, "GETINFO", deadline, limit)?;
        known.catch_up();
        let loaded = if known.loaded { Ok(()) } else { known.load(controller, deadline) };
        let relays = Relays { index: Arc::clone(&known.index) };
        let unreadable = std::mem::take(&mut known.unreadable);
        // A logger may ask for the relays.
        drop(known);
        for error in unreadable {
            log::warn!("a relay is left out: {error}");
        }
        loaded.map(|()| relays)
    }
}

impl Known {
    /// Subscribes first and asks second, so that nothing is missed.
    fn load(&mut self, controller: &Controller, deadline: Instant) -> Result<()> {
        if self.watch.is_none() {
            let news = Arc::new(News::default());
            self.watch = if_allowed(controller.hook_before(KINDS, news.clone(), deadline))?;
            self.news = self.watch.is_some().then_some(news);
        }
        let (entries, events_before) = controller.relay_statuses_before(deadline)?;
        if let Some(news) = &self.news {
            let mut unread = news.unread.lock();
            unread.texts.retain(|(number, _)| *number >= events_before);
            unread.overflowed = false;
        }
        let mut index = Index::default();
        index.insert_all(&entries, &mut self.unreadable);
        self.index = Arc::new(index);
        // Without events everything is loaded anew each time.
        self.loaded = self.watch.is_some();
        self.catch_up();
        Ok(())
    }

    /// Takes what events have told since somebody looked last.
    fn catch_up(&mut self) {
        let Some(news) = &self.news else { return };
        let Unread { texts, described, overflowed, .. } = std::mem::take(&mut *news.unread.lock());
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
                    // Copied if somebody still has the relays of before.
                    Arc::make_mut(&mut self.index).insert_all(&entries, &mut self.unreadable);
                }
                _ => {}
            }
        }
        // What the consensus says does not change by a descriptor.
        let is_known = |fingerprint: &Fingerprint| self.index.places.contains_key(fingerprint);
        self.loaded &= !overflowed && described.iter().all(is_known);
    }
}
