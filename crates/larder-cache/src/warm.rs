//! Warming: loading many keys before they are asked for.
//!
//! It takes keys, not values: a value that was read before its lease was granted could be older than an invalidation in
//! between, and would stay. So every value comes from the source under a lease, like any other load.

use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc};

use futures_util::{StreamExt as _, stream::BoxStream};
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, batch::SourceMany, core::Core};

/// Keys per step: enough to fill a pipeline and a query, few enough that progress is seen.
const CHUNK: usize = 200;

/// Steps under way: while one waits for the source, others keep the store busy. More would only compete with the traffic.
const AT_ONCE: usize = 4;

/// How far a warming has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Keys taken so far.
    pub seen: u64,
    /// Of those, cached now.
    pub cached: u64,
    /// Of those, failed.
    pub failed: u64,
}

/// A warming that begins when awaited; see [`Cache::warm`](crate::Cache::warm).
#[must_use = "a warming does nothing before it is awaited"]
pub struct Warming<K: CacheKey, V> {
    core: Arc<Core<K, V>>,
    keys: BoxStream<'static, K>,
    progress: Box<dyn FnMut(Progress) + Send>,
}

impl<K: CacheKey, V> fmt::Debug for Warming<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warming").finish_non_exhaustive()
    }
}

impl<K, V> Warming<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn new(core: Arc<Core<K, V>>, keys: BoxStream<'static, K>) -> Self {
        Self {
            core,
            keys,
            progress: Box::new(|_| {}),
        }
    }

    /// Calls `progress` after each step of 200 keys.
    pub fn progress(mut self, progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    async fn run(mut self) -> Result<Progress, Error> {
        let source = self.core.source.clone().ok_or_else(|| {
            Error::from(ErrorKind::Refused {
                operation: "warm",
                why: "the cache has no source to load from",
                instead: "put_many",
            })
        })?;
        let (core, source) = (&self.core, &SourceMany(source));
        let steps = self.keys.chunks(CHUNK).map(|chunk| async move {
            core.check_open()?;
            let batch = core.get_many(&chunk, source).await;
            Ok::<_, Error>((chunk.len(), batch.len(), batch.failed().len()))
        });
        let mut steps = steps.buffered(AT_ONCE);
        let mut progress = Progress::default();
        while let Some(step) = steps.next().await {
            let (seen, cached, failed) = step?;
            progress.seen += seen as u64;
            progress.cached += cached as u64;
            progress.failed += failed as u64;
            (self.progress)(progress);
        }
        Ok(progress)
    }
}

/// Ends when the keys do; single keys may fail, which the progress counts.
impl<K, V> IntoFuture for Warming<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Output = Result<Progress, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
