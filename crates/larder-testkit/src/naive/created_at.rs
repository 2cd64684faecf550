//! Tags by time: an entry is valid if it was written after the last invalidation of each of its tags.

use std::future::Future;

use larder_base::Clock;
use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

use super::TTL;

/// Each entry says when it was written, each tag when it was last invalidated, both by the clock of whoever wrote it.
///
/// It loses twice. A value that was loaded before an invalidation and written after it looks younger than it; and a
/// process whose clock is ahead writes entries that no invalidation reaches until its clock's time has come.
#[derive(Clone, Debug)]
pub struct CreatedAtTags<C> {
    store: C,
    clock: Clock,
}

impl<C: ConnectionLike + Clone + Send + Sync> CreatedAtTags<C> {
    /// Over a connection that all callers share, in a process whose wall clock is that of `clock`.
    pub fn new(store: C, clock: Clock) -> Self {
        Self { store, clock }
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
        if let Some(entry) = store.get::<_, Option<String>>(key).await?
            && let Some(value) = self.still_valid(&entry).await?
        {
            return Ok(value);
        }
        let value = load().await;
        let entry = format!("{value} {} {}", self.now(), tags.join(" "));
        store.set_ex::<_, _, ()>(key, entry, TTL.as_secs()).await?;
        Ok(value)
    }

    /// After a write that concerns everything under `tag`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn invalidate_tag(&self, tag: &str) -> RedisResult<()> {
        self.store.clone().set(tag_key(tag), self.now()).await
    }

    /// The value of an entry, `value written_at tag..`, if it is younger than the invalidations of all its tags.
    async fn still_valid(&self, entry: &str) -> RedisResult<Option<u64>> {
        let mut words = entry.split_whitespace();
        let (Some(value), Some(written)) = (number(words.next()), number(words.next())) else {
            return Ok(None);
        };
        for tag in words {
            let invalidated: Option<u64> = self.store.clone().get(tag_key(tag)).await?;
            if invalidated.is_some_and(|at| at >= written) {
                return Ok(None);
            }
        }
        Ok(Some(value))
    }

    /// Milliseconds since 1970 by this process's clock.
    fn now(&self) -> u64 {
        self.clock.unix().as_millis() as u64
    }
}

fn tag_key(tag: &str) -> String {
    format!("tag:{tag}:invalidated_at")
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}
