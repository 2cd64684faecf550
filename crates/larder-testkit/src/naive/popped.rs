//! Jobs in a list.

use redis::{AsyncCommands as _, RedisResult, aio::ConnectionLike};

/// A queue as it is written by hand: `RPUSH` by those who have jobs, `BLPOP` by those who do them. What was popped is nowhere but
/// in the memory of its worker.
#[derive(Clone, Debug)]
pub struct PoppedJobs<C> {
    store: C,
    list: String,
}

/// How long a pop waits, in seconds.
const WAIT: f64 = 1.0;

impl<C: ConnectionLike + Send + Sync> PoppedJobs<C> {
    /// In `list`. Popping takes a connection of its own, which it blocks.
    pub fn new(store: C, list: &str) -> Self {
        Self {
            store,
            list: list.to_owned(),
        }
    }

    /// Adds jobs at the end.
    ///
    /// # Errors
    /// What the store says.
    pub async fn push_all<J: redis::ToRedisArgs + Send + Sync>(&mut self, jobs: &[J]) -> RedisResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut push = redis::cmd("RPUSH");
        push.arg(&self.list).arg(jobs);
        push.exec_async(&mut self.store).await
    }

    /// Takes the first, waiting for one for at most a second.
    ///
    /// # Errors
    /// What the store says.
    pub async fn pop(&mut self) -> RedisResult<Option<String>> {
        let popped: Option<(String, String)> = self.store.blpop(&self.list, WAIT).await?;
        Ok(popped.map(|(_, job)| job))
    }
}
