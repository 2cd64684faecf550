//! Counters that the source follows: what was added is there once, whatever failed on the way.

use larder_cache::CountAs;
use larder_testkit::{Topology, for_each_topology};

use super::{
    behind,
    ledger::{Ledger, Weather},
    meanwhile, open, unflushed, until,
};

#[test]
fn what_is_added_arrives_once_whatever_the_source_does() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, behind().delay(t.units(1))).await;
        let there = open(&t.another_store().await, &ledger, behind().delay(t.units(1))).await;
        let mut sum = 0;
        for weather in [
            Weather::Fair,
            Weather::Unheard,
            Weather::Down,
            Weather::Vain,
            Weather::Unheard,
            Weather::Fair,
        ] {
            if ledger.epochs() > 0 {
                ledger.weather(weather);
            }
            for step in 1..=20 {
                here.incr(&1, step).await.unwrap();
                sum += step;
                sum -= 3;
                assert_eq!(there.decr(&1, 3).await.unwrap(), sum);
                t.advance(u32::from(step % 5 == 0)).await;
            }
            ledger.weather(Weather::Fair);
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            assert_eq!(ledger.counter(1), sum, "{weather:?}");
        }
        assert_eq!(here.counter(&1).await.unwrap(), Some(sum));
        assert_eq!(here.lag().await.unwrap().bytes, 0);
        assert!(here.dead_letters().await.unwrap().is_empty());
    });
}

#[test]
fn a_sum_goes_on_where_the_source_is_and_a_total_takes_its_place() {
    for_each_topology(async |t: Topology| {
        for (how, expected) in [(CountAs::Sum, 107), (CountAs::Total, 4)] {
            let ledger = Ledger::default();
            ledger.count_from(1, 100);
            let here = open(&t.another_store().await, &ledger, unflushed().count_as(how)).await;
            here.reset_counter(&1).await.unwrap();
            assert_eq!(here.incr(&1, 3).await.unwrap(), 3);
            assert!(here.reset_counter(&1).await.unwrap(), "lost at the store");
            assert_eq!(here.incr(&1, 4).await.unwrap(), 4);
            let drained = meanwhile(&t, here.drain(t.units(4_000))).await;
            assert!(drained.is_complete, "{drained:?}");
            assert_eq!(ledger.counter(1), expected, "{how:?}");
        }
    });
}

#[test]
fn a_counter_is_exact_and_stays_in_its_range() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        let large = i64::MAX - 3;
        assert_eq!(here.incr(&1, large).await.unwrap(), large);
        assert_eq!(here.incr(&1, 2).await.unwrap(), i64::MAX - 1);
        assert!(here.incr(&1, 2).await.is_err(), "beyond the range of i64");
        assert_eq!(
            here.counter(&1).await.unwrap(),
            Some(i64::MAX - 1),
            "nothing of it was done"
        );
        assert_eq!(here.incr(&2, -5).await.unwrap(), -5);
        let long = here.lag().await.unwrap();
        assert_eq!(long.entries, 2);
        let drained = meanwhile(&t, here.drain(t.units(4_000))).await;
        assert!(drained.is_complete, "{drained:?}");
        assert_eq!((ledger.counter(1), ledger.counter(2)), (i64::MAX - 1, -5));
    });
}

/// The store loses what it counted after the source was told: a new epoch, and nothing is taken away or added twice.
#[test]
fn a_store_that_lost_its_counters_does_not_take_anything_back() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, behind()).await;
        here.incr(&1, 10).await.unwrap();
        until(&t, async || ledger.counter(1) == 10).await;
        t.wire().call(&["FLUSHALL"]).unwrap();
        assert_eq!(here.incr(&1, 5).await.unwrap(), 5);
        until(&t, async || ledger.counter(1) == 15).await;
        assert_eq!(ledger.epochs(), 2);
    });
}
