//! Plain get, set and del.

use std::future::Future;

use futures_util::future::BoxFuture;
use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

use super::{HandWritten, Load, TTL};

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

impl<C: ConnectionLike + Clone + Send + Sync> HandWritten for CacheAside<C> {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.get(name, &[], load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        Box::pin(self.invalidate(name))
    }
}
