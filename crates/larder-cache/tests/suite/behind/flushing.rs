//! What is accepted reaches the source: in its order, in batches, whatever the source does.

use std::collections::BTreeMap;

use larder_cache::{CacheEvent, Tier};
use larder_testkit::{Topology, for_each_topology};

use super::{
    behind,
    ledger::{Guard, Ledger, Weather},
    meanwhile, open, open_with, read, unflushed, until,
};

#[test]
fn what_waits_is_flushed_in_batches_and_read_from_the_source_then() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, behind()).await;
        here.put_many((0..300).map(|key| (key, key * 10))).await.unwrap();
        until(&t, async || here.lag().await.unwrap().entries == 0).await;
        assert!((0..300).all(|key| ledger.row(key) == Some(key * 10)));
        assert!(ledger.commits() < 100, "{} commits of 300 changes", ledger.commits());
        assert_eq!(here.stats().behind_flushed, 300);
        assert_eq!(here.lag().await.unwrap().bytes, 0);
        assert_eq!(read(&here, 7).await, Some(70));
        assert_eq!(here.lookup(&7).await.unwrap().tier(), Tier::Store);
        here.remove(&7).await.unwrap();
        until(&t, async || ledger.row(7).is_none()).await;
        assert!(ledger.misordered().is_empty());
    });
}

#[test]
fn what_a_process_left_behind_is_flushed_by_another() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let writer = open(&t.another_store().await, &ledger, unflushed()).await;
        writer.put_many((0..50).map(|key| (key, key))).await.unwrap();
        drop(writer);
        let _flusher = open(&t.another_store().await, &ledger, behind()).await;
        until(&t, async || (0..50).all(|key| ledger.row(key) == Some(key))).await;
    });
}

#[test]
fn a_source_that_is_down_gets_everything_when_it_is_back() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, behind()).await;
        let mut events = here.events();
        let mut accepted = BTreeMap::new();
        here.put(&0, 0).await.unwrap();
        for weather in [Weather::Down, Weather::Unheard, Weather::Vain] {
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            // Every partition has its epoch by now.
            here.put_many((0..100).map(|key| (key, 1))).await.unwrap();
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            ledger.weather(weather);
            for key in 0..100 {
                here.put(&key, key + 7).await.unwrap();
                accepted.insert(key, Some(key + 7));
            }
            let retried = here.stats().behind_retried;
            until(&t, async || here.stats().behind_retried > retried).await;
            assert_eq!(read(&here, 5).await, Some(12), "{weather:?}");
            let lag = here.lag().await.unwrap();
            assert_eq!(lag.entries, 100, "{weather:?}");
            assert!(!lag.oldest.is_zero());
            ledger.weather(Weather::Fair);
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            assert_eq!(
                (ledger.lost(&accepted), ledger.misordered()),
                (vec![], vec![]),
                "{weather:?}"
            );
        }
        let mut told = Vec::new();
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.next()) {
            told.push(event);
        }
        let is_told = |event: &CacheEvent| matches!(event, CacheEvent::FlushFailed { why, .. } if !why.is_empty());
        assert!(told.iter().any(is_told), "{told:?}");
        assert!(told.iter().any(|event| matches!(event, CacheEvent::FlushRestored)));
    });
}

/// Written again between its commit and its acknowledgement, a key waits for the newer value's commit.
#[test]
fn what_is_written_while_it_is_flushed_is_flushed_again() {
    for_each_topology(what_is_written_while_it_is_flushed);
}

pub(crate) async fn what_is_written_while_it_is_flushed(t: Topology) {
    let ledger = Ledger::default();
    let here = open(&t.another_store().await, &ledger, behind()).await;
    ledger.weather(Weather::Gated);
    here.put(&1, 1).await.unwrap();
    meanwhile(&t, ledger.gated()).await;
    here.put(&1, 2).await.unwrap();
    ledger.weather(Weather::Fair);
    until(&t, async || here.lag().await.unwrap().entries == 0).await;
    assert_eq!(ledger.row(1), Some(2), "the newer one was accepted");
}

/// M18: with `<=` for `<` what is committed again takes effect again.
#[test]
fn a_commit_that_is_repeated_has_no_second_effect() {
    for_each_topology(async |t: Topology| {
        let mut twice = Vec::new();
        for guard in [Guard::Less, Guard::LessOrEqual] {
            let ledger = Ledger::guarded(guard);
            let here = open(&t.another_store().await, &ledger, behind()).await;
            here.put(&1, 0).await.unwrap();
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            ledger.weather(Weather::Unheard);
            here.put(&1, 1).await.unwrap();
            until(&t, async || here.stats().behind_retried > 1).await;
            ledger.weather(Weather::Fair);
            until(&t, async || here.lag().await.unwrap().entries == 0).await;
            twice.push(ledger.misordered());
            let _drained = meanwhile(&t, here.drain(t.units(4_000))).await;
        }
        assert_eq!(twice, [vec![], vec![1]], "with the other guard it is noticed");
    });
}

#[test]
fn after_a_barrier_the_source_has_what_was_written_before() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let here = open(&t.another_store().await, &ledger, unflushed()).await;
        let there = open(&t.another_store().await, &ledger, unflushed()).await;
        let receipt = here.put_many((0..30).map(|key| (key, key))).await.unwrap();
        here.put(&3, 33).await.unwrap();
        ledger.weather(Weather::Down);
        let (passed, ()) = meanwhile(&t, async {
            tokio::join!(there.barrier(&receipt), async {
                t.advance(2).await;
                ledger.weather(Weather::Fair);
            })
        })
        .await;
        passed.unwrap();
        assert!((0..30).all(|key| ledger.row(key) == Some(if key == 3 { 33 } else { key })));
    });
}

/// Services in other languages read the source: they are told when that has it.
#[test]
fn a_write_is_announced_when_the_source_has_it() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let store = t.another_store().await;
        let here = open_with(&store, &ledger, unflushed(), |b| b.channel("changes")).await;
        here.put_many([(1, 1), (2, 2)]).await.unwrap();
        assert_eq!(here.stats().announced, 0);
        assert!(here.flush(&1).await.unwrap());
        until(&t, async || here.stats().announced == 1).await;
    });
}

/// A schedule that is lost is made again from what waits; what was taken by a process that died is due after a while.
#[test]
fn nothing_waits_for_ever() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let policy = behind().visibility(t.units(40));
        let one = open(&t.another_store().await, &ledger, policy).await;
        ledger.weather(Weather::Gated);
        let receipt = one.put_many((0..20).map(|key| (key, key))).await.unwrap();
        meanwhile(&t, ledger.gated()).await;
        drop(one);
        let partition = receipt.tickets()[0].partition;
        t.wire()
            .call(&["DEL", &format!("behind:{{behind.{partition}}}:z")])
            .unwrap();
        ledger.weather(Weather::Fair);
        let other = open(&t.another_store().await, &ledger, policy).await;
        until(&t, async || other.lag().await.unwrap().entries == 0).await;
        assert!((0..20).all(|key| ledger.row(key) == Some(key)));
    });
}
