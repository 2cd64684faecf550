//! Several processes, one source, and a record of what everybody did.

use std::{convert::Infallible, ops::Range, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_cache::{Cache, CacheBuilder, Coherence, Freshness, Lookup, Tier};
use larder_store::Store;
use larder_testkit::{
    Topology, UNIT, eventually,
    history::{Bounds, Copy, Event, Mismatch, Read, Rule, Served, Write, check, compare_at_rest},
    naive::{CacheAside, HandWritten, LockAroundLoad, TwoTier},
    verify::{ByHand, Invalidated, Rows, Seen, Subject},
};
use redis::AsyncCommands as _;

use super::row::{Baseline, Verdict};

/// The keys' namespace.
pub(crate) const NAMESPACE: &str = "fault";

/// Long against any scenario: what stays that long stays.
const TTL: Duration = Duration::from_secs(60);

/// How far behind a near tier may be in these scenarios: short, so that they are, and long against a busy machine.
pub(crate) const BOUND: Duration = Duration::from_millis(300);

/// Long against anything that is waited for.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The promise of [`BOUND`].
pub(crate) fn near_bound() -> Bounds {
    Bounds {
        near: BOUND,
        ..Bounds::default()
    }
}

/// A process: its number in the record, and the cache that it uses.
#[derive(Clone)]
pub(crate) struct Process {
    number: u32,
    cache: AnyCache,
}

/// Larder's cache of versions.
pub(crate) type Larder = Cache<u64, u64>;

#[derive(Clone)]
enum AnyCache {
    ByHand(ByHand),
    Larder(Larder),
}

impl Process {
    /// A process without a near tier over a store of its own, as the baseline builds it.
    pub(crate) async fn new(baseline: Baseline, number: u32, store: &Store) -> Self {
        Self::with(baseline, number, store, |builder| builder).await
    }

    /// The same with other settings of Larder's, which has no jitter here.
    pub(crate) async fn with(
        baseline: Baseline,
        number: u32,
        store: &Store,
        settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
    ) -> Self {
        let own = store.clone();
        match baseline {
            Baseline::Naive => Self::by_hand(number, CacheAside::new(own), store),
            Baseline::Lock => Self::by_hand(number, LockAroundLoad::new(own, store.clock().clone()), store),
            Baseline::Larder => {
                let builder = Cache::builder(NAMESPACE).store(store).ttl(TTL).jitter(0.0);
                let cache = settings(builder).build().await.expect("the settings agree");
                let cache = AnyCache::Larder(cache);
                Self { number, cache }
            }
        }
    }

    /// A process with a near tier, whose bound is [`BOUND`], kept true by tracking.
    pub(crate) async fn near(baseline: Baseline, number: u32, store: &Store) -> Self {
        Self::near_by(Coherence::Tracking, baseline, number, store).await
    }

    /// The same, where Larder keeps its near tier true in this way.
    pub(crate) async fn near_by(coherence: Coherence, baseline: Baseline, number: u32, store: &Store) -> Self {
        if baseline == Baseline::Larder {
            let near = |b: CacheBuilder<u64, u64>| b.near(10_000).max_staleness(BOUND).coherence(coherence);
            return Self::with(baseline, number, store, near).await;
        }
        let cache = TwoTier::new(store.clone()).await.expect("the store tells what changes");
        Self::by_hand(number, cache, store)
    }

    /// A process that uses code written by hand, which keeps its values in `store`.
    pub(crate) fn by_hand(number: u32, cache: impl HandWritten + 'static, store: &Store) -> Self {
        let cache = AnyCache::ByHand(ByHand::new(cache, store, NAMESPACE));
        Self { number, cache }
    }

    /// The cache, where it is Larder's.
    pub(crate) fn larder(&self) -> Option<&Larder> {
        match &self.cache {
            AnyCache::Larder(cache) => Some(cache),
            AnyCache::ByHand(_) => None,
        }
    }

    /// Whether it answers for `key` from a copy of its own.
    pub(crate) async fn has_copy(&self, key: u64) -> bool {
        match &self.cache {
            AnyCache::ByHand(cache) => cache.near(key).is_some(),
            AnyCache::Larder(cache) => {
                let found = cache.lookup(&key).await;
                found.is_ok_and(|found| found.tier() == Tier::Near && found.value().is_some())
            }
        }
    }
}

/// Lets `span` pass, and a unit more.
pub(crate) async fn passes(t: &Topology, span: Duration) {
    let units = span.as_millis().div_ceil(UNIT.as_millis()) + 1;
    t.advance(u32::try_from(units).expect("a short span")).await;
}

/// Waits until `word` is in the store: how another process is told something while it stands still.
pub(crate) async fn told(mut store: Store, word: &str) {
    while !store.exists::<_, bool>(word).await.expect("the server is up") {
        Clock::system().sleep(Duration::from_millis(1)).await;
    }
}

/// The source and the record. Cheap to clone: all clones are the same stage.
#[derive(Clone)]
pub(crate) struct Stage {
    rows: Arc<Rows>,
    bounds: Bounds,
}

impl Stage {
    /// A source that answers at once, on this clock. `bounds` is what is promised, [`near_bound`] for instance.
    pub(crate) fn new(clock: &Clock, random: &Random, bounds: Bounds) -> Self {
        let rows = Arc::new(Rows::new(clock.clone(), random.clone(), Duration::ZERO));
        Self { rows, bounds }
    }

    /// The source: loads can be held there, versions looked up, and its recorder takes what is not told below.
    pub(crate) fn rows(&self) -> &Arc<Rows> {
        &self.rows
    }

    /// Reads `key`, on the record; `None` where there was no answer.
    pub(crate) async fn read(&self, by: &Process, key: u64) -> Option<Seen> {
        let start = self.rows.recorder().now();
        let seen = by.cache.read(by.number, key, &self.rows).await?;
        let end = self.rows.recorder().now();
        self.rows.recorder().note(Event::Read(Read {
            process: by.number,
            key,
            start,
            end,
            version: seen.version,
            served: seen.served,
            overdue: seen.overdue,
        }));
        Some(seen)
    }

    /// The same as a task of its own.
    pub(crate) fn reading(&self, by: &Process, key: u64) -> tokio::task::JoinHandle<Option<Seen>> {
        let (stage, by) = (self.clone(), by.clone());
        tokio::spawn(async move { stage.read(&by, key).await })
    }

    /// Commits a new version of `key` and invalidates it, on the record. Whether that was acknowledged.
    pub(crate) async fn write(&self, by: &Process, key: u64) -> bool {
        let (version, committed) = self.rows.commit(key);
        let invalidated = by.cache.invalidate(key, u64::MAX).await;
        let now = self.rows.recorder().now();
        self.rows.recorder().note(Event::Write(Write {
            key,
            version,
            committed,
            acknowledged: invalidated.acknowledged.then_some(now),
        }));
        invalidated.acknowledged
    }

    /// Notes that what was written of `key` is invalidated now, which was not acknowledged before.
    pub(crate) fn delivered(&self, key: u64) {
        let now = self.rows.recorder().now();
        self.rows.recorder().note(Event::Write(Write {
            key,
            version: self.rows.version(key),
            committed: now,
            acknowledged: Some(now),
        }));
    }

    /// Commits a new version of each of `keys` behind the cache's back, then does something that is to invalidate them all.
    pub(crate) async fn write_past_the_cache(&self, keys: Range<u64>, invalidate: impl AsyncFnOnce()) {
        let commits: Vec<_> = keys.map(|key| (key, self.rows.commit(key))).collect();
        invalidate().await;
        let now = self.rows.recorder().now();
        for (key, (version, committed)) in commits {
            self.rows.recorder().note(Event::Write(Write {
                key,
                version,
                committed,
                acknowledged: Some(now),
            }));
        }
    }

    /// Lets `first` put `keys` into the store, and `then` read them there, so that it keeps copies that its server follows:
    /// a key that a process fills itself is another story (row 12).
    pub(crate) async fn prime(&self, first: &Process, then: &Process, keys: u64) {
        for key in 0..keys {
            self.read(first, key).await.expect("the store is up");
            self.read(then, key).await.expect("the store is up");
            // On a busy machine a stream may not be proven at this very moment.
            eventually(SOON, async || then.has_copy(key).await).await;
        }
    }

    /// Every tier of these processes that disagrees with the source (C8). To be called when nothing is pending and the
    /// near tiers' bound has passed.
    pub(crate) async fn wrong_at_rest(&self, processes: &[&Process]) -> Vec<Mismatch> {
        let source = self.rows.all();
        let mut copies = Vec::new();
        for process in processes {
            for &key in source.keys() {
                for (tier, version) in process.cache.cached(key).await {
                    let tier = format!("{tier} of process {}", process.number);
                    copies.push(Copy { tier, key, version });
                }
            }
        }
        compare_at_rest(&source, copies)
    }

    /// What the checker says of the record so far, and then of these processes at rest.
    pub(crate) async fn verdict_with(&self, at_rest: &[&Process]) -> Verdict {
        let wrong = self.wrong_at_rest(at_rest).await;
        let mut verdict = self.verdict();
        verdict.checked += at_rest.len() as u64;
        verdict
            .violations
            .extend(wrong.iter().map(|mismatch| format!("at rest: {mismatch:?}")));
        verdict
    }

    /// What the checker says of the record so far, which begins anew.
    pub(crate) fn verdict(&self) -> Verdict {
        let report = check(&self.rows.recorder().take(), &self.bounds);
        if report.late_reads > 0 {
            let (p50, max) = (report.staleness.value_at_quantile(0.5), report.staleness.max());
            println!(
                "    {} late reads within the bound, stale for {p50} µs p50, {max} µs at most",
                report.late_reads
            );
        }
        // C7 is left to the rows about stampedes: code written by hand never claimed one load at a time, and must not
        // be convicted of that where its old values are the point.
        let broken = report.violations.iter().filter(|violation| violation.rule != Rule::C7);
        Verdict {
            checked: report.reads,
            violations: broken
                .map(|v| format!("{:?} on key {}: {}", v.rule, v.key, v.what))
                .collect(),
        }
    }
}

impl Subject for AnyCache {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        match self {
            Self::ByHand(cache) => cache.read(process, key, rows).await,
            Self::Larder(cache) => {
                let load = || async move { Ok::<_, Infallible>(rows.load(process, key).await) };
                let found = cache.lookup_or_load(&key, load).await.ok()?;
                Some(Seen {
                    version: **found.value()?,
                    served: served(&found),
                    overdue: 0,
                })
            }
        }
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        match self {
            Self::ByHand(cache) => cache.invalidate(key, choice).await,
            Self::Larder(cache) => Invalidated {
                acknowledged: cache.invalidate(&key).await.is_ok(),
                everything: false,
            },
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        match self {
            Self::ByHand(cache) => cache.cached(key).await,
            Self::Larder(cache) => {
                let found = cache.lookup(&key).await.ok();
                let copy = found.and_then(|found| Some((tier_name(found.tier()), **found.value()?)));
                copy.into_iter().collect()
            }
        }
    }
}

fn served(found: &Lookup<u64>) -> Served {
    match (found.tier(), found.freshness()) {
        (_, Freshness::Stale) => Served::Stale,
        (Tier::Near, _) => Served::Near,
        (Tier::Store, _) => Served::Store,
        _ => Served::Loaded,
    }
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Near => "near",
        Tier::Store => "store",
        _ => "source",
    }
}
