//! Larder, as its guide says: near tier on, coherence by tracking, nothing else set.

use std::{convert::Infallible, sync::Arc, time::Duration};

use larder_cache::Cache;
use larder_near::{Entry, Near, Stamp};
use larder_store::Store;
use tokio::runtime::Handle;

use super::Size;
use crate::{
    lab::{
        near::{TTL, at_once},
        user::User,
    },
    node::{Answer, Full, Load, Node, Peer, Place},
    row::{Inserts, Row},
};

pub(crate) const PEER: Peer = Peer {
    name: "larder",
    setup: "Cache::builder, near and ttl set: tracking, max_staleness 1 s",
    join: |place| Box::pin(join(place)),
};

struct Service {
    cache: Cache<u64, User>,
}

async fn join(place: Place) -> anyhow::Result<Box<dyn Node>> {
    // Its one connection carries both; and no clock on a wall is read.
    let store = Store::open(&place.messages).await?;
    let cache = Cache::builder(&place.namespace)
        .store(&store)
        .near(place.near as usize)
        .ttl(TTL)
        .build()
        .await?;
    Ok(Box::new(Service { cache }))
}

impl Node for Service {
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>> {
        Box::pin(async move {
            let load = || async move { Ok::<_, Infallible>(load().await) };
            Ok(self.cache.get_or_load(&id, load).await?)
        })
    }

    fn invalidate(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move { Ok(self.cache.invalidate(&id).await?) })
    }
}

/// A cache with room for so many rows in its near tier, after so many were read.
async fn filled(store: &Store, namespace: &str, size: Size) -> anyhow::Result<Cache<u64, Row>> {
    /// Keys loaded together.
    const BATCH: u64 = 100;
    let cache = Cache::<u64, Row>::builder(namespace)
        .store(store)
        .near(size.capacity as usize)
        .ttl(TTL)
        .build()
        .await?;
    for first in (0..size.inserts).step_by(BATCH as usize) {
        let ids: Vec<u64> = (first..size.inserts.min(first + BATCH)).collect();
        let load = |missing: Vec<u64>| async move {
            let rows = missing.into_iter().map(|id| (id, Row::number(id)));
            Ok::<_, Infallible>(rows.collect::<Vec<_>>())
        };
        cache.get_or_load_many(&ids, load).await.all()?;
    }
    Ok(cache)
}

/// On `store`, a server: what the engine keeps would be this process's memory too.
pub(crate) async fn full(store: Store, size: Size) -> anyhow::Result<Full> {
    Ok(Box::new(filled(&store, "bench-memory", size).await?))
}

struct Bounded(Near<u64, Row>);

/// The near tier alone, which is what has a capacity.
pub(crate) fn bounded(capacity: u64) -> Box<dyn Inserts> {
    Box::new(Bounded(Near::new(capacity as usize)))
}

impl Inserts for Bounded {
    fn insert(&self, id: u64) {
        let deadline = larder_base::Clock::system().coarse() + TTL;
        let entry = Entry::new(Some(Arc::new(Row::number(id))), deadline, Stamp::default());
        self.0.install(id, entry);
    }
}

struct Through(Cache<u64, Row>, Handle);

/// The whole way of a miss on the embedded store: lease, load, fill, near tier.
pub(crate) async fn bounded_cache(capacity: u64) -> anyhow::Result<Box<dyn Inserts>> {
    let store = Store::open("embedded:").await?;
    let cache = Cache::<u64, Row>::builder("bench-capacity")
        .store(&store)
        .near(capacity as usize)
        .ttl(TTL)
        .jitter(0.0)
        .build()
        .await?;
    Ok(Box::new(Through(cache, Handle::current())))
}

impl Inserts for Through {
    fn insert(&self, id: u64) {
        let load = || async move { Ok::<_, Infallible>(Row::number(id)) };
        at_once(&self.1, self.0.get_or_load(&id, load)).expect("the load does not fail");
    }
}

/// How long after an invalidation a copy may be served at most, whatever is lost.
pub(crate) const BOUND: Duration = Duration::from_secs(1);
