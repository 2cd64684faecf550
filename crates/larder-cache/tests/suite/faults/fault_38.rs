//! 38: between a writer's commit and its storing of the value, somebody else changes the row, or its hold is lost. By hand
//! (commit, then SET) the older of two committed values stays.

use std::convert::Infallible;

use larder_store::Store;
use larder_testkit::{Kind, Topology};
use redis::AsyncCommands as _;

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{Larder, NAMESPACE, Process, Stage, near_bound},
};

/// Units of time that a hold lasts.
const HOLD: u32 = 20;

/// What happens after the commit of a value that is then older than the row.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    SecondWriter,
    Invalidation,
    TagInvalidation,
    Clear,
    HoldLapses,
    EntryLost,
}

const ALL: [Meanwhile; 6] = [
    Meanwhile::SecondWriter,
    Meanwhile::Invalidation,
    Meanwhile::TagInvalidation,
    Meanwhile::Clear,
    Meanwhile::HoldLapses,
    Meanwhile::EntryLost,
];

async fn drop_entry(store: &Store) {
    let mut store = store.clone();
    let entries: Vec<String> = redis::cmd("KEYS")
        .arg("*:e:1")
        .query_async(&mut store)
        .await
        .expect("it is up");
    assert_eq!(entries.len(), 1, "the hold: {entries:?}");
    store.del::<_, ()>(entries).await.expect("it is up");
}

async fn happens(meanwhile: Meanwhile, t: &Topology, stage: &Stage, there: &Process, cache: &Larder) {
    match meanwhile {
        Meanwhile::SecondWriter => {
            let hold = cache.hold(&1).await.expect("the store is up");
            let commit = async { Ok::<_, Infallible>(stage.rows().commit(1).0) };
            let committed = hold.commit_value(commit).await.expect("the store is up");
            assert!(!committed.stored, "another hold is open");
        }
        Meanwhile::Invalidation => assert!(stage.write(there, 1).await, "the store is up"),
        Meanwhile::TagInvalidation => {
            let invalidate = async || cache.invalidate_tag("all").await.expect("the store is up");
            stage.write_past_the_cache(1..2, invalidate).await;
        }
        Meanwhile::Clear => {
            let clear = async || cache.clear().await.expect("the store is up");
            stage.write_past_the_cache(1..2, clear).await;
        }
        Meanwhile::HoldLapses => {
            t.advance(HOLD + 1).await;
            stage.rows().commit(1);
            stage.read(there, 1).await.expect("the store is up");
        }
        Meanwhile::EntryLost => {
            drop_entry(&t.another_store().await).await;
            stage.rows().commit(1);
            stage.read(there, 1).await.expect("the store is up");
        }
    }
}

async fn writer_is_overtaken(turn: &Turn, meanwhile: Meanwhile) -> Verdict {
    let t = turn.topology().await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let process = async |number: u32| {
        let store = t.another_store().await;
        let settings = |b: larder_cache::CacheBuilder<u64, u64>| b.hold_for(t.units(HOLD)).tags(|_| ["all"]);
        Process::with(turn.baseline, number, &store, settings).await
    };
    let (here, there) = (process(0).await, process(1).await);
    assert!(stage.write(&there, 1).await, "the store is up");
    let mut verdict = Verdict::default();
    match (here.larder(), there.larder()) {
        (Some(first), Some(second)) => {
            let hold = first.hold(&1).await.expect("the store is up");
            let commit = async {
                let (older, _) = stage.rows().commit(1);
                happens(meanwhile, &t, &stage, &there, second).await;
                Ok::<_, Infallible>(older)
            };
            let committed = hold.commit_value(commit).await.expect("the store is up");
            verdict.expect(
                !committed.stored,
                format!("{meanwhile:?}: an older value is not stored"),
            );
        }
        _ => {
            let (older, _) = stage.rows().commit(1);
            assert!(stage.write(&there, 1).await, "the store is up");
            let mut store = t.another_store().await;
            let set = store.set::<_, _, ()>(format!("{NAMESPACE}:1"), older).await;
            set.expect("the store is up");
        }
    }
    stage.delivered(1);
    for process in [&here, &there] {
        stage.read(process, 1).await.expect("the store is up");
    }
    verdict += stage.verdict_with(&[&here, &there]).await;
    verdict
}

#[test]
fn fault_38() {
    row(38, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let mut verdict = Verdict::default();
        for meanwhile in ALL {
            verdict += writer_is_overtaken(&turn, meanwhile).await;
        }
        verdict
    });
}
