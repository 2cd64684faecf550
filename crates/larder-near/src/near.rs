//! The map itself.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter, sync::Cache};

use crate::Entry;

/// Room that is made at once for no more entries than these, some 60 MiB of addresses that cost memory when they are used.
/// A larger tier grows as it fills.
const AT_ONCE: usize = 1 << 20;

/// A bounded map of copies, shared by all threads. At most `capacity` entries, evicted in O(1).
///
/// Room for all of them is made at once. Growing, the map would double: it would hold up to twice what it needs, and copy
/// every entry of a shard while nobody can read there.
pub struct Near<K, V> {
    entries: Cache<K, Entry<V>, UnitWeighter, DefaultHashBuilder, CountEvictions>,
    evicted: Arc<AtomicU64>,
}

impl<K, V> std::fmt::Debug for Near<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Near").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V> Near<K, V> {
    /// Room for `capacity` entries. 0 keeps nothing.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let lifecycle = CountEvictions(evicted.clone());
        let entries = Cache::with(
            capacity,
            capacity as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            lifecycle,
        );
        // Besides as many slots as it is told, the map makes room for evicted keys that it remembers, up to half of its
        // capacity. Together that is an eighth more than fits: shards fill unevenly, and begin to remember before all
        // are full.
        entries.reserve(capacity.min(AT_ONCE) / 8 * 5);
        Self { entries, evicted }
    }

    /// The copy under `key` that may still be served at `now`. Whether it is coherent is the caller's to judge.
    ///
    /// Allocates nothing; the value is shared, not copied.
    #[inline]
    pub fn get(&self, key: &K, now: Duration) -> Option<Entry<V>> {
        self.entries.get(key).filter(|entry| entry.is_fresh(now))
    }

    /// The value of the copy under `key`, if that is `valid`.
    ///
    /// The hit path: it takes the value out where the map put the copy. Moving the whole copy once more, right after
    /// it was written, made the processor wait for its own stores.
    #[inline]
    pub fn value(&self, key: &K, valid: impl FnOnce(&Entry<V>) -> bool) -> Option<Option<Arc<V>>> {
        let mut found = self.entries.get(key);
        let entry = found.as_mut()?;
        valid(entry).then(|| entry.take_value())
    }

    /// Puts a copy under `key` in place of what was there. The caller has made sure that it is not outdated:
    /// nothing here can.
    pub fn install(&self, key: K, entry: Entry<V>) {
        self.entries.insert(key, entry);
    }

    /// Drops the copy under `key`; whether there was one.
    pub fn remove(&self, key: &K) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Keeps only what `keep` says to keep. Visits every entry, a shard at a time.
    pub fn retain(&self, keep: impl Fn(&K, &Entry<V>) -> bool) {
        self.entries.retain(keep);
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.entries.clear();
    }

    /// How many copies there are, expired ones that nobody asked for since included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many copies fit.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.entries.capacity()
    }

    /// How many copies were dropped to make room since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        // Relaxed: a figure for people; nothing is ordered by it.
        self.evicted.load(Ordering::Relaxed)
    }
}

/// Counts what leaves for lack of room.
#[derive(Clone, Debug)]
struct CountEvictions(Arc<AtomicU64>);

impl<K, V> Lifecycle<K, V> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, _: &mut (), _: K, _: V) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn entry(value: u64, deadline: Duration) -> Entry<u64> {
        Entry::new(Some(Arc::new(value)), deadline, Stamp::default())
    }

    #[test]
    fn a_copy_is_served_until_its_deadline_and_not_at_it() {
        let near = Near::new(10);
        near.install(1, entry(7, SECOND));
        assert!(near.get(&1, SECOND - Duration::from_micros(1)).is_some());
        assert!(near.get(&1, SECOND).is_none());
    }

    #[test]
    fn a_hit_shares_the_value() {
        let near = Near::new(10);
        let value = Arc::new(7);
        near.install(1, Entry::new(Some(value.clone()), SECOND, Stamp::default()));
        let hit = near.get(&1, Duration::ZERO).expect("fresh");
        assert!(Arc::ptr_eq(hit.value().expect("a value"), &value));
    }

    #[test]
    fn the_capacity_holds_and_what_leaves_is_counted() {
        let near = Near::new(1_000);
        for key in 0..10_000 {
            near.install(key, entry(key, SECOND));
        }
        assert!(near.len() <= 1_000, "{}", near.len());
        assert_eq!(near.evictions(), 10_000 - near.len() as u64);
    }

    #[test]
    fn no_capacity_keeps_nothing() {
        let near = Near::new(0);
        near.install(1, entry(7, SECOND));
        assert!(near.get(&1, Duration::ZERO).is_none());
    }

    #[test]
    fn removing_and_retaining_drop_what_they_say() {
        let near = Near::new(100);
        for key in 0..10 {
            near.install(key, entry(key, SECOND));
        }
        assert!(near.remove(&3));
        assert!(!near.remove(&3));
        near.retain(|key, _| key % 2 == 0);
        assert_eq!(near.len(), 5);
        near.clear();
        assert!(near.is_empty());
    }
}
