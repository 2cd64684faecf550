//! The handle.

use std::{fmt, pin::Pin, sync::Arc};

use larder_base::CacheKey;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Batch, CacheBuilder, DeadLetter, Drained, Error, ErrorKind, Events, Lag, LetterId, LoadContext, Loaded, Lookup,
    Matching, Receipt, Stats, Tier,
    batch::{CallMany, NoLoader, SourceMany},
    channel::Change,
    coherence::NearTier,
    core::Core,
    found::Freshness,
    loader::{FromCall, FromSource},
    source::BoxError,
};

/// A typed cache over a store, with an optional tier in this process. A cheap clone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use larder_cache::Cache;
/// use larder_store::Store;
///
/// let store = Store::open("embedded:").await?;
/// let users: Cache<u64, String> =
///     Cache::builder("user").store(&store).near(10_000).ttl(Duration::from_secs(300)).build().await?;
///
/// let loaded = users.get_or_load(&42, || async { Ok::<_, std::io::Error>("Ada".to_owned()) }).await?;
/// assert_eq!(*loaded, "Ada");
/// assert_eq!(users.get(&42).await?.as_deref(), Some(&"Ada".to_owned()));
///
/// users.invalidate(&42).await?;
/// assert_eq!(users.get(&42).await?, None);
/// # Ok(())
/// # }
/// ```
pub struct Cache<K: CacheKey, V> {
    pub(crate) core: Arc<Core<K, V>>,
    /// The core's: a hit need not go by way of the core.
    near: Arc<NearTier<K, V>>,
}

// Derived, it would ask for `V: Clone`.
impl<K: CacheKey, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            near: self.near.clone(),
        }
    }
}

impl<K: CacheKey, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("store", &self.core.store)
            .finish_non_exhaustive()
    }
}

/// Boxes the long way of a call, and forgets its type: a caller's `tokio::spawn` then need not prove again that it
/// is `Send`, which the compiler cannot do through a loader's own type.
pub(crate) fn boxed<'f, T>(
    future: impl Future<Output = T> + Send + 'f,
) -> Pin<Box<dyn Future<Output = T> + Send + 'f>> {
    Box::pin(future)
}

/// [`boxed`] for the long way of a call that may be a hit: out of line, for its future takes kilobytes, and room for them would
/// be made on the stack of every hit.
#[cold]
#[inline(never)]
pub(crate) fn long<'f, F>(begin: impl FnOnce() -> F) -> Pin<Box<dyn Future<Output = F::Output> + Send + 'f>>
where
    F: Future + Send + 'f,
{
    Box::pin(begin())
}

impl<K, V> Cache<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache for `namespace`: one or more of `a-z`, `0-9`, `_`, `.`, `-`.
    pub fn builder(namespace: impl Into<String>) -> CacheBuilder<K, V> {
        CacheBuilder::new(namespace)
    }

    pub(crate) fn of(core: Arc<Core<K, V>>) -> Self {
        let near = core.near.clone();
        Self { core, near }
    }

    /// The hit path: a coarse clock, a lookup, two comparisons and a count in this thread's own stripe.
    #[inline]
    pub(crate) fn near_hit(&self, key: &K) -> Option<larder_near::Entry<V>> {
        let core = &*self.core;
        let entry = core.near.hit(key, core.coarse())?;
        core.count_near(entry.value().is_some());
        Some(entry)
    }

    /// As [`near_hit`](Self::near_hit), the value alone.
    #[inline]
    pub(crate) fn near_value(&self, key: &K) -> Option<Option<Arc<V>>> {
        let counts = self.core.counters.own();
        let value = self.near.value(key)?;
        counts.add_near(value.is_some());
        Some(value)
    }

    /// The value of `key`: from the near tier, else from the store, else from the source if there is one.
    ///
    /// `None` says that it is known not to exist, or, without a source, that nothing is cached.
    ///
    /// # Freshness
    /// Younger than `ttl` is a hit. From `ttl` to `ttl + grace` the old value returns at once while one caller refreshes it.
    /// Older than that is a miss. Concurrent callers for one key in this process share one read and one load.
    ///
    /// # Errors
    /// [`ErrorKind::Load`] and its kin if the source fails with nothing stale left to serve; [`ErrorKind::Store`] if the store
    /// cannot be asked and `on_store_down` says so.
    ///
    /// # Panics
    /// Outside a Tokio runtime, because the source loads on a task.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the wait, not the load, which finishes on its own task.
    pub async fn get(&self, key: &K) -> Result<Option<Arc<V>>, Error> {
        if let Some(value) = self.near_value(key) {
            return Ok(value);
        }
        long(|| self.read_through(key)).await.map(Lookup::into_value)
    }

    /// The value of `key` if this process has a copy that may be served, without waiting: `Some(None)` says that it is known
    /// not to exist, `None` that only [`get`](Self::get) can tell. Counted as a read if it answers.
    #[inline]
    #[must_use]
    pub fn get_near(&self, key: &K) -> Option<Option<Arc<V>>> {
        self.near_value(key)
    }

    /// As [`get`](Self::get), with the circumstances of the answer: tier, freshness, age, and what remains.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub async fn lookup(&self, key: &K) -> Result<Lookup<V>, Error> {
        match self.near_hit(key) {
            Some(entry) => Ok(self.near_lookup(entry)),
            None => long(|| self.read_through(key)).await,
        }
    }

    pub(crate) fn near_lookup(&self, entry: larder_near::Entry<V>) -> Lookup<V> {
        let remaining = entry.deadline().saturating_sub(self.core.coarse());
        let ttl = self.core.full_ttl(entry.value().is_none());
        let found = Lookup::fresh(entry.into_value(), Tier::Near, remaining, ttl);
        // A copy whose time was cut short says nothing of its value's.
        if self.core.near.is_bounded_by_time() {
            found.of_unknown_age()
        } else {
            found
        }
    }

    async fn read_through(&self, key: &K) -> Result<Lookup<V>, Error> {
        let source = self.core.source.clone().map(FromSource);
        self.core.read(key, source).await
    }

    /// The value of `key`, loaded by `load` where nothing usable is cached.
    ///
    /// Concurrent callers for one key share a single load and its outcome, in this process and, through a lease in the
    /// store, in all others. `load` must read a snapshot taken after it was called.
    ///
    /// # Errors
    /// [`ErrorKind::Load`] if `load` fails with nothing stale left to serve; [`ErrorKind::Absent`] if the key is known not to exist;
    /// [`ErrorKind::Store`] if the store cannot be asked and `on_store_down` says to fail.
    ///
    /// The load runs in the future of one of its callers, so that `load` may borrow. Hence the caller whose turn it is to
    /// refresh a stale value waits for it, while all others have that value at once; with
    /// [`get_or_load_owned`](Self::get_or_load_owned) nobody waits.
    ///
    /// # Cancel safety
    /// If the caller whose `load` runs is dropped, its load is too; the lease goes to the next waiting caller, who loads with
    /// its own `load`.
    pub async fn get_or_load<F, Fut, E>(&self, key: &K, load: F) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
        E: Into<BoxError>,
    {
        let found = match self.near_value(key) {
            Some(value) => value,
            None => long(|| self.load_with(key, |_| load())).await?.into_value(),
        };
        found.ok_or_else(|| self.absent(key))
    }

    pub(crate) fn absent(&self, key: &K) -> Error {
        Error::from(ErrorKind::Absent {
            key: self.core.label(&self.core.place(key)),
        })
    }

    /// As [`get_or_load`](Self::get_or_load), for loaders with more to say: tags, a TTL, a version, "not modified", "there is
    /// none". They return a value, an `Option`, or what the context offers.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use larder_cache::Cache;
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
    /// let user = users
    ///     .get_or_load_with(&42, |ctx| async move {
    ///         ctx.tag("vip");
    ///         ctx.ttl(Duration::from_secs(30));
    ///         Ok::<_, std::io::Error>(Some("Ada".to_owned()))
    ///     })
    ///     .await?;
    /// assert!(user.is_some());
    /// users.invalidate_tag("vip").await?;
    /// assert!(users.get(&42).await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), but a key that does not exist is `None`.
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_with<F, Fut, T, E>(&self, key: &K, load: F) -> Result<Option<Arc<V>>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        match self.near_value(key) {
            Some(value) => Ok(value),
            None => long(|| self.load_with(key, load)).await.map(Lookup::into_value),
        }
    }

    /// As [`get_or_load`](Self::get_or_load), with the circumstances of the answer.
    ///
    /// # Errors
    /// As [`get_or_load_with`](Self::get_or_load_with).
    ///
    /// # Cancel safety
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn lookup_or_load<F, Fut, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<V, E>> + Send,
        E: Into<BoxError>,
    {
        match self.near_hit(key) {
            Some(entry) => Ok(self.near_lookup(entry)),
            None => long(|| self.load_with(key, |_| load())).await,
        }
    }

    async fn load_with<F, Fut, T, E>(&self, key: &K, load: F) -> Result<Lookup<V>, Error>
    where
        F: FnOnce(LoadContext<V>) -> Fut + Send,
        Fut: Future<Output = Result<T, E>> + Send,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        self.core.read(key, Some(FromCall(load))).await
    }

    /// The values of many keys: what is cached with one round trip, the rest from the source with one call.
    ///
    /// Each key has its own outcome in the [`Batch`]: one that fails does not fail the others.
    ///
    /// # Cancel safety
    /// The loads of this batch run in this future: dropped, they end, and whoever waits for one of their keys loads it.
    pub async fn get_many(&self, keys: &[K]) -> Batch<K, V> {
        match self.core.source.clone() {
            Some(source) => Box::pin(self.core.get_many(keys, &SourceMany(source))).await,
            None => Box::pin(self.core.get_many(keys, &NoLoader)).await,
        }
    }

    /// The values of many keys; `load` is called with those that are not cached, in most cases once, and returns those
    /// that exist, in any order. A key that others load at this moment is waited for, and loaded by a call of its own if
    /// that comes to nothing.
    ///
    /// # Cancel safety
    /// As [`get_many`](Self::get_many).
    pub async fn get_or_load_many<F, Fut, E>(&self, keys: &[K], load: F) -> Batch<K, V>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send,
        E: Into<BoxError>,
    {
        Box::pin(self.core.get_many(keys, &CallMany(load))).await
    }

    /// Whether a value is cached: fresh, or stale within grace. Loads nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] if the store cannot be asked.
    pub async fn contains(&self, key: &K) -> Result<bool, Error> {
        Ok(matches!(
            self.cached(key).await?.freshness(),
            Freshness::Fresh | Freshness::Stale
        ))
    }

    /// For how long the cached value stays fresh: zero if it is stale, `None` if none is cached. Loads nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] if the store cannot be asked.
    pub async fn ttl(&self, key: &K) -> Result<Option<std::time::Duration>, Error> {
        let found = self.cached(key).await?;
        Ok(match found.freshness() {
            Freshness::Fresh | Freshness::Stale => Some(found.remaining()),
            Freshness::Negative | Freshness::Missing => None,
        })
    }

    /// What is cached, without loading and without counting as a read.
    async fn cached(&self, key: &K) -> Result<Lookup<V>, Error> {
        self.core.look(key).await
    }

    /// Drops the value of `key` everywhere: from this process before this returns, from the store, and with it from every
    /// reader. Call it after the source has changed.
    ///
    /// `Ok` means that the store acknowledged it: no read that starts later is answered from before (T1, T2).
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if the store did not acknowledge it. It is sent again in the background until the store does, for
    /// as long as a handle of this cache lives. Until then this process takes nothing cached of the key: its reads go to the
    /// source and store nothing; without a loader they are misses. Other processes may see the old value until then, or
    /// until its hard TTL. [`Stats::pending`] counts what waits.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it is pending, as if it had failed: it goes on in the background.
    pub async fn invalidate(&self, key: &K) -> Result<(), Error> {
        self.invalidate_many(std::slice::from_ref(key)).await
    }

    /// [`invalidate`](Self::invalidate) for many keys, in one round trip per 500.
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if some were not acknowledged.
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_many(&self, keys: &[K]) -> Result<(), Error> {
        boxed(self.core.invalidate_and_tell(keys)).await
    }

    /// Invalidates every value that has `tag`, also those whose load is under way.
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if the store did not acknowledge it for every partition.
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        self.invalidate_tags([tag]).await
    }

    /// Invalidates every value that has one of `tags`.
    ///
    /// # Errors
    /// As [`invalidate_tag`](Self::invalidate_tag).
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tags<I>(&self, tags: I) -> Result<(), Error>
    where
        I: IntoIterator + Send,
        I::Item: Into<String>,
    {
        let tags: Vec<String> = tags.into_iter().map(Into::into).collect();
        let done = self.core.invalidate_tags(&tags).await;
        self.core.tell_change(Change::Tags(&tags), &done);
        done
    }

    /// Invalidates every value whose key, as written in the store, matches the glob `pattern`; how many were found.
    ///
    /// It walks all keys of the store in steps, each of which tells [`Matching::progress`]: prefer a tag. Values stored while
    /// it runs may be missed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use larder_cache::Cache;
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
    /// users.put(&42, "Ada".to_owned()).await?;
    /// let found = users.invalidate_matching("4*").progress(|done| println!("{done} so far")).await?;
    /// assert_eq!(found, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What it is awaited for is [`ErrorKind::Pending`] if the walk or an invalidation was not answered, or was refused: the cache
    /// then clears the whole namespace in its place as soon as the store lets it, and until then takes nothing from it.
    ///
    /// # Cancel safety
    /// Dropped before it ends, some are invalidated and some not.
    pub fn invalidate_matching(&self, pattern: impl Into<String>) -> Matching<K, V> {
        Matching::new(Arc::clone(&self.core), pattern.into())
    }

    /// Invalidates everything in this namespace, at the cost of 64 small commands however much there is.
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if the store did not acknowledge it for every partition.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some partitions are cleared and some not.
    pub async fn clear(&self) -> Result<(), Error> {
        let done = self.core.clear().await;
        self.core.tell_change(Change::All, &done);
        done
    }

    /// Soft expiry: the next read loads, and the old value serves only if that fails, or takes longer than
    /// [`soft_deadline`](CacheBuilder::soft_deadline). Not an invalidation in the sense of T1.
    ///
    /// # Errors
    /// [`ErrorKind::Pending`] if the store did not acknowledge it.
    ///
    /// # Cancel safety
    /// As [`invalidate`](Self::invalidate).
    pub async fn mark_stale(&self, key: &K) -> Result<(), Error> {
        self.core.mark_stale(std::slice::from_ref(key)).await
    }

    /// What happens in this cache from now on: loads, refused fills, invalidations, what became of the store. The
    /// subscription is bounded: a slow reader is told how much it missed ([`CacheEvent::Lagged`](crate::CacheEvent::Lagged)).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use larder_cache::{Cache, CacheEvent};
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// # let users: Cache<u64, String> = Cache::builder("user").store(&store).ttl(Duration::from_secs(300)).build().await?;
    /// let mut events = users.events();
    /// users.invalidate(&42).await?;
    /// assert!(matches!(events.next().await, Some(CacheEvent::Invalidated { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.core.events.subscribe()
    }

    /// What this cache did in this process since it was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// The name that all keys of this cache begin with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.core.layout.namespace()
    }

    /// Ends the work in the background: waits until the store has acknowledged what is pending; under
    /// [write-behind](crate::WritePolicy::Behind) accepts nothing more and flushes everything that waits, of whichever process;
    /// then tells loads and refreshes to stop, and waits for them; for at most `deadline` in all. From now on reads that would
    /// load and writes behind fail with [`ErrorKind::Closed`], and an invalidation that the store does not acknowledge is not sent
    /// again. What could not be flushed is left in the store, for any other process.
    ///
    /// # Cancel safety
    /// Dropped while it waits for what is pending, it has not begun to stop anything; later only the wait is lost.
    pub async fn drain(&self, deadline: std::time::Duration) -> Drained {
        boxed(self.core.drain(deadline)).await
    }

    /// Under [write-behind](crate::WritePolicy::Behind): has the source commit what waits of `key`, now; whether anything did.
    ///
    /// A source that cannot take it now is tried again without end: put a timeout round it. A change that the source refuses
    /// for good becomes a [dead letter](Self::dead_letters), and nothing waits any more.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] on a cache that does not write behind; [`ErrorKind::Store`] if the store cannot be asked;
    /// [`ErrorKind::Sink`] if the sink keeps no versions; [`ErrorKind::DeadLettersFull`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have happened or not.
    pub async fn flush(&self, key: &K) -> Result<bool, Error> {
        boxed(self.core.flush_key(key)).await
    }

    /// Under [write-behind](crate::WritePolicy::Behind): returns when the source has the writes of `receipt`, or newer ones of
    /// the same keys, or they are [dead letters](Self::dead_letters). It has everything committed that waits in their
    /// partitions: of all keys a 64th or, for a batch, more.
    ///
    /// A receipt of a cache that writes otherwise asks for nothing.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    /// As [`flush`](Self::flush).
    pub async fn barrier(&self, receipt: &Receipt) -> Result<(), Error> {
        boxed(self.core.flush_up_to(receipt)).await
    }

    /// Under [write-behind](crate::WritePolicy::Behind): how far the source is behind, of all processes.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] on a cache that does not write behind; [`ErrorKind::Store`] if the store cannot be asked.
    pub async fn lag(&self) -> Result<Lag, Error> {
        let behind = self.core.behind_for("lag")?;
        self.core.lag(behind).await
    }

    /// Under [write-behind](crate::WritePolicy::Behind): the changes that the source refused for good, the oldest first, without
    /// their values, which [`dead_letter`](Self::dead_letter) gives: which keys they are of, why and since when they are here, and
    /// how long they are.
    ///
    /// There are at most 64 times [`dead_letters`](crate::WriteBehind::dead_letters). Of more than 16 MiB of keys and reasons, some
    /// 50,000 letters, the oldest are listed; how many there are in all says [`lag`](Self::lag).
    ///
    /// ```
    /// # async fn tend(users: larder_cache::Cache<u64, String>) -> Result<(), larder_cache::Error> {
    /// for letter in users.dead_letters().await? {
    ///     println!("{} {}, {} bytes: {}", letter.id, letter.key, letter.bytes, letter.why);
    ///     let whole = users.dead_letter(letter.id).await?;
    ///     println!("{:?}", whole.and_then(|letter| letter.value));
    ///     users.replay_dead_letter(letter.id).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`lag`](Self::lag).
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        self.core.list_dead_letters().await
    }

    /// Under [write-behind](crate::WritePolicy::Behind): one of the [dead letters](Self::dead_letters), with its value; `None` if
    /// there is none of that id.
    ///
    /// # Errors
    /// As [`lag`](Self::lag).
    pub async fn dead_letter(&self, id: LetterId) -> Result<Option<DeadLetter>, Error> {
        self.core.find_dead_letter(id).await
    }

    /// Has the source commit a dead letter, now that it may take it; `false` if there is none of that id. It keeps the place
    /// that it had among the writes of its key: one that came after it stands.
    ///
    /// # Errors
    /// [`ErrorKind::Sink`] if the source refuses it again, or this process cannot read it: it stays among the dead letters. Else as
    /// [`lag`](Self::lag); [`ErrorKind::Pending`] if the cached value could not be dropped, where it was committed and stays a
    /// letter, too.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have been committed or not; replayed again it does no harm.
    pub async fn replay_dead_letter(&self, id: LetterId) -> Result<bool, Error> {
        boxed(self.core.replay(id)).await
    }

    /// Drops a dead letter for good; `false` if there is none of that id.
    ///
    /// # Errors
    /// As [`lag`](Self::lag).
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may have happened or not.
    pub async fn drop_dead_letter(&self, id: LetterId) -> Result<bool, Error> {
        self.core.drop_letter(id).await
    }
}
