//! The handle's writes.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Cache, Error, Hold, Patch, PutOptions, Receipt, Written, cache::boxed, context::Notes, warm::Warming};

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Makes `value` the value of `key`: in the source, where there is a [sink](crate::Sink), by the cache's
    /// [`WritePolicy`](crate::WritePolicy); else in the cache alone, where the last writer wins.
    ///
    /// `Ok` of a write to the source means that it is committed; the [`Receipt`] says whether the store has acknowledged that
    /// the old value is gone. Under [write-behind](crate::WritePolicy::Behind) it means that the store has accepted it, as
    /// safely as [`Receipt::ack`] says: every read sees it, and the source has it later.
    ///
    /// # Errors
    /// With a sink [`ErrorKind::Sink`](crate::ErrorKind::Sink), where nothing was written or [nobody knows](Error::is_in_doubt); [`ErrorKind::HoldLapsed`](crate::ErrorKind::HoldLapsed) and
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), where nothing was written. Without one [`ErrorKind::Refused`](crate::ErrorKind::Refused) on a cache with a source, naming
    /// `invalidate`: a copy of a row is stored by a load instead; [`ErrorKind::Held`](crate::ErrorKind::Held) while a writer holds the key;
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if it was sent and its answer not seen; [`ErrorKind::StoreFull`](crate::ErrorKind::StoreFull), with the old value gone;
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) and [`ErrorKind::Tags`](crate::ErrorKind::Tags) for what cannot be stored. Under write-behind [`ErrorKind::Backpressure`](crate::ErrorKind::Backpressure), where too much
    /// waits; [`ErrorKind::Sink`](crate::ErrorKind::Sink), if the source could not be asked for the epoch that a new store or one that was restarted needs;
    /// [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) only if no answer was seen within [`wait`](crate::WriteBehind::wait).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have been written or not; nothing older is served than what the source has.
    pub async fn put(&self, key: &K, value: V) -> Result<Receipt, Error> {
        boxed(self.core.put(key, value, &Notes::default())).await
    }

    /// As [`put`](Self::put), with a TTL or tags of its own.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn put_with(
        &self,
        key: &K,
        value: V,
        options: impl FnOnce(PutOptions) -> PutOptions + Send,
    ) -> Result<Receipt, Error> {
        let notes = options(PutOptions::default()).into_notes();
        boxed(self.core.put(key, value, &notes)).await
    }

    /// Stores `value` if none is cached, fresh or stale; whether it did. A remembered "there is none" counts as none.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn put_if_absent(&self, key: &K, value: V) -> Result<bool, Error> {
        boxed(self.core.put_if_absent(key, value, &Notes::default())).await
    }

    /// [`put`](Self::put) for many values, pipelined; with a sink, 200 at a time in one commit each. Of a key that comes twice
    /// the last value is put.
    ///
    /// # Errors
    /// As [`put`](Self::put): the first failure; values that did not fail are stored.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some are stored and some not.
    pub async fn put_many(&self, values: impl IntoIterator<Item = (K, V)> + Send) -> Result<Receipt, Error> {
        let values: Vec<(K, V)> = values.into_iter().collect();
        boxed(self.core.put_many(values)).await
    }

    /// Removes the value of `key`: from the source, where there is a [sink](crate::Sink), and from the cache. The receipt says
    /// whether the store has acknowledged it.
    ///
    /// # Errors
    /// As [`put`](Self::put) with a sink; [`ErrorKind::Refused`](crate::ErrorKind::Refused) on a cache with a source and no sink, naming `invalidate`.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it goes on in the background until the store acknowledges it.
    pub async fn remove(&self, key: &K) -> Result<Receipt, Error> {
        boxed(self.core.remove(std::slice::from_ref(key), "remove")).await
    }

    /// [`remove`](Self::remove) for many keys, pipelined.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    ///
    /// # Cancel safety
    /// As [`remove`](Self::remove).
    pub async fn remove_many(&self, keys: &[K]) -> Result<Receipt, Error> {
        boxed(self.core.remove(keys, "remove_many")).await
    }

    /// Changes only the fields that `patch` names, in the source, and returns the whole value after it; `None` if there is no
    /// such value. Two updates of different fields at once both stand.
    ///
    /// ```no_run
    /// # use larder_cache::{Cache, Error, Patch};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct User { name: String, age: u8 }
    /// # async fn shown(users: Cache<u64, User>) -> Result<(), Error> {
    /// let patch = Patch::default().set("name", "Ada")?;
    /// let updated = users.update(&42, patch).await?;
    /// assert!(updated.value.is_none_or(|user| user.name == "Ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put); [`ErrorKind::Refused`](crate::ErrorKind::Refused) on a cache without a sink, and [`ErrorKind::Sink`](crate::ErrorKind::Sink) if the sink changes no single
    /// fields.
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn update(&self, key: &K, patch: Patch) -> Result<Written<Option<Arc<V>>>, Error> {
        boxed(self.core.commit_update(key, &patch)).await
    }

    /// Has the source keep `value` under a key that it draws; that key. It is cached by the first read.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`ErrorKind::Refused`](crate::ErrorKind::Refused) on a cache without a sink, and [`ErrorKind::Sink`](crate::ErrorKind::Sink) if the sink draws no keys.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have been inserted or not; that there is no such key may then be remembered for
    /// [`negative_ttl`](crate::CacheBuilder::negative_ttl).
    pub async fn insert(&self, value: V) -> Result<Written<K>, Error> {
        boxed(self.core.commit_insert(&value)).await
    }

    /// Gives the cached value a new TTL, from now; whether one was cached.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked; [`ErrorKind::Held`](crate::ErrorKind::Held) while a writer holds the key.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have happened or not.
    pub async fn touch(&self, key: &K, ttl: Duration) -> Result<bool, Error> {
        self.core.touch(key, ttl).await
    }

    /// Adds `by` to the counter of `key`, which begins at 0 and lives for the cache's TTL from its first step; the value after
    /// it. The store adds, so no step is lost however many callers there are.
    ///
    /// A counter is a plain integer under a key of its own (`ns:{ns.p}:c:<key>`), apart from cached values: `get` and
    /// `invalidate` do not concern it, [`counter`](Self::counter) and [`reset_counter`](Self::reset_counter) do.
    ///
    /// Under [write-behind](crate::WritePolicy::Behind) the source's counter follows, by
    /// [`count_as`](crate::WriteBehind::count_as), once in effect whatever fails; the sink has to keep counters
    /// ([`Sink::count`](crate::Sink::count)). A counter that the source refuses for good is no dead letter, for later steps
    /// build on it: it waits and is tried again. A step whose answer was lost is repeated without being counted twice.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), also for a counter that would leave the range of `i64`; [`ErrorKind::OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if it was sent and
    /// its answer not seen: it is not repeated, for that could count twice. Under write-behind as [`put`](Self::put).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have been added or not.
    pub async fn incr(&self, key: &K, by: i64) -> Result<i64, Error> {
        self.step(key, by).await
    }

    async fn step(&self, key: &K, by: i64) -> Result<i64, Error> {
        if self.core.behind.is_some() {
            return Box::pin(self.core.count_behind(key, by)).await;
        }
        self.core.incr(key, by).await
    }

    /// Takes `by` from the counter of `key`: see [`incr`](Self::incr).
    ///
    /// # Errors
    /// As [`incr`](Self::incr).
    ///
    /// # Cancel safety
    /// As [`incr`](Self::incr).
    pub async fn decr(&self, key: &K, by: i64) -> Result<i64, Error> {
        let by = by
            .checked_neg()
            .ok_or_else(|| Error::config("the smallest `i64` cannot be taken from a counter"))?;
        self.step(key, by).await
    }

    /// The counter of `key`; `None` if it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked.
    pub async fn counter(&self, key: &K) -> Result<Option<i64>, Error> {
        self.core.counter(key).await
    }

    /// Drops the counter of `key`; whether there was one.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have happened or not.
    pub async fn reset_counter(&self, key: &K) -> Result<bool, Error> {
        self.core.reset_counter(key).await
    }

    /// Holds `key` for a commit: its cached value goes now, and nobody stores one until the hold ends. With
    /// [`Hold::commit`] no reader is ever served what the commit replaced, even if this process dies in the middle.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use larder_cache::Cache;
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
    /// # async fn rename_in_database() -> Result<(), std::io::Error> { Ok(()) }
    /// let committed = users.hold(&42).await?.commit(rename_in_database()).await?;
    /// assert!(committed.held);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked: the commit should then not happen.
    ///
    /// # Cancel safety
    /// Dropped before it returns, a hold that was granted ends in the background.
    pub async fn hold(&self, key: &K) -> Result<Hold<K, V>, Error> {
        boxed(self.core.hold(key)).await
    }

    /// Loads what `keys` yields from the source and caches it, in batches: after a deployment, before the traffic comes.
    /// What is cached already costs one round trip per batch.
    ///
    /// The future to await comes from [`Warming`], which also takes a callback for progress. It ends with
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) on a cache without a source, which has nothing to load from.
    pub fn warm<S>(&self, keys: S) -> Warming<K, V>
    where
        S: Stream<Item = K> + Send + 'static,
    {
        Warming::new(Arc::clone(&self.core), keys.boxed())
    }
}
