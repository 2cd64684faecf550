//! multi-tier-cache: moka and Redis with invalidation over pub/sub, typed reads.

use std::{hint::black_box, sync::Arc};

use larder_base::CacheKey;
use multi_tier_cache::{
    Bytes, CacheBackend as _, CacheManager, CacheStrategy, CacheTier, InvalidationConfig, L1Cache, L2Cache,
    MokaCacheConfig,
};
use tokio::runtime::Handle;

use super::Size;
use crate::{
    lab::{
        near::{KEYS, Subject, TTL, at_once},
        user::User,
    },
    node::{Answer, Full, Load, Node, Peer, Place, Text},
    row::Row,
};

pub(crate) const PEER: Peer = Peer {
    name: "multi-tier-cache 0.6",
    setup: "new_with_invalidation, get_or_compute_typed, invalidate",
    join: |place| Box::pin(join(place)),
};

struct Service {
    cache: CacheManager,
    namespace: String,
}

fn memory(capacity: u64) -> anyhow::Result<L1Cache> {
    Ok(L1Cache::new(MokaCacheConfig {
        max_capacity: capacity,
        time_to_live: TTL,
        time_to_idle: TTL,
    })?)
}

async fn manager(place: &Place) -> anyhow::Result<CacheManager> {
    let redis = Arc::new(L2Cache::with_url(&place.redis).await?);
    if place.near == 0 {
        return Ok(CacheManager::new_with_tiers(
            vec![CacheTier::new(redis, 1, false, 1, 1.0)],
            None,
        )?);
    }
    let config = InvalidationConfig {
        channel: format!("{}:invalidate", place.namespace),
        ..InvalidationConfig::default()
    };
    let memory = Arc::new(memory(place.near)?);
    Ok(CacheManager::new_with_invalidation(memory, redis, &place.messages, config).await?)
}

async fn join(place: Place) -> anyhow::Result<Box<dyn Node>> {
    Ok(Box::new(Service {
        cache: manager(&place).await?,
        namespace: place.namespace,
    }))
}

impl Service {
    fn key(&self, id: u64) -> String {
        format!("{}:{id}", self.namespace)
    }
}

impl Node for Service {
    fn read(&self, id: u64, load: Load) -> Answer<'_, Arc<User>> {
        Box::pin(async move {
            let load = || async move { Ok(load().await) };
            let key = self.key(id);
            let read = self.cache.get_or_compute_typed(&key, CacheStrategy::Custom(TTL), load);
            Ok(Arc::new(read.await?))
        })
    }

    fn invalidate(&self, id: u64) -> Answer<'_, ()> {
        Box::pin(async move { Ok(self.cache.invalidate(&self.key(id)).await?) })
    }
}

pub(crate) struct Near(CacheManager, Handle);

impl Near {
    pub(crate) async fn filled<K: Text>(redis: &str, namespace: &str, keys: &[K]) -> anyhow::Result<Self> {
        let cache = manager(&Place::new(redis, namespace, 2 * KEYS)).await?;
        for (id, key) in keys.iter().enumerate() {
            let json = serde_json::to_vec(&User::number(id as u64))?;
            cache
                .set_with_strategy(&key.text(), Bytes::from(json), CacheStrategy::Custom(TTL))
                .await?;
        }
        Ok(Self(cache, Handle::current()))
    }
}

impl<K: CacheKey + Text> Subject<K> for Near {
    fn name(&self) -> String {
        "multi-tier-cache 0.6, invalidation".to_owned()
    }

    fn read(&self, keys: &[K], order: &[u32]) -> usize {
        at_once(&self.1, async {
            let mut found = 0;
            for &i in order {
                let user = self.0.get_typed::<User>(&keys[i as usize].text()).await;
                found += usize::from(black_box(user.ok().flatten()).is_some());
            }
            found
        })
    }
}

pub(crate) async fn full(size: Size) -> anyhow::Result<Full> {
    let cache = memory(size.capacity)?;
    for id in 0..size.inserts {
        let json = serde_json::to_vec(&Row::number(id))?;
        cache.set_with_ttl(&id.text(), Bytes::from(json), TTL).await?;
    }
    Ok(Box::new(cache))
}
