//! The cache.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use super::{CacheBuilder, Events, Hold, Matching, Runtime, Store, Warming, ask, on::On, waits};
use crate::{
    Batch, BoxError, DeadLetter, Drained, Error, Lag, LetterId, LoadContext, Loaded, Lookup, Patch, PutOptions,
    Receipt, Stats, Written,
};

/// [`larder::Cache`](crate::Cache), blocking. A cheap clone.
pub struct Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    on: On<crate::Cache<K, V>>,
    store: Store,
}

impl<K, V> Clone for Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self {
            on: self.on.clone(),
            store: self.store.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.on, f)
    }
}

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache for `namespace`: one or more of `a-z`, `0-9`, `_`, `.`, `-`.
    pub fn builder(namespace: impl Into<String>) -> CacheBuilder<K, V> {
        CacheBuilder::of(crate::Cache::builder(namespace))
    }

    /// The blocking face of `cache`, which was built on the async face of `store`.
    #[must_use]
    pub fn wrap(cache: crate::Cache<K, V>, store: &Store) -> Self {
        Self {
            on: store.on.beside(cache),
            store: store.clone(),
        }
    }

    /// The async face, for futures that [`Store::runtime`] runs.
    #[must_use]
    pub fn as_async(&self) -> &crate::Cache<K, V> {
        &self.on
    }

    /// The threads behind it.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        self.on.runtime()
    }

    /// The value of `key` in this process; see [the async face's](crate::Cache::get_near). It never waits.
    #[must_use]
    pub fn get_near(&self, key: &K) -> Option<Option<Arc<V>>> {
        self.on.get_near(key)
    }

    /// The value of `key`: from the near tier, else from the store, else from the source if there is one. A hit in the near tier
    /// does not touch the runtime.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::get), which says more.
    #[track_caller]
    pub fn get(&self, key: &K) -> Result<Option<Arc<V>>, Error> {
        match self.on.get_near(key) {
            Some(value) => Ok(value),
            None => self.on.wait(self.on.get(key)),
        }
    }

    waits! { "Cache";
        /// As [`get`](Self::get), with the circumstances of the answer.
        fn lookup(&self, key: &K) -> Result<Lookup<V>, Error>;
        /// Whether a value is cached. Loads nothing.
        fn contains(&self, key: &K) -> Result<bool, Error>;
        /// For how long the cached value stays fresh. Loads nothing.
        fn ttl(&self, key: &K) -> Result<Option<Duration>, Error>;
        /// Drops the value of `key` everywhere. Call it after the source has changed.
        fn invalidate(&self, key: &K) -> Result<(), Error>;
        /// [`invalidate`](Self::invalidate) for many keys.
        fn invalidate_many(&self, keys: &[K]) -> Result<(), Error>;
        /// Invalidates every value that has `tag`.
        fn invalidate_tag(&self, tag: &str) -> Result<(), Error>;
        /// Invalidates everything in this namespace.
        fn clear(&self) -> Result<(), Error>;
        /// Soft expiry: the next read loads, and the old value serves only if that fails.
        fn mark_stale(&self, key: &K) -> Result<(), Error>;
        /// Makes `value` the value of `key`, in the source where there is a sink.
        fn put(&self, key: &K, value: V) -> Result<Receipt, Error>;
        /// Stores `value` if none is cached; whether it did.
        fn put_if_absent(&self, key: &K, value: V) -> Result<bool, Error>;
        /// Removes the value of `key`, from the source where there is a sink.
        fn remove(&self, key: &K) -> Result<Receipt, Error>;
        /// [`remove`](Self::remove) for many keys.
        fn remove_many(&self, keys: &[K]) -> Result<Receipt, Error>;
        /// Changes only the fields that `patch` names, in the source.
        fn update(&self, key: &K, patch: Patch) -> Result<Written<Option<Arc<V>>>, Error>;
        /// Has the source keep `value` under a key that it draws.
        fn insert(&self, value: V) -> Result<Written<K>, Error>;
        /// Gives the cached value a new TTL; whether one was cached.
        fn touch(&self, key: &K, ttl: Duration) -> Result<bool, Error>;
        /// Adds `by` to the counter of `key`.
        fn incr(&self, key: &K, by: i64) -> Result<i64, Error>;
        /// Takes `by` from the counter of `key`.
        fn decr(&self, key: &K, by: i64) -> Result<i64, Error>;
        /// The counter of `key`.
        fn counter(&self, key: &K) -> Result<Option<i64>, Error>;
        /// Drops the counter of `key`; whether there was one.
        fn reset_counter(&self, key: &K) -> Result<bool, Error>;
        /// Writing behind: has the source commit what waits of `key`, now.
        fn flush(&self, key: &K) -> Result<bool, Error>;
        /// Writing behind: returns when the source has the writes of `receipt`.
        fn barrier(&self, receipt: &Receipt) -> Result<(), Error>;
        /// Writing behind: how far the source is behind.
        fn lag(&self) -> Result<Lag, Error>;
        /// Writing behind: the changes that the source refused for good.
        fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error>;
        /// Writing behind: one of the dead letters, with its value.
        fn dead_letter(&self, id: LetterId) -> Result<Option<DeadLetter>, Error>;
        /// Writing behind: has the source commit a dead letter.
        fn replay_dead_letter(&self, id: LetterId) -> Result<bool, Error>;
        /// Writing behind: drops a dead letter for good.
        fn drop_dead_letter(&self, id: LetterId) -> Result<bool, Error>;
    }

    /// The value of `key`, loaded by `load` where nothing usable is cached: on this thread, once for all who ask at a time.
    ///
    /// A `load` that panics panics here, and another of those who wait loads with its own.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::get_or_load). A load that outlasts `load_timeout` fails for those who wait as soon as it
    /// does; its own caller hears of it when the closure is done.
    #[track_caller]
    pub fn get_or_load<F, E>(&self, key: &K, load: F) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Result<V, E>,
        E: Into<BoxError>,
    {
        if let Some(Some(value)) = self.on.get_near(key) {
            return Ok(value);
        }
        let (cache, key) = ((*self.on).clone(), key.clone());
        let begin = |ask: Asking<(), V>| async move { cache.get_or_load(&key, || ask.ask(())).await };
        let mut load = Some(load);
        ask::answering(self.runtime(), begin, |()| take(&mut load)().map_err(Into::into))
    }

    /// As [`get_or_load`](Self::get_or_load), for loaders with more to say.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), but a key that does not exist is `None`.
    #[track_caller]
    pub fn get_or_load_with<F, T, E>(&self, key: &K, load: F) -> Result<Option<Arc<V>>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Result<T, E>,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        if let Some(value) = self.on.get_near(key) {
            return Ok(value);
        }
        let (cache, key) = ((*self.on).clone(), key.clone());
        let begin = |ask: Asking<LoadContext<V>, Loaded<V>>| async move {
            cache.get_or_load_with(&key, |context| ask.ask(context)).await
        };
        let mut load = Some(load);
        ask::answering(self.runtime(), begin, |context| {
            take(&mut load)(context).map(Into::into).map_err(Into::into)
        })
    }

    /// As [`get_or_load`](Self::get_or_load), with the circumstances of the answer.
    ///
    /// # Errors
    /// As [`get_or_load_with`](Self::get_or_load_with).
    #[track_caller]
    pub fn lookup_or_load<F, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce() -> Result<V, E>,
        E: Into<BoxError>,
    {
        let (cache, key) = ((*self.on).clone(), key.clone());
        let begin = |ask: Asking<(), V>| async move { cache.lookup_or_load(&key, || ask.ask(())).await };
        let mut load = Some(load);
        ask::answering(self.runtime(), begin, |()| take(&mut load)().map_err(Into::into))
    }

    /// As [`get_or_load`](Self::get_or_load), for a loader that owns what it needs. It runs on a thread of the runtime's that may
    /// block, and goes on behind an answer: a stale value returns at once while it is refreshed.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::get_or_load_owned). A load that outlasts `load_timeout` fails then; the closure goes on
    /// to its end, and what it gives is thrown away.
    #[track_caller]
    pub fn get_or_load_owned<F, E>(&self, key: &K, load: F) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        if let Some(Some(value)) = self.on.get_near(key) {
            return Ok(value);
        }
        self.on.wait(self.on.get_or_load_owned(key, || may_block(load)))
    }

    /// As [`get_or_load_owned`](Self::get_or_load_owned), for loaders with more to say.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::get_or_load_with_owned).
    #[track_caller]
    pub fn get_or_load_with_owned<F, T, E>(&self, key: &K, load: F) -> Result<Option<Arc<V>>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Result<T, E> + Send + 'static,
        T: Into<Loaded<V>> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        if let Some(value) = self.on.get_near(key) {
            return Ok(value);
        }
        let load = |context| may_block(|| load(context));
        self.on.wait(self.on.get_or_load_with_owned(key, load))
    }

    /// As [`get_or_load_owned`](Self::get_or_load_owned), with the circumstances of the answer.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::lookup_or_load_owned).
    #[track_caller]
    pub fn lookup_or_load_owned<F, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce() -> Result<V, E> + Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        self.on.wait(self.on.lookup_or_load_owned(key, || may_block(load)))
    }

    /// The values of many keys; see [the async method](crate::Cache::get_many).
    #[track_caller]
    pub fn get_many(&self, keys: &[K]) -> Batch<K, V> {
        self.on.wait(self.on.get_many(keys))
    }

    /// The values of many keys; `load` is called on this thread with those that are not cached, in most cases once, and returns
    /// those that exist. See [the async method](crate::Cache::get_or_load_many).
    #[track_caller]
    pub fn get_or_load_many<F, E>(&self, keys: &[K], mut load: F) -> Batch<K, V>
    where
        F: FnMut(Vec<K>) -> Result<Vec<(K, V)>, E>,
        E: Into<BoxError>,
    {
        let (cache, keys) = ((*self.on).clone(), keys.to_vec());
        let begin = |ask: Asking<Vec<K>, Vec<(K, V)>>| async move {
            let load = |missing| {
                let ask = ask.clone();
                async move { ask.ask(missing).await.map_err(Failed) }
            };
            cache.get_or_load_many(&keys, load).await
        };
        ask::answering(self.runtime(), begin, |missing| load(missing).map_err(Into::into))
    }

    /// Invalidates every value that has one of `tags`.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::invalidate_tags).
    #[track_caller]
    pub fn invalidate_tags<I>(&self, tags: I) -> Result<(), Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        self.on.wait(self.on.invalidate_tags(tags))
    }

    /// Invalidates every value whose key, as written in the store, matches the glob `pattern`, by [`Matching::run`]; see
    /// [the async method](crate::Cache::invalidate_matching).
    pub fn invalidate_matching(&self, pattern: impl Into<String>) -> Matching<K, V> {
        Matching::of(self.on.invalidate_matching(pattern), self.runtime().clone())
    }

    /// As [`put`](Self::put), with a TTL or tags of its own.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::put_with).
    #[track_caller]
    pub fn put_with(
        &self,
        key: &K,
        value: V,
        options: impl FnOnce(PutOptions) -> PutOptions,
    ) -> Result<Receipt, Error> {
        let options = options(PutOptions::default());
        self.on.wait(self.on.put_with(key, value, |_| options))
    }

    /// [`put`](Self::put) for many values, pipelined.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::put_many).
    #[track_caller]
    pub fn put_many(&self, values: impl IntoIterator<Item = (K, V)>) -> Result<Receipt, Error> {
        let values: Vec<(K, V)> = values.into_iter().collect();
        self.on.wait(self.on.put_many(values))
    }

    /// Holds `key` for a commit.
    ///
    /// # Errors
    /// As [the async method](crate::Cache::hold).
    #[track_caller]
    pub fn hold(&self, key: &K) -> Result<Hold<K, V>, Error> {
        let hold = self.on.wait(self.on.hold(key))?;
        Ok(Hold {
            on: self.on.beside(hold),
        })
    }

    /// Loads what `keys` yields from the source and caches it, by [`Warming::run`]; see [the async method](crate::Cache::warm).
    pub fn warm<I: IntoIterator<Item = K>>(&self, keys: I) -> Warming<K, V, I::IntoIter> {
        Warming {
            on: self.on.clone(),
            keys: keys.into_iter(),
            progress: Box::new(|_| {}),
        }
    }

    /// What happens in this cache from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::of(self.on.beside(self.on.events()), self.store.clock())
    }

    /// What this cache did in this process since it was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.on.stats()
    }

    /// The name that all keys of this cache begin with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.on.namespace()
    }

    /// Ends the work in the background; see [the async method](crate::Cache::drain).
    #[track_caller]
    pub fn drain(&self, deadline: Duration) -> Drained {
        self.on.wait(self.on.drain(deadline))
    }
}

/// How a load asks for its closure: what the closure gives may have failed.
type Asking<Q, A> = ask::Ask<Q, Result<A, BoxError>>;

/// A [`BoxError`] with a name of its own, which the compiler wants where it has to prove a future `Send`.
struct Failed(BoxError);

impl From<Failed> for BoxError {
    fn from(failed: Failed) -> Self {
        failed.0
    }
}

fn take<F>(load: &mut Option<F>) -> F {
    load.take().expect("a loader runs once")
}

/// Runs `load` on a thread that may block; where it panics, so does this.
async fn may_block<T, E>(load: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, BoxError>
where
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    match tokio::task::spawn_blocking(load).await {
        Ok(loaded) => loaded.map_err(Into::into),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(error.into()),
    }
}
