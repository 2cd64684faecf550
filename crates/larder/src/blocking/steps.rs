//! Work in steps that tells of its progress: `run` does it.

use std::{cell::RefCell, fmt};

use futures_util::{StreamExt as _, stream};
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{ask, on::On};
use crate::{Error, Progress};

/// Keys that are taken from an iterator at a time: as many as a step of the warming loads.
const CHUNK: usize = 200;

/// An invalidation by pattern; see [`Cache::invalidate_matching`](super::Cache::invalidate_matching).
#[must_use = "nothing is invalidated before `run`"]
#[derive(Debug)]
pub struct Matching<K: CacheKey, V> {
    matching: crate::Matching<K, V>,
    runtime: super::Runtime,
}

impl<K: CacheKey, V: Send + Sync + 'static> Matching<K, V> {
    pub(super) const fn of(matching: crate::Matching<K, V>, runtime: super::Runtime) -> Self {
        Self { matching, runtime }
    }

    /// Calls `progress` after each step, with the number of entries invalidated so far.
    pub fn progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.matching = self.matching.progress(progress);
        self
    }

    /// Invalidates; how many entries were found.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::invalidate_matching).
    #[track_caller]
    pub fn run(self) -> Result<u64, Error> {
        self.runtime.block_on(self.matching.into_future())
    }
}

/// A warming; see [`Cache::warm`](super::Cache::warm).
#[must_use = "nothing is loaded before `run`"]
pub struct Warming<K, V, I>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(super) on: On<crate::Cache<K, V>>,
    pub(super) keys: I,
    pub(super) progress: Box<dyn FnMut(Progress) + Send>,
}

impl<K, V, I> fmt::Debug for Warming<K, V, I>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warming").finish_non_exhaustive()
    }
}

impl<K, V, I> Warming<K, V, I>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    I: Iterator<Item = K>,
{
    /// Calls `progress` after each step of 200 keys, on a thread of the runtime: it should be short.
    pub fn progress(mut self, progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Loads and caches what the keys name. The iterator runs on this thread, and may block.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::warm).
    #[track_caller]
    pub fn run(self) -> Result<Progress, Error> {
        let keys = RefCell::new(self.keys);
        let cache = (*self.on).clone();
        let begin = |ask: ask::Ask<(), Vec<K>>| async move {
            let chunks = stream::unfold(ask, async |ask| {
                let chunk = ask.clone().ask(()).await;
                (!chunk.is_empty()).then_some((stream::iter(chunk), ask))
            });
            cache.warm(chunks.flatten()).progress(self.progress).await
        };
        ask::answering(self.on.runtime(), begin, |()| {
            keys.borrow_mut().by_ref().take(CHUNK).collect()
        })
    }
}
