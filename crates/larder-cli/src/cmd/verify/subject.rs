//! Larder as a subject.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use larder_base::Clock;
use larder_cache::{Cache, Coherence, Consistency, Freshness, Lookup, Tier};
use larder_store::Store;
use larder_testkit::{
    history::Served,
    verify::{Invalidated, Rows, Seen, Subject, Written},
};

use super::{Args, Promise};
use crate::failure::Outcome;

/// A cache of Larder, as one process holds it.
pub(super) struct Larder {
    cache: Cache<u64, u64>,
    /// What the store holds, seen past every near tier.
    below: Cache<u64, u64>,
    clock: Clock,
    strict: bool,
}

/// A hold that cannot be opened is asked for again after so long: nothing is committed without it.
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl Larder {
    /// A process over `store`, with a near tier unless it is the one that looks `below` the others'.
    pub(super) async fn new(store: &Store, below: Option<&Self>, namespace: &str, args: &Args) -> Outcome<Self> {
        let near = if below.is_some() { 1_000 } else { 0 };
        let strict = args.consistency == Promise::Strict;
        let consistency = if strict {
            Consistency::Strict
        } else {
            Consistency::Bounded
        };
        let coherence = match args.coherence {
            super::Coherence::Tracking => Coherence::Tracking,
            super::Coherence::Log => Coherence::Log,
        };
        // Far above the longest commit here, which takes no time.
        let hold = Duration::from_secs(10).max(args.max_staleness * 4);
        let cache = Cache::builder(namespace)
            .store(store)
            .near(near)
            .max_staleness(args.max_staleness)
            .coherence(coherence)
            .consistency(consistency)
            .hold_for(hold)
            .ttl(Duration::from_secs(60))
            .tags(|version: &u64| [format!("odd:{}", version % 2), "all".to_owned()])
            .build()
            .await?;
        let below = below.map_or_else(|| cache.clone(), Self::cache);
        Ok(Self {
            cache,
            below,
            clock: store.clock().clone(),
            strict,
        })
    }

    pub(super) fn cache(&self) -> Cache<u64, u64> {
        self.cache.clone()
    }

    /// Commits under a hold, and only under one.
    async fn write_strictly(&self, key: u64, rows: &Rows) -> Written {
        loop {
            let held_since = Some(rows.recorder().now());
            let visible = OnceLock::new();
            let commit = async {
                visible.get_or_init(|| rows.commit(key));
                Ok::<_, Infallible>(())
            };
            let ended = match self.cache.hold(&key).await {
                Ok(hold) => hold.commit(commit).await,
                Err(error) => Err(error),
            };
            let Some(&(version, committed)) = visible.get() else {
                self.clock.sleep(ASK_AGAIN).await;
                continue;
            };
            return Written {
                version,
                committed,
                invalidated: Invalidated {
                    acknowledged: ended.is_ok(),
                    everything: false,
                },
                held_since,
            };
        }
    }
}

impl Subject for Larder {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let asked = rows.recorder().now();
        let load = || async move { Ok::<_, Infallible>(rows.load_for(process, key, asked).await) };
        let found = self.cache.lookup_or_load(&key, load).await.ok()?;
        Some(Seen {
            version: **found.value()?,
            served: served(&found),
            overdue: 0,
        })
    }

    async fn invalidate(&self, key: u64, choice: u64) -> Invalidated {
        let everything = choice.is_multiple_of(20);
        let done = match choice % 20 {
            0 => self.cache.clear().await,
            1..=4 => self.cache.invalidate_tag("all").await,
            _ => self.cache.invalidate(&key).await,
        };
        Invalidated {
            acknowledged: done.is_ok(),
            everything,
        }
    }

    async fn write(&self, key: u64, choice: u64, rows: &Arc<Rows>) -> Written {
        if self.strict {
            return self.write_strictly(key, rows).await;
        }
        let (version, committed) = rows.commit(key);
        Written {
            version,
            committed,
            invalidated: self.invalidate(key, choice).await,
            held_since: None,
        }
    }

    fn unleased(&self) -> u64 {
        let stats = self.cache.stats();
        // Past a store that is down, after the wait for another's load, while an invalidation is pending; and where the
        // store failed or forgot.
        let past = stats.bypasses + stats.waits_given_up + stats.quarantined_reads;
        past + stats.store_errors + stats.fills_failed + stats.generations
    }

    fn is_settled(&self) -> bool {
        self.cache.stats().pending == 0
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let mut tiers = Vec::new();
        for cache in [&self.cache, &self.below] {
            let Ok(found) = cache.lookup(&key).await else { continue };
            let tier = if found.tier() == Tier::Near { "near" } else { "store" };
            tiers.extend(found.value().map(|version| (tier, **version)));
        }
        tiers
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
