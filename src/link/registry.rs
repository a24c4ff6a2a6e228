//! The registry of listeners and hooks by kind of event, and of the listeners of a state by topic.
//!
//! **Invariant**: the cost of adding and removing does not grow with the number of members, and no
//! member is called or dropped under the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crate::error::Disconnect;
use crate::event::EventKind;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Counter, Mutex};

/// The ID of a listener, unique within the program, for its removal.
///
/// # Examples
///
/// ```no_run
/// use torcon::event::BwEvent;
///
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let id = controller.on(|bw: &BwEvent| println!("{} B/s", bw.bytes_read()))?;
/// // ... and later:
/// controller.remove_event_listener(id)?;
/// # Ok::<(), torcon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

impl ListenerId {
    pub(super) fn next() -> Self {
        static NEXT: Counter = Counter::new();
        Self(NEXT.next())
    }

    /// Returns an ID that sorts behind all IDs of [`next`](Self::next).
    pub(super) fn next_last() -> Self {
        Self(Self::next().0 | 1 << 63)
    }
}

/// The members for one key, in the order of their IDs.
pub(crate) type Members<T> = Arc<[Arc<T>]>;

/// Members, each registered for some keys, such as kinds of event.
pub(crate) struct Registry<T: ?Sized, K = EventKind> {
    /// A leaf lock.
    table: Mutex<Table<T, K>>,
    /// Whether there is a member; read for each event without the lock.
    any: AtomicBool,
}

struct Table<T: ?Sized, K> {
    by_id: BTreeMap<ListenerId, (Box<[K]>, Arc<T>)>,
    by_key: HashMap<K, Group<T>>,
    /// Why the connection ended. No member is added after that.
    ended: Option<Disconnect>,
}

struct Group<T: ?Sized> {
    members: BTreeMap<ListenerId, Arc<T>>,
    /// A copy of `members`, made for the next event of the key and dropped when they change.
    snapshot: Option<Members<T>>,
}

impl<T: ?Sized, K> Default for Registry<T, K> {
    fn default() -> Self {
        let table = Table { by_id: BTreeMap::new(), by_key: HashMap::new(), ended: None };
        Self { table: Mutex::new(table), any: AtomicBool::new(false) }
    }
}

impl<T: ?Sized, K> fmt::Debug for Registry<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("any", &self.any).finish_non_exhaustive()
    }
}

impl<T: ?Sized, K: Clone + Eq + Hash + Ord> Registry<T, K> {
    /// Adds a member for the given keys. Returns it if the connection has ended.
    pub(crate) fn add(
        &self,
        id: ListenerId,
        keys: &[K],
        member: Arc<T>,
    ) -> Result<(), (Disconnect, Arc<T>)> {
        let mut table = self.table.lock();
        if let Some(reason) = &table.ended {
            return Err((reason.clone(), member));
        }
        for key in keys {
            let group = table.by_key.entry(key.clone()).or_default();
            group.members.insert(id, Arc::clone(&member));
            // Drops no member, since `members` holds the same ones.
            group.snapshot = None;
        }
        table.by_id.insert(id, (keys.into(), member));
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes a member, and returns it.
    pub(crate) fn remove(&self, id: ListenerId) -> Option<Arc<T>> {
        let mut table = self.table.lock();
        let (keys, member) = table.by_id.remove(&id)?;
        for key in &keys {
            if let Some(group) = table.by_key.get_mut(key) {
                group.snapshot = None;
                group.members.remove(&id);
                if group.members.is_empty() {
                    table.by_key.remove(key);
                }
            }
        }
        self.any.store(!table.by_id.is_empty(), Ordering::Release);
        Some(member)
    }

    /// Removes every member, and returns them in the order of their IDs.
    pub(crate) fn end(&self, reason: &Disconnect) -> Vec<Arc<T>> {
        let mut table = self.table.lock();
        table.ended.get_or_insert_with(|| reason.clone());
        self.any.store(false, Ordering::Release);
        // A new table would need random bytes from the operating system, in each thread.
        let by_key: Vec<_> = table.by_key.drain().collect();
        let by_id = std::mem::take(&mut table.by_id);
        drop(table);
        drop(by_key);
        by_id.into_values().map(|(_, member)| member).collect()
    }

    /// Returns whether there is a member.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Returns the keys that have members.
    pub(crate) fn keys(&self) -> BTreeSet<K> {
        self.table.lock().by_key.keys().cloned().collect()
    }

    /// Returns whether this key has members.
    pub(crate) fn has_key(&self, key: &K) -> bool {
        self.table.lock().by_key.contains_key(key)
    }

    /// Takes this key from all its members, which stay registered.
    pub(crate) fn forget(&self, key: &K) {
        let group = self.table.lock().by_key.remove(key);
        drop(group);
    }

    /// Returns the members for this key, if any.
    pub(crate) fn members(&self, key: &K) -> Option<Members<T>> {
        let mut table = self.table.lock();
        let group = table.by_key.get_mut(key)?;
        let Group { members, snapshot } = group;
        Some(Arc::clone(snapshot.get_or_insert_with(|| members.values().cloned().collect())))
    }

    /// Returns all members in the order of their IDs.
    pub(crate) fn all(&self) -> Vec<(Box<[K]>, Arc<T>)> {
        self.table.lock().by_id.values().cloned().collect()
    }
}

impl<T: ?Sized> Default for Group<T> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), snapshot: None }
    }
}

/// The kinds of the events of one read, with a value for each. Most events of a flood are of one or two
/// kinds, so a short list suffices.
#[derive(Debug)]
pub(super) struct KindTable<V> {
    kinds: Vec<EventKind>,
    values: Vec<V>,
    /// The index that was found last.
    last: usize,
}

impl<V> Default for KindTable<V> {
    fn default() -> Self {
        Self { kinds: Vec::new(), values: Vec::new(), last: 0 }
    }
}

impl<V> KindTable<V> {
    /// Returns the index of the kind of an event, if it is in the table.
    #[inline]
    pub(super) fn find(&mut self, wire: &[u8]) -> Option<usize> {
        let text = wire.get(4..)?;
        let is_next = |kind: &EventKind| {
            text.strip_prefix(kind.as_str().as_bytes())
                .is_some_and(|rest| matches!(rest, [] | [b' ' | b'\n', ..] | [b'\r', b'\n', ..]))
        };
        if self.kinds.get(self.last).is_some_and(is_next) {
            return Some(self.last);
        }
        self.last = self.kinds.iter().position(is_next)?;
        Some(self.last)
    }

    /// Adds a kind, and returns its index.
    pub(super) fn add(&mut self, kind: EventKind, value: V) -> usize {
        self.last = self.kinds.len();
        self.kinds.push(kind);
        self.values.push(value);
        self.last
    }

    /// Returns the value of the kind with this index.
    #[inline]
    pub(super) fn value(&self, index: usize) -> Option<&V> {
        self.values.get(index)
    }

    pub(super) fn kinds(&self) -> &[EventKind] {
        &self.kinds
    }

    pub(super) fn values(&self) -> &[V] {
        &self.values
    }

    /// Removes all kinds.
    pub(super) fn clear(&mut self) {
        self.kinds.clear();
        self.values.clear();
    }
}

/// Returns the keyword of an event: the word behind the status code, as the text of the event begins
/// with it.
pub(super) fn keyword(wire: &[u8]) -> &[u8] {
    let text = wire.get(4..).unwrap_or_default();
    match memchr::memchr2(b' ', b'\n', text).and_then(|end| text.split_at_checked(end)) {
        Some((line, [b'\n', ..])) => line.strip_suffix(b"\r").unwrap_or(line),
        Some((word, _)) => word,
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use std::sync::Arc;

    use super::{KindTable, ListenerId, Registry, keyword};
    use crate::error::Disconnect;
    use crate::event::{EventKind, EventText};

    /// Checks that the reader and the text of the event agree on its kind.
    fn check(wire: &str) {
        let text = EventText::copied(wire.as_bytes());
        assert_eq!(keyword(wire.as_bytes()), text.keyword(), "{wire:?}");
        let mut table = KindTable::default();
        for kind in ["B", "BW", "", "BW\t"].map(EventKind::from) {
            table.add(kind.clone(), kind);
        }
        let kind = EventKind::from_bytes(text.keyword());
        let known = ["B", "BW", "", "BW\t"].iter().position(|known| *known == kind.as_str());
        assert_eq!(table.find(wire.as_bytes()), known, "{wire:?}");
    }

    #[test]
    fn the_last_ids_sort_behind_all_others_and_differ() {
        let ids = [ListenerId::next_last(), ListenerId::next_last()];
        assert!(ids[0] < ids[1] && ListenerId::next() < ids[0]);
    }

    #[test]
    fn a_member_is_found_by_its_keys_until_it_is_removed() {
        let registry = Registry::<str, char>::default();
        let texts = |key| {
            registry
                .members(&key)
                .map(|found| found.iter().map(|text| &**text).collect::<Vec<_>>().join(" "))
        };
        let [first, second] = [ListenerId::next(), ListenerId::next()];
        assert!(!registry.any());
        registry.add(second, &['b'], "two".into()).unwrap();
        registry.add(first, &['a', 'b'], "one".into()).unwrap();
        assert!(registry.any() && registry.has_key(&'a') && !registry.has_key(&'c'));
        assert_eq!(['a', 'b', 'c'].map(texts), [Some("one".into()), Some("one two".into()), None]);
        assert_eq!(registry.remove(first).as_deref(), Some("one"));
        assert!(registry.any() && !registry.has_key(&'a') && registry.has_key(&'b'));
        assert_eq!(['a', 'b'].map(texts), [None, Some("two".into())]);
        assert_eq!(registry.remove(first), None);
        // A key that is forgotten has no members; they stay registered.
        registry.forget(&'b');
        assert!(registry.any() && !registry.has_key(&'b') && registry.all().len() == 1);
        assert_eq!(registry.remove(second).as_deref(), Some("two"));
        assert!(!registry.any() && registry.keys().is_empty());
    }

    #[test]
    fn the_end_returns_the_members_and_refuses_others() {
        let registry = Registry::<str, char>::default();
        registry.add(ListenerId::next(), &['a'], "one".into()).unwrap();
        registry.add(ListenerId::next(), &[], "two".into()).unwrap();
        let members: Vec<Arc<str>> = registry.end(&Disconnect::Quit);
        assert_eq!(members, ["one".into(), "two".into()]);
        assert!(!registry.any() && registry.keys().is_empty());
        assert!(registry.end(&Disconnect::Closed).is_empty());
        let added = registry.add(ListenerId::next(), &['a'], "late".into());
        assert!(matches!(added, Err((Disconnect::Quit, late)) if &*late == "late"));
    }

    #[test]
    fn the_reader_and_the_text_of_an_event_have_the_same_keyword() {
        for wire in [
            "650 BW 1 2\r\n",
            "650 BW\r\n",
            "650 BW\n",
            "650 BWX 1\r\n",
            "650 B\r\n",
            "650  BW\r\n",
            "650 \r\n",
            "650\r\n",
            "650 BW\t1\r\n",
            "650 BW\r 1\r\n",
            "650-BW\r\n650 OK\r\n",
            "650+BW\r\nr\r\n.\r\n650 OK\r\n",
            "650-\r\n650 OK\r\n",
        ] {
            check(wire);
        }
    }

    proptest! {
        #[test]
        fn any_line_has_one_keyword(line in "[BW\t\r ]{0,6}") {
            check(&format!("650 {line}\r\n"));
        }
    }
}
