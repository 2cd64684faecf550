//! One database: its keys, their values and deadlines.
//!
//! Keys sit in an `IndexMap`, dense and in insertion order but for removals, which move the last key into the gap.
//! That gives three things in O(1): look-up, a fair random key, and a `SCAN` without state. A scan walks the
//! positions downwards and its cursor is the position it will visit next. A removal moves the last key to
//! a lower position: either both were visited, or the moved key is still ahead (it may be seen twice, as Redis
//! allows), so every key that is there throughout is seen.
//!
//! The database knows nothing of clients: [`Ctx`](crate::ctx::Ctx) announces what changes here.

use std::sync::Arc;

use ahash::RandomState;
use indexmap::{IndexMap, IndexSet};
use larder_base::Random;

use crate::value::Value;

/// A key. Shared between the map and the index of keys with a deadline.
pub(crate) type Key = Arc<[u8]>;

/// What holding a key costs beside its bytes and its value: the map's slot and index, each with the room that a table
/// leaves to grow (a third more in the mean), the `Arc`'s counts, what the allocator adds to two allocations.
const ENTRY_OVERHEAD: usize = 160;

/// What having a deadline costs: a slot and an index in the set of such keys.
const DEADLINE_OVERHEAD: usize = 40;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// Unix milliseconds of the engine's clock.
    pub(crate) expires_at: Option<u64>,
    /// Unix milliseconds of the last access, for LRU eviction and `OBJECT IDLETIME`.
    pub(crate) used_at: u64,
    /// How often it was used, on a logarithmic scale; counted while the policy is an LFU one.
    frequency: u8,
    /// The last rewrite of the log whose base has this entry, or that began before the entry came: see [`Db::mark`].
    mark: u32,
}

impl Entry {
    /// A new key starts above the least, so that it is not the first to go.
    const FREQUENCY_NEW: u8 = 5;

    pub(crate) fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// How often it was used, on Redis's logarithmic scale: one less for each minute without use.
    pub(crate) fn frequency(&self, now: u64) -> u8 {
        const MINUTE: u64 = 60_000;
        let minutes = now.saturating_sub(self.used_at) / MINUTE;
        self.frequency.saturating_sub(u8::try_from(minutes).unwrap_or(u8::MAX))
    }

    /// Counts a use. The more were counted, the less likely one more is: 255 stands for about a million.
    pub(crate) fn count_use(&mut self, now: u64, random: &Random) {
        /// `lfu-log-factor`.
        const FACTOR: f64 = 10.0;
        self.frequency = self.frequency(now);
        let above = f64::from(self.frequency.saturating_sub(Self::FREQUENCY_NEW));
        if random.unit() < 1.0 / (above * FACTOR + 1.0) {
            self.frequency = self.frequency.saturating_add(1);
        }
    }
}

/// Bytes that a key and its value hold.
pub(crate) fn cost(key: &[u8], entry: &Entry) -> usize {
    let deadline = if entry.expires_at.is_some() {
        DEADLINE_OVERHEAD
    } else {
        0
    };
    ENTRY_OVERHEAD + deadline + key.len() + entry.value.weight()
}

#[derive(Debug)]
pub(crate) struct Db {
    keys: IndexMap<Key, Entry, RandomState>,
    /// The keys with a deadline, for active expiry and the `volatile-*` policies.
    volatile: IndexSet<Key, RandomState>,
    used: usize,
    /// What new entries are marked with.
    mark: u32,
}

impl Db {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            keys: IndexMap::with_hasher(hasher.clone()),
            volatile: IndexSet::with_hasher(hasher.clone()),
            used: 0,
            mark: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    /// Bytes held by keys and values.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The entry, expired or not: the caller knows the time.
    pub(crate) fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.keys.get(key)
    }

    /// The entry and its position, which stands until a key is removed: one look-up serves a whole command.
    pub(crate) fn find(&mut self, key: &[u8]) -> Option<(usize, &mut Entry)> {
        let (position, _, entry) = self.keys.get_full_mut(key)?;
        Some((position, entry))
    }

    /// Changes the value at a position that [`find`](Self::find) or [`put`](Self::put) gave, and keeps the count
    /// of bytes.
    pub(crate) fn change<R>(&mut self, position: usize, change: impl FnOnce(&mut Value) -> R) -> R {
        let (_, entry) = self
            .keys
            .get_index_mut(position)
            .expect("no key was removed since the look-up");
        let before = entry.value.weight();
        let result = change(&mut entry.value);
        self.used = self.used + entry.value.weight() - before;
        result
    }

    /// Puts a value under `key` with this deadline, in place of what was there; its position.
    ///
    /// An overwritten key keeps its position: moved to the end, it would slip past a scan.
    pub(crate) fn put(&mut self, key: &[u8], value: Value, expires_at: Option<u64>, now: u64) -> usize {
        let entry = Entry {
            value,
            expires_at,
            used_at: now,
            frequency: Entry::FREQUENCY_NEW,
            mark: self.mark,
        };
        if let Some((position, known, slot)) = self.keys.get_full_mut(key) {
            self.used = self.used + cost(known, &entry) - cost(known, slot);
            match (slot.expires_at.is_some(), expires_at.is_some()) {
                (false, true) => _ = self.volatile.insert(known.clone()),
                (true, false) => _ = self.volatile.swap_remove(known),
                _ => {}
            }
            *slot = entry;
            return position;
        }
        let key: Key = key.into();
        self.used += cost(&key, &entry);
        if expires_at.is_some() {
            self.volatile.insert(key.clone());
        }
        self.keys.insert_full(key, entry).0
    }

    /// Removes the key at a position.
    pub(crate) fn take_at(&mut self, position: usize) -> Option<(Key, Entry)> {
        let (key, entry) = self.keys.swap_remove_index(position)?;
        if entry.expires_at.is_some() {
            self.volatile.swap_remove(&key);
        }
        self.used -= cost(&key, &entry);
        Some((key, entry))
    }

    pub(crate) fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let position = self.keys.get_index_of(key)?;
        self.take_at(position).map(|(_, entry)| entry)
    }

    /// Sets or clears the deadline; whether the key exists.
    pub(crate) fn set_deadline(&mut self, key: &[u8], expires_at: Option<u64>) -> bool {
        let Some((_, key, entry)) = self.keys.get_full_mut(key) else {
            return false;
        };
        self.used -= cost(key, entry);
        entry.expires_at = expires_at;
        self.used += cost(key, entry);
        match expires_at {
            Some(_) => self.volatile.insert(key.clone()),
            None => self.volatile.swap_remove(key),
        };
        true
    }

    /// From now on new entries carry this number, and entries that are there do not.
    pub(crate) fn begin_marks(&mut self, number: u32) {
        self.mark = number;
    }

    /// Marks the entry at a position with this number; whether it did not carry it yet.
    pub(crate) fn mark(&mut self, position: usize, number: u32) -> bool {
        let entry = self.keys.get_index_mut(position);
        entry.is_some_and(|(_, entry)| std::mem::replace(&mut entry.mark, number) != number)
    }

    /// The key and entry at a position below [`len`](Self::len); positions change with every removal.
    pub(crate) fn at(&self, position: usize) -> Option<(&Key, &Entry)> {
        self.keys.get_index(position)
    }

    /// The same among the keys with a deadline, below [`volatile_len`](Self::volatile_len).
    pub(crate) fn volatile_at(&self, position: usize) -> Option<&Key> {
        self.volatile.get_index(position)
    }

    /// Milliseconds that keys with a deadline have left, of a few of them.
    pub(crate) fn average_ttl(&self, now: u64) -> u64 {
        const SAMPLES: usize = 20;
        let deadline = |key: &Key| self.keys.get(key).and_then(|entry| entry.expires_at);
        let left = self.volatile.iter().take(SAMPLES).filter_map(deadline);
        let (sum, count) = left.fold((0, 0), |(sum, count), at| (sum + at.saturating_sub(now), count + 1));
        sum.checked_div(count).unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.keys.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.volatile.clear();
        self.used = 0;
    }
}
