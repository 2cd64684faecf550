//! Who shares a load, in one process and across processes, and what becomes of waiters.

use std::{sync::Arc, time::Duration};

use larder_testkit::{Topology, eventually, for_each_topology};

use super::subject::{Rows, answers, build, cache, fails, meanwhile, near, passes, slowly};

/// Real time for what takes a millisecond, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn many_callers_of_one_missing_key_load_it_once() {
    for_each_topology(async |t: Topology| {
        let (here, rows) = (cache(&t).await, Rows::of(7));
        let load = async || {
            let value = rows.read(1).await;
            tokio::task::yield_now().await;
            value.map(Option::unwrap_or_default)
        };
        let calls = (0..100).map(|_| here.get_or_load(&1, load));
        let values = meanwhile(&t, futures_util::future::join_all(calls)).await;
        assert!(values.into_iter().all(|value| *value.unwrap() == 7));
        assert_eq!(rows.loads(), 1);
        assert_eq!(here.stats().shared, 99);
    });
}

#[test]
fn processes_wait_for_one_load() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        rows.close_gate();
        let mut calls = tokio::task::JoinSet::new();
        let mut caches = Vec::new();
        for _ in 0..4 {
            let cache = build(&t, |b| b.source(rows.clone())).await;
            for _ in 0..25 {
                let cache = cache.clone();
                calls.spawn(async move { cache.get(&1).await });
            }
            caches.push(cache);
        }
        assert!(passes(&t, 100, || rows.loads() == 1).await);
        let some_wait = || caches.iter().any(|cache| cache.stats().waits > 0);
        assert!(passes(&t, 100, some_wait).await, "some wait for another process");
        rows.open_gate();
        for value in meanwhile(&t, calls.join_all()).await {
            assert_eq!(value.unwrap().as_deref(), Some(&7));
        }
        assert_eq!(rows.loads(), 1);
    });
}

#[test]
fn a_cancelled_loader_is_replaced_at_once() {
    for_each_topology(async |t: Topology| {
        let (here, rows) = (cache(&t).await, Rows::of(7));
        let leader = tokio::spawn({
            let (here, rows) = (here.clone(), rows.clone());
            rows.close_gate();
            async move {
                here.get_or_load(&1, async || rows.read(1).await.map(Option::unwrap_or_default))
                    .await
            }
        });
        assert!(passes(&t, 100, || rows.loads() == 1).await);
        let waiter = tokio::spawn({
            let here = here.clone();
            async move { here.get_or_load(&1, || answers(8)).await }
        });
        t.advance(1).await;
        leader.abort();
        assert_eq!(*meanwhile(&t, waiter).await.unwrap().unwrap(), 8);
        assert_eq!(here.stats().in_flight, 0);
    });
}

#[test]
fn a_cancelled_caller_does_not_cancel_a_source() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let here = build(&t, |b| b.source(rows.clone())).await;
        rows.close_gate();
        let caller = tokio::spawn({
            let here = here.clone();
            async move { here.get(&1).await }
        });
        assert!(passes(&t, 100, || rows.loads() == 1).await);
        caller.abort();
        rows.open_gate();
        assert!(passes(&t, 100, || here.stats().fills == 1).await);
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&7));
        assert_eq!(rows.loads(), 1);
    });
}

#[test]
fn a_panicking_loader_leaves_the_others_to_load() {
    for_each_topology(async |t: Topology| {
        let (here, there, rows) = (cache(&t).await, cache(&t).await, Rows::of(7));
        rows.close_gate();
        rows.panic(true);
        let leader = tokio::spawn({
            let (here, rows) = (here.clone(), rows.clone());
            async move {
                here.get_or_load(&1, async || rows.read(1).await.map(Option::unwrap_or_default))
                    .await
            }
        });
        assert!(passes(&t, 100, || rows.loads() == 1).await);
        let waiter = tokio::spawn({
            let here = here.clone();
            async move { here.get_or_load(&1, || answers(8)).await }
        });
        t.advance(1).await;
        rows.open_gate();
        assert!(leader.await.unwrap_err().is_panic());
        assert_eq!(*meanwhile(&t, waiter).await.unwrap().unwrap(), 8);
        assert_eq!(*meanwhile(&t, there.get_or_load(&1, fails)).await.unwrap(), 8);
    });
}

#[test]
fn a_panicking_source_is_an_error_to_all_who_wait() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        rows.panic(true);
        let here = build(&t, |b| b.source(rows.clone())).await;
        let calls = futures_util::future::join_all((0..10).map(|_| here.get(&1))).await;
        assert!(calls.into_iter().all(|call| call.unwrap_err().is_load()));
        rows.panic(false);
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&7));
    });
}

#[test]
fn a_dead_loader_is_replaced_after_its_lease() {
    for_each_topology(async |t: Topology| {
        // A process that was granted the lease and died: nobody renews or releases it.
        let lease = t.units(40);
        let dead = build(&t, |b| b.lease(lease)).await;
        let here = build(&t, |b| b.lease(lease)).await;
        let rows = Rows::of(7);
        rows.close_gate();
        let load = async || rows.read(1).await.map(Option::unwrap_or_default);
        let mut stuck = Box::pin(dead.get_or_load(&1, load));
        // Polled until it loads, then never again: it cannot renew.
        eventually(SOON, async || {
            let _pending = futures_util::poll!(stuck.as_mut());
            rows.loads() == 1
        })
        .await;
        let waiter = tokio::spawn({
            let here = here.clone();
            async move { here.get_or_load(&1, || answers(8)).await }
        });
        t.advance(10).await;
        assert!(!waiter.is_finished(), "the lease still stands");
        assert!(passes(&t, 35, || waiter.is_finished()).await);
        assert_eq!(*meanwhile(&t, waiter).await.unwrap().unwrap(), 8);
    });
}

#[test]
fn a_slow_loader_keeps_its_lease() {
    for_each_topology(async |t: Topology| {
        let lease = t.units(40);
        let rows = Rows::of(7);
        let here = build(&t, |b| b.lease(lease).source(rows.clone())).await;
        let there = build(&t, |b| b.lease(lease).wait_budget(t.units(200)).source(rows.clone())).await;
        rows.close_gate();
        let first = tokio::spawn({
            let here = here.clone();
            async move { here.get(&1).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        let second = tokio::spawn({
            let there = there.clone();
            async move { there.get(&1).await }
        });
        slowly(&t, 90).await;
        assert_eq!(rows.loads(), 1, "renewed over and over");
        rows.open_gate();
        assert!(passes(&t, 50, || first.is_finished() && second.is_finished()).await);
        assert_eq!(first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
        assert_eq!(rows.loads(), 1);
    });
}

#[test]
fn a_wait_has_a_budget() {
    for_each_topology(async |t: Topology| {
        let (slow, quick) = (Rows::of(7), Rows::of(8));
        let here = build(&t, |b| b.source(slow.clone())).await;
        let there = build(&t, |b| b.wait_budget(t.units(4)).source(quick.clone())).await;
        slow.close_gate();
        let first = tokio::spawn({
            let here = here.clone();
            async move { here.get(&1).await }
        });
        assert!(passes(&t, 50, || slow.loads() == 1).await);
        let second = tokio::spawn({
            let there = there.clone();
            async move { there.get(&1).await }
        });
        assert!(passes(&t, 50, || second.is_finished()).await);
        assert_eq!(second.await.unwrap().unwrap().as_deref(), Some(&8));
        assert_eq!((there.stats().waits_given_up, there.stats().fills), (1, 0));
        slow.open_gate();
        assert_eq!(first.await.unwrap().unwrap().as_deref(), Some(&7));
    });
}

#[test]
fn a_caller_who_comes_after_an_invalidation_does_not_share_the_load_before_it() {
    for_each_topology(async |t: Topology| {
        let here = build(&t, |b| b.near(near(&t))).await;
        let rows = Rows::of(7);
        rows.close_gate();
        let early = tokio::spawn({
            let (here, rows) = (here.clone(), rows.clone());
            async move {
                here.get_or_load(&1, async || rows.read(1).await.map(Option::unwrap_or_default))
                    .await
            }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        here.invalidate(&1).await.unwrap();
        assert_eq!(*here.get_or_load(&1, || answers(8)).await.unwrap(), 8);
        rows.open_gate();
        assert_eq!(
            *early.await.unwrap().unwrap(),
            7,
            "who asked before may have the old value"
        );
        assert_eq!(
            here.get(&1).await.unwrap().as_deref(),
            Some(&8),
            "and it is stored nowhere"
        );
    });
}

#[test]
fn a_caller_who_comes_during_a_load_shares_it_if_it_was_stored() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let here = build(&t, |b| b.source(rows.clone())).await;
        rows.close_gate();
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let here = here.clone();
                Box::pin(async move { here.get(&1).await })
            })
            .collect();
        let [first, second]: [_; 2] = calls.try_into().unwrap_or_else(|_| unreachable!("two were made"));
        let first = tokio::spawn(first);
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        let mut second = second;
        // It has come: what is left of it may run when it will.
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        let second = tokio::spawn(second);
        rows.open_gate();
        assert!(passes(&t, 50, || first.is_finished() && second.is_finished()).await);
        assert_eq!(
            Arc::clone(&first.await.unwrap().unwrap().unwrap()),
            second.await.unwrap().unwrap().unwrap()
        );
        assert_eq!((rows.loads(), here.stats().shared), (1, 1));
    });
}

#[test]
fn loads_at_a_time_are_bounded() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let here = build(&t, |b| b.source(rows.clone()).max_loads(3)).await;
        rows.close_gate();
        let calls: Vec<_> = (0..10)
            .map(|key| {
                let here = here.clone();
                tokio::spawn(async move { here.get(&key).await })
            })
            .collect();
        assert!(passes(&t, 50, || rows.loads() == 3).await);
        t.advance(2).await;
        assert_eq!(rows.loads(), 3);
        rows.open_gate();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().as_deref(), Some(&7));
        }
    });
}

#[test]
fn a_load_has_a_limit_of_time() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let here = build(&t, |b| b.source(rows.clone()).load_timeout(t.units(4))).await;
        rows.close_gate();
        let call = tokio::spawn({
            let here = here.clone();
            async move { here.get(&1).await }
        });
        assert!(passes(&t, 50, || call.is_finished()).await);
        let error = call.await.unwrap().unwrap_err();
        assert!(error.is_timeout() && error.is_load(), "{error}");
        rows.open_gate();
        assert_eq!(
            here.get(&1).await.unwrap().as_deref(),
            Some(&7),
            "its lease was given back"
        );
    });
}
