//! Invalidation by pattern: `SCAN` finds the keys, the invalidation script drops them, a batch at a time.
//!
//! Never `KEYS`, which stops the server until it has looked at everything, and never `UNLINK`, which would delete the
//! hold of a writer (protocol 1.3).
//!
//! A walk that did not come to its end is not begun again by the recovery task, for it takes as long as the store is large,
//! and the whole namespace is quarantined meanwhile; and a server may refuse `SCAN` for good. What is owed in its place is a
//! clear: 64 small scripts.

use std::{fmt, future::IntoFuture, pin::Pin, sync::Arc};

use larder_base::CacheKey;
use larder_store::StoreError;

#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::{Error, channel::Change, core::Core, owed::Owed};

/// Keys that the server looks at per step: a fraction of a millisecond of it.
const SCAN_COUNT: usize = 500;

/// How often the walk begins anew when the server turned into another one under it, whose cursors mean something else.
const WALKS: u32 = 3;

/// An invalidation by pattern that begins when awaited; see [`Cache::invalidate_matching`](crate::Cache::invalidate_matching).
///
/// # Cancel safety
/// Dropped before it ends, what was found so far is invalidated and the rest is not: unlike other invalidations, a walk that
/// nobody waits for does not go on.
#[must_use = "nothing is invalidated before this is awaited"]
pub struct Matching<K: CacheKey, V> {
    core: Arc<Core<K, V>>,
    pattern: String,
    progress: Box<dyn FnMut(u64) + Send>,
}

impl<K: CacheKey, V> fmt::Debug for Matching<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matching").finish_non_exhaustive()
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Matching<K, V> {
    pub(crate) fn new(core: Arc<Core<K, V>>, pattern: String) -> Self {
        Self {
            core,
            pattern,
            progress: Box::new(|_| {}),
        }
    }

    /// Calls `progress` after each step of some 500 keys looked at, with the number of entries invalidated so far.
    pub fn progress(mut self, progress: impl FnMut(u64) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Without telling anybody of it.
    pub(crate) async fn run(mut self) -> Result<u64, Error> {
        let mut done = 0;
        let progress = &mut |found| {
            done = found;
            (self.progress)(found);
        };
        // Also for a store that comes back with older data: no walk of before found what it then has.
        let owed = [Owed::All];
        self.core.note(&owed);
        let walked = self.core.walk_all(&self.pattern, progress).await;
        if walked.is_err() {
            self.core.now_pending(&owed);
        }
        let told = self
            .core
            .told(|| format!("the keys matching `{}`", self.pattern), walked);
        told.await.map(|()| done)
    }
}

/// Ends with the number of entries found; one that the server showed twice counts twice.
impl<K: CacheKey, V: Send + Sync + 'static> IntoFuture for Matching<K, V> {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (core, pattern) = (self.core.clone(), self.pattern.clone());
            let done = self.run().await;
            core.tell_change(Change::Matching(&pattern), &done);
            done
        })
    }
}

impl<K: CacheKey, V: Send + Sync + 'static> Core<K, V> {
    /// Walks until one walk began and ended on the same run of the same server; `progress` hears after each step how many
    /// entries were invalidated so far.
    async fn walk_all(&self, pattern: &str, progress: &mut (dyn FnMut(u64) + Send)) -> Result<(), StoreError> {
        let mut done = 0;
        for _ in 0..WALKS {
            // Connects, if need be: a walk that begins nowhere may begin on one server and end on another.
            self.store.ping().await?;
            let before = self.store.generation();
            self.walk(pattern, &mut done, progress).await?;
            let known = before.is_some() || self.store.is_embedded();
            if known && self.store.generation() == before {
                // What was evicted is found by no walk, and copies of it may be left.
                return self.log_all_dead().await;
            }
        }
        let moved = "the server changed under each walk over its keys";
        Err(redis::RedisError::from(std::io::Error::other(moved)).into())
    }

    /// Bounded by the keys of the store: a cursor comes back to 0 after it has seen each.
    async fn walk(
        &self,
        pattern: &str,
        done: &mut u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), StoreError> {
        let scan = self.layout.scan_pattern(pattern);
        let mut cursor = "0".to_owned();
        loop {
            let (next, entries) = self.scan_step(&cursor, &scan).await?;
            *done += entries.len() as u64;
            self.drop_entries(entries).await?;
            progress(*done);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn drop_entries(&self, entries: Vec<Vec<u8>>) -> Result<(), StoreError> {
        #[cfg(feature = "mutants")]
        if mutant::lives(Mutant::M25) {
            return mutant::unlink(&self.store, entries).await;
        }
        let keys: Vec<K> = entries.iter().filter_map(|e| self.key_of(e)).collect();
        // Whose key is stored as a digest: nothing of it is kept near, but it may be being read.
        let has_digests = keys.len() < entries.len();
        let detach = || {
            if has_digests {
                self.detach_all();
            }
        };
        detach();
        let writing = self.writing(&keys);
        let owed = entries.into_iter().map(|e| Owed::drop_of(e.into()));
        let sent = self.deliver(owed.collect()).await;
        writing.changed();
        self.detach(&keys);
        detach();
        sent
    }

    async fn scan_step(&self, cursor: &str, pattern: &str) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(pattern);
        command.arg("COUNT").arg(SCAN_COUNT);
        let step: (String, Vec<Vec<u8>>) = command.query_async(&mut self.store.clone()).await?;
        Ok(step)
    }
}
