//! 39: a load is under way when a write is accepted under write-behind. What it loaded is the row from before, and a cache
//! beside a queue keeps it. In Larder the write took the load's lease away, and reads answer with what waits.

use std::time::Duration;

use larder_cache::Tier;
use larder_testkit::{Kind, eventually};

use super::row::{Baseline, Verdict, row};
use crate::behind::{
    ledger::Ledger,
    naive::{NaiveBehind, Queue},
    open, read, unflushed,
};

#[test]
fn fault_39() {
    row(39, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let (t, ledger) = (turn.topology().await, Ledger::of([(1, 10)]));
        let mut verdict = Verdict::default();
        if !turn.is_larder() {
            let (reader, writer) = (t.another_store().await, t.another_store().await);
            let reader = NaiveBehind::new(reader, ledger.clone(), Queue::Popped);
            let writer = NaiveBehind::new(writer, ledger, Queue::Popped);
            let beside = async {
                writer.put(1, 11).await;
            };
            reader.read_beside(1, beside).await;
            let found = writer.read(1).await;
            verdict.expect(found == Some(11), format!("it reads {found:?}"));
            return verdict;
        }
        let reader = open(&t.another_store().await, &ledger, unflushed()).await;
        let writer = open(&t.another_store().await, &ledger, unflushed()).await;
        ledger.hold_loads(true);
        let early = tokio::spawn({
            let reader = reader.clone();
            async move { read(&reader, 1).await }
        });
        eventually(Duration::from_secs(10), async || ledger.loads() == 1).await;
        writer.put(&1, 11).await.expect("the store is up");
        ledger.hold_loads(false);
        early.await.expect("no panic");
        eventually(Duration::from_secs(10), async || reader.stats().fills_rejected() == 1).await;
        for cache in [&reader, &writer] {
            let found = cache.lookup(&1).await.expect("the store is up");
            let is_new = found.value().map(|value| **value) == Some(11) && found.tier() == Tier::Behind;
            verdict.expect(is_new, format!("{found:?}"));
        }
        verdict
    });
}
