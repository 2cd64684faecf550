//! Reads: hits, misses, sharing, expiry.

use std::io;

use larder_cache::{Freshness, Tier};

use super::topology::{Loads, for_each_topology};

async fn fails() -> Result<u64, io::Error> {
    Err(io::Error::other("the source is down"))
}

async fn answers(value: u64) -> Result<u64, io::Error> {
    Ok(value)
}

#[tokio::test]
async fn a_loaded_value_is_a_hit_for_every_process() {
    for_each_topology(async |t| {
        let (here, there) = (t.build(|b| b.near(t.near())).await, t.cache().await);
        assert_eq!(*here.get_or_load(&1, || answers(7)).await.unwrap(), 7);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&7));
        assert_eq!(*there.get_or_load(&1, fails).await.unwrap(), 7);
        let found = here.lookup(&1).await.unwrap();
        let tier = if t.near() > 0 { Tier::Near } else { Tier::Store };
        assert_eq!((found.tier(), found.freshness()), (tier, Freshness::Fresh));
        assert_eq!((here.stats().loads, there.stats().loads), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn an_invalidated_value_is_loaded_again_everywhere() {
    for_each_topology(async |t| {
        let (here, there) = (t.build(|b| b.near(t.near())).await, t.build(|b| b.near(t.near())).await);
        here.get_or_load(&1, || answers(7)).await.unwrap();
        there.get_or_load(&1, fails).await.unwrap();
        here.invalidate(&1).await.unwrap();
        assert!(here.get(&1).await.unwrap().is_none());
        assert_eq!(*there.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        assert_eq!(*here.get_or_load(&1, fails).await.unwrap(), 8);
    })
    .await;
}

#[tokio::test]
async fn a_value_loaded_before_an_invalidation_is_not_kept() {
    for_each_topology(async |t| {
        let (here, there) = (t.build(|b| b.near(t.near())).await, t.cache().await);
        let old = here.get_or_load(&1, async || {
            there.invalidate(&1).await.unwrap();
            answers(7).await
        });
        assert_eq!(*old.await.unwrap(), 7, "who asked before may have it");
        assert!(here.get(&1).await.unwrap().is_none());
        assert!(there.get(&1).await.unwrap().is_none());
        assert_eq!(here.stats().fills_gone, 1);
    })
    .await;
}

#[tokio::test]
async fn many_callers_of_one_missing_key_load_it_once() {
    for_each_topology(async |t| {
        let (here, loads) = (t.cache().await, Loads::default());
        let calls = (0..100).map(|_| {
            here.get_or_load(&1, async || {
                loads.one();
                tokio::task::yield_now().await;
                answers(7).await
            })
        });
        let values = futures_util::future::join_all(calls).await;
        assert!(values.into_iter().all(|value| *value.unwrap() == 7));
        assert_eq!(loads.count(), 1);
        assert_eq!(here.stats().shared, 99);
    })
    .await;
}

#[tokio::test]
async fn a_value_is_fresh_for_its_ttl_and_stale_for_its_grace() {
    for_each_topology(async |t| {
        let cache = t.build(|b| b.ttl(t.units(10)).grace(t.units(30)).near(t.near())).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        assert!(cache.lookup(&1).await.unwrap().is_fresh());
        t.advance(11).await;
        let found = cache.lookup_or_load(&1, fails).await.unwrap();
        assert!(found.is_stale(), "grace covers a failing source: {found:?}");
        t.advance(30).await;
        assert!(cache.get_or_load(&1, fails).await.unwrap_err().is_load());
    })
    .await;
}

#[tokio::test]
async fn a_failed_load_is_not_remembered() {
    for_each_topology(async |t| {
        let (here, there) = (t.cache().await, t.cache().await);
        assert!(here.get_or_load(&1, fails).await.unwrap_err().is_load());
        assert_eq!(
            *there.get_or_load(&1, || answers(7)).await.unwrap(),
            7,
            "nor does its lease make others wait"
        );
        assert_eq!(there.stats().waits, 0);
    })
    .await;
}
