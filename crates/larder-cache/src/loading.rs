//! The calls of sources and loaders: so many at a time, each one timed and counted.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use larder_base::{CacheKey, metric::Text};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::{core::Core, load::LoadError, metric, stats::Count};

/// Places for loads, and who waits for one.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    all: usize,
    waiting: AtomicUsize,
    /// Places kept back after an outage.
    withheld: Mutex<usize>,
    /// Rung when places are kept back.
    narrowed: Notify,
}

impl Slots {
    pub(crate) const fn new(all: usize) -> Self {
        Self {
            free: Semaphore::const_new(all),
            all,
            waiting: AtomicUsize::new(0),
            withheld: Mutex::new(0),
            narrowed: Notify::const_new(),
        }
    }

    /// Keeps all but `places` places back, as far as they are free.
    pub(crate) fn narrow(&self, places: usize) {
        let mut withheld = self.withheld.lock();
        let more = self.all.saturating_sub(places).saturating_sub(*withheld);
        *withheld += self.free.forget_permits(more);
        self.narrowed.notify_one();
    }

    /// Doubles the places; whether that is all of them.
    pub(crate) fn widen(&self) -> bool {
        let mut withheld = self.withheld.lock();
        let more = (self.all - *withheld).max(1).min(*withheld);
        self.free.add_permits(more);
        *withheld -= more;
        *withheld == 0
    }

    /// Waits until places are kept back.
    pub(crate) async fn narrowed(&self) {
        self.narrowed.notified().await;
    }

    /// How many loads run.
    pub(crate) fn running(&self) -> usize {
        let places = self.all - *self.withheld.lock();
        places.saturating_sub(self.free.available_permits())
    }

    /// How many wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn take(&self) -> SemaphorePermit<'_> {
        if let Ok(free) = self.free.try_acquire() {
            return free;
        }
        // Relaxed: a figure for people; counted out however the wait ends.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _counted = Waiting(self);
        self.free.acquire().await.expect("these semaphores are never closed")
    }
}

struct Waiting<'a>(&'a Slots);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call of a source or a loader under way.
pub(crate) struct Loading<'a, K: CacheKey, V: Send + Sync + 'static> {
    core: &'a Core<K, V>,
    began: Duration,
    _slot: SemaphorePermit<'a>,
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Waits for a place, and begins to time a call that loads `keys` keys.
    pub(crate) async fn begin_load(&self, keys: usize, bypass: bool) -> Loading<'_, K, V> {
        let slots = if bypass { &self.bypass_slots } else { &self.load_slots };
        let slot = slots.take().await;
        self.counters.add_many(Count::Loads, keys as u64);
        Loading {
            core: self,
            began: self.now(),
            _slot: slot,
        }
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Loading<'_, K, V> {
    /// Counts what came of the call; how long it took.
    pub(crate) fn ended<T>(self, loaded: &Result<T, LoadError>) -> Duration {
        let core = self.core;
        let took = core.now().saturating_sub(self.began);
        metric::LOAD_SECONDS.record([Text::from(core.layout.namespace().clone())], took);
        if let Err(error) = loaded {
            core.count(error.count());
        }
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_that_were_kept_back_come_back_by_doubling() {
        let slots = Slots::new(64);
        let running = slots.take().await;
        slots.narrow(16);
        slots.narrow(20);
        assert_eq!((slots.free.available_permits(), slots.running()), (15, 1));
        drop(running);
        assert!(!slots.widen());
        assert_eq!(slots.free.available_permits(), 32);
        assert!(slots.widen() && slots.widen());
        assert_eq!((slots.free.available_permits(), slots.running()), (64, 0));
    }

    #[tokio::test]
    async fn places_are_counted_and_given_back() {
        let slots = Slots::new(1);
        let first = slots.take().await;
        assert_eq!((slots.running(), slots.waiting()), (1, 0));
        {
            let mut second = std::pin::pin!(slots.take());
            assert!(futures_util::poll!(second.as_mut()).is_pending());
            assert_eq!((slots.running(), slots.waiting()), (1, 1));
        }
        assert_eq!(slots.waiting(), 0, "who gives up waits no more");
        drop(first);
        assert_eq!(slots.running(), 0);
    }
}
