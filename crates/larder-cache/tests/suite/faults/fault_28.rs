//! 28: a failover loses the tail of a store whose writes were flushed already, and new ones follow. A counter that went back
//! gives numbers out again that the source has, and its guard passes over the new writes. Larder counts in a new epoch.

use std::collections::BTreeMap;

use larder_testkit::{Kind, eventually};

use super::{
    far::Far,
    fault_05::Pair,
    lost_tail::Forgetful as _,
    row::{Baseline, Verdict, row},
    stage::SOON,
};
use crate::behind::{
    ledger::Ledger,
    naive::{NaiveBehind, Queue},
    open, unflushed,
};

const KEYS: u64 = 10;

#[test]
fn fault_28() {
    row(28, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        lose_a_flushed_tail(turn.is_larder()).await
    });
}

/// The same on this thread alone; it fails if a new write is lost.
pub(crate) fn new_writes_after_a_lost_tail_reach_the_source() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let verdict = runtime
        .expect("a runtime can be built")
        .block_on(lose_a_flushed_tail(true));
    assert!(verdict.violations.is_empty(), "{verdict:?}");
}

async fn lose_a_flushed_tail(is_larder: bool) -> Verdict {
    let mut pair = Pair::start().await;
    let far = Far::from(pair.port()).await;
    let ledger = Ledger::default();
    let mut verdict = Verdict::default();
    let mut last = BTreeMap::new();
    if is_larder {
        let cache = open(&far.store, &ledger, unflushed()).await;
        let put = async |key: u64, value: u64| {
            cache.put(&key, value).await.expect("the store is up");
            assert!(cache.flush(&key).await.expect("the store is up"));
        };
        for key in 0..KEYS {
            put(key, 1).await;
        }
        pair.keep();
        for value in 2..5 {
            for key in 0..KEYS {
                put(key, value).await;
            }
        }
        fail_over(&mut pair, &far).await;
        for key in 0..KEYS {
            put(key, 100).await;
            last.insert(key, Some(100));
        }
    } else {
        let naive = NaiveBehind::new(far.store.clone(), ledger.clone(), Queue::Popped);
        for value in 1..5 {
            if value == 2 {
                pair.keep();
            }
            for key in 0..KEYS {
                naive.put(key, value).await;
            }
            naive.flush_all().await;
        }
        fail_over(&mut pair, &far).await;
        for key in 0..KEYS {
            assert!(naive.put(key, 100).await, "it is accepted");
            last.insert(key, Some(100));
        }
        naive.flush_all().await;
    }
    let lost = ledger.lost(&last);
    verdict.expect(
        lost.is_empty(),
        format!("the source passed over {} new writes", lost.len()),
    );
    verdict.expect(ledger.misordered().is_empty(), "the source went backwards");
    verdict
}

async fn fail_over(pair: &mut Pair, far: &Far) {
    pair.lose().await;
    far.proxy.point_at(pair.port());
    far.proxy.cut();
    eventually(SOON, async || far.store.ping().await.is_ok()).await;
}
