//! Larder as a subject.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_cache::{Cache, Freshness, Lookup, Tier};
use larder_store::Store;
use larder_testkit::{
    history::Served,
    verify::{Invalidated, Rows, Seen, Subject},
};

use crate::failure::Outcome;

/// A cache of Larder, as one process holds it.
pub(super) struct Larder {
    cache: Cache<u64, u64>,
    /// What the store holds, seen past every near tier.
    below: Cache<u64, u64>,
}

impl Larder {
    /// A process over `store`, with a near tier unless it is the one that looks `below` the others'.
    pub(super) async fn new(store: &Store, below: Option<&Self>, namespace: &str, bound: Duration) -> Outcome<Self> {
        let near = if below.is_some() { 1_000 } else { 0 };
        let cache = Cache::builder(namespace)
            .store(store)
            .near(near)
            .max_staleness(bound)
            .ttl(Duration::from_secs(60))
            .tags(|version: &u64| [format!("odd:{}", version % 2), "all".to_owned()])
            .build()
            .await?;
        let below = below.map_or_else(|| cache.clone(), Self::cache);
        Ok(Self { cache, below })
    }

    pub(super) fn cache(&self) -> Cache<u64, u64> {
        self.cache.clone()
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
