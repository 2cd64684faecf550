//! The peers, a file each, as a user would take them for a typed value with a TTL. Adding one is a file and its lines in the
//! tables below.

mod amalgam;
mod by_hand;
mod cachet;
mod larder;
mod moka;
mod multi_tier;
mod papaya;
mod quick_cache;

use larder_base::CacheKey;
use larder_store::Store;

pub(crate) use larder::BOUND;

use crate::{
    lab::near::{Larder, Subject},
    node::{Answer, Full, Peer, Text},
    row::Inserts,
};

/// Those that work over Redis.
pub(crate) const PEERS: &[Peer] = &[
    larder::PEER,
    moka::PEER,
    cachet::PEER,
    multi_tier::PEER,
    amalgam::PEER,
    amalgam::STRICT,
];

/// Near tiers that hold every key; the first is the yardstick, the last the floor. What has a word between processes has
/// it switched on, over the Redis at `url`.
pub(crate) async fn near<K>(url: &str, namespace: &str, keys: &[K]) -> anyhow::Result<Vec<Box<dyn Subject<K>>>>
where
    K: CacheKey + Text,
{
    let (redis, embedded) = (Store::open(url).await?, Store::open("embedded:").await?);
    Ok(vec![
        Box::new(quick_cache::Near::filled(keys)),
        Box::new(Larder::filled("larder Cache::get, redis-server, tracking", &redis, namespace, keys).await?),
        Box::new(Larder::filled("larder Cache::get, embedded", &embedded, namespace, keys).await?),
        Box::new(moka::Near::filled(keys).await),
        Box::new(cachet::Near::filled(keys).await?),
        Box::new(multi_tier::Near::filled(url, &format!("{namespace}-multi-tier"), keys).await?),
        Box::new(amalgam::Near::filled(url, &format!("{namespace}-amalgam"), keys).await?),
        Box::new(papaya::Near::filled(keys)),
    ])
}

/// A cache that keeps rows in process.
pub(crate) struct Holder {
    pub(crate) name: &'static str,
    /// One with room for so many rows, after so many others were put into it; the store is there for those that need one.
    pub(crate) full: fn(Store, Size) -> Answer<'static, Full>,
    /// Whether more rows than fit can be put into it in a sensible time.
    pub(crate) evicts: bool,
}

/// How much a holder is to hold, and to have seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) capacity: u64,
    pub(crate) inserts: u64,
}

/// The yardstick first.
pub(crate) const HOLDERS: &[Holder] = &[
    Holder {
        name: "quick_cache 0.7, deadline",
        full: |_, size| Box::pin(quick_cache::full(size)),
        evicts: true,
    },
    Holder {
        name: "larder, redis-server, tracking",
        full: |store, size| Box::pin(larder::full(store, size)),
        evicts: true,
    },
    Holder {
        name: "moka 0.12, TTL",
        full: |_, size| Box::pin(moka::full(size)),
        evicts: true,
    },
    Holder {
        name: "cachet 0.16, memory tier",
        full: |_, size| Box::pin(cachet::full(size)),
        evicts: true,
    },
    Holder {
        name: "multi-tier-cache 0.6, JSON",
        full: |_, size| Box::pin(multi_tier::full(size)),
        evicts: true,
    },
    Holder {
        name: "amalgam-cache 0.4, memory",
        full: |_, size| Box::pin(amalgam::full(size)),
        evicts: false,
    },
    Holder {
        name: "papaya 0.2, bare map",
        full: |_, size| Box::pin(papaya::full(size)),
        evicts: false,
    },
];

/// Bounded caches in process with room for so many rows; the first is the yardstick.
pub(crate) async fn bounded(capacity: u64) -> anyhow::Result<Vec<(&'static str, Box<dyn Inserts>)>> {
    Ok(vec![
        ("quick_cache 0.7, coarse clock", quick_cache::bounded(capacity)),
        ("larder, near tier", larder::bounded(capacity)),
        ("larder, a miss on embedded:", larder::bounded_cache(capacity).await?),
        ("moka 0.12 future, TTL", moka::bounded(capacity)),
        ("cachet 0.16, memory tier", cachet::bounded(capacity)),
        ("amalgam-cache 0.4, memory", amalgam::bounded(capacity)?),
    ])
}
