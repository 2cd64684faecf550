//! What a process decides without asking: permits borrowed ahead, and denials that it remembers.

use std::time::Duration;

use larder_kit::limit::{Basis, FixedWindow, LimitError, Limiter, OnStoreDown};
use larder_testkit::{Topology, for_each_topology};

use super::{DAY, every_kind};

const PROCESSES: u64 = 4;
const BATCH: u64 = 5;

#[test]
fn borrowed_permits_are_handed_out_without_asking() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(8, DAY) {
            let builder = Limiter::builder(kind).store(&t.store().await).limit(limit);
            let limiter = builder.borrow_ahead(5).on_store_down(OnStoreDown::Closed).build()?;
            let mut asked = 0;
            for call in 0..8 {
                let decision = limiter.check("a").await?;
                assert!(decision.allowed, "{kind}, call {call}");
                assert_eq!(decision.server_time.is_some(), decision.basis == Basis::Store);
                asked += u64::from(decision.basis == Basis::Store);
            }
            // Five at once; the last three, for which there is no batch, one by one.
            assert_eq!(asked, 4, "{kind}");
            assert!(!limiter.check("a").await?.allowed, "{kind}");
            // A request by its name is never a borrowed one.
            assert!(limiter.check_once("b", 1, "r").await?.allowed);
            assert_eq!(limiter.peek("b").await?.remaining, 7, "{kind}");
        }
        Ok::<_, LimitError>(())
    });
}

/// N processes that each hold the rest of a batch from the window before: the window that follows sees N × batch more than its
/// limit, at most, and it does see more.
#[test]
fn the_error_of_borrowing_is_n_times_the_batch_at_most() {
    for_each_topology(async |t: Topology| {
        // In real time nobody knows in which window a call comes.
        if t.clock().as_manual().is_none() {
            return Ok(());
        }
        const LIMIT: u64 = 30;
        for (kind, limit) in every_kind(LIMIT, t.units(20)) {
            let mut processes = Vec::new();
            for _ in 0..PROCESSES {
                let builder = Limiter::builder(kind).store(&t.another_store().await).limit(limit);
                let limiter = builder.borrow_ahead(BATCH).on_store_down(OnStoreDown::Closed).build()?;
                assert!(limiter.check("a").await?.allowed);
                processes.push(limiter);
            }
            // Two windows, so that nothing of that is charged any more.
            t.advance(40).await;
            let mut admitted = 0;
            for limiter in &processes {
                while limiter.check("a").await?.allowed {
                    admitted += 1;
                }
            }
            assert!(admitted <= LIMIT + PROCESSES * BATCH, "{kind}: {admitted}");
            assert_eq!(admitted, LIMIT + PROCESSES * (BATCH - 1), "{kind}");
        }
        Ok::<_, LimitError>(())
    });
}

#[test]
fn many_at_once_never_hold_more_than_a_batch() {
    for_each_topology(async |t: Topology| {
        let builder = Limiter::builder("api")
            .store(&t.store().await)
            .limit(FixedWindow::per_day(1_000));
        let limiter = builder.borrow_ahead(100).on_store_down(OnStoreDown::Closed).build()?;
        let calls = (0..200).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.check("a").await })
        });
        let mut admitted = 0;
        for call in calls.collect::<Vec<_>>() {
            admitted += u64::from(call.await.expect("it does not panic")?.allowed);
        }
        let charged = 1_000 - limiter.peek("a").await?.remaining;
        let mut held = 0;
        while limiter.check("a").await?.basis == Basis::Borrowed {
            held += 1;
        }
        assert!(
            admitted <= charged && held <= 100,
            "{admitted} of {charged}, {held} held"
        );
        Ok::<_, LimitError>(())
    });
}

#[test]
fn a_denial_is_remembered_as_long_as_it_surely_stands() {
    for_each_topology(async |t: Topology| {
        // In real time a test may stand still for any span that it could wait for.
        let is_manual = t.clock().as_manual().is_some();
        let up_to = if is_manual { t.units(40) } else { DAY };
        for (kind, limit) in every_kind(2, DAY) {
            let builder = Limiter::builder(kind).store(&t.store().await).limit(limit);
            let limiter = builder
                .remember_denials(up_to)
                .on_store_down(OnStoreDown::Closed)
                .build()?;
            assert!(limiter.check_cost("a", 2).await?.allowed);
            let denied = limiter.check("a").await?;
            assert_eq!((denied.allowed, denied.basis), (false, Basis::Store));
            // Behind its back there is room again: it goes by what it knows.
            t.wire().call(&["FLUSHALL"]).expect("the server answers");
            let again = limiter.check("a").await?;
            assert_eq!(
                (again.allowed, again.basis, again.server_time),
                (false, Basis::Remembered, None),
                "{kind}"
            );
            assert!(
                again
                    .retry_after
                    .is_some_and(|wait| wait > Duration::ZERO && wait <= DAY * 2)
            );
            assert_eq!(limiter.check_cost("a", 9).await?.retry_after, None, "{kind}");
            // Of somebody else it knows nothing; and no longer than it was told to.
            assert!(limiter.check("b").await?.allowed, "{kind}");
            if is_manual {
                t.advance(41).await;
                assert!(limiter.check("a").await?.allowed, "{kind}");
            }
            // Its own reset it knows of.
            limiter.check_cost("a", 2).await?;
            assert!(!limiter.check_cost("a", 2).await?.allowed);
            limiter.reset("a").await?;
            assert!(limiter.check_cost("a", 2).await?.allowed, "{kind}");
        }
        Ok::<_, LimitError>(())
    });
}

/// Two callers of one stream, of whom one remembers: they are told the same, call by call.
#[test]
fn remembering_never_denies_what_the_store_would_admit() {
    for_each_topology(async |t: Topology| {
        if t.clock().as_manual().is_none() {
            return Ok(());
        }
        for (kind, limit) in every_kind(4, t.units(10)) {
            let plain = Limiter::builder(&format!("{kind}-plain"))
                .store(&t.store().await)
                .limit(limit);
            let plain = plain.on_store_down(OnStoreDown::Closed).build()?;
            let quick = Limiter::builder(&format!("{kind}-quick"))
                .store(&t.store().await)
                .limit(limit);
            let quick = quick.remember_denials(DAY).on_store_down(OnStoreDown::Closed).build()?;
            let mut remembered = 0;
            for call in 0..200u64 {
                let cost = 1 + call % 3;
                let (one, other) = (plain.check_cost("a", cost).await?, quick.check_cost("a", cost).await?);
                assert_eq!(one.allowed, other.allowed, "{kind}, call {call}: {one:?}, {other:?}");
                remembered += u64::from(other.basis == Basis::Remembered);
                if call % 2 == 0 {
                    t.advance(1).await;
                }
            }
            assert!(remembered > 20, "{kind}: {remembered}");
        }
        Ok::<_, LimitError>(())
    });
}

#[test]
fn spans_without_end_are_spans_like_others() {
    for_each_topology(async |t: Topology| {
        let builder = Limiter::builder("api")
            .store(&t.store().await)
            .limit(FixedWindow::per_day(1));
        let builder = builder.remember_denials(Duration::MAX).refresh(Duration::MAX);
        let limiter = builder.on_store_down(OnStoreDown::Closed).build()?;
        assert!(limiter.acquire("a", 1, Duration::MAX).await?.allowed);
        let denied = [limiter.check("a").await?, limiter.check("a").await?];
        assert_eq!(denied.map(|it| it.basis), [Basis::Store, Basis::Remembered]);
        Ok::<_, LimitError>(())
    });
}
