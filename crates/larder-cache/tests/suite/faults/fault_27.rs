//! 27: a value is put under write-behind, and what is cached of it is evicted, or expires, before it is flushed. A queue beside a
//! cache then reads the old row. Larder answers with what waits.

use larder_testkit::Kind;

use super::row::{Baseline, Verdict, row};
use crate::{
    behind::{
        ledger::Ledger,
        naive::{NaiveBehind, Queue},
        open, read, unflushed,
    },
    races::world::lose,
};

#[test]
fn fault_27() {
    row(27, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let (t, ledger) = (turn.topology().await, Ledger::of((0..20).map(|key| (key, 1))));
        let mut verdict = Verdict::default();
        if turn.is_larder() {
            let here = open(&t.another_store().await, &ledger, unflushed()).await;
            let there = open(&t.another_store().await, &ledger, unflushed()).await;
            for key in 0..20 {
                read(&here, key).await;
                here.put(&key, 2).await.expect("the store is up");
            }
            lose(&mut t.wire(), "*:e:*");
            for key in 0..20 {
                for cache in [&here, &there] {
                    let found = read(cache, key).await;
                    verdict.expect(found == Some(2), format!("{key} reads {found:?}"));
                }
            }
            here.remove(&3).await.expect("the store is up");
            lose(&mut t.wire(), "*:e:*");
            verdict.expect(
                read(&there, 3).await.is_none(),
                "a removal that waits reads the old row",
            );
            return verdict;
        }
        let naive = NaiveBehind::new(t.another_store().await, ledger, Queue::Popped);
        for key in 0..20 {
            naive.read(key).await;
            naive.put(key, 2).await;
        }
        lose(&mut t.wire(), "naive:*");
        for key in 0..20 {
            let found = naive.read(key).await;
            verdict.expect(found == Some(2), format!("{key} reads {found:?}"));
        }
        verdict
    });
}
