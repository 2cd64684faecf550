//! The epoch that writes count in: drawn from the source, and installed in the store only if nothing was lost there between.

use std::time::Duration;

use larder_testkit::{Topology, for_each_topology};

use super::{ledger::Ledger, meanwhile, open, unflushed, until};

/// Somebody draws an epoch and stands still. Another draws the next one, and what it writes is flushed; then the store is
/// emptied, in the same run of the same server. Counting in the first one's epoch, the source would take every new write for
/// an old one, and pass over it.
#[test]
fn an_epoch_drawn_before_the_store_was_emptied_is_not_counted_in() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        // The clock of a real server passes while others are busy.
        let policy = unflushed().wait(Duration::from_secs(60));
        let here = open(&t.another_store().await, &ledger, policy).await;
        let there = open(&t.another_store().await, &ledger, policy).await;
        ledger.hold_next_epoch();
        let late = tokio::spawn({
            let here = here.clone();
            async move { here.put(&1, 10).await.unwrap() }
        });
        until(&t, async || ledger.epochs() == 1).await;
        let first = there.put(&1, 20).await.unwrap();
        assert!(there.flush(&1).await.unwrap());
        assert_eq!(ledger.row(1), Some(20));
        redis::cmd("FLUSHALL")
            .exec_async(&mut t.another_store().await)
            .await
            .unwrap();
        ledger.let_epoch_go();
        let late = meanwhile(&t, late).await.unwrap();
        assert!(
            first.tickets()[0].version < late.tickets()[0].version,
            "{first:?}, then {late:?}"
        );
        assert!(there.flush(&1).await.unwrap());
        assert_eq!(ledger.row(1), Some(10), "what was accepted last");
        assert!(ledger.misordered().is_empty());
    });
}

/// Two who draw at one time for a store that lost nothing: the higher epoch stands, and one draw each was enough.
#[test]
fn of_two_epochs_drawn_at_one_time_the_higher_stands() {
    for_each_topology(async |t: Topology| {
        let ledger = Ledger::default();
        let policy = unflushed().wait(Duration::from_secs(60));
        let here = open(&t.another_store().await, &ledger, policy).await;
        let there = open(&t.another_store().await, &ledger, policy).await;
        ledger.hold_next_epoch();
        let late = tokio::spawn({
            let here = here.clone();
            async move { here.put(&1, 10).await.unwrap() }
        });
        until(&t, async || ledger.epochs() == 1).await;
        let first = there.put(&1, 20).await.unwrap().tickets()[0].version;
        ledger.let_epoch_go();
        let late = meanwhile(&t, late).await.unwrap().tickets()[0].version;
        assert_eq!((first.epoch, late.epoch, ledger.epochs()), (2, 2, 2));
        assert!(first < late);
    });
}
