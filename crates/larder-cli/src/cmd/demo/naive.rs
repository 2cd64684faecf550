//! What is written by hand without a library: GET, on a miss SELECT, then SET with an expiry; DEL after a write.
//!
//! The scenes count what it does beside Larder. It is here to be compared with, not to be copied.

use std::time::Duration;

use anyhow::Result;
use larder::{Store, redis};

use super::users::Row;

/// The hand-written cache, under `name:<key>`.
#[derive(Clone)]
pub(super) struct Naive {
    store: Store,
    name: String,
    ttl: Duration,
}

impl Naive {
    pub(super) fn new(store: &Store, name: String, ttl: Duration) -> Self {
        Self {
            store: store.clone(),
            name,
            ttl,
        }
    }

    /// What is cached under `key`.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Row>> {
        let cached: Option<String> = redis::cmd("GET")
            .arg(self.key(key))
            .query_async(&mut self.store.clone())
            .await?;
        Ok(cached.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    pub(super) async fn set(&self, key: &str, row: &Row) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(key))
            .arg(serde_json::to_string(row)?)
            .arg("PX")
            .arg(self.ttl.as_millis() as u64);
        Ok(set.exec_async(&mut self.store.clone()).await?)
    }

    pub(super) async fn del(&self, key: &str) -> Result<()> {
        Ok(redis::cmd("DEL")
            .arg(self.key(key))
            .exec_async(&mut self.store.clone())
            .await?)
    }

    /// The value under `key`, from `load` if it is not cached.
    pub(super) async fn get_or_load<F>(&self, key: &str, load: impl FnOnce() -> F) -> Result<Option<Row>>
    where
        F: Future<Output = Result<Option<Row>>>,
    {
        if let Some(row) = self.get(key).await? {
            return Ok(Some(row));
        }
        let row = load().await?;
        if let Some(row) = &row {
            self.set(key, row).await?;
        }
        Ok(row)
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.name)
    }
}
