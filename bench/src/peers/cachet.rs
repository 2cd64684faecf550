//! cachet: its memory tier in front of a Redis tier by hand, as its documentation shows custom tiers.
//!
//! It has no word between processes. So that it is not measured without one, invalidations travel over pub/sub by hand and
//! arrive as `Cache::invalidate`, the only call that drops a memory copy.

use std::{hint::black_box, sync::Arc};

use cachet::{Cache, CacheEntry, CacheTier, Error, InsertOutcome};
use larder_base::{CacheKey, Tasks};
use tick::Clock;
use tokio::runtime::Handle;

use super::{
    Size,
    by_hand::{Rows, follow},
};
use crate::{
    lab::{
        near::{KEYS, Subject, TTL, at_once},
        user::User,
    },
    node::{Answer, Full, Load, Node, Peer, Place},
    row::{Inserts, Row},
};

pub(crate) const PEER: Peer = Peer {
    name: "cachet 0.16",
    setup: "memory tier, Redis tier and pub/sub by hand, stampede protection",
    join: |place| Box::pin(join(place)),
};

struct Tier(Rows);

fn failed(error: anyhow::Error) -> Error {
    Error::from_message(format!("{error:#}"))
}

impl CacheTier<u64, Arc<User>> for Tier {
    async fn get(&self, id: &u64) -> Result<Option<CacheEntry<Arc<User>>>, Error> {
        let found = self.0.get(*id).await.map_err(failed)?;
        Ok(found.map(|user| CacheEntry::new(Arc::new(user))))
    }

    async fn insert(&self, id: u64, entry: CacheEntry<Arc<User>>) -> Result<InsertOutcome, Error> {
        self.0.put(id, entry.value()).await.map_err(failed)?;
        Ok(InsertOutcome::Accepted)
    }

    async fn invalidate(&self, id: &u64) -> Result<(), Error> {
        self.0.remove(*id).await.map_err(failed)
    }

    async fn clear(&self) -> Result<(), Error> {
        Err(Error::from_message("nobody clears it"))
    }
}

struct Service {
    cache: Arc<Cache<u64, Arc<User>>>,
    rows: Rows,
    _tasks: Tasks,
}

async fn join(place: Place) -> anyhow::Result<Box<dyn Node>> {
    let rows = Rows::connect(&place.redis, &place.namespace).await?;
    let tasks = Tasks::new();
    let clock = Clock::new_tokio();
    // No TTL for cachet to judge: Redis keeps it.
    let redis = Cache::builder::<u64, Arc<User>>(clock.clone()).storage(Tier(rows.clone()));
    let cache = if place.near == 0 {
        redis.stampede_protection().build()
    } else {
        Cache::builder::<u64, Arc<User>>(clock)
            .memory_with(|memory| memory.max_capacity(place.near))
            .ttl(TTL)
            .fallback(redis)
            .stampede_protection()
            .build()
    };
    let cache = Arc::new(cache);
    let copies = Arc::clone(&cache);
    let drop_copy = move |id| {
        let copies = Arc::clone(&copies);
        async move { _ = copies.invalidate(&id).await }
    };
    follow(&place.messages, &place.namespace, &tasks, drop_copy).await?;
    Ok(Box::new(Service {
        cache,
        rows,
        _tasks: tasks,
    }))
}

impl Node for Service {
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>> {
        Box::pin(async move {
            let entry = self
                .cache
                .get_or_insert(&id, || async move { Arc::new(load().await) })
                .await?;
            Ok(entry.into_value())
        })
    }

    fn invalidate(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            self.cache.invalidate(&id).await?;
            self.rows.publish(id).await
        })
    }
}

pub(crate) struct Near<K>(Cache<K, Arc<User>>, Handle);

impl<K: CacheKey> Near<K> {
    pub(crate) async fn filled(keys: &[K]) -> anyhow::Result<Self> {
        let cache = memory(2 * KEYS);
        for (id, key) in keys.iter().enumerate() {
            cache
                .insert(key.clone(), CacheEntry::new(Arc::new(User::number(id as u64))))
                .await?;
        }
        Ok(Self(cache, Handle::current()))
    }
}

impl<K: CacheKey> Subject<K> for Near<K> {
    fn name(&self) -> String {
        "cachet 0.16, memory tier".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        at_once(&self.1, async {
            let mut found = 0;
            for &i in order {
                let entry = self.0.get(&keys[i as usize]).await.unwrap_or_default();
                found += usize::from(black_box(entry.map(CacheEntry::into_value)).is_some());
            }
            found
        })
    }
}

/// The memory tier alone.
fn memory<K: CacheKey, V: Clone + Send + Sync + 'static>(capacity: u64) -> Cache<K, V> {
    Cache::builder::<K, V>(Clock::new_tokio())
        .memory_with(|memory| memory.max_capacity(capacity))
        .ttl(TTL)
        .build()
}

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let cache: Cache<u64, Arc<Row>> = memory(size.capacity);
    for id in 0..size.inserts {
        cache.insert(id, CacheEntry::new(Arc::new(Row::number(id)))).await?;
    }
    Ok(Box::new(cache))
}

struct Bounded(Cache<u64, Arc<Row>>, Handle);

pub(crate) fn bounded(capacity: u64) -> Box<dyn Inserts> {
    Box::new(Bounded(memory(capacity), Handle::current()))
}

impl Inserts for Bounded {
    fn insert(&self, id: u64) {
        let inserted = self.0.insert(id, CacheEntry::new(Arc::new(Row::number(id))));
        at_once(&self.1, inserted).expect("the memory tier takes it");
    }
}
