//! What every kind of limit does, alone and together, on every store.

use std::time::Duration;

use larder_kit::limit::{Basis, FixedWindow, Gcra, Limit, Limiter, OnStoreDown, SlidingCounter, SlidingLog};
use larder_testkit::{Answer, Topology, for_each_topology};

use super::{DAY, every_kind};
use crate::immortal::no_immortal_keys;

/// More calls than any test needs to use up a limit of ten.
const CALLS_MAX: usize = 1_000;

async fn limiter(t: &Topology, name: &str, limit: Limit) -> Limiter {
    let builder = Limiter::builder(name).store(&t.store().await).limit(limit);
    builder
        .on_store_down(OnStoreDown::Closed)
        .build()
        .expect("the settings are right")
}

#[test]
fn each_kind_admits_its_limit_and_says_what_is_left() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(3, DAY) {
            let limiter = limiter(&t, kind, limit).await;
            for left in [2, 1, 0] {
                let decision = limiter.check(&42u64).await?;
                assert!(decision.allowed, "{kind}");
                assert_eq!(
                    (decision.remaining, decision.capacity, decision.span),
                    (left, 3, DAY),
                    "{kind}"
                );
                assert_eq!(decision.retry_after, Some(Duration::ZERO));
                assert_eq!((&*decision.limit, decision.basis), (kind, Basis::Store));
            }
            let denied = limiter.check(&42u64).await?;
            assert!(!denied.allowed, "{kind}");
            let wait = denied.retry_after.expect("it is a matter of time");
            assert!(wait > Duration::ZERO && wait <= DAY * 2, "{kind}: {wait:?}");
            assert!(
                denied.reset_after > Duration::ZERO && denied.reset_after <= DAY * 2,
                "{kind}"
            );
            let now = denied.server_time.expect("the server decided");
            // Its clock: that of the topology, within what a busy machine takes for a call.
            let apart = now.abs_diff(t.clock().unix());
            assert!(apart < Duration::from_secs(60), "{kind}: {apart:?}");
            assert!(limiter.check("somebody else").await?.allowed, "{kind}");
        }
        no_immortal_keys(&t, 8);
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn costs_are_charged_whole_or_not_at_all_and_too_much_is_never_admitted() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(10, DAY) {
            let limiter = limiter(&t, kind, limit).await;
            assert_eq!(limiter.check_cost("a", 7).await?.remaining, 3, "{kind}");
            let denied = limiter.check_cost("a", 4).await?;
            assert_eq!((denied.allowed, denied.remaining), (false, 3), "{kind}");
            assert_eq!(limiter.check_cost("a", 3).await?.remaining, 0, "{kind}");
            for cost in [11, u64::MAX] {
                let never = limiter.check_cost("b", cost).await?;
                assert_eq!((never.allowed, never.retry_after), (false, None), "{kind}");
            }
            assert_eq!(limiter.check_cost("b", 10).await?.remaining, 0, "{kind}");
            let error = limiter.check_cost("c", 0).await.expect_err("a call costs something");
            assert!(error.is_config(), "{error}");
        }
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn who_comes_back_when_told_is_admitted() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(5, t.units(8)) {
            let limiter = limiter(&t, kind, limit).await;
            let mut wait = None;
            for _ in 0..CALLS_MAX {
                let decision = limiter.check(&1u8).await?;
                if !decision.allowed {
                    wait = decision.retry_after;
                    break;
                }
            }
            let wait = wait.expect("five a window are used up some time, by one that asks without a pause");
            t.advance(wait.div_duration_f64(t.units(1)).ceil() as u32).await;
            assert!(limiter.check(&1u8).await?.allowed, "{kind}, after {wait:?}");
        }
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn a_repeated_request_is_charged_once() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(2, DAY) {
            let limiter = limiter(&t, kind, limit).await;
            for _ in 0..5 {
                let decision = limiter.check_once("a", 1, "message 7}").await?;
                assert_eq!((decision.allowed, decision.remaining), (true, 1), "{kind}");
            }
            assert_eq!(limiter.check_once("a", 1, "another").await?.remaining, 0, "{kind}");
            assert!(!limiter.check_once("a", 1, "a third").await?.allowed, "{kind}");
            assert!(
                limiter.check_once("a", 1, "another").await?.allowed,
                "{kind}: it was charged"
            );
        }
        no_immortal_keys(&t, 12);
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn a_peek_charges_nothing_and_a_reset_forgets() {
    for_each_topology(async |t: Topology| {
        for (kind, limit) in every_kind(2, DAY) {
            let limiter = limiter(&t, kind, limit).await;
            for _ in 0..5 {
                let look = limiter.peek("a").await?;
                assert_eq!((look.allowed, look.remaining), (true, 2), "{kind}");
            }
            limiter.check_cost("a", 2).await?;
            let look = limiter.peek("a").await?;
            assert_eq!((look.allowed, look.remaining), (false, 0), "{kind}");
            assert!(look.retry_after > Some(Duration::ZERO));
            limiter.reset("a").await?;
            assert_eq!(limiter.check("a").await?.remaining, 1, "{kind}");
        }
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

/// Every key with its content, in order.
fn everything(t: &Topology) -> Vec<(String, Result<Answer, String>)> {
    let mut wire = t.wire();
    let keys = wire.call(&["KEYS", "*"]).expect("the server answers");
    let mut all: Vec<_> = keys.list().iter().map(Answer::text).collect();
    all.sort();
    let content = |key: String| {
        let text = wire.call(&["GET", &key]);
        let content = text.or_else(|_| wire.call(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]));
        (key, content)
    };
    all.into_iter().map(content).collect()
}

#[test]
fn several_limits_are_one_and_a_denied_call_changes_none_of_them() {
    for_each_topology(async |t: Topology| {
        let builder = Limiter::builder("api").store(&t.store().await);
        let api = builder
            .limit(Gcra::per_day(10))
            .limit(SlidingLog::per_day(9))
            .limit(SlidingCounter::per_day(8))
            .limit_as("burst", FixedWindow::per_day(2))
            .on_store_down(OnStoreDown::Closed)
            .build()?;
        for left in [1, 0] {
            let decision = api.check("ada").await?;
            assert_eq!(
                (decision.allowed, decision.remaining, &*decision.limit),
                (true, left, "burst")
            );
        }
        let before = everything(&t);
        assert_eq!(before.len(), 4, "one key a limit: {before:?}");
        for _ in 0..3 {
            let denied = api.check_once("ada", 1, "r").await?;
            assert_eq!((denied.allowed, &*denied.limit, denied.capacity), (false, "burst", 2));
            assert!(!api.peek("ada").await?.allowed);
        }
        assert_eq!(everything(&t), before);
        let never = api.check_cost("ada", 9).await?;
        assert_eq!((never.allowed, never.retry_after), (false, None));
        no_immortal_keys(&t, 4);
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn several_limits_under_a_request_charge_it_once() {
    for_each_topology(async |t: Topology| {
        let builder = Limiter::builder("api").store(&t.store().await);
        let api = builder
            .limit(Gcra::per_day(10))
            .limit(FixedWindow::per_day(5))
            .on_store_down(OnStoreDown::Closed)
            .build()?;
        for _ in 0..4 {
            let decision = api.check_once("ada", 2, "r").await?;
            assert_eq!((decision.allowed, decision.remaining), (true, 3));
        }
        no_immortal_keys(&t, 4);
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn a_key_of_another_type_is_an_error_and_no_outage() {
    for_each_topology(async |t: Topology| {
        let (_, limit) = every_kind(2, DAY)[0];
        let limiter = limiter(&t, "api", limit).await;
        t.wire()
            .call(&["LPUSH", "limit:{api:a}:gcra", "x"])
            .expect("nobody wrote it yet");
        let error = limiter.check("a").await.expect_err("nothing can be counted there");
        assert!(
            error.store().is_some_and(larder_store::StoreError::is_wrong_type),
            "{error}"
        );
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn acquire_waits_for_room_and_not_past_its_deadline() {
    for_each_topology(async |t: Topology| {
        let (_, limit) = every_kind(2, t.units(20))[0];
        let limiter = limiter(&t, "api", limit).await;
        let error = limiter.acquire("a", 3, DAY).await.expect_err("there are never three");
        assert!(error.is_never(), "{error}");
        limiter.check_cost("b", 2).await?;
        let error = limiter.acquire("b", 2, Duration::ZERO).await;
        // On a machine that stood still for a second there is room.
        assert!(error.is_ok() || error.is_err_and(|error| error.is_too_late()));
        limiter.check_cost("c", 2).await?;
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire("c", 2, DAY).await }
        });
        while !waiting.is_finished() {
            t.advance(1).await;
        }
        assert!(waiting.await.expect("it does not panic")?.allowed);
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}

#[test]
fn settings_that_cannot_be_meant_are_refused_by_name() {
    let store = larder_store::Store::lazy("redis://127.0.0.1:1").expect("the URL is right");
    let refused = |name: &str, limit: Result<Limit, larder_kit::limit::LimitError>, says: &str| {
        let built = limit.and_then(|limit| {
            let builder = Limiter::builder(name).store(&store).limit(limit);
            builder.on_store_down(OnStoreDown::Open).build()
        });
        let error = built.expect_err(says);
        assert!(error.is_config() && error.to_string().contains(says), "{error}");
    };
    let (second, forever) = (Duration::from_secs(1), Duration::MAX);
    refused("api", Gcra::per_second(0).try_into(), "rate of 0");
    refused("api", Gcra::per(1, Duration::ZERO).try_into(), "period of 0");
    refused("api", Gcra::per_second(1_000_001).try_into(), "one per microsecond");
    refused("api", Gcra::per_second(1).burst(0).try_into(), "burst of 0");
    refused("api", Gcra::per_second(1).burst(u64::MAX).try_into(), "burst of");
    refused("api", Gcra::per_day(1).burst(36_501).try_into(), "a hundred years");
    refused("api", Gcra::per(1, forever).try_into(), "a hundred years");
    refused("api", FixedWindow::per(0, second).try_into(), "limit of 0");
    refused("api", FixedWindow::per(1, Duration::ZERO).try_into(), "window of 0");
    refused(
        "api",
        FixedWindow::per(1, Duration::from_micros(1_500)).try_into(),
        "milliseconds",
    );
    refused("api", SlidingCounter::per(u64::MAX, second).try_into(), "limit of");
    refused("api", SlidingCounter::per(1, forever).try_into(), "");
    refused(
        "api",
        SlidingCounter::per(1, Duration::from_secs(u64::MAX)).try_into(),
        "a hundred years",
    );
    refused("api", SlidingLog::per_day(100_001).try_into(), "SlidingCounter");
    refused("Api", FixedWindow::per_day(1).try_into(), "Api");

    let builder = || Limiter::builder("api").store(&store).on_store_down(OnStoreDown::Open);
    let says = |built: Result<Limiter, larder_kit::limit::LimitError>, what: &str| {
        let error = built.expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    };
    says(builder().build(), "no limit");
    says(
        builder().limit(Gcra::per_day(1)).limit(Gcra::per_day(2)).build(),
        "`gcra`",
    );
    says(builder().limit_as("a b", Gcra::per_day(1)).build(), "a b");
    says(
        builder().limit(Gcra::per_day(0)).limit(Gcra::per_day(2)).build(),
        "rate of 0",
    );
    says(
        builder().limit(Gcra::per_day(4)).borrow_ahead(5).build(),
        "borrow_ahead(5)",
    );
    for share in [0.0, -1.0, 1.1, f64::NAN] {
        let policy = OnStoreDown::Local { share };
        says(builder().limit(Gcra::per_day(1)).on_store_down(policy).build(), "share");
    }
    let nine = (0..9).fold(builder(), |builder, n| {
        builder.limit_as(&n.to_string(), Gcra::per_day(1))
    });
    says(nine.build(), "9 limits");
    let no_store = Limiter::builder("api")
        .limit(Gcra::per_day(1))
        .on_store_down(OnStoreDown::Open);
    says(no_store.build(), "store");
}

#[test]
fn the_largest_limits_are_counted_exactly() {
    for_each_topology(async |t: Topology| {
        let most = 1_000_000_000_000;
        let century = Duration::from_secs(100 * 365 * 86_400);
        for limit in [
            Gcra::per_day(1).burst(36_500).try_into()?,
            FixedWindow::per(most, century).try_into()?,
            SlidingCounter::per(most, century).try_into()?,
        ] {
            let limit: Limit = limit;
            let name = format!("n{}", limit.capacity());
            let limiter = limiter(&t, &name, limit).await;
            let all_but_one = limit.capacity() - 1;
            assert_eq!(limiter.check_cost("a", all_but_one).await?.remaining, 1);
            assert!(!limiter.check_cost("a", 2).await?.allowed);
            assert_eq!(limiter.check("a").await?.remaining, 0);
            assert!(!limiter.check("a").await?.allowed);
            limiter.reset("a").await?;
        }
        Ok::<_, larder_kit::limit::LimitError>(())
    });
}
