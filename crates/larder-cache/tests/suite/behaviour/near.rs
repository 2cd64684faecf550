//! The near tier: what it serves, and what makes it stop. On stores that vouch for it: the embedded engine.

use larder_cache::{Coherence, Tier};
use larder_testkit::{Kind, Topology, for_each_topology};

use super::subject::{Numbers, Rows, answers, build, fails};

/// Runs `test` where a near tier may listen.
#[allow(clippy::needless_pass_by_value, reason = "reads as the test's last argument")]
fn where_it_listens(test: impl AsyncFn(&Topology, &Numbers, &Numbers)) {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Embedded {
            return;
        }
        let (here, there) = (build(&t, |b| b.near(100)).await, build(&t, |b| b.near(100)).await);
        test(&t, &here, &there).await;
    });
}

async fn tier(cache: &Numbers, key: u64) -> Option<Tier> {
    let found = cache.lookup(&key).await.unwrap();
    found.value().map(|_| found.tier())
}

#[test]
fn a_store_hit_is_a_near_hit_from_then_on() {
    where_it_listens(async |_, here, there| {
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
        where_it_listens(async |t, here, there| {
            here.get_or_load(&1, || answers(7)).await.unwrap();
            there.get(&1).await.unwrap();
            assert_eq!(tier(there, 1).await, Some(Tier::Near), "{name}");
            change(t, here).await;
            for cache in [here, there] {
                assert_ne!(tier(cache, 1).await, Some(Tier::Near), "{name}");
            }
        });
    }
}

#[test]
fn a_copy_is_followed_by_pushes_again_after_the_own_write() {
    where_it_listens(async |_, here, there| {
        here.get_or_load(&1, || answers(7)).await.unwrap();
        there.put(&1, 8).await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&8));
        here.put(&1, 9).await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&9));
        assert_eq!(tier(here, 1).await, Some(Tier::Near));
        there.put(&1, 10).await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&10));
    });
}

#[test]
fn another_tag_makes_a_copy_doubtful_and_the_store_confirms_it() {
    where_it_listens(async |_, here, there| {
        here.put_with(&1, 7, |o| o.tag("mine")).await.unwrap();
        there.get(&1).await.unwrap();
        assert_eq!(tier(there, 1).await, Some(Tier::Near));
        here.invalidate_tag("other").await.unwrap();
        assert_eq!(tier(there, 1).await, Some(Tier::Store));
        assert_eq!(there.stats().revalidated, 1, "confirmed without being sent");
        assert_eq!(tier(there, 1).await, Some(Tier::Near));
        here.invalidate_tag("mine").await.unwrap();
        assert_eq!(tier(there, 1).await, None);
        assert_eq!(tier(here, 1).await, None);
    });
}

#[test]
fn a_copy_lives_as_long_as_its_ttl() {
    where_it_listens(async |t, here, _| {
        here.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(19).await;
        assert_eq!(tier(here, 1).await, Some(Tier::Near));
        t.advance(2).await;
        assert_eq!(tier(here, 1).await, None);
    });
}

#[test]
fn that_there_is_none_is_kept_near_too() {
    for_each_topology(async |t: Topology| {
        if t.kind() != Kind::Embedded {
            return;
        }
        let cache = build(&t, |b| b.near(100).source(Rows::of(0))).await;
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
        let max_staleness = t.units(10);
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
        t.advance(11).await;
        assert_eq!(tier(&there, 1).await, None);
    });
}
