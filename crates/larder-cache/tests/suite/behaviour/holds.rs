//! A writer's hold: no reader is served what a commit replaced.

use std::{io, time::Duration};

use larder_testkit::{Topology, eventually, for_each_topology};

use super::subject::{Rows, answers, build, cache, near, passes};

#[test]
fn nothing_is_stored_while_a_commit_is_under_way() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let (here, there) = (
            build(&t, |b| b.source(rows.clone()).near(near(&t))).await,
            build(&t, |b| b.source(rows.clone()).near(near(&t))).await,
        );
        there.get(&1).await.unwrap();
        let hold = here.hold(&1).await.unwrap();
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&7), "loaded, not stored");
        assert_eq!(here.get(&1).await.unwrap().as_deref(), Some(&7));
        let committed = hold
            .commit(async {
                rows.set(8);
                assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8), "visible at once");
                Ok::<_, io::Error>("done")
            })
            .await
            .unwrap();
        assert_eq!(
            (committed.value, committed.held, committed.stored),
            ("done", true, false)
        );
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn a_load_that_began_before_the_hold_is_not_stored() {
    for_each_topology(async |t: Topology| {
        let rows = Rows::of(7);
        let (here, there) = (
            build(&t, |b| b.source(rows.clone())).await,
            build(&t, |b| b.source(rows.clone())).await,
        );
        rows.close_gate();
        let load = tokio::spawn({
            let there = there.clone();
            async move { there.get(&1).await }
        });
        assert!(passes(&t, 50, || rows.loads() == 1).await);
        let commit = async {
            rows.set(8);
            Ok::<_, io::Error>(())
        };
        let _committed = here.hold(&1).await.unwrap().commit(commit).await.unwrap();
        rows.open_gate();
        assert_eq!(load.await.unwrap().unwrap().as_deref(), Some(&7));
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
        assert_eq!(there.stats().fills_gone, 1);
    });
}

#[test]
fn an_undisturbed_writer_stores_what_it_committed() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, build(&t, |b| b.near(near(&t))).await);
        there.get_or_load(&1, || answers(7)).await.unwrap();
        let committed = here.hold(&1).await.unwrap().commit_value(answers(8)).await.unwrap();
        assert!(committed.stored && committed.held);
        assert_eq!(there.get(&1).await.unwrap().as_deref(), Some(&8));
    });
}

#[test]
fn of_two_writers_neither_stores() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        let (first, second) = (here.hold(&1).await.unwrap(), there.hold(&1).await.unwrap());
        assert!(!second.commit_value(answers(8)).await.unwrap().stored);
        let committed = first.commit_value(answers(7)).await.unwrap();
        assert!(committed.held && !committed.stored);
        assert!(here.get(&1).await.unwrap().is_none());
    });
}

#[test]
fn an_invalidation_during_a_hold_stops_the_store() {
    for_each_topology(async |t: Topology| {
        let (here, there) = (cache(&t).await, cache(&t).await);
        let hold = here.hold(&1).await.unwrap();
        there.invalidate(&1).await.unwrap();
        assert!(!hold.commit_value(answers(7)).await.unwrap().stored);
        let hold = here.hold(&1).await.unwrap();
        assert!(there.put(&1, 9).await.unwrap_err().is_held());
        assert!(!hold.commit_value(answers(7)).await.unwrap().stored);
    });
}

#[test]
fn a_failed_commit_ends_its_hold() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        let commit = async { Err::<(), _>(io::Error::other("rolled back")) };
        let error = cache.hold(&1).await.unwrap().commit(commit).await.unwrap_err();
        assert!(
            std::error::Error::source(&error).is_some_and(|cause| cause.to_string() == "rolled back"),
            "{error}"
        );
        assert_eq!(*cache.get_or_load(&1, || answers(7)).await.unwrap(), 7);
        assert_eq!(
            cache.get(&1).await.unwrap().as_deref(),
            Some(&7),
            "stored: no hold is open"
        );
    });
}

#[test]
fn a_dropped_hold_ends_in_the_background() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        drop(cache.hold(&1).await.unwrap());
        let stored = eventually(Duration::from_secs(10), async || {
            cache.get_or_load(&1, || answers(7)).await.unwrap();
            cache.get(&1).await.unwrap().is_some()
        });
        stored.await;
    });
}

#[test]
fn a_dead_writers_hold_ends_by_itself() {
    for_each_topology(async |t: Topology| {
        let dead = build(&t, |b| b.hold_for(t.units(40))).await;
        let cache = cache(&t).await;
        std::mem::forget(dead.hold(&1).await.unwrap());
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        assert!(cache.get(&1).await.unwrap().is_none(), "held");
        t.advance(41).await;
        cache.get_or_load(&1, || answers(7)).await.unwrap();
        assert_eq!(cache.get(&1).await.unwrap().as_deref(), Some(&7));
    });
}

#[test]
fn a_commit_does_not_begin_under_a_hold_that_has_run_out() {
    for_each_topology(async |t: Topology| {
        let cache = build(&t, |b| b.hold_for(t.units(10))).await;
        let hold = cache.hold(&1).await.unwrap();
        t.advance(11).await;
        let never = async { panic!("it was run") as Result<(), io::Error> };
        let error = hold.commit(never).await.unwrap_err();
        assert!(error.to_string().contains("hold"), "{error}");
    });
}

#[test]
fn a_hold_that_was_lost_is_reported() {
    for_each_topology(async |t: Topology| {
        let cache = cache(&t).await;
        let hold = cache.hold(&1).await.unwrap();
        let commit = async {
            t.wire().call(&["FLUSHALL"]).unwrap();
            cache.get_or_load(&1, || answers(7)).await.unwrap();
            Ok::<_, io::Error>(())
        };
        assert!(!hold.commit(commit).await.unwrap().held);
        assert!(
            cache.get(&1).await.unwrap().is_none(),
            "what was stored meanwhile is gone"
        );
        assert_eq!(cache.stats().holds_lost, 1);
    });
}
