//! A lock as it is written by hand: `SET key 1 NX PX ttl`, and `DEL key` when done.

use std::time::Duration;

use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

/// A lock with a time limit and nothing else: no owner, no fence, no word to a holder whose time is over.
///
/// Two hold it as soon as one takes longer than the time limit, or the server forgets the key; and then the first one's `DEL`
/// frees the lock of the second, for a third.
#[derive(Clone, Debug)]
pub struct SetNxLock<C> {
    store: C,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone + Send + Sync> SetNxLock<C> {
    /// Over a connection that all callers share; locks end by themselves after `ttl`.
    pub fn new(store: C, ttl: Duration) -> Self {
        Self { store, ttl }
    }

    /// Whether the lock on `key` was free and is the caller's now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn try_acquire(&self, key: &str) -> RedisResult<bool> {
        let mut set = redis::cmd("SET");
        set.arg(lock(key))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(self.ttl.as_millis() as u64);
        let granted: Option<String> = set.query_async(&mut self.store.clone()).await?;
        Ok(granted.is_some())
    }

    /// Gives it back, whoever has it by now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn release(&self, key: &str) -> RedisResult<()> {
        self.store.clone().del(lock(key)).await
    }
}

fn lock(key: &str) -> String {
    format!("lock:{key}")
}
