//! Invalidations by key, tag, pattern and as a whole; soft expiry.

use std::{io, time::Duration};

use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Numbers, answers, build, cache, fails, near};

async fn tagged(cache: &Numbers, key: u64, tag: &'static str) {
    let load = |ctx: larder_cache::LoadContext<u64>| async move {
        ctx.tag(tag);
        Ok::<_, io::Error>(key)
    };
    cache.get_or_load_with(&key, load).await.unwrap();
}

#[test]
fn an_invalidated_value_is_loaded_again_everywhere() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (
            build(&t, |b| b.near(near(&t))).await,
            build(&t, |b| b.near(near(&t))).await,
        );
        here.get_or_load(&1, || answers(7)).await.unwrap();
        there.get_or_load(&1, fails).await.unwrap();
        here.invalidate(&1).await.unwrap();
        assert!(here.get(&1).await.unwrap().is_none());
        assert_eq!(*there.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        assert_eq!(*here.get_or_load(&1, fails).await.unwrap(), 8);
    });
}

#[test]
fn a_value_loaded_before_an_invalidation_is_not_kept() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (build(&t, |b| b.near(near(&t))).await, cache(&t).await);
        let old = here.get_or_load(&1, async || {
            there.invalidate(&1).await.unwrap();
            answers(7).await
        });
        assert_eq!(*old.await.unwrap(), 7, "who asked before may have it");
        assert!(here.get(&1).await.unwrap().is_none());
        assert!(there.get(&1).await.unwrap().is_none());
        assert_eq!(here.stats().fills_gone, 1);
    });
}

#[test]
fn an_invalidation_ends_grace() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.ttl(t.units(10)).grace(t.units(LONG)).near(near(&t))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(11).await;
        cache.invalidate(&1).await.unwrap();
        assert!(cache.get_or_load(&1, fails).await.unwrap_err().is_load());
    });
}

#[test]
fn many_keys_are_invalidated_at_once() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(near(&t))).await;
        let keys: Vec<u64> = (0..1_200).collect();
        cache.put_many(keys.iter().map(|key| (*key, *key))).await.unwrap();
        assert_eq!(cache.get_many(&keys).await.len(), 1_200);
        cache.invalidate_many(&keys[..1_100]).await.unwrap();
        assert_eq!(cache.get_many(&keys).await.len(), 100);
        assert_eq!(cache.stats().invalidations, 1_100);
    });
}

#[test]
fn a_tag_takes_along_what_has_it_and_nothing_else() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (
            build(&t, |b| b.near(near(&t))).await,
            build(&t, |b| b.near(near(&t))).await,
        );
        for key in 0..20 {
            tagged(&here, key, if key % 2 == 0 { "even" } else { "odd" }).await;
        }
        let keys: Vec<u64> = (0..20).collect();
        assert_eq!(there.get_many(&keys).await.len(), 20);
        here.invalidate_tag("even").await.unwrap();
        for cache in [&here, &there] {
            let left = cache.get_many(&keys).await;
            assert_eq!(left.len(), 10);
            assert!(left.iter().all(|(key, _)| key % 2 == 1));
        }
        here.invalidate_tags(["even", "odd"]).await.unwrap();
        assert!(there.get_many(&keys).await.is_empty());
    });
}

#[test]
fn a_tag_learned_during_the_load_stops_its_fill() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (build(&t, |b| b.near(near(&t))).await, cache(&t).await);
        let load = |ctx: larder_cache::LoadContext<u64>| {
            let there = &there;
            async move {
                there.invalidate_tag("team").await.unwrap();
                ctx.tag("team");
                Ok::<_, io::Error>(7)
            }
        };
        assert_eq!(here.get_or_load_with(&1, load).await.unwrap().as_deref(), Some(&7));
        assert!(here.get(&1).await.unwrap().is_none());
        assert_eq!(here.stats().fills_tag, 1);
    });
}

#[test]
fn tags_are_found_in_the_value() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.tags(|value: &u64| [format!("last:{}", value % 10)])).await;
        cache.put(&1, 17).await.unwrap();
        cache.get_or_load(&2, || answers(27)).await.unwrap();
        cache.get_or_load(&3, || answers(28)).await.unwrap();
        cache.invalidate_tag("last:7").await.unwrap();
        let left = cache.get_many(&[1, 2, 3]).await;
        assert_eq!(left.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [3]);
    });
}

#[test]
fn tags_beyond_the_limits_are_refused() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b).await;
        let put = |tag: String| cache.put_with(&1, 7, |o| o.tag(tag));
        assert!(put(String::new()).await.is_err());
        assert!(put("x".repeat(256)).await.is_err());
        assert!(put("x".repeat(255)).await.is_ok());
        let many = cache
            .put_with(&1, 7, |o| (0..65).fold(o, |o, i| o.tag(i.to_string())))
            .await;
        assert!(many.unwrap_err().to_string().contains("64"));
        assert!(cache.invalidate_tag("").await.unwrap_err().is_config());
    });
}

#[test]
fn clear_takes_everything_also_what_is_being_loaded() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (
            build(&t, |b| b.near(near(&t))).await,
            build(&t, |b| b.near(near(&t))).await,
        );
        let keys: Vec<u64> = (0..50).collect();
        here.put_many(keys.iter().map(|key| (*key, *key))).await.unwrap();
        assert_eq!(there.get_many(&keys).await.len(), 50);
        let loading = here.get_or_load(&100, async || {
            there.clear().await.unwrap();
            answers(7).await
        });
        loading.await.unwrap();
        for cache in [&here, &there] {
            assert!(cache.get_many(&keys).await.is_empty());
            assert!(cache.get(&100).await.unwrap().is_none());
        }
        assert_eq!(here.stats().fills_cleared, 1);
        assert_eq!(*here.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn a_pattern_takes_matching_keys() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (
            build(&t, |b| b.near(near(&t))).await,
            build(&t, |b| b.near(near(&t))).await,
        );
        let keys: Vec<u64> = (0..100).collect();
        here.put_many(keys.iter().map(|key| (*key, *key))).await.unwrap();
        assert_eq!(there.get_many(&keys).await.len(), 100);
        assert_eq!(here.invalidate_matching("4*").await.unwrap(), 11);
        for cache in [&here, &there] {
            let left = cache.get_many(&keys).await;
            assert_eq!(left.len(), 89);
            assert!(left.iter().all(|(key, _)| !key.to_string().starts_with('4')));
        }
    });
}

#[test]
fn a_soft_expired_value_serves_only_if_the_load_fails() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(near(&t)).retry_after(Duration::ZERO)).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        cache.mark_stale(&1).await.unwrap();
        assert!(
            cache.get(&1).await.unwrap().is_none(),
            "nobody loaded, so nothing failed"
        );
        let found = cache.lookup_or_load(&1, fails).await.unwrap();
        assert!(found.is_stale() && found.value().is_some_and(|value| **value == 7));
        assert_eq!(*cache.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        assert!(cache.lookup(&1).await.unwrap().is_fresh());
    });
}
