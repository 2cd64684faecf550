//! Which reads and own writes of which keys are under way: what happens to a key while its answer travels decides whether
//! the answer may be installed in the near tier (rules R1 to R3 of protocol 1.5).

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::partition::Revisions;

/// Enough shards that two threads seldom meet on one.
const SHARDS: usize = 16;

/// One read under way.
#[derive(Debug)]
pub(crate) struct Marker {
    poisoned: AtomicBool,
    changed: Notify,
    /// The epoch when the request was about to be written.
    pub(crate) epoch: u32,
    /// The revisions of the key's partition then.
    revisions: Revisions,
}

impl Marker {
    pub(crate) fn new(epoch: u32, revisions: Revisions) -> Arc<Self> {
        Arc::new(Self {
            poisoned: AtomicBool::new(false),
            changed: Notify::new(),
            epoch,
            revisions,
        })
    }

    /// What the revision of a copy is that this read installs.
    pub(crate) const fn revision(&self, tagged: bool) -> u32 {
        self.revisions.of(tagged)
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        // Acquire: pairs with the release in `poison`.
        self.poisoned.load(Ordering::Acquire)
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Waits until the key is touched.
    pub(crate) async fn touched(&self) {
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        if !self.is_poisoned() {
            changed.await;
        }
    }
}

/// What is under way for one key.
#[derive(Debug, Default)]
struct UnderWay {
    reads: SmallVec<[Arc<Marker>; 1]>,
    /// Own writes whose replies were not seen yet.
    writes: u32,
}

impl UnderWay {
    fn is_nothing(&self) -> bool {
        self.reads.is_empty() && self.writes == 0
    }

    /// Poisons every read but `except`.
    fn poison(&self, except: Option<&Arc<Marker>>) {
        let others = self
            .reads
            .iter()
            .filter(|marker| !except.is_some_and(|own| Arc::ptr_eq(marker, own)));
        others.for_each(|marker| marker.poison());
    }
}

type Shard<K> = HashMap<K, UnderWay, RandomState>;

/// What is under way in one cache.
pub(crate) struct Markers<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
}

impl<K: Clone + Eq + Hash> Markers<K> {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::new();
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K>> {
        self.shards[(self.hasher.hash_one(key) >> 24) as usize % SHARDS].lock()
    }

    pub(crate) fn register(&self, key: &K, marker: &Arc<Marker>) {
        self.shard(key)
            .entry(key.clone())
            .or_default()
            .reads
            .push(marker.clone());
    }

    pub(crate) fn unregister(&self, key: &K, marker: &Arc<Marker>) {
        let mut shard = self.shard(key);
        if let Some(under_way) = shard.get_mut(key) {
            under_way.reads.retain(|other| !Arc::ptr_eq(other, marker));
            if under_way.is_nothing() {
                shard.remove(key);
            }
        }
    }

    /// Poisons every read of `key` but `except`.
    pub(crate) fn poison(&self, key: &K, except: Option<&Arc<Marker>>) {
        if let Some(under_way) = self.shard(key).get(key) {
            under_way.poison(except);
        }
    }

    /// Begins an own write of `key`: nothing is installed before [`end_write`](Self::end_write).
    pub(crate) fn begin_write(&self, key: &K, except: Option<&Arc<Marker>>) {
        let mut shard = self.shard(key);
        let under_way = shard.entry(key.clone()).or_default();
        under_way.writes += 1;
        under_way.poison(except);
    }

    /// Ends an own write of `key`. If it `changed` the key, whatever is being read now may be from before.
    pub(crate) fn end_write(&self, key: &K, changed: bool, except: Option<&Arc<Marker>>) {
        let mut shard = self.shard(key);
        if let Some(under_way) = shard.get_mut(key) {
            under_way.writes = under_way.writes.saturating_sub(1);
            if changed {
                under_way.poison(except);
            }
            if under_way.is_nothing() {
                shard.remove(key);
            }
        }
    }

    /// Wakes whoever waits for any key: what they wait for may be gone.
    pub(crate) fn poison_all(&self) {
        for shard in &self.shards {
            shard.lock().values().for_each(|under_way| under_way.poison(None));
        }
    }

    /// Runs `install` if `marker` is unpoisoned and no own write is under way, and so that neither changes between the look
    /// and the deed: who poisons drops the near copy afterwards, hence also one that was installed just before.
    pub(crate) fn if_clean(&self, key: &K, marker: &Marker, install: impl FnOnce()) {
        let shard = self.shard(key);
        let is_written = shard.get(key).is_some_and(|under_way| under_way.writes > 0);
        if !is_written && !marker.is_poisoned() {
            install();
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }
}
