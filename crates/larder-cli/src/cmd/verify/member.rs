//! The caches of one process's place, one after the other, and what they counted.

use std::sync::Arc;

use larder_cache::Cache;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Who sits there now, and what those before counted.
pub(super) struct Member {
    live: Mutex<Live>,
    past: Mutex<Figures>,
}

/// A cache, and when it is gone.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) cache: Cache<u64, u64>,
    pub(super) gone: CancellationToken,
}

/// What Larder's caches counted themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) fills_rejected: u64,
    pub(super) near_hits: u64,
    /// Reads and fills that went without a lease.
    pub(super) unleased: u64,
}

impl Figures {
    fn of(cache: &Cache<u64, u64>) -> Self {
        let stats = cache.stats();
        // Past a store that is down, after the wait for another's load, while an invalidation is pending; and where the
        // store failed or forgot.
        let past = stats.bypasses + stats.waits_given_up + stats.quarantined_reads;
        Self {
            fills_rejected: stats.fills_rejected(),
            near_hits: stats.near_hits,
            unleased: past + stats.store_errors + stats.fills_failed + stats.generations,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            fills_rejected: self.fills_rejected + other.fills_rejected,
            near_hits: self.near_hits + other.near_hits,
            unleased: self.unleased + other.unleased,
        }
    }
}

impl Member {
    pub(super) fn new(live: Live) -> Arc<Self> {
        Arc::new(Self {
            live: Mutex::new(live),
            past: Mutex::default(),
        })
    }

    pub(super) fn live(&self) -> Live {
        self.live.lock().clone()
    }

    /// Another takes the place.
    pub(super) fn replace(&self, live: Live) {
        let before = std::mem::replace(&mut *self.live.lock(), live);
        let counted = Figures::of(&before.cache);
        let mut past = self.past.lock();
        *past = past.and(counted);
    }

    pub(super) fn figures(&self) -> Figures {
        self.past.lock().and(Figures::of(&self.live().cache))
    }
}
