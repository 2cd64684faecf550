//! The near tier: what it serves, and what makes it stop. On the embedded engine at once, on a server soon.

use std::time::Duration;

use larder_cache::{Cache, Coherence, OnStoreDown, Tier};
use larder_store::Store;
use larder_testkit::{Kind, RedisServer, Topology, eventually, for_each_topology};

use super::subject::{Numbers, Rows, answers, build, fails};

/// Longer than any push takes, even on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Runs `test` with the near tiers of two processes, whose copies live long, and are vouched for however late a proof is.
#[allow(clippy::needless_pass_by_value, reason = "reads as the test's last argument")]
fn with_two(test: impl AsyncFn(&Topology, &Numbers, &Numbers)) {
    for_each_topology(async |t: Topology| {
        let near = || build(&t, |b| b.near(100).ttl(t.units(10_000)).max_staleness(SOON));
        let (here, there) = (near().await, near().await);
        test(&t, &here, &there).await;
    });
}

/// Waits until `cache` does not answer from its own copy any more: at once where the store is embedded.
async fn is_dropped(t: &Topology, cache: &Numbers, key: u64, why: &str) {
    if t.kind() == Kind::Embedded {
        assert_ne!(tier(cache, key).await, Some(Tier::Near), "{why}");
    } else {
        eventually(SOON, async || tier(cache, key).await != Some(Tier::Near)).await;
    }
}

async fn tier(cache: &Numbers, key: u64) -> Option<Tier> {
    let found = cache.lookup(&key).await.unwrap();
    found.value().map(|_| found.tier())
}

#[test]
fn a_store_hit_is_a_near_hit_from_then_on() {
    with_two(async |_, here, there| {
        here.get_or_load(&1, || answers(7)).await.unwrap();
        assert_eq!(tier(here, 1).await, Some(Tier::Near), "the loader's own copy");
        assert_eq!(tier(there, 1).await, Some(Tier::Store));
        assert_eq!(tier(there, 1).await, Some(Tier::Near));
        let stats = there.stats();
        assert_eq!((stats.near_hits, stats.near_misses, stats.near_entries), (1, 1, 1));
    });
}

#[test]
fn whatever_changes_a_key_drops_its_near_copies() {
    type Change = for<'a> fn(&'a Topology, &'a Numbers) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    let changes: [(&str, Change); 7] = [
        ("invalidate", |_, other| {
            Box::pin(async { other.invalidate(&1).await.unwrap() })
        }),
        ("put", |_, other| {
            Box::pin(async { other.put(&1, 8).await.map(drop).unwrap() })
        }),
        ("hold", |_, other| {
            Box::pin(async { drop(other.hold(&1).await.unwrap()) })
        }),
        ("mark_stale", |_, other| {
            Box::pin(async { other.mark_stale(&1).await.unwrap() })
        }),
        ("clear", |_, other| Box::pin(async { other.clear().await.unwrap() })),
        ("FLUSHALL", |t, _| {
            Box::pin(async { _ = t.wire().call(&["FLUSHALL"]).unwrap() })
        }),
        ("pattern", |_, other| {
            Box::pin(async { _ = other.invalidate_matching("1").await.unwrap() })
        }),
    ];
    for (name, change) in changes {
        with_two(async |t, here, there| {
            here.get_or_load(&1, || answers(7)).await.unwrap();
            there.get(&1).await.unwrap();
            assert_eq!(tier(there, 1).await, Some(Tier::Near), "{name}");
            change(t, here).await;
            if name == "FLUSHALL" {
                is_dropped(t, here, 1, name).await;
            } else {
                let found = tier(here, 1).await;
                assert_ne!(found, Some(Tier::Near), "{name}: the own process sees it at once");
            }
            is_dropped(t, there, 1, name).await;
        });
    }
}

#[test]
fn a_copy_is_followed_by_pushes_again_after_the_own_write() {
    with_two(async |t, here, there| {
        here.get_or_load(&1, || answers(7)).await.unwrap();
        there.put(&1, 8).await.unwrap();
        is_dropped(t, here, 1, "their put").await;
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&8));
        here.put(&1, 9).await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&9));
        assert_eq!(tier(here, 1).await, Some(Tier::Near));
        there.put(&1, 10).await.unwrap();
        is_dropped(t, here, 1, "their put after ours").await;
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&10));
    });
}

#[test]
fn another_tag_makes_a_copy_doubtful_and_the_store_confirms_it() {
    with_two(async |t, here, there| {
        here.put_with(&1, 7, |o| o.tag("mine")).await.unwrap();
        there.get(&1).await.unwrap();
        assert_eq!(tier(there, 1).await, Some(Tier::Near));
        here.invalidate_tag("other").await.unwrap();
        eventually(SOON, async || {
            there.get(&1).await.unwrap();
            there.stats().revalidated > 0
        })
        .await;
        eventually(SOON, async || tier(there, 1).await == Some(Tier::Near)).await;
        assert_eq!(there.stats().store_misses, 0, "confirmed without being sent");
        here.invalidate_tag("mine").await.unwrap();
        assert_eq!(tier(here, 1).await, None, "the own process sees it at once");
        is_dropped(t, there, 1, "its own tag").await;
        assert_eq!(tier(there, 1).await, None);
    });
}

#[test]
fn a_tag_leaves_untagged_copies_alone() {
    with_two(async |_, here, there| {
        here.put(&1, 7).await.unwrap();
        // From the first one on a process knows what it compares with.
        for tag in ["a", "b"] {
            there.get(&1).await.unwrap();
            here.invalidate_tag(tag).await.unwrap();
            eventually(SOON, async || tier(there, 1).await == Some(Tier::Near)).await;
        }
        let asked = there.stats().store_hits;
        for tag in ["c", "d"] {
            here.invalidate_tag(tag).await.unwrap();
            eventually(SOON, async || tier(there, 1).await == Some(Tier::Near)).await;
        }
        // At most one question for each, while M was being read.
        assert!(there.stats().store_hits <= asked + 2, "{:?}", there.stats());
    });
}

#[test]
fn a_copy_lives_as_long_as_its_ttl() {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Embedded {
            return;
        }
        let here = build(&t, |b| b.near(100).ttl(t.units(20))).await;
        here.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(19).await;
        assert_eq!(tier(&here, 1).await, Some(Tier::Near));
        t.advance(2).await;
        assert_eq!(tier(&here, 1).await, None);
    });
}

#[test]
fn a_server_that_stands_still_ends_near_hits_within_the_bound() {
    for_each_topology(async |t: Topology| {
        let Some(redis) = t.redis() else { return };
        let cache = build(&t, |b| {
            b.near(100)
                .ttl(t.units(10_000))
                .max_staleness(Duration::from_millis(200))
                .on_store_down(OnStoreDown::Fail)
        })
        .await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        eventually(SOON, async || tier(&cache, 1).await == Some(Tier::Near)).await;
        let hits = cache.stats().near_hits;
        redis.pause();
        // Longer than the bound: an answer from before the pause may still be on its way.
        eventually(SOON, async || {
            cache
                .stats()
                .unproven_for
                .is_none_or(|unproven| unproven > Duration::from_secs(2))
        })
        .await;
        assert_eq!(cache.stats().near_hits, hits);
        let asked = tokio::time::timeout(Duration::from_millis(1), cache.lookup(&1)).await;
        assert!(asked.is_err(), "no near hit, so that it waits for the store: {asked:?}");
        redis.resume();
        eventually(SOON, async || tier(&cache, 1).await == Some(Tier::Near)).await;
    });
}

#[test]
fn that_there_is_none_is_kept_near_too() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| {
            b.near(100)
                .max_staleness(SOON)
                .negative_ttl(t.units(1_000))
                .source(Rows::of(0))
        })
        .await;
        assert!(cache.get(&1).await.unwrap().is_none());
        let found = cache.lookup(&1).await.unwrap();
        assert!(found.is_negative() && found.tier() == Tier::Near, "{found:?}");
    });
}

#[test]
fn without_a_listener_a_copy_is_no_older_than_declared() {
    for_each_topology(async |t: Topology| {
        if t.kind() == Kind::Embedded {
            return;
        }
        let max_staleness = t.units(40);
        let near = Coherence::TtlOnly { max_staleness };
        let (here, there) = (
            build(&t, |b| b.near(100).coherence(near)).await,
            build(&t, |b| b.near(100).coherence(near)).await,
        );
        here.get_or_load(&1, || answers(7)).await.unwrap();
        there.get_or_load(&1, fails).await.unwrap();
        let copy = there.lookup(&1).await.unwrap();
        assert_eq!(
            (copy.tier(), copy.age()),
            (Tier::Near, None),
            "its time is not its value's"
        );
        here.invalidate(&1).await.unwrap();
        assert_eq!(tier(&here, 1).await, None, "the own process sees it at once");
        t.advance(41).await;
        assert_eq!(tier(&there, 1).await, None);
    });
}

#[tokio::test]
async fn a_cache_is_built_while_its_server_is_down_and_serves_near_copies_once_it_is_up() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    server.kill();
    let store = Store::lazy(&url).unwrap();
    let cache: Numbers = Cache::builder("n")
        .store(&store)
        .near(100)
        .ttl(Duration::from_secs(600))
        .build()
        .await
        .unwrap();
    assert_eq!(
        *cache.get_or_load(&1, || answers(7)).await.unwrap(),
        7,
        "past the store"
    );
    server.restart_empty().await;
    eventually(SOON, async || {
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        tier(&cache, 1).await == Some(Tier::Near)
    })
    .await;
}
