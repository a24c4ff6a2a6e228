//! The registry of listeners and of hooks by kind of event.
//!
//! **Invariant**: the cost of adding and removing does not grow with the number of members, and no
//! member is called or dropped under the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::error::Disconnect;
use crate::event::EventKind;

/// The ID of a listener, unique within the program, for its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

impl ListenerId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns an ID that sorts behind all IDs of [`next`](Self::next).
    pub(super) fn next_last() -> Self {
        Self(Self::next().0 | 1 << 63)
    }
}

/// The members for one kind, in the order of their IDs.
pub(super) type Members<T> = Arc<[Arc<T>]>;

/// Members, each registered for some kinds of event.
pub(super) struct Registry<T: ?Sized> {
    /// A leaf lock.
    table: Mutex<Table<T>>,
    /// Whether there is a member; read for each event without the lock.
    any: AtomicBool,
}

struct Table<T: ?Sized> {
    by_id: BTreeMap<ListenerId, (Box<[EventKind]>, Arc<T>)>,
    by_kind: HashMap<EventKind, Group<T>>,
    /// Why the connection ended. No member is added after that.
    ended: Option<Disconnect>,
}

struct Group<T: ?Sized> {
    members: BTreeMap<ListenerId, Arc<T>>,
    /// A copy of `members`, made for the next event of the kind and dropped when they change.
    snapshot: Option<Members<T>>,
}

impl<T: ?Sized> Default for Registry<T> {
    fn default() -> Self {
        let table = Table { by_id: BTreeMap::new(), by_kind: HashMap::new(), ended: None };
        Self { table: Mutex::new(table), any: AtomicBool::new(false) }
    }
}

impl<T: ?Sized> fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("any", &self.any).finish_non_exhaustive()
    }
}

impl<T: ?Sized> Registry<T> {
    /// Adds a member for the given kinds. Returns it if the connection has ended.
    pub(super) fn add(
        &self,
        id: ListenerId,
        kinds: &[EventKind],
        member: Arc<T>,
    ) -> Result<(), (Disconnect, Arc<T>)> {
        let mut table = self.table.lock();
        if let Some(reason) = &table.ended {
            return Err((reason.clone(), member));
        }
        for kind in kinds {
            let group = table.by_kind.entry(kind.clone()).or_default();
            group.members.insert(id, Arc::clone(&member));
            // Drops no member, since `members` holds the same ones.
            group.snapshot = None;
        }
        table.by_id.insert(id, (kinds.into(), member));
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes a member, and returns it.
    pub(super) fn remove(&self, id: ListenerId) -> Option<Arc<T>> {
        let mut table = self.table.lock();
        let (kinds, member) = table.by_id.remove(&id)?;
        for kind in &kinds {
            if let Some(group) = table.by_kind.get_mut(kind) {
                group.snapshot = None;
                group.members.remove(&id);
                if group.members.is_empty() {
                    table.by_kind.remove(kind);
                }
            }
        }
        self.any.store(!table.by_id.is_empty(), Ordering::Release);
        Some(member)
    }

    /// Removes every member, and returns them in the order of their IDs.
    pub(super) fn end(&self, reason: &Disconnect) -> Vec<Arc<T>> {
        let mut table = self.table.lock();
        table.ended.get_or_insert_with(|| reason.clone());
        self.any.store(false, Ordering::Release);
        let by_kind = std::mem::take(&mut table.by_kind);
        let by_id = std::mem::take(&mut table.by_id);
        drop(table);
        drop(by_kind);
        by_id.into_values().map(|(_, member)| member).collect()
    }

    /// Returns whether there is a member.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Returns the kinds that have members.
    pub(super) fn kinds(&self) -> BTreeSet<EventKind> {
        self.table.lock().by_kind.keys().cloned().collect()
    }

    /// Returns whether this kind has members.
    pub(super) fn has_kind(&self, kind: &EventKind) -> bool {
        self.table.lock().by_kind.contains_key(kind)
    }

    /// Returns the members for this kind, if any.
    pub(super) fn members(&self, kind: &EventKind) -> Option<Members<T>> {
        let mut table = self.table.lock();
        let group = table.by_kind.get_mut(kind)?;
        let Group { members, snapshot } = group;
        Some(Arc::clone(snapshot.get_or_insert_with(|| members.values().cloned().collect())))
    }

    /// Returns all members in the order of their IDs.
    pub(super) fn all(&self) -> Vec<(Box<[EventKind]>, Arc<T>)> {
        self.table.lock().by_id.values().cloned().collect()
    }
}

impl<T: ?Sized> Default for Group<T> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), snapshot: None }
    }
}

/// A cache of values by kind of event, for the events of one read. Most events of a flood are of one
/// or two kinds, so a short list suffices.
#[derive(Debug)]
pub(super) struct KindCache<V> {
    entries: Vec<(EventKind, V)>,
    /// The index of the entry that was found last.
    last: usize,
}

/// The maximum number of entries, since a peer can invent any number of kinds.
const MAX_ENTRIES: usize = 32;

impl<V> Default for KindCache<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), last: 0 }
    }
}

impl<V> KindCache<V> {
    /// Returns the entry for the kind with this keyword. `make` creates a missing value.
    #[inline]
    pub(super) fn get(
        &mut self,
        keyword: &[u8],
        make: impl FnOnce(&EventKind) -> V,
    ) -> Option<&(EventKind, V)> {
        let has_keyword = |entry: &(EventKind, V)| entry.0.as_str().as_bytes() == keyword;
        if !self.entries.get(self.last).is_some_and(has_keyword) {
            self.last = self.entries.iter().position(has_keyword).unwrap_or_else(|| {
                if self.entries.len() >= MAX_ENTRIES {
                    self.entries.clear();
                }
                let kind = EventKind::from_bytes(keyword);
                let value = make(&kind);
                self.entries.push((kind, value));
                self.entries.len() - 1
            });
        }
        self.entries.get(self.last)
    }

    /// Removes all entries.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}
