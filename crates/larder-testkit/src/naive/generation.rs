//! Clearing by counting: every key begins with the number of the namespace's generation.

use std::future::Future;

use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

use super::TTL;

/// Where the number stands.
const GENERATION: &str = "generation";

/// `clear` counts up, so that what was stored under the number before is never looked at again. Until the store loses
/// the number: then it begins anew, and what a late load stores under an old number is under the present one.
#[derive(Clone, Debug)]
pub struct CountedGeneration<C> {
    store: C,
}

impl<C: ConnectionLike + Clone + Send + Sync> CountedGeneration<C> {
    /// Over a connection that all callers share.
    pub fn new(store: C) -> Self {
        Self { store }
    }

    /// The cached value, or what `load` gives.
    ///
    /// # Errors
    /// What the store says.
    pub async fn get<F>(&self, key: &str, load: impl FnOnce() -> F) -> RedisResult<u64>
    where
        F: Future<Output = u64>,
    {
        let mut store = self.store.clone();
        let generation = store.get::<_, Option<u64>>(GENERATION).await?.unwrap_or(0);
        let key = format!("{generation}:{key}");
        if let Some(value) = store.get::<_, Option<u64>>(&key).await? {
            return Ok(value);
        }
        let value = load().await;
        store.set_ex::<_, _, ()>(&key, value, TTL.as_secs()).await?;
        Ok(value)
    }

    /// After a write that concerns everything.
    ///
    /// # Errors
    /// What the store says.
    pub async fn clear(&self) -> RedisResult<()> {
        self.store.clone().incr(GENERATION, 1).await
    }
}
