//! `min_refill_interval`: a key that is invalidated all the time does not load all the time, and is never read stale for it.

use larder_testkit::{Topology, for_each_topology};

use super::subject::{LONG, Numbers, Rows, build, meanwhile, near, passes};

/// Writes and reads `key` in turn, a unit of time apart, for `rounds`; every read must see the write before it.
async fn churn(t: &Topology, cache: &Numbers, rows: &Rows, rounds: u64) -> u64 {
    let before = rows.loads();
    for value in 100..100 + rounds {
        rows.set(value);
        cache.invalidate(&1).await.unwrap();
        let seen = meanwhile(t, cache.get(&1)).await.unwrap();
        assert_eq!(seen.as_deref(), Some(&value));
        t.advance(1).await;
    }
    rows.loads() - before
}

#[test]
fn loads_of_one_key_are_spaced_and_their_values_are_new() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).near(near(&t))).await;
        assert_eq!(churn(&t, &cache, &rows, 3).await, 3, "without it every read loads");

        // Long against a round on a busy machine: else none would have to wait.
        let interval = t.units(20);
        let cache = build(&t, |b| {
            b.source(rows.clone()).near(near(&t)).min_refill_interval(interval)
        })
        .await;
        cache.get(&1).await.unwrap();
        let began = t.clock().monotonic();
        let loads = churn(&t, &cache, &rows, 3).await;
        let took = t.clock().monotonic() - began;
        assert!(
            loads as u32 <= 1 + (took.as_millis() / interval.as_millis()) as u32,
            "{loads} loads in {took:?}, one each {interval:?}"
        );
        assert!(cache.stats().loads_paced >= 1);
    });
}

#[test]
fn whoever_comes_while_a_key_waits_for_its_turn_shares_the_load() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).min_refill_interval(t.units(80))).await;
        cache.get(&1).await.unwrap();
        cache.invalidate(&1).await.unwrap();
        let ask = || {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(&1).await })
        };
        let mut calls = vec![ask()];
        assert!(passes(&t, 5, || cache.stats().loads_paced == 1).await);
        for value in 8..12 {
            // The row changes while they wait: all of them get what it is in the end.
            rows.set(value);
            cache.invalidate(&1).await.unwrap();
            calls.extend((0..25).map(|_| ask()));
            t.advance(1).await;
        }
        for call in calls {
            assert_eq!(meanwhile(&t, call).await.unwrap().unwrap().as_deref(), Some(&11));
        }
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn a_key_that_another_process_has_loaded_does_not_wait() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let spaced =
            |b: larder_cache::CacheBuilder<u64, u64>| b.source(rows.clone()).min_refill_interval(t.units(LONG));
        let (here, there) = (build(&t, spaced).await, build(&t, spaced).await);
        here.get(&1).await.unwrap();
        there.invalidate(&1).await.unwrap();
        let waits = tokio::spawn({
            let here = here.clone();
            async move { here.get(&1).await }
        });
        assert!(passes(&t, 5, || here.stats().loads_paced == 1).await);
        rows.set(8);
        assert_eq!(
            there.get(&1).await.unwrap().as_deref(),
            Some(&8),
            "its own last load is long ago"
        );
        if t.kind() == larder_testkit::Kind::Embedded {
            // Somebody tells: no need to wait for the turn.
            assert!(passes(&t, 5, || waits.is_finished()).await);
            assert_eq!(waits.await.unwrap().unwrap().as_deref(), Some(&8));
        } else {
            waits.abort();
        }
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&8));
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn a_stale_value_is_served_at_once_and_refreshed_in_its_turn() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| {
            b.source(rows.clone())
                .ttl(t.units(2))
                .grace(t.units(LONG))
                .min_refill_interval(t.units(80))
        })
        .await;
        cache.get(&1).await.unwrap();
        t.advance(3).await;
        for _ in 0..5 {
            assert!(cache.lookup(&1).await.unwrap().is_stale());
            assert!(
                cache
                    .get_many(&[1])
                    .await
                    .lookup(&1)
                    .is_some_and(larder_cache::Lookup::is_stale)
            );
        }
        assert_eq!(rows.loads(), 1);
        t.advance(81).await;
        assert!(cache.lookup(&1).await.unwrap().is_stale());
        assert!(passes(&t, 50, || cache.stats().fills == 2).await);
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn a_batch_waits_for_the_turns_of_its_keys() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).min_refill_interval(t.units(10))).await;
        cache.get_many(&[1, 2]).await.all().unwrap();
        rows.set(8);
        cache.invalidate(&1).await.unwrap();
        let batch = meanwhile(&t, cache.get_many(&[1, 2, 3])).await.all().unwrap();
        let values = batch.in_order(&[1, 2, 3]).into_iter().map(|value| *value.unwrap());
        assert_eq!(values.collect::<Vec<_>>(), [8, 7, 8]);
        assert_eq!(rows.loads(), 4);
    });
}
