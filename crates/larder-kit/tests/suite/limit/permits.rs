//! The concurrency limit: leases that live as long as their permits.

use std::time::Duration;

use larder_kit::limit::{ConcurrencyLimit, Entry, LimitError, OnStoreDown, Permit};
use larder_kit::lock::Loss;
use larder_store::Store;
use larder_testkit::{Topology, eventually, for_each_topology};

use crate::immortal::no_immortal_keys;

/// Long against any machine.
const DEADLINE: Duration = Duration::from_secs(30);

fn exports(store: &Store, limit: u64, lease: Duration) -> ConcurrencyLimit {
    let builder = ConcurrencyLimit::builder("exports")
        .store(store)
        .limit(limit)
        .lease(lease);
    builder
        .on_store_down(OnStoreDown::Closed)
        .build()
        .expect("the settings are right")
}

async fn admitted(limit: &ConcurrencyLimit) -> Permit {
    match limit.enter("a").await.expect("the store answers") {
        Entry::Admitted(permit) => permit,
        Entry::Full(decision) => panic!("{decision:?}"),
    }
}

async fn is_full(limit: &ConcurrencyLimit) -> bool {
    matches!(limit.enter("a").await.expect("the store answers"), Entry::Full(_))
}

#[test]
fn so_many_are_in_at_once_in_all_processes() {
    for_each_topology(async |t: Topology| {
        let lease = Duration::from_secs(60);
        let (one, other) = (
            exports(&t.store().await, 2, lease),
            exports(&t.another_store().await, 2, lease),
        );
        let (first, second) = (admitted(&one).await, admitted(&other).await);
        let Entry::Full(decision) = one.enter("a").await? else {
            panic!("two are in")
        };
        assert_eq!((decision.allowed, decision.remaining, decision.capacity), (false, 0, 2));
        assert!(decision.retry_after.is_some_and(|wait| wait <= lease));
        assert!(matches!(one.enter("b").await?, Entry::Admitted(_)), "another subject");
        assert!(first.release().await);
        let third = admitted(&other).await;
        assert!(is_full(&one).await);
        no_immortal_keys(&t, 1);
        // Dropped, they are given back as well.
        drop((second, third));
        eventually(DEADLINE, async || !is_full(&one).await).await;
        Ok::<_, LimitError>(())
    });
}

/// When the lease of the one who is in lapses.
fn lease_ends(t: &Topology) -> i64 {
    let key = "limit:{exports:a}:concurrency";
    let first = t.wire().call(&["ZRANGE", key, "0", "0", "WITHSCORES"]);
    first
        .expect("the server answers")
        .list()
        .get(1)
        .map_or(0, larder_testkit::Answer::int)
}

#[test]
fn a_permit_outlives_its_lease_as_long_as_it_is_held() {
    for_each_topology(async |t: Topology| {
        let (one, other) = (
            exports(&t.store().await, 1, t.units(12)),
            exports(&t.another_store().await, 1, t.units(12)),
        );
        let permit = admitted(&one).await;
        for _ in 0..10 {
            let before = lease_ends(&t);
            let renewed = eventually(DEADLINE, async || lease_ends(&t) > before || permit.is_lost());
            t.while_time_passes(renewed).await;
            if permit.is_lost() {
                // On a machine that stood still for a lease; it knows it before another is let in.
                return Ok(());
            }
            assert!(is_full(&other).await || permit.is_lost());
        }
        permit.release().await;
        assert!(!is_full(&other).await, "nobody renews what was given back");
        Ok::<_, LimitError>(())
    });
}

#[test]
fn the_lease_of_a_process_that_died_lapses() {
    for_each_topology(async |t: Topology| {
        let store = t.another_store().await;
        let other = exports(&t.store().await, 1, t.units(6));
        // A process: its runtime ends without giving anything back.
        let (send, died) = std::sync::mpsc::sync_channel(1);
        let process = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be built");
            let permit = runtime.block_on(admitted(&exports(&store, 1, larder_testkit::UNIT * 6)));
            drop(runtime);
            send.send(()).expect("the test waits");
            drop(permit);
        });
        died.recv().expect("it was admitted");
        process.join().expect("it does not panic");
        assert!(is_full(&other).await || t.clock().as_manual().is_none());
        t.advance(7).await;
        assert!(!is_full(&other).await);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn a_permit_whose_lease_went_to_another_is_lost() {
    for_each_topology(async |t: Topology| {
        let (one, other) = (
            exports(&t.store().await, 1, t.units(12)),
            exports(&t.another_store().await, 1, t.units(400)),
        );
        let permit = admitted(&one).await;
        // The store forgets, and the place is given away.
        t.wire().call(&["FLUSHALL"]).expect("the server answers");
        let _theirs = admitted(&other).await;
        let stopped = t.while_time_passes(permit.run(std::future::pending::<()>())).await;
        assert!(
            matches!(stopped, Err(LimitError::Lost(Loss::Taken | Loss::Expired))),
            "{stopped:?}"
        );
        assert!(permit.is_lost());
        assert!(!permit.release().await);
        assert!(is_full(&one).await, "theirs was not given back");
        Ok::<_, LimitError>(())
    });
}
