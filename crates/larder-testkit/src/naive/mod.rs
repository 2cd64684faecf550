//! Cache-aside as it is written by hand: what Larder is compared with, and what a test must catch.
//!
//! The code is deliberately plain and not wrong at first sight. Both forms lose the same race: a reader that
//! loaded before a write stores after it, and the old value then stays for its whole TTL.

mod aside;
mod lock;

use std::{future::Future, time::Duration};

use redis::RedisResult;

pub use aside::CacheAside;
pub use lock::LockAroundLoad;

/// How long a value stays; long against any test.
const TTL: Duration = Duration::from_secs(60);

/// What all of them are to their callers: a read through the cache under a name, and a word after a write.
pub trait HandWritten: Send + Sync + 'static {
    /// The cached value under `name`, or what `load` gives.
    fn get<F>(&self, name: &str, load: impl FnOnce() -> F + Send) -> impl Future<Output = RedisResult<u64>> + Send
    where
        F: Future<Output = u64> + Send;

    /// After a write: the next read loads.
    fn invalidate(&self, name: &str) -> impl Future<Output = RedisResult<()>> + Send;
}
