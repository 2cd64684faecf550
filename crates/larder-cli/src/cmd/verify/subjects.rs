//! What is verified: Larder, and the code that people write by hand.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_base::Clock;
use larder_cache::{Cache, Freshness, Lookup, Tier};
use larder_store::Store;
use larder_testkit::{
    history::Served,
    naive::{CacheAside, LockAroundLoad},
    verify::{Invalidated, Rows, Seen, Subject},
};
use redis::AsyncCommands as _;

use crate::failure::Outcome;

/// A cache of Larder, as one process holds it.
pub(super) struct Larder {
    cache: Cache<u64, u64>,
}

impl Larder {
    pub(super) async fn new(store: &Store, namespace: &str) -> Outcome<Self> {
        // Where nothing says what changes, a near copy would be as old as its time allows.
        let near = if store.is_embedded() { 1_000 } else { 0 };
        let cache = Cache::builder(namespace)
            .store(store)
            .near(near)
            .ttl(Duration::from_secs(60))
            .tags(|version: &u64| [format!("odd:{}", version % 2), "all".to_owned()])
            .build()
            .await?;
        Ok(Self { cache })
    }

    pub(super) fn cache(&self) -> Cache<u64, u64> {
        self.cache.clone()
    }
}

impl Subject for Larder {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let load = || async move { Ok::<_, Infallible>(rows.load(process, key).await) };
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

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        let found = self.cache.get(&key).await.ok().flatten();
        found.map(|version| ("larder", *version)).into_iter().collect()
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

/// Get, load, set; delete on a write.
pub(super) struct Naive {
    store: Store,
    cache: CacheAside<Store>,
    namespace: Arc<str>,
}

impl Naive {
    pub(super) fn new(store: &Store, namespace: &str) -> Self {
        Self {
            store: store.clone(),
            cache: CacheAside::new(store.clone()),
            namespace: namespace.into(),
        }
    }
}

/// The same with a lock round the load.
pub(super) struct Lock {
    store: Store,
    cache: LockAroundLoad<Store>,
    namespace: Arc<str>,
}

impl Lock {
    pub(super) fn new(store: &Store, namespace: &str, clock: &Clock) -> Self {
        let cache = LockAroundLoad::new(store.clone(), clock.clone());
        Self {
            store: store.clone(),
            cache,
            namespace: namespace.into(),
        }
    }
}

async fn stored(store: &Store, name: &str) -> Vec<(&'static str, u64)> {
    let version: Option<u64> = store.clone().get(name).await.ok().flatten();
    version.map(|version| ("store", version)).into_iter().collect()
}

const fn from_store(version: u64) -> Seen {
    Seen {
        version,
        served: Served::Store,
        overdue: 0,
    }
}

impl Subject for Naive {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let name = format!("{}:{key}", self.namespace);
        self.cache
            .get(&name, &[], || rows.load(process, key))
            .await
            .ok()
            .map(from_store)
    }

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        let done = self.cache.invalidate(&format!("{}:{key}", self.namespace)).await;
        Invalidated {
            acknowledged: done.is_ok(),
            everything: false,
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        stored(&self.store, &format!("{}:{key}", self.namespace)).await
    }
}

impl Subject for Lock {
    async fn read(&self, process: u32, key: u64, rows: &Arc<Rows>) -> Option<Seen> {
        let name = format!("{}:{key}", self.namespace);
        self.cache
            .get(&name, || rows.load(process, key))
            .await
            .ok()
            .map(from_store)
    }

    async fn invalidate(&self, key: u64, _: u64) -> Invalidated {
        let done = self.cache.invalidate(&format!("{}:{key}", self.namespace)).await;
        Invalidated {
            acknowledged: done.is_ok(),
            everything: false,
        }
    }

    async fn cached(&self, key: u64) -> Vec<(&'static str, u64)> {
        stored(&self.store, &format!("{}:{key}", self.namespace)).await
    }
}
