//! Puts, counters, touch.

use std::io;

use larder_cache::{Delivery, Freshness};
use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Rows, answers, build, cache, fails, meanwhile, near};

#[test]
fn the_last_put_wins_everywhere() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (
            build(&t, |b| b.near(near(&t))).await,
            build(&t, |b| b.near(near(&t))).await,
        );
        assert_eq!(here.put(&1, 7).await.unwrap().invalidation(), Delivery::Acknowledged);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&7));
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&7));
        there.put(&1, 8).await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&8));
        here.remove(&1).await.unwrap();
        assert!(there.get(&1).await.unwrap().is_none());
    });
}

#[test]
fn a_put_may_have_a_ttl_of_its_own() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(near(&t))).await;
        cache.put_with(&1, 7, |o| o.ttl(t.units(5)).tag("short")).await.unwrap();
        cache.put(&2, 8).await.unwrap();
        t.advance(6).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        assert!(cache.get(&2).await.unwrap().is_some());
    });
}

#[test]
fn a_put_beats_a_load_that_began_before_it() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (build(&t, |b| b.near(near(&t))).await, cache(&t).await);
        let load = here.get_or_load(&1, async || {
            there.put(&1, 8).await.unwrap();
            answers(7).await
        });
        load.await.unwrap();
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn with_a_source_a_put_is_refused_naming_what_to_call() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.source(Rows::of(7))).await;
        let refusals = [
            cache.put(&1, 7).await.unwrap_err(),
            cache.put_if_absent(&1, 7).await.unwrap_err(),
            cache.put_many([(1, 7)]).await.unwrap_err(),
            cache.remove(&1).await.unwrap_err(),
        ];
        for error in refusals {
            assert!(error.is_config() && error.to_string().contains("invalidate"), "{error}");
        }
    });
}

#[test]
fn one_of_many_puts_if_absent_stores() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        let puts = (0..20).map(|i| {
            if i % 2 == 0 {
                here.put_if_absent(&1, i)
            } else {
                there.put_if_absent(&1, i)
            }
        });
        let stored: Vec<bool> = meanwhile(&t, futures_util::future::join_all(puts))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(stored.iter().filter(|stored| **stored).count(), 1);
        let winner = stored.iter().position(|stored| *stored).unwrap() as u64;
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&winner));
    });
}

#[test]
fn that_there_is_none_does_not_keep_a_put_if_absent_out() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        cache
            .get_or_load_with(&1, |_| async { Ok::<Option<u64>, io::Error>(None) })
            .await
            .unwrap();
        assert!(cache.put_if_absent(&1, 7).await.unwrap());
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
        assert!(!cache.put_if_absent(&1, 8).await.unwrap());
    });
}

#[test]
fn touch_gives_a_new_ttl_to_what_is_cached() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(near(&t))).await;
        assert!(!cache.touch(&1, t.units(LONG)).await.unwrap());
        cache.put_with(&1, 7, |o| o.ttl(t.units(40))).await.unwrap();
        assert!(cache.touch(&1, t.units(LONG)).await.unwrap());
        t.advance(41).await;
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
        assert_eq!(
            *cache.get_or_load(&2, || answers(8)).await.unwrap(),
            8,
            "nor does it leave a lease behind"
        );
    });
}

#[test]
fn counters_lose_no_step_and_expire() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        let (here, there) = (&here, &there);
        let steps = (0..100).map(async |i| {
            if i % 2 == 0 {
                here.incr(&1, 2).await
            } else {
                there.decr(&1, 1).await
            }
        });
        for step in futures_util::future::join_all(steps).await {
            step.unwrap();
        }
        assert_eq!(there.counter(&1).await.unwrap(), Some(50));
        let short = build(&t, |b| b.ttl(t.units(20))).await;
        short.incr(&2, 1).await.unwrap();
        t.advance(10).await;
        short.incr(&2, 1).await.unwrap();
        t.advance(11).await;
        assert_eq!(
            short.counter(&2).await.unwrap(),
            None,
            "a counter lives for the TTL from its first step"
        );
        assert_eq!(here.incr(&2, 5).await.unwrap(), 5);
        assert!(here.reset_counter(&1).await.unwrap());
        assert!(!here.reset_counter(&1).await.unwrap());
    });
}

#[test]
fn a_counter_is_exact_to_its_ends_and_says_when_it_would_leave_them() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        assert_eq!(cache.incr(&1, i64::MAX).await.unwrap(), i64::MAX);
        assert!(cache.incr(&1, 1).await.is_err());
        assert_eq!(cache.counter(&1).await.unwrap(), Some(i64::MAX));
        assert_eq!(cache.incr(&2, i64::MIN).await.unwrap(), i64::MIN);
        assert!(cache.decr(&1, i64::MIN).await.unwrap_err().is_config());
    });
}

#[test]
fn counters_are_apart_from_cached_values() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        cache.incr(&1, 5).await.unwrap();
        assert_eq!(cache.lookup(&1).await.unwrap().freshness(), Freshness::Missing);
        cache.put(&1, 7).await.unwrap();
        cache.invalidate(&1).await.unwrap();
        assert_eq!(cache.counter(&1).await.unwrap(), Some(5));
        let shown = t.wire().call(&["KEYS", "n:{n.*}:c:*"]).unwrap();
        assert!(
            matches!(shown, larder_testkit::Answer::List(ref keys) if keys.len() == 1),
            "{shown:?}"
        );
        assert_eq!(*cache.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        assert!(cache.get_or_load(&2, fails).await.is_err());
    });
}
