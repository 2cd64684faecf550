//! A map in the process in front of the store, whose copies live for a moment by a clock of one's own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use larder_base::{Clock, Tasks};
use larder_store::Store;
use parking_lot::RwLock;
use redis::RedisResult;

use super::{CacheAside, HandWritten, Load};

/// How often the clock is moved on.
const TICK: Duration = Duration::from_millis(5);

/// [`CacheAside`] with a map in front, whose copies live for a short time: no pushes, and a bound all the same.
///
/// Reading the time at every hit costs as much as the hit, so a task counts it up. When the process is stopped and goes
/// on, that count is where it was, and copies live on that are older by the whole pause.
#[derive(Debug)]
pub struct Timed {
    store: CacheAside<Store>,
    life: Duration,
    now: Arc<AtomicU64>,
    copies: RwLock<HashMap<String, Copy>>,
    _ticking: Tasks,
}

#[derive(Clone, Copy, Debug)]
struct Copy {
    value: u64,
    until: u64,
}

impl Timed {
    /// Over a store; copies live for `life`, counted in steps of `clock`.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(store: Store, life: Duration, clock: Clock) -> Self {
        let (now, ticking) = (Arc::<AtomicU64>::default(), Tasks::new());
        let counted = now.clone();
        ticking.spawn("naive clock", async move {
            loop {
                clock.sleep(TICK).await;
                counted.fetch_add(TICK.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self {
            store: CacheAside::new(store),
            life,
            now,
            copies: RwLock::default(),
            _ticking: ticking,
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    async fn look(&self, name: &str, load: Load<'_>) -> RedisResult<u64> {
        let copy = self.near(name);
        if let Some(copy) = copy {
            return Ok(copy);
        }
        // From before the question on, or the bound would not hold.
        let until = self.now() + self.life.as_micros() as u64;
        let value = self.store.get(name, &[], load).await?;
        self.copies.write().insert(name.to_owned(), Copy { value, until });
        Ok(value)
    }
}

impl HandWritten for Timed {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.look(name, load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        self.copies.write().remove(name);
        self.store.forget(name)
    }

    fn has_near(&self) -> bool {
        true
    }

    fn near(&self, name: &str) -> Option<u64> {
        let copy = self.copies.read().get(name).copied();
        copy.filter(|copy| self.now() < copy.until).map(|copy| copy.value)
    }
}
