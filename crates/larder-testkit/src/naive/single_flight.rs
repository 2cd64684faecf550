//! One read of a key at a time in a process; whoever comes meanwhile gets its outcome.

use std::{collections::HashMap, sync::Arc};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use redis::RedisResult;
use tokio::sync::OnceCell;

use super::{HandWritten, Load};

/// Another cache, asked for each key by one caller at a time. It loses one race more: a caller who comes after an
/// acknowledged write joins a read that began before it, and gets the old value.
pub struct SingleFlight {
    cache: Arc<dyn HandWritten>,
    running: Mutex<HashMap<String, Arc<OnceCell<u64>>>>,
}

impl std::fmt::Debug for SingleFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleFlight")
            .field("running", &self.running.lock().len())
            .finish_non_exhaustive()
    }
}

impl SingleFlight {
    /// In front of `cache`.
    #[must_use]
    pub fn new(cache: Arc<dyn HandWritten>) -> Self {
        Self {
            cache,
            running: Mutex::default(),
        }
    }

    async fn share<'a>(&'a self, name: &'a str, load: Load<'a>) -> RedisResult<u64> {
        let flight = self.running.lock().entry(name.to_owned()).or_default().clone();
        let value = flight.get_or_try_init(|| self.cache.read(name, load)).await.copied();
        let mut running = self.running.lock();
        if running.get(name).is_some_and(|other| Arc::ptr_eq(other, &flight)) {
            running.remove(name);
        }
        value
    }
}

impl HandWritten for SingleFlight {
    fn read<'a>(&'a self, name: &'a str, load: Load<'a>) -> BoxFuture<'a, RedisResult<u64>> {
        Box::pin(self.share(name, load))
    }

    fn forget<'a>(&'a self, name: &'a str) -> BoxFuture<'a, RedisResult<()>> {
        self.cache.forget(name)
    }

    fn has_near(&self) -> bool {
        self.cache.has_near()
    }

    fn near(&self, name: &str) -> Option<u64> {
        self.cache.near(name)
    }
}
