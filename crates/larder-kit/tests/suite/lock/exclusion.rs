//! One holder at a time, and who it was.

use larder_kit::lock::{Fence, Lock, LockError, Loss, Released, StoreLock};
use larder_testkit::{Topology, eventually, for_each_topology};
use redis::AsyncCommands as _;

use super::{DEADLINE, TTL, fixed, watched};
use crate::immortal::no_immortal_keys;

#[test]
fn one_holder_at_a_time_and_each_with_a_greater_fence() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (fixed(&t, &t.store().await), fixed(&t, &t.another_store().await));
        let mut last = None;
        for _ in 0..5 {
            let guard = here.acquire(&42).await?;
            assert!(there.try_acquire(&42).await?.is_none(), "another client is kept out");
            let other = there.try_acquire(&43).await?.expect("of this key alone");
            other.release().await?;
            assert!(guard.fence() > last && guard.fence().is_some());
            last = guard.fence();
            assert_eq!(guard.release().await?, Released::Released);
            let guard = there.try_acquire(&42).await?.expect("it is free");
            assert!(guard.fence() > last);
            last = guard.fence();
            guard.release().await?;
        }
        no_immortal_keys(&t, 1);
        Ok::<_, LockError>(())
    });
}

/// As where a database has seen higher fences than a store that lost its own.
#[test]
fn a_fence_that_was_seen_elsewhere_is_exceeded() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (fixed(&t, &t.store().await), fixed(&t, &t.another_store().await));
        let hour = 3_600_000_000;
        let guard = here.acquire(&42).await?;
        let fence = guard.fence().expect("it is exclusive");
        let seen = Fence::new(fence.get() + hour);
        assert_eq!(there.raise_fence(&42, seen).await?, seen, "also while it is held");
        assert_eq!(there.raise_fence(&42, fence).await?, seen, "it never goes back");
        guard.extend().await?;
        guard.release().await?;
        let guard = there.acquire(&42).await?;
        assert_eq!(guard.fence(), Some(Fence::new(seen.get() + 1)));
        guard.release().await?;
        assert_eq!(here.raise_fence(&43, seen).await?, seen, "also where there was none");
        let other = here.acquire(&44).await?;
        assert!(other.fence() < Some(seen), "of this key alone");
        other.release().await?;
        let refused = here
            .raise_fence(&42, Fence::new(u64::MAX))
            .await
            .expect_err("it is not exact");
        assert!(refused.is_config(), "{refused:?}");
        no_immortal_keys(&t, 3);
        Ok::<_, LockError>(())
    });
}

#[test]
fn a_lease_ends_for_its_holder_before_another_can_have_it() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (fixed(&t, &t.store().await), fixed(&t, &t.another_store().await));
        let guard = here.acquire("nightly").await?;
        let lost = guard.lost();
        assert!(guard.check().is_ok() && guard.remaining() < t.units(TTL));
        let mut second = None;
        for _ in 0..2 * TTL {
            second = there.try_acquire("nightly").await?;
            if second.is_some() {
                break;
            }
            t.advance(1).await;
        }
        let second = second.expect("the lease has ended");
        let error = guard.check().expect_err("and its holder knows");
        assert!(
            matches!(
                error,
                LockError::Lost {
                    loss: Loss::Expired,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(lost.await, Loss::Expired);
        assert!(second.fence() > guard.fence());
        // What was somebody else's stays.
        assert_eq!(guard.release().await?, Released::NotHeld);
        second.check()?;
        assert!(here.try_acquire("nightly").await?.is_none());
        no_immortal_keys(&t, 1);
        Ok::<_, LockError>(())
    });
}

#[test]
fn the_fence_grows_over_lost_data() {
    for_each_topology(async |t: Topology| {
        let mut store = t.store().await;
        let locks = watched(&t, &store);
        let before = locks.acquire(&1).await?;
        // A server's clock moves on by itself.
        t.advance(1).await;
        store.flushall::<()>().await.expect("it is a server for tests");
        let after = locks.try_acquire(&1).await?.expect("nobody has it any more");
        assert!(after.fence() > before.fence());
        // The first holder hears of it at its next renewal, by the watchdog's own hand or when it asks.
        let error = before.extend().await.expect_err("it is another's");
        assert!(matches!(error, LockError::Lost { loss: Loss::Taken, .. }), "{error:?}");
        assert_eq!(before.release().await?, Released::NotHeld);
        after.check()?;
        Ok::<_, LockError>(())
    });
}

#[test]
fn the_watchdog_renews_for_as_long_as_the_guard_lives() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (watched(&t, &t.store().await), watched(&t, &t.another_store().await));
        let guard = here.acquire(&1).await?;
        let half = t.units(TTL / 2);
        for _ in 0..3 * TTL {
            t.advance(1).await;
            // A clock that is moved waits for nobody: a task may still be on its way.
            eventually(DEADLINE, async || guard.check().is_err() || guard.remaining() > half).await;
            guard.check()?;
        }
        assert!(there.try_acquire(&1).await?.is_none());
        drop(guard);
        eventually(DEADLINE, async || {
            there.try_acquire(&1).await.is_ok_and(|guard| guard.is_some())
        })
        .await;
        Ok::<_, LockError>(())
    });
}

#[test]
fn who_waits_gets_it_when_it_is_given_back() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (watched(&t, &t.store().await), watched(&t, &t.another_store().await));
        let guard = here.acquire(&1).await?;
        let error = tokio::join!(there.acquire_within(&1, t.units(4)), t.advance(8)).0;
        assert!(error.expect_err("it is held").is_busy());
        let mut waiting = there.acquire(&1);
        let early = tokio::select! { biased; done = &mut waiting => Some(done.is_ok()), () = t.advance(2) => None };
        assert_eq!(early, None, "it is held");
        guard.release().await?;
        t.while_time_passes(waiting).await?.check()?;
        Ok::<_, LockError>(())
    });
}

#[test]
fn a_token_hands_the_lock_on_once() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (fixed(&t, &t.store().await), fixed(&t, &t.another_store().await));
        let guard = here.acquire(&1).await?;
        let fence = guard.fence();
        let text = guard.into_token().expect("it has one").reveal();
        t.advance(TTL / 2).await;
        let token: larder_kit::lock::OwnerToken = text.parse().expect("it was written by a token");
        let adopted = there.adopt(&1, token.clone()).await?;
        assert_eq!(adopted.fence(), fence);
        assert!(adopted.remaining() > t.units(TTL / 2), "it has its whole time again");
        let error = here.adopt(&1, token).await.expect_err("it is good once");
        assert!(matches!(error, LockError::NotHeld { .. }), "{error:?}");
        assert!(adopted.release().await?.was_held());
        Ok::<_, LockError>(())
    });
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for_each_topology(async |t: Topology| {
        let store = t.store().await;
        assert!(
            StoreLock::builder("invoices")
                .build()
                .expect_err("no store")
                .is_config()
        );
        assert!(
            StoreLock::builder("In voices")
                .store(&store)
                .build()
                .expect_err("no namespace")
                .is_config()
        );
        let short = StoreLock::builder("invoices")
            .store(&store)
            .ttl(std::time::Duration::from_millis(9));
        assert!(short.build().expect_err("too short").to_string().contains("ttl"));
    });
}
