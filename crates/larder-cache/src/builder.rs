//! Building a cache: every setting with its default, contradictions refused by name.

use std::{fmt, sync::Arc, time::Duration};

use larder_base::{
    CacheKey, Tasks,
    codec::{Codec, Schema, VALUE_MAX_LIMIT},
    metric::Metric,
};
use larder_store::{Listening, Store, StoreError};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Cache, Coherence, Consistency, Error, ErrorKind, NewGeneration, OnStoreDown, PendingLog, Sink, Source, Ttl,
    WriteGate, WritePolicy,
    behind::{self, Behind},
    channel::{self, Announcements, Listener, OnGap},
    coherence::{NearTier, Vouching},
    core::{Core, FastPath},
    estimate::ServerClock,
    events::Teller,
    flight::Flights,
    housekeeping, kept,
    layout::Layout,
    loading::Slots,
    log::{self, Agreement, LOG_LEAST},
    metric, mutant,
    pace::Pace,
    pending::Pending,
    recovery, registry,
    ring::Ring,
    settings::{BOUND, BOUND_LEAST, IMMORTAL, Settings},
    settle,
    sink::SharedSink,
    source::SharedSource,
    stats::Counters,
};

/// A hold lasts for so many of the waits that a strict commit begins with, so that most of it is the commit's.
const HOLD_PER_WAIT: u32 = 2;

/// Builds a [`Cache`]. Required: [`store`](Self::store) and [`ttl`](Self::ttl).
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

    /// When a write under a [`hold`](Cache::hold) may commit: at once, or when no near tier can have an older copy left.
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

    /// How long a [`hold`](Cache::hold) lasts. It must exceed the longest commit. Default 10 s, at most a day.
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

    /// How long a load may take before it fails with [`ErrorKind::LoadTimeout`]; whoever has an older value gets that instead.
    /// Default 30 s. See [`soft_deadline`](Self::soft_deadline) for not waiting so long.
    pub const fn load_timeout(mut self, limit: Duration) -> Self {
        self.settings.load_timeout = Some(limit);
        self
    }

    /// How long a read waits for a load where an older value could serve: then it gets that one, flagged as stale, and the
    /// load goes on behind it and fills. Default: off.
    ///
    /// Off, a value within grace is served at once while it is refreshed, and one that was
    /// [marked stale](Cache::mark_stale) only if its load fails. With a deadline both wait for so long for something
    /// better. The load goes on on a task of the cache, which takes a [`source`](Self::source) or an owned loader
    /// ([`get_or_load_owned`](Cache::get_or_load_owned)). A loader that borrows from its caller ends in that caller's
    /// future: the others have the older value after the deadline, its own caller waits for its own load.
    pub const fn soft_deadline(mut self, limit: Duration) -> Self {
        self.settings.soft_deadline = Some(limit);
        self
    }

    /// How long a key is left alone after its refresh failed: meanwhile everybody in the fleet gets the stale value at
    /// once, and then one caller tries again. Default 1 s; 0 tries at every read.
    ///
    /// It never delays a load that has nothing older to serve: a failure is not remembered, only shared with those who
    /// waited for it. A value that was [marked stale](Cache::mark_stale) is left alone by this process alone.
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
    /// read fails with [`ErrorKind::Overloaded`], or gets an older value where there is one. Default 4,096.
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

    /// Finds the tags of a value: labels that [`invalidate_tag`](Cache::invalidate_tag) takes. At most 64 of 1 to 255 bytes.
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
    /// What [`invalidate`](Cache::invalidate) and its kin report as [`ErrorKind::Pending`] is then on the disk before they return,
    /// or the error says that it is not. The next cache that is built with this folder, namespace and a store sends it until
    /// the store has acknowledged it, and meanwhile takes nothing cached of what it concerns. Each process needs a folder of
    /// its own, and gets the same one again when it is started anew.
    ///
    /// A file that is damaged counts as a pending [`clear`](Cache::clear) of the whole namespace, and is told of as an error in
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

    /// The cache: the one of this store and namespace in this process, or a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming what is missing, what contradicts what, or what differs from the cache that exists;
    /// [`ErrorKind::PendingLog`] if the folder of [`keep_pending`](Self::keep_pending) cannot be used;
    /// [`ErrorKind::Store`] if the store refuses to tell what changes.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn build(mut self) -> Result<Cache<K, V>, Error> {
        let store = self.check()?;
        let layout = Arc::new(Layout::new(&self.namespace));
        let behind = self.behind(&store, &layout).await?;
        let max_age = match self.settings.coherence {
            Coherence::TtlOnly { max_staleness } => Some(max_staleness),
            Coherence::Tracking | Coherence::Log => None,
        };
        let vouching = self.vouching(&store);
        let server = Arc::new(ServerClock::default());
        let pending = Arc::new(Pending::default());
        let near = Arc::new(NearTier::new(
            layout.clone(),
            self.settings.near,
            max_age,
            vouching,
            store.clock().clone(),
            server.clone(),
            pending.clone(),
        ));
        let listening = self.listen(&store, &near, vouching).await?;
        let events: Arc<Teller> = Arc::default();
        near.tells(events.clone());
        let keep_pending = self.settings.keep_pending.clone();
        let announcements = Arc::new(Announcements::new(store.random()));
        let core = Arc::new(Core {
            clock: store.clock().clone(),
            random: store.random().clone(),
            store,
            layout,
            schema: Schema::of::<V>(self.settings.schema_revision),
            source: self.source,
            sink: self.sink,
            behind,
            near,
            loads: Flights::new(),
            peeks: Flights::new(),
            counters: Counters::default(),
            server,
            load_slots: Arc::new(Slots::new(self.settings.max_loads, self.settings.max_queued_loads)),
            bypass_slots: Slots::new(
                Core::<K, V>::bypass_limit(&self.settings),
                self.settings.max_queued_loads,
            ),
            refills: Pace::new(self.settings.min_refill_interval),
            retries: Pace::new(self.settings.retry_after),
            settings: self.settings,
            fast: FastPath::new(),
            pending,
            keeper: keep_pending.is_some().then(Arc::default),
            ring: Ring::default(),
            events,
            announcements,
            listener: Listener::default(),
            known_generation: Mutex::default(),
            agreement: Agreement::default(),
            tasks: Tasks::new(),
            _listening: listening,
        });
        let joined = match keep_pending {
            Some(log) => kept::join(&core, &log).await?,
            None => join(&core)?,
        };
        channel::ready(&joined).await?;
        Ok(Cache::of(joined))
    }

    /// What write-behind needs, once it is known that the store can keep what is asked of it.
    async fn behind(&mut self, store: &Store, layout: &Layout) -> Result<Option<Arc<Behind>>, Error> {
        let WritePolicy::Behind(behind) = self.settings.write else {
            return Ok(None);
        };
        if self.settings.consistency == Consistency::Strict {
            return Err(Error::config(
                "`Consistency::Strict` waits before a commit, and with `WritePolicy::Behind` nobody waits for the commit; use \
                 `Consistency::Bounded`",
            ));
        }
        if !self.has_store_down {
            self.settings.on_store_down = OnStoreDown::Fail;
        }
        let value_max = self.settings.codec.largest_value();
        behind::check(store, &behind, value_max, self.settings.on_store_down).await?;
        Ok(Some(Arc::new(Behind::new(behind, layout))))
    }

    fn vouching(&self, store: &Store) -> Vouching {
        let stream = Vouching::Stream {
            // Zero says that no process has copies: waiting reads are told of changes all the same.
            bound: match self.settings.max_staleness {
                Duration::ZERO => BOUND,
                bound => bound,
            },
        };
        match self.settings.coherence {
            Coherence::Log if self.settings.reads_log() => stream,
            _ if store.is_embedded() => Vouching::Embedded,
            Coherence::Tracking => stream,
            Coherence::Log | Coherence::TtlOnly { .. } => Vouching::Nobody,
        }
    }

    /// Has the store tell `near` what changes. Without copies to keep true that only spares waiting reads a poll, so that a
    /// server which cannot is as good.
    async fn listen(
        &self,
        store: &Store,
        near: &Arc<NearTier<K, V>>,
        vouching: Vouching,
    ) -> Result<Option<Listening>, Error> {
        if vouching == Vouching::Nobody || self.settings.reads_log() {
            return Ok(None);
        }
        match store.listen(mutant::listener(near.clone())).await {
            Ok(listening) => Ok(Some(listening)),
            Err(error) if self.settings.near == 0 => {
                tracing::debug!(%error, "the store does not tell what changes; reads that wait for a load poll");
                Ok(None)
            }
            Err(error @ StoreError::Tracking { .. }) => Err(Error::config(format!(
                "`near` with `Coherence::Tracking` needs a server that tells what changes ({error}); use \
                 `Coherence::Log`, or `Coherence::TtlOnly {{ max_staleness }}`, or `near(0)`"
            ))),
            Err(source) => Err(Error::from(ErrorKind::Store {
                operation: "listen",
                source: Arc::new(source),
            })),
        }
    }

    fn check(&self) -> Result<Store, Error> {
        let Some(store) = &self.store else {
            return Err(Error::config("a cache needs a store: `.store(&store)`"));
        };
        if !is_namespace(&self.namespace) {
            return Err(Error::config(format!(
                "the namespace `{}` is not made of a-z, 0-9, `_`, `.` and `-`",
                self.namespace.escape_default()
            )));
        }
        if !self.has_ttl {
            return Err(Error::config(
                "a cache needs a TTL: `.ttl(..)`, or `.ttl(Ttl::never())` for an immortal one",
            ));
        }
        check_settings(&self.settings)?;
        if self.has_write_policy && self.sink.is_none() {
            return Err(Error::config(
                "`write` says how the source is written, and there is nothing that writes it: set `sink`, or a `source` that \
                 brings one",
            ));
        }
        if self.settings.wait_replicas > 0 && store.is_embedded() {
            return Err(Error::config(
                "`wait_replicas` waits for a server's replicas, and an embedded store has none; leave it at 0",
            ));
        }
        check_coherence(&self.settings)?;
        check_consistency(&self.settings)?;
        Ok(store.clone())
    }
}

/// The core that exists, or this one, started.
pub(crate) fn join<K, V>(core: &Arc<Core<K, V>>) -> Result<Arc<Core<K, V>>, Error>
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let joined = registry::join(core.clone())?;
    if Arc::ptr_eq(&joined, core) {
        // Without a pause: from its registration on others may join it, and the future that builds it may be dropped.
        start_all(core);
    }
    Ok(joined)
}

/// Starts what a core does beside its callers.
fn start_all<K, V>(core: &Arc<Core<K, V>>)
where
    K: CacheKey,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    metric::METRICS.iter().for_each(Metric::describe);
    larder_base::metric::register(core);
    housekeeping::start(core);
    mutant::tick(&core.clock, &core.tasks);
    recovery::start(core);
    settle::start(core);
    behind::flusher::start(core);
    if core.settings.reads_log() {
        log::start(core);
    }
    channel::start(core);
}

/// `Duration::min` is not const.
const fn shorter(one: Duration, other: Duration) -> Duration {
    if one.as_nanos() < other.as_nanos() { one } else { other }
}

/// A factor of XFetch beyond which every read of anything that costs is early: a larger one says nothing more.
const XFETCH_MAX: f64 = 1e6;

/// The longest lease or hold: a day is beyond any load or commit, and far from where sums of times overflow.
const CLAIM_MAX: Duration = Duration::from_secs(24 * 3600);

fn check_settings<V>(settings: &Settings<V>) -> Result<(), Error> {
    let refuse = |text: String| Err(Error::config(text));
    if settings.ttl.span().is_zero() {
        return refuse("`ttl` is zero: nothing would ever hit".to_owned());
    }
    if settings.ttl.is_never() && !settings.grace.is_zero() {
        return refuse("`grace` begins when a value's TTL ends, and `ttl` is `Ttl::never()`".to_owned());
    }
    if !(0.0..=0.5).contains(&settings.jitter) {
        return refuse(format!(
            "`jitter` is a share between 0 and 0.5, not {}",
            settings.jitter
        ));
    }
    if settings.refresh_ahead.is_some_and(|share| !(0.0..1.0).contains(&share)) {
        return refuse("`refresh_ahead` is a share of `ttl` between 0 and 1".to_owned());
    }
    if settings.xfetch.is_some_and(|beta| !(beta > 0.0 && beta <= XFETCH_MAX)) {
        return refuse(format!("`xfetch` takes a factor above 0, at most {XFETCH_MAX}"));
    }
    if settings.lease < Duration::from_millis(10) {
        return refuse("`lease` is below 10 ms: it would run out before its first renewal".to_owned());
    }
    if let (Some(soft), Some(hard)) = (settings.soft_deadline, settings.load_timeout)
        && soft >= hard
    {
        return refuse(format!(
            "`soft_deadline` ({soft:?}) has to be shorter than `load_timeout` ({hard:?}), which ends the load"
        ));
    }
    for (name, span) in [("lease", settings.lease), ("hold_for", settings.hold)] {
        if span > CLAIM_MAX {
            return refuse(format!(
                "`{name}` is {span:?}: whoever dies with it keeps everybody waiting for so long; at most {CLAIM_MAX:?}"
            ));
        }
    }
    if settings.codec.largest_value() > VALUE_MAX_LIMIT {
        return refuse(format!(
            "the codec's `value_max` is {} bytes, more than a server takes; at most {VALUE_MAX_LIMIT}",
            settings.codec.largest_value()
        ));
    }
    if settings.channel.as_ref().is_some_and(String::is_empty) {
        return refuse("`channel` is an empty name".to_owned());
    }
    if settings.max_loads == 0 {
        return refuse("`max_loads` is 0: nothing could ever be loaded".to_owned());
    }
    if matches!(settings.on_store_down, OnStoreDown::Bypass { max_concurrency: 0 }) {
        return refuse(
            "`OnStoreDown::Bypass` with `max_concurrency` 0 waits for ever; use `OnStoreDown::Fail`".to_owned(),
        );
    }
    if matches!(settings.on_store_down, OnStoreDown::ServeNear { .. }) && settings.near == 0 {
        return refuse("`OnStoreDown::ServeNear` serves from the near tier, and `near` is 0".to_owned());
    }
    Ok(())
}

fn check_consistency<V>(settings: &Settings<V>) -> Result<(), Error> {
    if settings.consistency == Consistency::Bounded {
        return Ok(());
    }
    if matches!(settings.on_store_down, OnStoreDown::ServeNear { .. }) {
        return Err(Error::config(
            "`Consistency::Strict` and `OnStoreDown::ServeNear` contradict each other: a near copy served while the store is \
             down may be older than a strict write",
        ));
    }
    let wait = settings.near_bound();
    if settings.hold < wait * HOLD_PER_WAIT {
        return Err(Error::config(format!(
            "`hold_for` ({:?}) has to be {HOLD_PER_WAIT} times `max_staleness` at least: a strict commit waits for {wait:?} and \
             then needs its own time",
            settings.hold
        )));
    }
    Ok(())
}

fn check_coherence<V>(settings: &Settings<V>) -> Result<(), Error> {
    match settings.coherence {
        Coherence::Log if settings.log_max < LOG_LEAST => Err(Error::config(format!(
            "`log_max` is {}, and with less than {LOG_LEAST} items a busy second overtakes readers that are not late",
            settings.log_max
        ))),
        Coherence::Tracking | Coherence::Log if settings.near == 0 && settings.max_staleness.is_zero() => Ok(()),
        Coherence::Tracking | Coherence::Log if settings.max_staleness < BOUND_LEAST => Err(Error::config(format!(
            "`max_staleness` is {:?}, and below {BOUND_LEAST:?} no stream can be proven live often enough; or set `near(0)`",
            settings.max_staleness
        ))),
        Coherence::TtlOnly { max_staleness } if max_staleness.is_zero() && settings.near > 0 => Err(Error::config(
            "`max_staleness` is zero, so that `near` could never serve; set `near(0)` or a longer `max_staleness`",
        )),
        _ => Ok(()),
    }
}

/// Whether a cache may have this name: one or more of `a-z`, `0-9`, `_`, `.` and `-`.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    !name.is_empty() && name.chars().all(is_fit)
}
