//! Limits from many threads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use larder::{
    blocking::{
        Store,
        limit::{ConcurrencyLimit, Entry, Limiter, Permit},
    },
    limit::{Basis, FixedWindow, Gcra, LimitError, Limits, OnStoreDown},
};

use crate::for_each_place;

/// No test lasts so long, so that nothing comes back during it.
const HOUR: Duration = Duration::from_secs(3_600);

fn limiter(store: &Store, namespace: &str, calls: u64) -> Limiter {
    Limiter::builder(namespace)
        .store(store)
        .limit(Gcra::per(calls, HOUR))
        .on_store_down(OnStoreDown::Closed)
        .build()
        .unwrap()
}

#[test]
fn many_threads_together_are_admitted_as_often_as_one() {
    const CALLS: u64 = 20;
    for_each_place(|place| {
        let clients = [
            limiter(&place.store, "api", CALLS),
            limiter(&place.another_store(), "api", CALLS),
        ];
        let admitted = AtomicU64::new(0);
        thread::scope(|scope| {
            for api in clients.iter().cycle().take(6) {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let decision = api.check("ada").unwrap();
                        admitted.fetch_add(u64::from(decision.allowed), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::Relaxed), CALLS);
        place.no_immortal_keys(1);
    });
}

#[test]
fn calls_cost_are_told_how_long_to_wait_and_are_forgotten() {
    for_each_place(|place| {
        let api = limiter(&place.store, "costs", 4);
        assert_eq!(api.check_cost(&7u64, 3).unwrap().remaining, 1);
        assert_eq!(api.check_once(&7u64, 1, "order-9").unwrap().remaining, 0);
        assert!(api.check_once(&7u64, 1, "order-9").unwrap().allowed, "charged once");
        let peeked = api.peek(&7u64).unwrap();
        assert!(!peeked.allowed && peeked.retry_after.is_some());
        let late = api.acquire(&7u64, 1, Duration::ZERO).unwrap_err();
        assert!(late.to_string().contains("deadline"), "{late}");
        assert!(api.check_cost(&7u64, 0).is_err());
        api.reset(&7u64).unwrap();
        assert!(api.acquire(&7u64, 4, Duration::ZERO).unwrap().allowed);

        let (revision, _) = api.limits();
        assert_eq!(revision, 0);
        let other = Limits::new().limit(FixedWindow::per(2, HOUR));
        let revision = api.reconfigure(other.clone()).unwrap();
        assert_eq!(api.look().unwrap().0, revision);
        assert!(api.reconfigure_from(revision + 7, other).is_err());
        assert_eq!(api.check(&8u64).unwrap().remaining, 1);
        api.restore().unwrap();
        assert_eq!(api.limits().1.iter().count(), 1);
    });
}

fn exports(store: &Store, limit: u64, lease: Duration) -> ConcurrencyLimit {
    ConcurrencyLimit::builder("exports")
        .store(store)
        .limit(limit)
        .lease(lease)
        .on_store_down(OnStoreDown::Closed)
        .build()
        .unwrap()
}

fn admitted(exports: &ConcurrencyLimit) -> Permit {
    match exports.enter("ada").unwrap() {
        Entry::Admitted(permit) => permit,
        Entry::Full(decision) => panic!("there is room: {decision:?}"),
    }
}

#[test]
fn as_many_threads_are_in_at_once_as_it_says() {
    for_each_place(|place| {
        let exports = exports(&place.store, 2, HOUR);
        let mut permits: Vec<_> = thread::scope(|scope| {
            let asking: Vec<_> = (0..6).map(|_| scope.spawn(|| exports.enter("ada").unwrap())).collect();
            let entries = asking.into_iter().map(|thread| thread.join().unwrap());
            entries
                .filter_map(|entry| match entry {
                    Entry::Admitted(permit) => Some(permit),
                    Entry::Full(_) => None,
                })
                .collect()
        });
        assert_eq!(permits.len(), 2);
        let permit = permits.pop().unwrap();
        assert!(!permit.is_lost());
        assert!(permit.lost().wait_within(Duration::ZERO).is_err());
        assert_eq!(permit.run(|_| 7).unwrap(), 7);
        assert!(permit.release());
        let again = admitted(&exports);
        assert!(matches!(exports.enter("ada").unwrap(), Entry::Full(_)));
        drop((again, permits));
        place.eventually(|| matches!(exports.enter("ada").unwrap(), Entry::Admitted(_)));
    });
}

/// A deadline of real time would judge the machine.
#[test]
fn a_place_that_others_have_is_lost() {
    for_each_place(|place| {
        if place.topology().clock().as_manual().is_none() {
            return;
        }
        let lease = Duration::from_secs(3);
        let exports = exports(&place.store, 1, lease);
        let permit = admitted(&exports);
        place.topology().wire().call(&["FLUSHALL"]).unwrap();
        let _other = admitted(&exports);
        let lost = permit.lost();
        let watcher = thread::spawn(move || lost.wait());
        let outcome = permit.run(|held| {
            while !held.is_lost() {
                place.advance(lease / 6);
            }
        });
        assert!(matches!(outcome.unwrap_err(), LimitError::Lost(_)));
        let _why = watcher.join().unwrap();
        assert!(permit.run(|_| panic!("it does not begin")).is_err());
        assert!(!permit.release());
    });
}

#[test]
fn the_policy_answers_where_no_store_does() {
    let store = Store::lazy("redis://127.0.0.1:1").unwrap();
    let api = Limiter::builder("api")
        .store(&store)
        .limit(Gcra::per_second(1))
        .on_store_down(OnStoreDown::Open)
        .build()
        .unwrap();
    let decision = api.check("ada").unwrap();
    assert!(decision.allowed && decision.basis == Basis::Policy);
    let missing = Limiter::builder("api").limit(Gcra::per_second(1));
    let error = missing.on_store_down(OnStoreDown::Open).build().unwrap_err();
    assert!(error.to_string().contains(".store(&store)"), "{error}");
}
