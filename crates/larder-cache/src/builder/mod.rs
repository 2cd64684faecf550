//! Building a cache: every setting with its default. [`check`] refuses what contradicts itself, [`build`] makes the cache.

mod build;
mod check;

pub(crate) use self::build::join;
pub use self::check::is_namespace;

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{CacheKey, codec::Codec};
use larder_store::Store;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Coherence, Consistency, NewGeneration, OnStoreDown, PendingLog, Sink, Source, Ttl, WriteGate, WritePolicy,
    channel::OnGap,
    settings::{IMMORTAL, Settings},
    sink::SharedSink,
    source::SharedSource,
};

/// Builds a [`Cache`](crate::Cache). Required: [`store`](Self::store) and [`ttl`](Self::ttl).
#[must_use = "a builder does nothing before `build`"]
pub struct CacheBuilder<K, V> {
    namespace: String,
    store: Option<Store>,
    has_ttl: bool,
    source: Option<SharedSource<K, V>>,
    sink: Option<SharedSink<K, V>>,
    has_write_policy: bool,
    has_store_down: bool,
    settings: Settings<V>,
}

impl<K, V> fmt::Debug for CacheBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl<K, V> CacheBuilder<K, V>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn new(namespace: impl Into<String>) -> Self {
        let settings = Settings::new(Ttl::never());
        Self {
            namespace: namespace.into(),
            store: None,
            has_ttl: false,
            source: None,
            sink: None,
            has_write_policy: false,
            has_store_down: false,
            settings,
        }
    }

    /// Where entries are kept and shared. Required.
    pub fn store(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// How many entries this process keeps as they are, so that a hit neither decodes nor copies. Default 0: none.
    ///
    /// How they stay true is [`coherence`](Self::coherence)'s to say.
    pub const fn near(mut self, entries: usize) -> Self {
        self.settings.near = entries;
        self
    }

    /// How near copies stay true. Default [`Coherence::Tracking`].
    pub const fn coherence(mut self, coherence: Coherence) -> Self {
        self.settings.coherence = coherence;
        self
    }

    /// How far behind a near copy on a server may be: a read that starts later than this after an invalidation was
    /// acknowledged never sees what it replaced (T2), whatever happens to connections, processes and messages. A process that
    /// has not heard from the server for so long stops serving near copies until it has. Default 1 s, at least 40 ms;
    /// the stream is proven live four times within it. On the embedded store nothing is ever behind. Zero, with
    /// `near(0)`, says that no process of this namespace has a near tier.
    pub const fn max_staleness(mut self, bound: Duration) -> Self {
        self.settings.max_staleness = bound;
        self
    }

    /// When a write under a [`hold`](crate::Cache::hold) may commit: at once, or when no near tier can have an older copy left.
    /// Default [`Consistency::Bounded`].
    ///
    /// With [`Consistency::Strict`] every process of this namespace has to have at most this cache's
    /// [`max_staleness`](Self::max_staleness), and none may [serve near copies while the store is
    /// down](OnStoreDown::ServeNear): a writer waits for as long as its own setting says.
    pub const fn consistency(mut self, consistency: Consistency) -> Self {
        self.settings.consistency = consistency;
        self
    }

    /// About how many items the log of each of the 64 partitions keeps, in [`Coherence::Log`]. Default 10 000.
    ///
    /// An item is an invalidation of a key, or of a tag in each partition. A process that was away for longer than that drops
    /// its near copies; the logs of a namespace take up to some 32 bytes and the key per item.
    pub const fn log_max(mut self, items: usize) -> Self {
        self.settings.log_max = items;
        self
    }

    /// For how long a value is fresh. Required; immortal only as [`Ttl::never`].
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.ttl = ttl.into();
        self.has_ttl = true;
        self
    }

    /// For how long past its TTL a value is served while one caller refreshes it, or when the source fails. Default 0.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = shorter(grace, IMMORTAL);
        self
    }

    /// For how long "there is none" is remembered. Default 5 s; 0 remembers it for a millisecond, which shares a stampede's
    /// answer and no more.
    pub const fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.negative_ttl = shorter(ttl, IMMORTAL);
        self
    }

    /// Shortens each TTL by a random share of it up to this one, so that what was stored together does not expire
    /// together. No value stays fresh for longer than its TTL. Default 0.1, at most 0.5.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.settings.jitter = share;
        self
    }

    /// Refreshes a value that is still asked for once this share of its TTL has passed: one caller, the others go on
    /// hitting. Default: only when stale.
    pub const fn refresh_ahead(mut self, share: f64) -> Self {
        self.settings.refresh_ahead = Some(share);
        self
    }

    /// Refreshes ahead with a probability that grows towards the end of the TTL and with the cost of the load (XFetch);
    /// `beta` 1 is the theory's optimum, more is earlier, at most 1e6. Default: off.
    pub const fn xfetch(mut self, beta: f64) -> Self {
        self.settings.xfetch = Some(beta);
        self
    }

    /// How long the right to load a key lasts without renewal: a dead loader is replaced after it. Default 3 s, 10 ms to
    /// a day.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How long a [`hold`](crate::Cache::hold) lasts. It must exceed the longest commit. Default 10 s, at most a day.
    pub const fn hold_for(mut self, hold: Duration) -> Self {
        self.settings.hold = hold;
        self
    }

    /// How long a read waits for a load in another process before it loads by itself, without filling. Default twice the
    /// lease and a second.
    pub const fn wait_budget(mut self, budget: Duration) -> Self {
        self.settings.wait_budget = Some(budget);
        self
    }

    /// How long a load may take before it fails with [`ErrorKind::LoadTimeout`](crate::ErrorKind::LoadTimeout); whoever has an older value gets that instead.
    /// Default 30 s. See [`soft_deadline`](Self::soft_deadline) for not waiting so long.
    pub const fn load_timeout(mut self, limit: Duration) -> Self {
        self.settings.load_timeout = Some(limit);
        self
    }

    /// How long a read waits for a load where an older value could serve: then it gets that one, flagged as stale, and the
    /// load goes on behind it and fills. Default: off.
    ///
    /// Off, a value within grace is served at once while it is refreshed, and one that was
    /// [marked stale](crate::Cache::mark_stale) only if its load fails. With a deadline both wait for so long for something
    /// better. The load goes on on a task of the cache, which takes a [`source`](Self::source) or an owned loader
    /// ([`get_or_load_owned`](crate::Cache::get_or_load_owned)). A loader that borrows from its caller ends in that caller's
    /// future: the others have the older value after the deadline, its own caller waits for its own load.
    pub const fn soft_deadline(mut self, limit: Duration) -> Self {
        self.settings.soft_deadline = Some(limit);
        self
    }

    /// How long a key is left alone after its refresh failed: meanwhile everybody in the fleet gets the stale value at
    /// once, and then one caller tries again. Default 1 s; 0 tries at every read.
    ///
    /// It never delays a load that has nothing older to serve: a failure is not remembered, only shared with those who
    /// waited for it. A value that was [marked stale](crate::Cache::mark_stale) is left alone by this process alone.
    pub const fn retry_after(mut self, pause: Duration) -> Self {
        self.settings.retry_after = pause;
        self
    }

    /// The least time between the beginnings of two loads of one key in this process: protects the source from a key that
    /// is invalidated all the time. Default 0: none.
    ///
    /// It costs waiting, and never freshness: a read that has to wait shares the one load that begins when the interval is
    /// over, and gets nothing that was loaded before it asked. A value within grace is served at once instead and not
    /// refreshed before. The last 16,384 keys loaded are remembered; what is forgotten loads at once.
    pub const fn min_refill_interval(mut self, interval: Duration) -> Self {
        self.settings.min_refill_interval = interval;
        self
    }

    /// Loads at a time in this process; further ones wait in line. Default 64.
    pub const fn max_loads(mut self, loads: usize) -> Self {
        self.settings.max_loads = loads;
        self
    }

    /// Loads that may wait in line for one of [`max_loads`](Self::max_loads), for at most `load_timeout`; beyond that a
    /// read fails with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded), or gets an older value where there is one. Default 4,096.
    pub const fn max_queued_loads(mut self, loads: usize) -> Self {
        self.settings.max_queued_loads = loads;
        self
    }

    /// What a read does when the store cannot be asked. Default: bypass it, 16 loads at a time; with
    /// [`WritePolicy::Behind`] fail, for the source may lack what was written.
    pub const fn on_store_down(mut self, policy: OnStoreDown) -> Self {
        self.settings.on_store_down = policy;
        self.has_store_down = true;
        self
    }

    /// What to do when the store turns out to be another run or another server than before, which may have lost what it
    /// acknowledged last. Default [`NewGeneration::Replay`]; [`NewGeneration::Fence`] where a value may live for more than
    /// ten minutes (`ttl` and `grace` together), or for ever.
    pub const fn on_new_generation(mut self, policy: NewGeneration) -> Self {
        self.settings.on_new_generation = Some(policy);
        self
    }

    /// Counts an invalidation as acknowledged only when so many replicas have it (`WAIT`), so that one that is promoted has
    /// heard of it. If fewer have it within 500 ms, it is pending. Default 0: the server's own answer is enough.
    ///
    /// It makes a loss in a failover unlikely, not impossible, and costs a connection of its own and the way to the
    /// replicas and back. A value that [`Hold::commit_value`](crate::Hold::commit_value) stores is not waited for.
    pub const fn wait_replicas(mut self, replicas: u32) -> Self {
        self.settings.wait_replicas = replicas;
        self
    }

    /// How values are written. Default: JSON, compressed above 1 KiB, at most 8 MiB.
    pub const fn codec(mut self, codec: Codec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// Count this up when the meaning of `V` changes without its fields: readers of an older revision then leave new
    /// records alone. Default 0.
    pub const fn schema_revision(mut self, revision: u16) -> Self {
        self.settings.schema_revision = revision;
        self
    }

    /// Finds the tags of a value: labels that [`invalidate_tag`](crate::Cache::invalidate_tag) takes. At most 64 of 1 to 255 bytes.
    pub fn tags<F, I>(mut self, tags: F) -> Self
    where
        F: Fn(&V) -> I + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.settings.tags = Some(Arc::new(move |value| tags(value).into_iter().map(Into::into).collect()));
        self
    }

    /// Listens to invalidations on this channel of the store's pub/sub, as services in other languages publish them in JSON,
    /// and announces there what this process invalidates. Default: no channel.
    ///
    /// `{"type":"user","id":42}`, `{"key":"user:42"}`, `{"pattern":"user:4*"}` and their kin become invalidations like any
    /// other, acknowledged by the store; what Larder announces has `origin` and `applied` beside them. Several caches
    /// may share a channel.
    ///
    /// Pub/sub keeps nothing: [`on_gap`](Self::on_gap) says what to do when messages may have been missed.
    pub fn channel(mut self, name: impl Into<String>) -> Self {
        self.settings.channel = Some(name.into());
        self
    }

    /// What to do when messages on the [`channel`](Self::channel) may have been missed. Default [`OnGap::Clear`].
    ///
    /// A lost connection is noticed at once, or, if it is cut off without a word, within twice the store's
    /// `command_deadline` (12 s by default); the answer comes as soon as the channel is listened to again.
    pub const fn on_gap(mut self, answer: OnGap) -> Self {
        self.settings.on_gap = answer;
        self
    }

    /// Keeps pending invalidations in a folder, so that a crash of this process does not forget them. Default: in memory alone.
    ///
    /// What [`invalidate`](crate::Cache::invalidate) and its kin report as [`ErrorKind::Pending`](crate::ErrorKind::Pending) is then on the disk before they return,
    /// or the error says that it is not. The next cache that is built with this folder, namespace and a store sends it until
    /// the store has acknowledged it, and meanwhile takes nothing cached of what it concerns. Each process needs a folder of
    /// its own, and gets the same one again when it is started anew.
    ///
    /// A file that is damaged counts as a pending [`clear`](crate::Cache::clear) of the whole namespace, and is told of as an error in
    /// the process's log.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let folder = std::env::temp_dir().join(format!("larder-doc-{}", std::process::id()));
    /// use larder_cache::{Cache, PendingLog};
    /// # let store = larder_store::Store::open("embedded:").await?;
    /// let users: Cache<u64, String> = Cache::builder("user")
    ///     .store(&store)
    ///     .ttl(Duration::from_secs(300))
    ///     .keep_pending(PendingLog::new(&folder))
    ///     .build()
    ///     .await?;
    /// # drop(users);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_pending(mut self, log: PendingLog) -> Self {
        self.settings.keep_pending = Some(log);
        self
    }

    /// Where values come from on a miss: `get` then reads through. A source that is also a [sink](Source::sink), as a table of
    /// a database is, is written by `put` and its kin, too.
    pub fn source(mut self, source: impl Source<K, V>) -> Self {
        self.sink = source.sink().or(self.sink);
        self.source = Some(Arc::new(source));
        self
    }

    /// Where `put`, `update`, `insert` and `remove` write to, for a source that does not bring its own; it has to be what the
    /// source reads. As [`write`](Self::write) says.
    pub fn sink(mut self, sink: impl Sink<K, V>) -> Self {
        self.sink = Some(SharedSink::new(sink));
        self
    }

    /// How writes reach the source. Default [`WritePolicy::Through`], where there is a sink.
    pub const fn write(mut self, policy: WritePolicy) -> Self {
        self.settings.write = policy;
        self.has_write_policy = true;
        self
    }

    /// What a write does when the store cannot be asked. Default [`WriteGate::Open`]: it goes to the source.
    pub const fn write_gate(mut self, gate: WriteGate) -> Self {
        self.settings.write_gate = gate;
        self
    }
}

/// `Duration::min` is not const.
const fn shorter(one: Duration, other: Duration) -> Duration {
    if one.as_nanos() < other.as_nanos() { one } else { other }
}
