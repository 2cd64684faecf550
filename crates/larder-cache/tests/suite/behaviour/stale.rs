//! Serving stale: who waits for a refresh and for how long, what a source that fails is spared, and what a lookup says.

use std::{future, io, time::Duration};

use larder_testkit::{Kind, Topology, for_each_topology};

use super::subject::{LONG, Numbers, Rows, answers, becomes, build, fails, meanwhile, near, passes, slowly};

fn is_stale_7(found: &larder_cache::Lookup<u64>) -> bool {
    found.is_stale() && found.value().is_some_and(|value| **value == 7)
}

/// A cache over `rows` whose value of key 1 has just turned stale.
async fn stale(
    t: &Topology,
    rows: &Rows,
    settings: impl FnOnce(larder_cache::CacheBuilder<u64, u64>) -> larder_cache::CacheBuilder<u64, u64>,
) -> Numbers {
    let (ttl, grace) = (t.units(10), t.units(LONG));
    let cache = build(t, |b| {
        settings(b.source(rows.clone()).ttl(ttl).grace(grace).near(near(t)))
    })
    .await;
    cache.get(&1).await.unwrap();
    t.advance(11).await;
    cache
}

#[test]
fn before_the_soft_deadline_a_refresh_is_waited_for() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = stale(&t, &rows, |b| b.soft_deadline(t.units(200))).await;
        rows.set(8);
        let found = meanwhile(&t, cache.lookup(&1)).await.unwrap();
        assert!(
            found.is_fresh() && found.value().is_some_and(|value| **value == 8),
            "{found:?}"
        );
    });
}

#[test]
fn after_the_soft_deadline_the_old_value_serves_and_the_load_fills() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = stale(&t, &rows, |b| b.soft_deadline(t.units(4))).await;
        rows.set(8);
        rows.close_gate();
        let calls = futures_util::future::join_all((0..100).map(|_| cache.lookup(&1)));
        for found in meanwhile(&t, calls).await {
            assert!(is_stale_7(&found.unwrap()));
        }
        assert!(cache.stats().soft_deadlines >= 1);
        assert_eq!(rows.loads(), 2, "one load for all, and it goes on");
        rows.open_gate();
        assert!(passes(&t, 50, || cache.stats().fills == 2).await, "{:?}", cache.stats());
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn after_the_soft_deadline_a_value_marked_stale_serves_in_every_process() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let settings = |b: larder_cache::CacheBuilder<u64, u64>| {
            b.source(rows.clone()).grace(t.units(LONG)).soft_deadline(t.units(4))
        };
        let (here, there) = (build(&t, settings).await, build(&t, settings).await);
        here.get(&1).await.unwrap();
        here.mark_stale(&1).await.unwrap();
        rows.set(8);
        rows.close_gate();
        let (first, second) = meanwhile(&t, async { tokio::join!(here.lookup(&1), there.lookup(&1)) }).await;
        assert!(is_stale_7(&first.unwrap()) && is_stale_7(&second.unwrap()));
        assert_eq!(rows.loads(), 2);
        rows.open_gate();
        assert!(passes(&t, 50, || here.stats().fills + there.stats().fills == 2).await);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn without_a_soft_deadline_a_value_marked_stale_waits_for_its_load() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).load_timeout(t.units(4))).await;
        cache.get(&1).await.unwrap();
        cache.mark_stale(&1).await.unwrap();
        rows.close_gate();
        assert!(
            is_stale_7(&meanwhile(&t, cache.lookup(&1)).await.unwrap()),
            "the hard deadline fails it"
        );
        assert_eq!((cache.stats().load_failures(), cache.stats().soft_deadlines), (1, 0));
    });
}

#[test]
fn the_hard_deadline_names_the_setting_and_the_key() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.load_timeout(t.units(2))).await;
        let endless = || future::pending::<Result<u64, io::Error>>();
        let error = meanwhile(&t, cache.get_or_load(&1, endless)).await.unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_timeout() && text.contains("load_timeout") && text.contains("`n:"),
            "{text}"
        );
        let error = meanwhile(&t, cache.get_or_load_owned(&1, endless)).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
    });
}

#[test]
fn an_owned_loader_refreshes_while_its_caller_has_its_answer() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.ttl(t.units(10)).grace(t.units(LONG)).near(near(&t))).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(11).await;
        rows.set(8);
        rows.close_gate();
        let load = {
            let rows = rows.clone();
            move || async move { rows.read(1).await.map(Option::unwrap_or_default) }
        };
        // Time stands still: nothing of this may wait.
        for _ in 0..3 {
            assert!(is_stale_7(&cache.lookup_or_load_owned(&1, load.clone()).await.unwrap()));
        }
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        rows.open_gate();
        assert!(passes(&t, 50, || cache.stats().fills == 2).await);
        assert_eq!(*cache.get_or_load_owned(&1, fails).await.unwrap(), 8);
        assert_eq!(
            cache.get_or_load_with_owned(&1, |_| fails()).await.unwrap().as_deref(),
            Some(&8)
        );
    });
}

#[test]
fn a_batch_has_its_stale_values_at_once_and_one_call_refreshes_them() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = stale(&t, &rows, |b| b).await;
        cache.get_many(&[1, 2, 3]).await.all().unwrap();
        t.advance(11).await;
        assert!(passes(&t, 50, || cache.stats().fills == 4).await, "{:?}", cache.stats());
        t.advance(11).await;
        let calls = rows.calls();
        rows.set(8);
        rows.close_gate();
        let batch = cache.get_many(&[1, 2, 3]).await;
        assert!(
            [1, 2, 3].iter().all(|key| batch.lookup(key).is_some_and(is_stale_7)),
            "{batch:?}"
        );
        assert!(passes(&t, 50, || rows.calls() == calls + 1).await);
        rows.open_gate();
        assert!(passes(&t, 50, || cache.stats().fills == 7).await, "{:?}", cache.stats());
        assert_eq!(rows.calls(), calls + 1);
        let batch = cache.get_many(&[1, 2, 3]).await.all().unwrap();
        assert!(
            [1, 2, 3]
                .iter()
                .all(|key| batch.get(key).is_some_and(|value| **value == 8))
        );
    });
}

#[test]
fn with_a_loader_that_borrows_only_its_own_caller_waits() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| {
            b.ttl(t.units(10)).grace(t.units(LONG)).soft_deadline(t.units(2))
        })
        .await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        t.advance(11).await;
        rows.set(8);
        rows.close_gate();
        let load = async || rows.read(1).await.map(Option::unwrap_or_default);
        let mut leader = Box::pin(cache.lookup_or_load(&1, load));
        while rows.loads() == 0 {
            assert!(futures_util::poll!(leader.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        let others = futures_util::future::join_all((0..20).map(|_| cache.lookup_or_load(&1, fails)));
        let both = futures_util::future::join(others, async {
            assert!(passes(&t, 50, || cache.stats().soft_deadlines == 1).await);
        });
        let (others, ()) = tokio::select! {
            _ = &mut leader => panic!("its loader has not answered"),
            both = both => both,
        };
        assert!(others.iter().all(|found| found.as_ref().is_ok_and(is_stale_7)));
        rows.open_gate();
        let found = meanwhile(&t, leader).await.unwrap();
        assert!(found.is_fresh() && found.value().is_some_and(|value| **value == 8));
    });
}

#[test]
fn a_cancelled_caller_does_not_cancel_an_owned_loader() {
    for_each_topology(async |t: Topology| {
        let (cache, rows) = (build(&t, |b| b).await, Rows::of(7));
        rows.close_gate();
        let load = {
            let rows = rows.clone();
            move || async move { rows.read(1).await.map(Option::unwrap_or_default) }
        };
        let caller = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_or_load_owned(&1, load).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        caller.abort();
        rows.open_gate();
        assert!(passes(&t, 50, || cache.stats().fills == 1).await);
        assert_eq!(*cache.get_or_load(&1, fails).await.unwrap(), 7);
    });
}

#[test]
fn a_panic_on_a_task_of_the_cache_is_an_error_to_all_who_wait() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b).await;
        let panics = || async { panic!("told to") as Result<u64, io::Error> };
        let calls = futures_util::future::join_all((0..10).map(|_| cache.get_or_load_owned(&1, panics)));
        for error in meanwhile(&t, calls).await {
            assert!(matches!(
                error.unwrap_err().kind(),
                larder_cache::ErrorKind::LoadPanicked { .. }
            ));
        }
        assert_eq!(*cache.get_or_load_owned(&1, || answers(7)).await.unwrap(), 7);

        // The caller's code runs after the load as well.
        let tags = |value: &u64| {
            if *value == 7 {
                panic!("told to")
            } else {
                Vec::<String>::new()
            }
        };
        let cache = build(&t, |b| b.source(Rows::of(7)).tags(tags)).await;
        cache.invalidate(&1).await.unwrap();
        assert!(meanwhile(&t, cache.get(&1)).await.unwrap_err().is_load());
    });
}

/// How often a failing source is asked while a stale value is read again and again, in two processes and in a batch.
async fn loads_of_a_failing_source(t: &Topology, retry_after: Duration) -> u64 {
    let rows = Rows::of(7);
    let here = stale(t, &rows, |b| b.retry_after(retry_after)).await;
    let there = build(t, |b| {
        b.source(rows.clone())
            .ttl(t.units(10))
            .grace(t.units(LONG))
            .retry_after(retry_after)
    })
    .await;
    rows.fail(true);
    let first = here.stats().load_failures();
    assert!(is_stale_7(&here.lookup(&1).await.unwrap()));
    assert!(passes(t, 50, || here.stats().load_failures() > first).await);
    for _ in 0..10 {
        for cache in [&here, &there] {
            assert!(is_stale_7(&cache.lookup(&1).await.unwrap()));
            assert!(cache.get_many(&[1]).await.lookup(&1).is_some_and(is_stale_7));
        }
        // What is refreshed in the background has its time.
        slowly(t, 1).await;
    }
    rows.loads() - 1
}

#[test]
fn a_failing_source_is_left_alone_for_a_while_by_everybody() {
    for_each_topology(async |t: Topology| {
        let naive = loads_of_a_failing_source(&t, Duration::ZERO).await;
        assert!(
            naive > 1,
            "without it a failing source is asked again and again: {naive}"
        );
    });
    for_each_topology(async |t: Topology| {
        assert_eq!(loads_of_a_failing_source(&t, t.units(LONG)).await, 1);
    });
}

#[test]
fn after_a_while_one_caller_tries_again() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = stale(&t, &rows, |b| b.retry_after(t.units(10))).await;
        rows.fail(true);
        cache.get(&1).await.unwrap();
        assert!(passes(&t, 50, || cache.stats().load_failures() == 1).await);
        rows.set(8);
        rows.fail(false);
        assert!(is_stale_7(&cache.lookup(&1).await.unwrap()));
        // The pause is counted by the server, from when it is told of the failure.
        becomes(&t, &cache, 8).await;
        assert_eq!(cache.stats().load_failures(), 1, "one failure, one pause");
        if t.kind() != Kind::Redis {
            // On its clock the new value may be stale again by now.
            assert_eq!(rows.loads(), 3);
        }
    });
}

/// Each way to invalidate a value.
#[derive(Clone, Copy, Debug)]
enum By {
    Key,
    Tag,
    Clear,
}

#[test]
fn an_invalidation_ends_the_pause_and_the_stale_value() {
    for by in [By::Key, By::Tag, By::Clear] {
        for_each_topology(async |t: Topology| {
            let rows = Rows::of(7);
            let (here, there) = (
                stale(&t, &rows, |b| b.retry_after(t.units(LONG)).tags(|_| ["T"])).await,
                build(&t, |b| b.source(rows.clone())).await,
            );
            rows.fail(true);
            here.get(&1).await.unwrap();
            assert!(passes(&t, 50, || here.stats().load_failures() == 1).await);
            match by {
                By::Key => there.invalidate(&1).await.unwrap(),
                By::Tag => there.invalidate_tag("T").await.unwrap(),
                By::Clear => there.clear().await.unwrap(),
            }
            let began = t.clock().monotonic();
            let read = meanwhile(&t, here.get(&1)).await;
            assert!(read.unwrap_err().is_load(), "{by:?}: never stale after it");
            let waited = t.clock().monotonic() - began;
            assert!(
                waited < t.units(LONG / 20),
                "{by:?}: it waited {waited:?} where nobody loads"
            );
            rows.set(8);
            rows.fail(false);
            assert_eq!(
                here.get(&1).await.unwrap().as_deref(),
                Some(&8),
                "a failure is not remembered"
            );
        });
    }
}

#[test]
fn a_value_marked_stale_does_not_load_at_every_read_either() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| {
            b.source(rows.clone()).ttl(t.units(LONG)).retry_after(t.units(LONG))
        })
        .await;
        cache.get(&1).await.unwrap();
        cache.mark_stale(&1).await.unwrap();
        rows.fail(true);
        for _ in 0..10 {
            assert!(is_stale_7(&cache.lookup(&1).await.unwrap()));
        }
        assert_eq!(rows.loads(), 2);
    });
}

#[test]
fn with_nothing_to_serve_callers_share_one_failure() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone())).await;
        rows.fail(true);
        rows.close_gate();
        // In one task, so that all of them have come when the first one's load has begun.
        let calls = tokio::spawn({
            let cache = cache.clone();
            async move { futures_util::future::join_all((0..100).map(|_| cache.get(&1))).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        rows.open_gate();
        for call in meanwhile(&t, calls).await.unwrap() {
            assert!(call.unwrap_err().is_load());
        }
        assert!(rows.loads() <= 3, "{} loads of 100 callers", rows.loads());
    });
}

#[test]
fn the_line_of_loads_is_bounded() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let cache = build(&t, |b| b.source(rows.clone()).max_loads(2).max_queued_loads(3)).await;
        cache.get(&99).await.unwrap();
        cache.mark_stale(&99).await.unwrap();
        rows.close_gate();
        let calls: Vec<_> = (0..5)
            .map(|key| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get(&key).await })
            })
            .collect();
        assert!(passes(&t, 50, || cache.stats().loads_waiting == 3).await);
        assert_eq!(cache.stats().loads_running, 2);
        let error = cache.get(&50).await.unwrap_err();
        assert!(
            error.is_overloaded() && error.to_string().contains("max_queued_loads"),
            "{error}"
        );
        assert!(cache.get_many(&[51, 52]).await.all().unwrap_err().is_overloaded());
        assert!(
            is_stale_7(&cache.lookup(&99).await.unwrap()),
            "an older value covers it"
        );
        assert_eq!((cache.stats().loads_refused, cache.stats().load_errors), (3, 0));
        rows.open_gate();
        for call in calls {
            assert_eq!(meanwhile(&t, call).await.unwrap().unwrap().as_deref(), Some(&7));
        }
        assert_eq!(cache.get(&50).await.unwrap().as_deref(), Some(&7));
        assert_eq!((cache.stats().loads_running, cache.stats().loads_waiting), (0, 0));
    });
}

#[test]
fn nobody_waits_in_line_for_ever() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.max_loads(1).load_timeout(t.units(4))).await;
        let endless = || future::pending::<Result<u64, io::Error>>();
        let calls = async {
            tokio::join!(
                cache.get_or_load(&1, endless),
                cache.get_or_load(&2, endless),
                cache.get_or_load(&3, endless)
            )
        };
        let (first, second, third) = meanwhile(&t, calls).await;
        for error in [first, second, third].map(Result::unwrap_err) {
            assert!(error.is_timeout() || error.is_overloaded(), "{error}");
        }
    });
}

#[test]
fn a_lookup_says_how_old_its_value_is() {
    for_each_topology(async |t: Topology| {
        let settings = |b: larder_cache::CacheBuilder<u64, u64>| b.grace(t.units(LONG)).retry_after(Duration::ZERO);
        let cache = build(&t, settings).await;
        // What a real server's clock and this machine may add.
        let slack = t.units(if t.kind() == Kind::Redis { LONG } else { 20 });
        let within = |age: Option<Duration>, least: u32| {
            age.is_some_and(|age| {
                age >= t.units(least).saturating_sub(Duration::from_millis(2)) && age < t.units(least) + slack
            })
        };
        let loaded = cache.lookup_or_load(&1, || answers(7)).await.unwrap();
        assert_eq!((loaded.age(), loaded.overdue()), (Some(Duration::ZERO), Duration::ZERO));
        t.advance(5).await;
        let fresh = cache.lookup_or_load(&1, fails).await.unwrap();
        assert!(within(fresh.age(), 5) && fresh.overdue().is_zero(), "{fresh:?}");

        cache.mark_stale(&1).await.unwrap();
        let marked = cache.lookup_or_load(&1, fails).await.unwrap();
        assert!(
            is_stale_7(&marked) && within(marked.age(), 5),
            "not older for it: {marked:?}"
        );

        let cache = build(&t, |b| settings(b).ttl(t.units(20))).await;
        cache.get_or_load(&2, || answers(7)).await.unwrap();
        t.advance(30).await;
        let past = cache.lookup_or_load(&2, fails).await.unwrap();
        assert!(
            is_stale_7(&past) && within(past.age(), 30) && within(Some(past.overdue()), 10),
            "{past:?}"
        );

        // A load that fails late: the value it leaves has aged meanwhile.
        let late = async {
            t.advance(10).await;
            fails().await
        };
        let past = cache.lookup_or_load(&2, || late).await.unwrap();
        assert!(within(past.age(), 40) && within(Some(past.overdue()), 20), "{past:?}");
    });
}
