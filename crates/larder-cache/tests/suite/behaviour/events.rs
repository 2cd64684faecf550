//! What a cache tells its subscribers.

use std::time::Duration;

use larder_cache::{CacheEvent, Delivery, Events, FillRejection, Invalidated, LoadFailure};
use larder_testkit::{Topology, for_each_topology};

use super::subject::{answers, build, fails, meanwhile};

const SOON: Duration = Duration::from_secs(20);

/// The next event that `matches`; others may come before it.
async fn next(events: &mut Events, matches: impl Fn(&CacheEvent) -> bool) -> CacheEvent {
    let search = async {
        loop {
            let event = events.next().await.expect("the cache lives");
            if matches(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(SOON, search).await.expect("it is told")
}

#[test]
fn loads_refusals_and_invalidations_are_told_in_order() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b).await;
        let mut events = cache.events();
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        cache.get(&1).await.unwrap();
        cache.get_or_load(&2, fails).await.unwrap_err();
        cache.invalidate(&1).await.unwrap();
        let old = cache.get_or_load(&3, async || {
            cache.clear().await.unwrap();
            answers(7).await
        });
        old.await.unwrap();
        assert!(matches!(events.next().await, Some(CacheEvent::Loaded { keys: 1, .. })));
        let Some(CacheEvent::LoadFailed { why, .. }) = events.next().await else {
            panic!("a hit is no event")
        };
        assert_eq!(why, LoadFailure::Error);
        let Some(CacheEvent::Invalidated { what, delivery }) = events.next().await else {
            panic!("an invalidation is one")
        };
        assert_eq!(delivery, Delivery::Acknowledged);
        let Invalidated::Key(label) = what else {
            panic!("of one key: {what:?}")
        };
        assert!(label.to_string().starts_with("n:#"), "no key is shown unasked: {label}");
        assert!(matches!(
            events.next().await,
            Some(CacheEvent::Invalidated {
                what: Invalidated::Everything,
                ..
            })
        ));
        assert!(matches!(events.next().await, Some(CacheEvent::Loaded { .. })));
        let Some(CacheEvent::FillRejected { why }) = events.next().await else {
            panic!("its fill was refused")
        };
        assert_eq!(why, FillRejection::Cleared);
    });
}

#[test]
fn an_outage_and_its_end_are_told() {
    for_each_topology(async |t: Topology| {
        let Some(redis) = t.redis() else { return };
        let cache = build(&t, |b| b.near(100)).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        let mut events = cache.events();
        redis.kill_clients();
        next(&mut events, |event| matches!(event, CacheEvent::Lost)).await;
        next(&mut events, |event| matches!(event, CacheEvent::Restored)).await;
    });
}

/// More than are kept for a subscriber who does not read.
const MANY: u64 = 3_000;

#[test]
fn a_subscriber_who_does_not_read_is_told_how_much_it_missed() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b).await;
        let mut events = cache.events();
        for key in 0..MANY {
            cache.invalidate(&(key % 7)).await.unwrap();
        }
        let Some(CacheEvent::Lagged(missed)) = events.next().await else {
            panic!("the first ones are gone")
        };
        assert!((1..MANY).contains(&missed));
        for _ in missed..MANY {
            let event = events.next().await;
            assert!(matches!(event, Some(CacheEvent::Invalidated { .. })), "{event:?}");
        }
        cache.clear().await.unwrap();
        let what = Invalidated::Everything;
        let last = events.next().await;
        assert!(
            matches!(&last, Some(CacheEvent::Invalidated { what: now, .. }) if *now == what),
            "it goes on with what happens now: {last:?}"
        );
    });
}

#[test]
fn near_copies_that_make_room_are_told_and_counted() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.near(100)).await;
        let mut events = cache.events();
        for key in 0..2_000 {
            cache.get_or_load(&key, || answers(key)).await.unwrap();
        }
        let left = meanwhile(
            &t,
            next(&mut events, |event| matches!(event, CacheEvent::Evicted { .. })),
        )
        .await;
        let CacheEvent::Evicted { entries } = left else {
            unreachable!("it was searched for")
        };
        assert!((1..=cache.stats().near_evictions).contains(&entries), "{entries}");
    });
}

#[test]
fn the_events_end_with_the_cache() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b).await;
        let mut events = cache.events();
        drop(cache);
        // What was told before is still there to be read.
        let rest = async { while events.next().await.is_some() {} };
        tokio::time::timeout(SOON, rest).await.expect("it ends");
    });
}
