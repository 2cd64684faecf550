//! Several processes, one source, and a record of what everybody did.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_base::{Clock, Random};
use larder_cache::{Cache, CacheBuilder, Freshness, Lookup, Tier};
use larder_store::Store;
use larder_testkit::{
    history::{Bounds, Copy, Event, Mismatch, Read, Rule, Served, Write, check, compare_at_rest},
    naive::{CacheAside, LockAroundLoad},
    verify::{ByHand, Invalidated, Rows, Seen, Subject},
};

use super::row::{Baseline, Verdict};

/// The keys' namespace.
const NAMESPACE: &str = "fault";

/// Long against any scenario: what stays that long stays.
pub(crate) const TTL: Duration = Duration::from_secs(60);

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
    Naive(ByHand<CacheAside<Store>, Store>),
    Lock(ByHand<LockAroundLoad<Store>, Store>),
    Larder(Larder),
}

impl Process {
    /// A process over a store of its own, as the baseline builds it: Larder with its defaults and no jitter.
    pub(crate) async fn new(baseline: Baseline, number: u32, store: &Store) -> Self {
        Self::with(baseline, number, store, |builder| builder).await
    }

    /// The same with other settings of Larder's.
    pub(crate) async fn with(
        baseline: Baseline,
        number: u32,
        store: &Store,
        settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
    ) -> Self {
        let plain = store.clone();
        let cache = match baseline {
            Baseline::Naive => AnyCache::Naive(ByHand::new(CacheAside::new(plain.clone()), plain, NAMESPACE)),
            Baseline::Lock => {
                let lock = LockAroundLoad::new(plain.clone(), store.clock().clone());
                AnyCache::Lock(ByHand::new(lock, plain, NAMESPACE))
            }
            Baseline::Larder => {
                let builder = Cache::builder(NAMESPACE).store(store).ttl(TTL).jitter(0.0);
                AnyCache::Larder(settings(builder).build().await.expect("the settings agree"))
            }
        };
        Self { number, cache }
    }

    /// The cache, where it is Larder's.
    pub(crate) fn larder(&self) -> Option<&Larder> {
        match &self.cache {
            AnyCache::Larder(cache) => Some(cache),
            AnyCache::Naive(_) | AnyCache::Lock(_) => None,
        }
    }
}

/// The source and the record. Cheap to clone: all clones are the same stage.
#[derive(Clone)]
pub(crate) struct Stage {
    rows: Arc<Rows>,
    bounds: Bounds,
}

impl Stage {
    /// A source that answers at once, on this clock. `bounds` is what is promised: the near tier's bound, strict writes.
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
            Self::Naive(cache) => cache.read(process, key, rows).await,
            Self::Lock(cache) => cache.read(process, key, rows).await,
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
            Self::Naive(cache) => cache.invalidate(key, choice).await,
            Self::Lock(cache) => cache.invalidate(key, choice).await,
            Self::Larder(cache) => Invalidated {
                acknowledged: cache.invalidate(&key).await.is_ok(),
                everything: false,
            },
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        match self {
            Self::Naive(cache) => cache.cached(key).await,
            Self::Lock(cache) => cache.cached(key).await,
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
