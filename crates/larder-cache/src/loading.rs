//! The calls of sources and loaders: so many at a time, so many in line, each one timed and counted. A stampede over many
//! keys must not become one of the source.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use larder_base::{CacheKey, Clock, metric::Text};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::{core::Core, loader::LoadError, metric, stats::Count};

/// Places for loads, and the line of those that wait for one, which must not grow without end either.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    all: usize,
    line_max: usize,
    waiting: AtomicUsize,
    /// Places kept back after an outage.
    withheld: Mutex<usize>,
    /// Rung when places are kept back.
    narrowed: Notify,
}

/// Nobody else may wait, or has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// Loads that run.
    pub(crate) running: usize,
    /// Loads that wait.
    pub(crate) waiting: usize,
}

impl Slots {
    /// `all` loads at a time, and `line_max` that wait.
    pub(crate) const fn new(all: usize, line_max: usize) -> Self {
        Self {
            free: Semaphore::const_new(all),
            all,
            line_max,
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

    /// A place, waited for in line, for at most `wait_max`.
    async fn take(&self, clock: &Clock, wait_max: Option<Duration>) -> Result<SemaphorePermit<'_>, Full> {
        if let Ok(free) = self.free.try_acquire() {
            return Ok(free);
        }
        let _counted = self.line_up()?;
        let acquired = match wait_max {
            Some(limit) => {
                let waited = clock.timeout(limit, self.free.acquire()).await;
                waited.ok_or_else(|| self.full())?
            }
            None => self.free.acquire().await,
        };
        Ok(acquired.expect("these semaphores are never closed"))
    }

    fn line_up(&self) -> Result<Waiting<'_>, Full> {
        let join = |waiting: usize| (waiting < self.line_max).then_some(waiting + 1);
        // Relaxed: nothing is ordered by it; counted out however the wait ends.
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, join) {
            Ok(_) => Ok(Waiting(self)),
            Err(_) => Err(self.full()),
        }
    }

    fn full(&self) -> Full {
        Full {
            running: self.running(),
            waiting: self.waiting(),
        }
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
    keys: usize,
    began: Duration,
    _slot: SemaphorePermit<'a>,
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Waits for a place, and begins to time a call that loads `keys` keys.
    pub(crate) async fn begin_load(&self, keys: usize, bypass: bool) -> Result<Loading<'_, K, V>, LoadError> {
        let slots = if bypass { &self.bypass_slots } else { &self.load_slots };
        let slot = match slots.take(&self.clock, self.settings.load_timeout).await {
            Ok(slot) => slot,
            Err(full) => {
                let error = LoadError::Overloaded(full);
                self.count(error.count());
                return Err(error);
            }
        };
        self.counters.add_many(Count::Loads, keys as u64);
        Ok(Loading {
            core: self,
            keys,
            began: self.now(),
            _slot: slot,
        })
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
        core.tell_load(self.keys, loaded, took);
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_that_were_kept_back_come_back_by_doubling() {
        let slots = Slots::new(64, 0);
        let running = slots.take(&Clock::manual().0, None).await.expect("free");
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
    async fn the_line_is_bounded_and_left_by_who_gives_up() {
        let (clock, hand) = Clock::manual();
        let slots = Slots::new(1, 2);
        let running = slots.take(&clock, None).await.expect("free");
        let wait = || Box::pin(slots.take(&clock, Some(Duration::from_secs(1))));
        let (mut first, mut second) = (wait(), wait());
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        let full = Full { running: 1, waiting: 2 };
        assert_eq!(wait().await.map(drop), Err(full));
        drop(first);
        assert_eq!(slots.waiting(), 1);
        hand.advance(Duration::from_secs(1));
        assert!(second.await.is_err(), "it waited for too long");
        assert_eq!((slots.waiting(), slots.running()), (0, 1));
        drop(running);
        assert!(wait().await.is_ok());
        assert_eq!(slots.running(), 0);
    }
}
