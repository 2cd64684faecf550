//! Cache-aside as it is written by hand: what Larder is compared with, and what a test must catch.
//!
//! The code is deliberately plain and not wrong at first sight. Both forms lose the same race: a reader that
//! loaded before a write stores after it, and the old value then stays for its whole TTL.

use std::{future::Future, time::Duration};

use larder_base::Clock;
use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

/// How long a value stays; long against any test.
const TTL: Duration = Duration::from_secs(60);

/// How long the lock round a load lasts if its holder dies; as people choose it, well above a usual load.
const LOCK_TTL: Duration = Duration::from_secs(2);

/// How often someone who waits for another's load looks again.
const POLL: Duration = Duration::from_millis(10);

/// `GET`; on a miss load and `SET`; on a write `DEL`. Tags are sets of keys.
#[derive(Clone, Debug)]
pub struct CacheAside<C> {
    store: C,
}

impl<C: ConnectionLike + Clone + Send + Sync> CacheAside<C> {
    /// Over a connection that all callers share.
    pub fn new(store: C) -> Self {
        Self { store }
    }

    /// The cached value, or what `load` gives, which is cached under `tags`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn get<F>(&self, key: &str, tags: &[&str], load: impl FnOnce() -> F) -> RedisResult<u64>
    where
        F: Future<Output = u64>,
    {
        let mut store = self.store.clone();
        if let Some(value) = store.get::<_, Option<u64>>(key).await? {
            return Ok(value);
        }
        let value = load().await;
        store.set_ex::<_, _, ()>(key, value, TTL.as_secs()).await?;
        for tag in tags {
            store.sadd::<_, _, ()>(format!("tag:{tag}"), key).await?;
        }
        Ok(value)
    }

    /// After a write: the next read loads.
    ///
    /// # Errors
    /// What the store says.
    pub async fn invalidate(&self, key: &str) -> RedisResult<()> {
        self.store.clone().del(key).await
    }

    /// After a write that concerns everything under `tag`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn invalidate_tag(&self, tag: &str) -> RedisResult<()> {
        let mut store = self.store.clone();
        let set = format!("tag:{tag}");
        let keys: Vec<String> = store.smembers(&set).await?;
        for key in keys {
            store.del::<_, ()>(key).await?;
        }
        store.del(set).await
    }
}

/// As [`CacheAside`], with a lock so that one caller loads while the others wait.
#[derive(Clone, Debug)]
pub struct LockAroundLoad<C> {
    store: C,
    clock: Clock,
}

impl<C: ConnectionLike + Clone + Send + Sync> LockAroundLoad<C> {
    /// Over a connection that all callers share; waits pass on `clock`.
    pub fn new(store: C, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The cached value, or what `load` gives to whoever gets the lock.
    ///
    /// # Errors
    /// What the store says.
    pub async fn get<F>(&self, key: &str, load: impl FnOnce() -> F) -> RedisResult<u64>
    where
        F: Future<Output = u64>,
    {
        let mut store = self.store.clone();
        let lock = format!("lock:{key}");
        loop {
            if let Some(value) = store.get::<_, Option<u64>>(key).await? {
                return Ok(value);
            }
            if self.acquire(&lock).await? {
                break;
            }
            self.clock.sleep(POLL).await;
        }
        let value = load().await;
        store.set_ex::<_, _, ()>(key, value, TTL.as_secs()).await?;
        store.del::<_, ()>(lock).await?;
        Ok(value)
    }

    async fn acquire(&self, lock: &str) -> RedisResult<bool> {
        let mut set = redis::cmd("SET");
        set.arg(lock)
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(LOCK_TTL.as_millis() as u64);
        let granted: Option<String> = set.query_async(&mut self.store.clone()).await?;
        Ok(granted.is_some())
    }

    /// After a write: the next read loads.
    ///
    /// # Errors
    /// What the store says.
    pub async fn invalidate(&self, key: &str) -> RedisResult<()> {
        self.store.clone().del(key).await
    }
}
