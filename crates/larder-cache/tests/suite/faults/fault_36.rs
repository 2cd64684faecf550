//! 36: a process is told to end while writes come in, twice, and has less time than it needs. A queue in its memory is lost with
//! it. Larder says how much is left, and another process has it in the source.

use std::collections::BTreeMap;

use larder_testkit::Kind;

use super::row::{Baseline, Verdict, row};
use crate::behind::{
    behind,
    ledger::{Ledger, Weather},
    meanwhile,
    naive::{NaiveBehind, Queue},
    open, unflushed, until,
};

const KEYS: u64 = 100;

#[test]
fn fault_36() {
    row(36, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let (t, ledger) = (turn.topology().await, Ledger::default());
        let mut verdict = Verdict::default();
        let mut accepted = BTreeMap::new();
        if turn.is_larder() {
            let here = open(&t.another_store().await, &ledger, unflushed()).await;
            here.put_many((0..KEYS).map(|key| (key, 1)))
                .await
                .expect("the store is up");
            ledger.weather(Weather::Down);
            let load = async {
                for key in 0.. {
                    match here.put(&(key % KEYS), 2).await {
                        Ok(_) => _ = accepted.insert(key % KEYS, Some(2)),
                        Err(error) => return error,
                    }
                    tokio::task::yield_now().await;
                }
                unreachable!("it is refused once the process ends")
            };
            let (told, drained) = meanwhile(&t, async { tokio::join!(load, here.drain(t.units(4))) }).await;
            verdict.expect(
                matches!(told.kind(), larder_cache::ErrorKind::Closed { .. }),
                format!("{told:?}"),
            );
            verdict.expect(
                !drained.is_complete && drained.left == Some(KEYS),
                format!("{drained:?}"),
            );
            let again = meanwhile(&t, here.drain(t.units(1))).await;
            verdict.expect(again.left == Some(KEYS), format!("the second time: {again:?}"));
            drop(here);
            ledger.weather(Weather::Fair);
            for key in 0..KEYS {
                accepted.entry(key).or_insert(Some(1));
            }
            let there = open(&t.another_store().await, &ledger, behind()).await;
            until(&t, async || there.lag().await.is_ok_and(|lag| lag.entries == 0)).await;
        } else {
            let naive = NaiveBehind::new(t.another_store().await, ledger.clone(), Queue::in_memory());
            for key in 0..KEYS {
                naive.put(key, 1).await;
                accepted.insert(key, Some(1));
            }
            // The time it has is over.
            naive.flush_once().await;
            drop(naive);
        }
        let lost = ledger.lost(&accepted);
        verdict.expect(lost.is_empty(), format!("{} accepted writes are lost", lost.len()));
        verdict.expect(ledger.misordered().is_empty(), "the source went backwards");
        verdict
    });
}
