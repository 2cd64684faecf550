//! Reads: hits, misses, what is remembered and what is not.

use std::io;

use larder_cache::{Freshness, Tier};
use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Rows, answers, build, cache, fails, near};

#[test]
fn a_loaded_value_is_a_hit_for_every_process() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (build(&t, |b| b.near(near(&t))).await, cache(&t).await);
        assert_eq!(*here.get_or_load(&1, || answers(7)).await.unwrap(), 7);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&7));
        assert_eq!(*there.get_or_load(&1, fails).await.unwrap(), 7);
        let found = here.lookup(&1).await.unwrap();
        let tier = if near(&t) > 0 { Tier::Near } else { Tier::Store };
        assert_eq!((found.tier(), found.freshness()), (tier, Freshness::Fresh));
        assert_eq!((here.stats().loads, there.stats().loads), (1, 0));
    });
}

#[test]
fn hits_go_the_fast_way_once_most_reads_hit() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.source(Rows::of(7))).await;
        for _ in 0..20 {
            assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
        }
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.store_hits), (1, 19));
        assert!((8..19).contains(&stats.fast_hits), "{stats:?}");
    });
}

#[test]
fn a_lookup_tells_where_the_answer_came_from_and_what_remains() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.source(Rows::of(7))).await;
        let first = cache.lookup(&1).await.unwrap();
        assert_eq!((first.tier(), first.freshness()), (Tier::Source, Freshness::Fresh));
        t.advance(5).await;
        let second = cache.lookup(&1).await.unwrap();
        assert_eq!((second.tier(), second.freshness()), (Tier::Store, Freshness::Fresh));
        assert!(
            second.remaining() <= t.units(LONG - 5) && second.remaining() > t.units(LONG / 2),
            "{second:?}"
        );
        assert!(second.age().unwrap() >= t.units(5), "{second:?}");
    });
}

#[test]
fn without_a_source_a_miss_is_none() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        assert_eq!(cache.lookup(&1).await.unwrap().freshness(), Freshness::Missing);
        assert!(!cache.contains(&1).await.unwrap());
        assert_eq!(cache.ttl(&1).await.unwrap(), None);
        assert_eq!(cache.stats().loads, 0);
    });
}

#[test]
fn contains_and_ttl_load_nothing() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone())).await;
        assert!(!cache.contains(&1).await.unwrap());
        cache.get(&1).await.unwrap();
        assert!(cache.contains(&1).await.unwrap());
        let ttl = cache.ttl(&1).await.unwrap().unwrap();
        assert!(ttl <= t.units(LONG) && ttl > t.units(LONG / 2), "{ttl:?}");
        assert_eq!(rows.loads(), 1);
    });
}

#[test]
fn that_there_is_none_is_remembered_for_its_own_time() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(0);
        let negative = async |units: u32| build(&t, |b| b.source(rows.clone()).negative_ttl(t.units(units))).await;
        let (cache, forgetful) = (negative(LONG).await, negative(10).await);
        assert!(cache.get(&1).await.unwrap().is_none());
        assert!(cache.lookup(&1).await.unwrap().is_negative());
        assert!(!cache.contains(&1).await.unwrap());
        assert!(cache.get_or_load(&1, fails).await.unwrap_err().is_absent());
        assert_eq!(rows.loads(), 1);
        assert!(forgetful.get(&2).await.unwrap().is_none());
        rows.set(7);
        t.advance(11).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        assert_eq!(forgetful.get(&2).await.unwrap().as_deref(), Some(&7));
    });
}

#[test]
fn an_insert_that_invalidates_ends_that_there_is_none() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(0);
        let cache = build(&t, |b| b.source(rows.clone())).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        rows.set(7);
        cache.invalidate(&1).await.unwrap();
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
    });
}

#[test]
fn a_failed_load_is_not_remembered_and_makes_nobody_wait() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        assert!(here.get_or_load(&1, fails).await.unwrap_err().is_load());
        assert_eq!(*there.get_or_load(&1, || answers(7)).await.unwrap(), 7);
        assert_eq!(there.stats().waits, 0);
    });
}

#[test]
fn a_loader_may_say_more_than_the_value() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.grace(t.units(LONG))).await;
        let load = |value: u64| {
            cache.get_or_load_with(&1, move |ctx| async move {
                assert!(ctx.previous().is_none());
                ctx.tag("team:7");
                ctx.ttl(std::time::Duration::from_secs(3600));
                Ok::<_, io::Error>(value)
            })
        };
        assert_eq!(load(7).await.unwrap().as_deref(), Some(&7));
        assert!(cache.ttl(&1).await.unwrap().unwrap() > t.units(LONG));
        cache.invalidate_tag("team:7").await.unwrap();
        assert_eq!(load(8).await.unwrap().as_deref(), Some(&8));
        let none = cache.get_or_load_with(&2, |_| async { Ok::<Option<u64>, io::Error>(None) });
        assert!(none.await.unwrap().is_none());
        assert!(cache.lookup(&2).await.unwrap().is_negative());
    });
}

#[test]
fn an_unmodified_value_becomes_fresh_again_without_being_sent() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.ttl(t.units(60)).grace(t.units(LONG))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(61).await;
        let kept = cache.get_or_load_with(&1, |ctx| async move {
            assert_eq!(ctx.previous().map(|value| **value), Some(7));
            Ok::<_, io::Error>(ctx.not_modified())
        });
        assert_eq!(kept.await.unwrap().as_deref(), Some(&7));
        assert!(cache.lookup(&1).await.unwrap().is_fresh());
        let nothing = cache.get_or_load_with(&2, |ctx| async move { Ok::<_, io::Error>(ctx.not_modified()) });
        assert!(nothing.await.unwrap_err().is_load());
    });
}

#[test]
fn keys_of_any_kind_are_found_again() {
    for_each_topology(async |t: Topology| {
        let store = t.another_store().await;
        let builder = larder_cache::Cache::<(String, u32), String>::builder("mixed");
        let cache = builder
            .store(&store)
            .near(near(&t))
            .ttl(t.units(LONG))
            .build()
            .await
            .unwrap();
        let long = "x".repeat(20_000);
        for (i, text) in ["", "a:b", "}{*?", "\r\n\0%", "ключ", &long].into_iter().enumerate() {
            let key = (text.to_owned(), i as u32);
            let value = format!("value {i}");
            cache
                .get_or_load(&key, async || Ok::<_, io::Error>(value.clone()))
                .await
                .unwrap();
            assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(&value), "{text:.10}");
            cache.invalidate(&key).await.unwrap();
            assert!(cache.get(&key).await.unwrap().is_none(), "{text:.10}");
        }
    });
}
