//! Limits that are changed while they are in use.

use std::time::Duration;

use larder_kit::limit::{FixedWindow, Gcra, LimitError, Limiter, Limits, OnStoreDown, SlidingLog};
use larder_store::Store;
use larder_testkit::{Topology, for_each_topology};

use crate::immortal::no_immortal_keys;

/// A process that looks every two units.
fn process(t: &Topology, store: &Store, limits: Limits) -> Limiter {
    let builder = Limiter::builder("api").store(store).limits(limits).refresh(t.units(2));
    builder
        .on_store_down(OnStoreDown::Closed)
        .build()
        .expect("the settings are right")
}

fn daily(limit: u64) -> Limits {
    Limits::new().limit(FixedWindow::per_day(limit))
}

#[test]
fn every_process_goes_by_new_limits_within_its_refresh() {
    for_each_topology(async |t: Topology| {
        let one = process(&t, &t.store().await, daily(3));
        let other = process(&t, &t.another_store().await, daily(3));
        for limiter in [&one, &other] {
            assert_eq!(limiter.check("a").await?.capacity, 3);
        }
        let revision = one.reconfigure(daily(10)).await?;
        assert_eq!(one.limits().0, revision);
        // What was charged stays charged.
        let decision = one.check("a").await?;
        assert_eq!((decision.capacity, decision.remaining), (10, 7));
        t.advance(3).await;
        // This call looks, and is still denied by what it knew; the next one goes by what it found.
        assert!(!other.check("a").await?.allowed);
        let decision = other.check("a").await?;
        assert_eq!((decision.capacity, decision.remaining), (10, 6));
        // A process that starts now never goes by its own limits, however many callers it begins with.
        let third = process(&t, &t.another_store().await, daily(3));
        let callers = (0..20u64).map(|caller| {
            let third = third.clone();
            tokio::spawn(async move { third.check(&caller).await })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.expect("it does not panic")?.capacity, 10);
        }
        third.check("a").await?;

        one.restore().await?;
        t.advance(3).await;
        other.check("a").await?;
        let denied = other.check("a").await?;
        assert_eq!(
            (denied.allowed, denied.capacity),
            (false, 3),
            "five and more are charged"
        );
        assert_eq!(other.limits().0, 0);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn a_look_costs_no_round_trip() {
    for_each_topology(async |t: Topology| {
        let store = t.another_store().await;
        let limiter = process(&t, &store, daily(100));
        limiter.check("a").await?;
        t.advance(3).await;
        let before = calls(&t);
        limiter.check("a").await?;
        // Both scripts, sent together: the round trip is one, as `call_many` promises.
        assert_eq!(calls(&t) - before, 2);
        limiter.check("a").await?;
        let within_refresh = calls(&t) - before;
        // On a machine that stood still meanwhile a look was due again.
        assert!(within_refresh == 3 || t.clock().as_manual().is_none() && within_refresh == 4);
        Ok::<_, LimitError>(())
    });
}

/// Scripts that the server ran.
fn calls(t: &Topology) -> u64 {
    let stats = t
        .wire()
        .call(&["INFO", "commandstats"])
        .expect("the server answers")
        .text();
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let count = line.and_then(|rest| rest.split(',').next());
    count.expect("a script ran").parse().expect("a number")
}

#[test]
fn of_two_who_change_them_at_one_time_one_is_told() {
    for_each_topology(async |t: Topology| {
        let one = process(&t, &t.store().await, daily(3));
        let other = process(&t, &t.another_store().await, daily(3));
        let (revision, _) = other.look().await?;
        assert_eq!(revision, 0);
        let first = one.reconfigure_from(0, daily(4)).await?;
        let error = other
            .reconfigure_from(revision, daily(5))
            .await
            .expect_err("it was changed");
        assert!(error.is_changed(), "{error}");
        let (seen, limits) = other.look().await?;
        assert_eq!(
            (seen, limits.iter().next().map(|(_, limit)| limit.capacity())),
            (first, Some(4))
        );
        let second = other.reconfigure_from(seen, daily(5)).await?;
        assert!(second > first);
        // Whoever does not look is the last to win.
        assert!(one.reconfigure(daily(6)).await? > second);

        // All at once: exactly one of each round.
        let (mut revision, _) = one.look().await?;
        for round in 0..20 {
            let changes = (0..4).map(|at| {
                let limiter = if at % 2 == 0 { one.clone() } else { other.clone() };
                tokio::spawn(async move { limiter.reconfigure_from(revision, daily(10 + round)).await })
            });
            let mut won = Vec::new();
            for change in changes.collect::<Vec<_>>() {
                won.extend(change.await.expect("it does not panic").ok());
            }
            assert_eq!(won.len(), 1, "round {round}");
            revision = won[0];
        }
        // Lost with everything else, it goes on growing.
        t.wire().call(&["FLUSHALL"]).expect("the server answers");
        t.advance(1).await;
        assert!(one.reconfigure(daily(7)).await? > revision);
        no_immortal_keys(&t, 1);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn charges_carry_over() {
    for_each_topology(async |t: Topology| {
        // A debt of days under a slow limit is a full burst of a fast one, and no more.
        let slow = Limits::new().limit(Gcra::per_day(10));
        let limiter = process(&t, &t.store().await, slow);
        assert!(limiter.check_cost("a", 10).await?.allowed);
        limiter
            .reconfigure(Limits::new().limit(Gcra::per(10, t.units(40))))
            .await?;
        let denied = limiter.check("a").await?;
        assert!(!denied.allowed, "what is owed is not forgiven");
        let wait = denied.retry_after.expect("it is a matter of time");
        assert!(wait <= t.units(4), "{wait:?}");
        t.advance(5).await;
        assert!(limiter.check("a").await?.allowed);

        // The same where several are checked as one.
        limiter.reconfigure(Limits::new().limit(Gcra::per_day(10))).await?;
        assert!(limiter.check_cost("c", 10).await?.allowed);
        let two = Limits::new()
            .limit(Gcra::per(10, t.units(40)))
            .limit(FixedWindow::per_day(100));
        limiter.reconfigure(two).await?;
        assert!(!limiter.check("c").await?.allowed);
        t.advance(5).await;
        assert!(limiter.check("c").await?.allowed);

        // A log is the same under a smaller limit.
        limiter
            .reconfigure(Limits::new().limit(SlidingLog::per_day(10)))
            .await?;
        assert!(limiter.check_cost("b", 5).await?.allowed);
        limiter.reconfigure(Limits::new().limit(SlidingLog::per_day(6))).await?;
        assert_eq!(limiter.check("b").await?.remaining, 0);
        limiter.reconfigure(Limits::new().limit(SlidingLog::per_day(3))).await?;
        let denied = limiter.check("b").await?;
        assert_eq!((denied.allowed, denied.remaining), (false, 0));

        // One more limit: what the others know stays.
        let two = Limits::new()
            .limit(SlidingLog::per_day(7))
            .limit_as("hourly", FixedWindow::per_hour(5));
        limiter.reconfigure(two).await?;
        assert_eq!(limiter.check("b").await?.remaining, 0);
        no_immortal_keys(&t, 3);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn limits_that_cannot_be_read_leave_those_in_force() {
    for_each_topology(async |t: Topology| {
        let limiter = process(&t, &t.store().await, daily(3));
        assert!(limiter.check("a").await?.allowed);
        for text in [
            "no number [] ",
            "7 not json",
            "7 []",
            r#"7 [{"name":"x","kind":"of the future","args":[1,2]}]"#,
            r#"7 [{"name":"x","kind":"fixed","args":[0,0]}]"#,
        ] {
            let ttl = Duration::from_secs(60).as_millis().to_string();
            t.wire()
                .call(&["SET", "limit:{api}limits", text, "PX", &ttl])
                .expect("the server answers");
            let error = limiter.look().await.expect_err(text);
            assert!(error.is_config(), "{error}");
            assert_eq!(limiter.check(text).await?.capacity, 3);
        }
        assert!(
            limiter
                .reconfigure(Limits::new())
                .await
                .is_err_and(|error| error.is_config())
        );
        // A good one takes their place.
        limiter.reconfigure(daily(4)).await?;
        assert_eq!(limiter.check("a").await?.capacity, 4);
        Ok::<_, LimitError>(())
    });
}

#[test]
fn use_keeps_the_limits_alive() {
    for_each_topology(async |t: Topology| {
        let limiter = process(&t, &t.store().await, daily(3));
        limiter.reconfigure(daily(4)).await?;
        let key = "limit:{api}limits";
        t.wire().call(&["PEXPIRE", key, "600000"]).expect("the server answers");
        limiter.look().await?;
        let ttl = t.wire().call(&["PTTL", key]).expect("the server answers").int();
        let days = ttl / 86_400_000;
        assert!((89..=90).contains(&days), "{ttl}");
        Ok::<_, LimitError>(())
    });
}
