//! Requests and replies that are late or lost, and what a holder believes meanwhile.

use std::{sync::Arc, time::Duration};

use larder_base::Clock;
use larder_kit::lock::{Grant, Keeper, Lease, Lock, LockError, LockFuture, Loss, Released};
use larder_store::Fate;

use super::network::{TTL, Trip, World, on_one_thread};

/// No holder believes in its lock when the store can grant it to another: asserted at every twentieth of the ttl.
async fn at_most_one_believes(world: &World, holder: &larder_kit::lock::Guard) {
    for _ in 0..60 {
        if let Some(second) = world
            .beside
            .try_acquire(&1)
            .await
            .expect("there is no network on this side")
        {
            assert!(holder.check().is_err(), "two holders at once");
            assert!(second.fence() > holder.fence());
            return;
        }
        world.hand.advance(TTL / 20);
        world.settle().await;
    }
    panic!("the lease of a silent holder ends");
}

/// M20: time counts from the request.
#[test]
pub(super) fn a_reply_that_is_late_gives_no_time() {
    on_one_thread(async {
        let world = World::new(false);
        world.network.plan(&[Trip(Duration::ZERO, Fate::Arrives, TTL / 2)]);
        let guard = world
            .while_time_passes(world.behind.acquire(&1))
            .await
            .expect("half of it is left");
        at_most_one_believes(&world, &guard).await;

        let world = World::new(false);
        let guard = world.behind.acquire(&1).await.expect("it is free");
        world.network.plan(&[Trip(Duration::ZERO, Fate::Arrives, TTL / 2)]);
        world
            .while_time_passes(guard.extend())
            .await
            .expect("half of it is left");
        at_most_one_believes(&world, &guard).await;
    });
}

/// Another backend, which grants less than it was asked for.
#[derive(Debug)]
struct Stingy;

impl Lease for Stingy {
    fn resource(&self) -> &'static str {
        "other:1"
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    fn extend(&self) -> LockFuture<'_, Option<Duration>> {
        Box::pin(async { Ok(Some(TTL / 4)) })
    }

    fn release(&self) -> LockFuture<'_, Released> {
        Box::pin(async { Ok(Released::Released) })
    }
}

/// M20: what was granted counts, not what was asked for.
#[test]
pub(super) fn a_guard_believes_what_it_was_told_is_left() {
    on_one_thread(async {
        let (clock, hand) = Clock::manual();
        let keeper = Keeper::new("other", &clock).expect("a good name").watchdog(false);
        let grant = Grant {
            sent: keeper.now(),
            left: TTL / 4,
            fence: None,
        };
        let guard = keeper
            .guard(keeper.label("1"), Arc::new(Stingy), grant)
            .expect("in time");
        assert!(guard.remaining() < TTL / 4);
        hand.advance(TTL / 8);
        guard.extend().await.expect("it is held");
        assert!(guard.remaining() < TTL / 4);
        hand.advance(TTL / 4);
        assert!(guard.check().is_err());
        assert!(guard.into_token().is_err(), "it has none");
    });
}

/// M50: a retry is an attempt of its own.
#[test]
pub(super) fn a_retry_has_its_whole_time_and_its_first_copy_gets_nothing() {
    on_one_thread(async {
        // The first is granted, and its reply is lost; the second is under way for most of the ttl.
        let world = World::new(false);
        let slow = Trip(TTL / 20 * 14, Fate::Arrives, Duration::ZERO);
        world.network.plan(&[
            Trip(Duration::ZERO, Fate::ReplyLost, Duration::ZERO),
            slow,
            Trip::DIRECT,
        ]);
        let guard = world
            .while_time_passes(world.behind.acquire(&1))
            .await
            .expect("the store granted it anew");
        // The lease began when the retry arrived: the store keeps it for the whole ttl from then on.
        world.hand.advance(TTL / 20 * 4);
        guard.check().expect("it counts from when the retry was sent");
        world.hand.advance(TTL / 20 * 2);
        assert!(
            world.beside.try_acquire(&1).await.expect("no network").is_none(),
            "and the store is later than the holder"
        );

        // The first is late: it finds its successor, and leaves it alone.
        let world = World::new(false);
        world
            .network
            .plan(&[Trip(Duration::ZERO, Fate::Late, Duration::ZERO), Trip::DIRECT]);
        let guard = world.behind.acquire(&1).await.expect("the second attempt");
        world.network.let_arrive();
        guard.extend().await.expect("it is still this attempt's");
        at_most_one_believes(&world, &guard).await;
    });
}

#[test]
fn an_answer_that_comes_after_the_lease_is_no_lock() {
    on_one_thread(async {
        let world = World::new(false);
        world
            .network
            .plan(&[Trip(Duration::ZERO, Fate::Arrives, TTL * 2), Trip::DIRECT]);
        let error = world
            .while_time_passes(world.behind.acquire(&1))
            .await
            .expect_err("it is over");
        assert!(
            matches!(error, LockError::TooSlow { .. }) && error.is_store_down(),
            "{error:?}"
        );
    });
}

#[test]
fn an_attempt_that_nobody_answers_is_given_up_and_leaves_nothing() {
    on_one_thread(async {
        let world = World::new(false);
        let unseen = Trip(Duration::ZERO, Fate::ReplyLost, Duration::ZERO);
        world.network.plan(&[unseen, unseen, unseen, Trip::DIRECT]);
        let error = world.behind.acquire(&1).await.expect_err("three attempts");
        assert!(error.is_store_down(), "{error:?}");
        world.settle().await;
        assert!(
            world.beside.try_acquire(&1).await.expect("no network").is_some(),
            "no time has passed"
        );
    });
}

#[test]
fn an_acquire_that_is_dropped_leaves_nothing() {
    on_one_thread(async {
        let world = World::new(true);
        world
            .network
            .plan(&[Trip(Duration::ZERO, Fate::Arrives, TTL), Trip::DIRECT]);
        {
            let mut acquiring = world.behind.acquire(&1);
            let pending = tokio::select! { biased; _ = &mut acquiring => false, () = world.settle() => true };
            assert!(pending);
            assert!(
                world.beside.try_acquire(&1).await.expect("no network").is_none(),
                "the store has granted it"
            );
        }
        world.settle().await;
        assert!(
            world.beside.try_acquire(&1).await.expect("no network").is_some(),
            "no time has passed"
        );
    });
}

#[test]
fn a_holder_out_of_reach_stops_before_another_is_granted() {
    on_one_thread(async {
        let world = World::new(true);
        let guard = world.behind.acquire(&1).await.expect("it is free");
        world.network.plan(&[Trip::LOST]);
        let lost = guard.lost();
        let work = guard.run(std::future::pending::<()>());
        let stopped = world.while_time_passes(work).await.expect_err("it cannot be renewed");
        assert!(
            matches!(
                stopped,
                LockError::Lost {
                    loss: Loss::Expired,
                    ..
                }
            ),
            "{stopped:?}"
        );
        assert!(
            world.beside.try_acquire(&1).await.expect("no network").is_none(),
            "it is early"
        );
        assert_eq!(lost.await, Loss::Expired);
        // It is over for good, although the store would still renew it.
        world.network.plan(&[Trip::DIRECT]);
        assert!(guard.extend().await.expect_err("it is over").is_lost());
        assert!(
            guard.release().await.expect("the store is back").was_held(),
            "and it is given back early"
        );
    });
}

#[test]
fn a_store_that_comes_back_in_time_costs_nobody_the_lock() {
    on_one_thread(async {
        let world = World::new(true);
        let guard = world.behind.acquire(&1).await.expect("it is free");
        for _ in 0..4 {
            world.network.plan(&[Trip::LOST]);
            for _ in 0..8 {
                world.settle().await;
                world.hand.advance(TTL / 20);
            }
            world.network.plan(&[Trip::DIRECT]);
            for _ in 0..4 {
                world.settle().await;
                world.hand.advance(TTL / 20);
            }
            guard.check().expect("it was renewed between two outages");
        }
    });
}

#[test]
fn a_machine_that_slept_knows_that_its_lock_is_over() {
    on_one_thread(async {
        let world = World::new(true);
        let guard = world.behind.acquire(&1).await.expect("it is free");
        // What the monotonic clock does not see, the store does.
        world.hand.suspend(TTL * 2);
        let second = world
            .beside
            .try_acquire(&1)
            .await
            .expect("no network")
            .expect("the lease has ended");
        assert!(guard.check().is_err(), "two holders at once");
        let begun = guard.run(async { panic!("it does not begin") }).await;
        assert!(begun.expect_err("it is lost").is_lost());
        drop(second);
    });
}

#[test]
fn work_that_ends_too_late_is_no_success() {
    on_one_thread(async {
        let world = World::new(false);
        let guard = world.behind.acquire(&1).await.expect("it is free");
        // The process stands still in the middle of the work.
        let done = guard.run(async { world.hand.advance(TTL * 2) }).await;
        assert!(done.expect_err("the lock was another's by then").is_lost());
        let begun = guard.run(async { panic!("it does not begin") }).await;
        assert!(begun.expect_err("it is lost").is_lost());
    });
}

/// What was taken over by a request whose answer nobody saw is given back by whoever gives up.
#[test]
fn an_adoption_that_is_given_up_leaves_nothing_held() {
    on_one_thread(async {
        let world = World::new(false);
        let token = world.beside.acquire(&1).await.expect("it is free").into_token();
        let token = token.expect("the lock of a store has a token");
        // It is taken over, which nobody hears; then the requests do not arrive.
        let lost_reply = Trip(Duration::ZERO, Fate::ReplyLost, Duration::ZERO);
        world.network.plan(&[lost_reply, Trip::LOST, Trip::LOST, Trip::DIRECT]);
        let error = world.behind.adopt(&1, token).await.expect_err("nobody answered");
        assert!(
            matches!(&error, LockError::Store(error) if error.is_unknown_outcome()),
            "{error}"
        );
        world.settle().await;
        let next = world.beside.try_acquire(&1).await.expect("no network");
        assert!(next.is_some(), "it is held by nobody");
    });
}
