//! Plain get, set and del, with a lock round the load.

use std::{future::Future, time::Duration};

use futures_util::future::BoxFuture;
use larder_base::Clock;
use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

use super::{HandWritten, Load, TTL};

/// How long the lock round a load lasts if its holder dies; as people choose it, well above a usual load.
const LOCK_TTL: Duration = Duration::from_secs(2);

/// How often someone who waits for another's load looks again.
const POLL: Duration = Duration::from_millis(10);

/// As [`CacheAside`](super::CacheAside), with a lock so that one caller loads while the others wait.
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

impl<C: ConnectionLike + Clone + Send + Sync> HandWritten for LockAroundLoad<C> {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.get(name, load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        Box::pin(self.invalidate(name))
    }
}
