//! TTL, grace, refresh-ahead.

use std::time::Duration;

use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Rows, answers, becomes, build, fails, near, passes};

#[test]
fn a_value_is_fresh_for_its_ttl_and_stale_for_its_grace() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.ttl(t.units(10)).grace(t.units(30)).near(near(&t))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        assert!(cache.lookup(&1).await.unwrap().is_fresh());
        t.advance(11).await;
        let found = cache.lookup_or_load(&1, fails).await.unwrap();
        assert!(found.is_stale(), "grace covers a failing source: {found:?}");
        t.advance(30).await;
        assert!(cache.get_or_load(&1, fails).await.unwrap_err().is_load());
    });
}

#[test]
fn without_grace_a_value_ends_with_its_ttl() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.ttl(t.units(10)).near(near(&t))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(11).await;
        assert!(cache.get(&1).await.unwrap().is_none());
        assert!(cache.get_or_load(&1, fails).await.unwrap_err().is_load());
    });
}

#[test]
fn a_stale_value_is_served_at_once_and_refreshed_by_one() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| {
            b.source(rows.clone())
                .ttl(t.units(10))
                .grace(t.units(LONG))
                .near(near(&t))
        })
        .await;
        cache.get(&1).await.unwrap();
        t.advance(11).await;
        rows.set(8);
        rows.close_gate();
        for _ in 0..5 {
            let found = cache.lookup(&1).await.unwrap();
            assert!(found.is_stale() && found.value().is_some_and(|value| **value == 7));
        }
        rows.open_gate();
        assert!(passes(&t, 20, || cache.stats().fills == 2).await, "{:?}", cache.stats());
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&8));
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn a_failed_refresh_leaves_the_stale_value() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| {
            b.source(rows.clone())
                .ttl(t.units(10))
                .grace(t.units(LONG))
                .retry_after(t.units(2))
        })
        .await;
        cache.get(&1).await.unwrap();
        t.advance(11).await;
        rows.fail(true);
        for _ in 0..3 {
            assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
            t.advance(1).await;
        }
        // In this order: the last refresh may reach the source only now.
        rows.set(8);
        rows.fail(false);
        // A read starts no refresh while a failing one is under way, so one read may not be enough.
        becomes(&t, &cache, 8).await;
    });
}

#[test]
fn refresh_ahead_loads_once_while_hits_go_on() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        // After 40 units of 800: on a real server there is time enough before and behind.
        let cache = build(&t, |b| {
            b.source(rows.clone())
                .ttl(t.units(800))
                .refresh_ahead(0.05)
                .near(near(&t))
        })
        .await;
        cache.get(&1).await.unwrap();
        t.advance(5).await;
        assert!(cache.lookup(&1).await.unwrap().is_fresh());
        assert_eq!(rows.loads(), 1, "not yet");
        t.advance(36).await;
        rows.set(8);
        rows.close_gate();
        for _ in 0..5 {
            let found = cache.lookup(&1).await.unwrap();
            assert!(found.is_fresh() && found.value().is_some_and(|value| **value == 7));
        }
        rows.open_gate();
        assert!(passes(&t, 10, || cache.stats().fills == 2).await, "{:?}", cache.stats());
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&8));
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn xfetch_refreshes_dear_values_earlier() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        // So large a factor that every read of a value with any cost is early, and of one without cost none is.
        let cache = build(&t, |b| b.source(rows.clone()).xfetch(1e6).ttl(t.units(100))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(2).await;
        let _value = cache.get(&1).await.unwrap();
        let cheap = cache.stats().refreshes;
        let slow = async {
            t.advance(20).await;
            answers(7).await
        };
        cache.get_or_load(&2, || slow).await.unwrap();
        cache.get(&2).await.unwrap();
        assert_eq!(cache.stats().refreshes, cheap + 1);
    });
}

#[test]
fn the_jitter_shortens_the_ttl_and_never_lengthens_it() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.jitter(0.1).ttl(Duration::from_secs(1000))).await;
        let mut ttls = Vec::new();
        for key in 0..40 {
            cache.put(&key, 7).await.unwrap();
            ttls.push(cache.ttl(&key).await.unwrap().unwrap().as_secs_f64());
        }
        assert!(ttls.iter().all(|ttl| (895.0..=1000.0).contains(ttl)), "{ttls:?}");
        let (least, most) = ttls
            .iter()
            .fold((f64::MAX, 0f64), |(a, b), ttl| (a.min(*ttl), b.max(*ttl)));
        assert!(most - least > 50.0, "{least} to {most}");
        let age = cache.lookup(&0).await.unwrap().age().expect("a fresh value has an age");
        assert!(age <= Duration::from_secs(105), "{age:?}");
        for key in 0..10 {
            assert!(cache.touch(&key, Duration::from_secs(600)).await.unwrap());
            let touched = cache.ttl(&key).await.unwrap().unwrap();
            assert!(touched <= Duration::from_secs(600), "{touched:?}");
        }
    });
}

#[test]
fn a_value_without_end_needs_to_be_asked_for() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.ttl(larder_cache::Ttl::never())).await;
        cache.put(&1, 7).await.unwrap();
        assert!(cache.ttl(&1).await.unwrap().unwrap() > Duration::from_secs(99 * 365 * 24 * 3600));
    });
}
