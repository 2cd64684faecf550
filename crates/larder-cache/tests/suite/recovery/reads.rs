//! What is read while the store is down, and how reads are as before when it is back.

use std::time::Duration;

use larder_cache::{Cache, CacheBuilder, Freshness, OnStoreDown, Tier};
use larder_testkit::{Kind, RedisServer, Topology, eventually, for_each_topology};

use super::cut::{Cut, SOON, settled, until};
use crate::behaviour::subject::{Rows, answers, meanwhile};

/// Reads key 1 as it is told by the store or the near tier, without a loader.
async fn stale(cache: &Cache<u64, u64>) -> bool {
    cache.lookup(&1).await.is_ok_and(|found| found.is_stale())
}

#[test]
fn a_bypass_shares_loads_and_bounds_them() {
    for_each_topology(async |t: Topology| {
        let (cut, rows) = (Cut::of(&t).await, Rows::of(7));
        let policy = OnStoreDown::Bypass { max_concurrency: 2 };
        let cache = cut.cache(|b| b.source(rows.clone()).on_store_down(policy)).await;
        cut.down();
        rows.close_gate();
        // Three callers for each of four keys.
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get(&(n % 4)).await })
            })
            .collect();
        until(&t, async || {
            let stats = cache.stats();
            stats.loads_running == 2 && stats.loads_waiting == 2
        })
        .await;
        assert_eq!(rows.loads(), 2, "two keys at a time, each once");
        rows.open_gate();
        let all = async {
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap().as_deref(), Some(&7));
            }
        };
        meanwhile(&t, all).await;
        cut.up();
        until(&t, async || {
            cache.get(&1).await.unwrap();
            cache.contains(&1).await.unwrap()
        })
        .await;
    });
}

#[test]
fn a_read_fails_where_that_is_chosen_unless_its_key_is_quarantined() {
    for_each_topology(async |t: Topology| {
        let (cut, rows) = (Cut::of(&t).await, Rows::of(7));
        let cache = cut
            .cache(|b| b.source(rows.clone()).on_store_down(OnStoreDown::Fail))
            .await;
        cut.down();
        assert!(meanwhile(&t, cache.get(&1)).await.unwrap_err().is_store_down());
        assert!(
            meanwhile(&t, cache.get_many(&[1]))
                .await
                .all()
                .unwrap_err()
                .is_store_down()
        );
        meanwhile(&t, cache.invalidate(&2)).await.unwrap_err();
        assert_eq!(
            cache.get(&2).await.unwrap().as_deref(),
            Some(&7),
            "it need not ask the store"
        );
        assert_eq!(rows.loads(), 1);
        cut.up();
        until(&t, async || cache.get(&1).await.is_ok()).await;
        settled(&t, &cache).await;
    });
}

#[test]
fn near_copies_serve_for_a_declared_time_and_never_what_was_invalidated() {
    for_each_topology(async |t: Topology| {
        if t.kind() == Kind::Embedded {
            return; // its stream cannot be lost: see below
        }
        let (cut, rows) = (Cut::of(&t).await, Rows::of(1));
        let policy = OnStoreDown::ServeNear {
            max_stale: Duration::from_secs(100),
        };
        let cache = cut.cache(|b| b.near(100).on_store_down(policy)).await;
        for key in [1, 2] {
            cache.get_or_load(&key, || answers(1)).await.unwrap();
        }
        cut.down();
        until(&t, async || stale(&cache).await).await;
        let found = cache.lookup(&1).await.unwrap();
        assert_eq!(
            (found.tier(), found.value().map(|value| **value)),
            (Tier::Near, Some(1))
        );
        let age = found.age().expect("it is known");
        assert!(
            age < Duration::from_secs(60),
            "within its TTL, just not vouched for: {age:?}"
        );
        assert!(cache.stats().near_stale > 0);

        rows.set(2);
        meanwhile(&t, cache.invalidate(&2)).await.unwrap_err();
        let loaded = cache.lookup_or_load(&2, || rows_value(&rows)).await.unwrap();
        assert_eq!(
            (loaded.tier(), loaded.value().map(|value| **value)),
            (Tier::Source, Some(2))
        );
        assert_eq!(cache.lookup(&2).await.unwrap().freshness(), Freshness::Missing);

        cut.up();
        settled(&t, &cache).await;
        until(&t, async || !stale(&cache).await).await;
        // Near copies serve again.
        until(&t, async || {
            cache.get(&1).await.unwrap();
            let hits = cache.stats().near_hits;
            cache.get(&1).await.unwrap();
            cache.stats().near_hits > hits
        })
        .await;
    });
}

async fn rows_value(rows: &Rows) -> Result<u64, std::io::Error> {
    Ok(rows.read(1).await?.expect("there is one"))
}

#[tokio::test]
async fn a_near_copy_past_its_ttl_is_served_no_longer_than_declared() {
    let t = Topology::start(Kind::Embedded).await;
    let cut = Cut::of(&t).await;
    let policy = OnStoreDown::ServeNear { max_stale: t.units(10) };
    // With grace the engine keeps the value: its own expiry would tell the near tier, which a server that is down does not.
    let settings = |b: CacheBuilder<u64, u64>| b.near(100).ttl(t.units(10)).grace(t.units(100));
    let cache = cut.cache(|b| settings(b).on_store_down(policy)).await;
    cache.get_or_load(&1, || answers(1)).await.unwrap();
    cut.down();
    t.advance(9).await;
    assert!(cache.lookup(&1).await.unwrap().is_fresh());
    t.advance(6).await;
    let found = cache.lookup(&1).await.unwrap();
    assert!(found.is_stale());
    assert_eq!(found.age(), Some(t.units(15)));
    t.advance(6).await;
    assert!(cache.lookup(&1).await.unwrap_err().is_store_down());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_as_before_after_a_server_was_stopped_killed_and_restarted() {
    let mut server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let rows = Rows::of(1);
    let cache = cut.cache(|b| b.near(100).source(rows.clone())).await;
    for round in 1..=4 {
        cache.get(&1).await.unwrap();
        rows.set(round + 1);
        if round % 2 == 0 {
            server.kill();
        } else {
            server.pause();
        }
        assert!(cache.invalidate(&1).await.unwrap_err().is_pending());
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&(round + 1)));
        if round % 2 == 0 {
            server.restart_empty().await;
        } else {
            server.resume();
        }
        eventually(SOON, async || {
            let (hits, value) = (cache.stats().near_hits, cache.get(&1).await.unwrap());
            assert_eq!(value.as_deref(), Some(&(round + 1)));
            cache.stats().pending == 0 && cache.stats().near_hits > hits
        })
        .await;
    }
}

/// Two readers would both load a cold store at full width at once; after an outage they begin where the bypass left off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_begin_slowly_after_an_outage() {
    let server = RedisServer::start().await;
    let cut = Cut::of_port(server.port()).await;
    let rows = Rows::of(1);
    let policy = OnStoreDown::Bypass { max_concurrency: 2 };
    let cache = cut
        .cache(|b| b.source(rows.clone()).on_store_down(policy).max_loads(64))
        .await;
    cache.get(&1_000).await.unwrap();
    cut.down();
    eventually(SOON, async || cut.store.ping().await.is_err()).await;
    cut.up();
    eventually(SOON, async || cut.store.ping().await.is_ok()).await;
    rows.close_gate();
    let calls: Vec<_> = (0..64)
        .map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(&key).await })
        })
        .collect();
    eventually(SOON, async || cache.stats().loads_waiting > 0).await;
    assert!(rows.loads() < 64, "not all at once");
    eventually(SOON, async || rows.loads() == 65).await;
    rows.open_gate();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[test]
fn a_cache_that_is_drained_waits_for_what_is_pending() {
    for_each_topology(async |t: Topology| {
        let cut = Cut::of(&t).await;
        let cache = cut.cache(|b| b).await;
        cut.down();
        meanwhile(&t, cache.invalidate(&1)).await.unwrap_err();
        let (drained, ()) = tokio::join!(meanwhile(&t, cache.drain(SOON * 10)), async {
            tokio::task::yield_now().await;
            cut.up();
        });
        assert!(drained.is_complete);
        assert_eq!(cache.stats().pending, 0);
    });
}
