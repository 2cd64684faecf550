//! A store that comes back as another run or another server, and has lost what it acknowledged last (theorem T4).

use larder_cache::{Cache, CacheBuilder, NewGeneration};
use larder_store::Store;
use larder_testkit::{RedisServer, eventually, naive::CacheAside};

use super::cut::{Cut, SOON, numbers};
use crate::behaviour::subject::{answers, fails};

async fn cache(
    cut: &Cut,
    policy: NewGeneration,
    settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
) -> Cache<u64, u64> {
    let settings = |b: CacheBuilder<u64, u64>| settings(b.on_new_generation(policy));
    cut.cache(settings).await
}

/// Stores 1 under keys 1 and 2, saves, invalidates key 1, and restarts from what was saved: key 1 is back.
async fn rolled_back(server: &mut RedisServer, cache: &Cache<u64, u64>) {
    for key in [1, 2] {
        cache.get_or_load(&key, || answers(1)).await.unwrap();
    }
    server.save();
    cache.invalidate(&1).await.unwrap();
    server.restart_from_save().await;
}

async fn repaired(cache: &Cache<u64, u64>) {
    eventually(SOON, async || cache.stats().generations == 1).await;
}

#[tokio::test]
async fn a_restart_from_a_snapshot_brings_back_what_was_deleted() {
    let mut server = RedisServer::start().await;
    let store = Store::open(&server.url()).await.unwrap();
    let cache = CacheAside::new(store.clone());
    cache.get("k", &[], async || 1).await.unwrap();
    server.save();
    cache.invalidate("k").await.unwrap();
    server.restart_from_save().await;
    eventually(SOON, async || store.ping().await.is_ok()).await;
    assert_eq!(cache.get("k", &[], async || 2).await.unwrap(), 1, "stale until its TTL");
}

#[tokio::test]
async fn replay_repeats_what_this_process_invalidated() {
    let mut server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let cache = cache(&cut, NewGeneration::Replay, |b| b.near(100)).await;
    rolled_back(&mut server, &cache).await;
    repaired(&cache).await;
    assert_eq!(*cache.get_or_load(&1, || answers(2)).await.unwrap(), 2);
    assert_eq!(*cache.get_or_load(&2, fails).await.unwrap(), 1, "and nothing else");
}

#[tokio::test]
async fn fence_drops_everything_even_what_a_dead_writer_invalidated() {
    let mut server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let cache = cache(&cut, NewGeneration::Fence, |b| b.near(100)).await;
    for key in [1, 2] {
        cache.get_or_load(&key, || answers(1)).await.unwrap();
    }
    server.save();
    {
        let dead = numbers(&Store::open(&server.url()).await.unwrap());
        let dead = dead.on_new_generation(NewGeneration::Fence).build().await.unwrap();
        dead.invalidate(&1).await.unwrap();
    }
    server.restart_from_save().await;
    repaired(&cache).await;
    for key in [1, 2] {
        assert_eq!(*cache.get_or_load(&key, || answers(2)).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_tag_and_a_clear_are_repeated_too() {
    for clear in [false, true] {
        let mut server = RedisServer::start().await;
        let cut = Cut::of_port(server.port()).await;
        let cache = cache(&cut, NewGeneration::Replay, |b| b).await;
        let load = |ctx: larder_cache::LoadContext<u64>| async move {
            ctx.tag("team");
            answers(1).await
        };
        cache.get_or_load_with(&1, load).await.unwrap();
        server.save();
        if clear {
            cache.clear().await.unwrap();
        } else {
            cache.invalidate_tag("team").await.unwrap();
        }
        server.restart_from_save().await;
        repaired(&cache).await;
        assert!(cache.get(&1).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_store_that_is_back_as_it_was_is_not_repaired() {
    let server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let cache = cache(&cut, NewGeneration::Fence, |b| b).await;
    cache.get_or_load(&1, || answers(1)).await.unwrap();
    cut.down();
    eventually(SOON, async || cut.store.ping().await.is_err()).await;
    cut.up();
    eventually(SOON, async || cut.store.ping().await.is_ok()).await;
    assert_eq!(*cache.get_or_load(&1, fails).await.unwrap(), 1);
    assert_eq!(cache.stats().generations, 0);
}
