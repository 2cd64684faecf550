//! 35: an operator at work: rows changed by hand and FLUSHALL, another eviction policy, every client's connection killed.

use std::time::Duration;

use larder_cache::Coherence;
use larder_testkit::{Kind, Topology, eventually};

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};
use crate::behaviour::subject::meanwhile;

const KEYS: u64 = 20;

/// Nothing is pushed about single keys: the server says once that all of them are gone.
#[test]
fn fault_35() {
    row(35, &[Baseline::Naive], &Kind::ALL, async |turn| {
        flushed(turn, Coherence::Tracking).await
    });
}

/// The log is gone as well.
#[test]
fn fault_35_by_log() {
    row(35, &[], &Kind::ALL, async |turn| flushed(turn, Coherence::Log).await);
}

async fn flushed(turn: Turn, coherence: Coherence) -> Verdict {
    let t = turn.topology().await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = Process::near_by(coherence, turn.baseline, 0, &t.another_store().await).await;
    let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;
    stage.prime(&writer, &reader, KEYS).await;

    stage
        .write_past_the_cache(0..KEYS, async || {
            t.wire().call(&["FLUSHALL"]).expect("the server is up");
        })
        .await;
    passes(&t, BOUND).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("the store is up");
    }
    let verdict = stage.verdict_with(&[&reader, &writer]).await;
    if reader.larder().is_some() {
        serves_again(&t, &stage, &reader).await;
    }
    verdict
}

/// Waits until the reader keeps copies again.
async fn serves_again(t: &Topology, stage: &Stage, reader: &Process) {
    let waiting = async {
        while !reader.has_copy(0).await {
            stage.read(reader, 0).await.expect("the store is up");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let serves = tokio::time::timeout(SOON, meanwhile(t, waiting)).await;
    serves.expect("the near tier does not serve again");
}

/// Connections come back by themselves, and what was missed meanwhile is not served.
#[test]
fn fault_35_killed_clients() {
    row(35, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        let t = turn.topology().await;
        let server = t.redis().expect("this kind");
        let stage = Stage::new(t.clock(), &turn.random, near_bound());
        let (near, plain) = (t.another_store().await, t.another_store().await);
        let reader = Process::near(turn.baseline, 0, &near).await;
        let writer = Process::new(turn.baseline, 1, &plain).await;
        stage.prime(&writer, &reader, KEYS).await;

        server.config("maxmemory-policy", "allkeys-lru");
        server.kill_clients();
        // Whoever was not connected at this moment is not told of it.
        stage
            .write_past_the_cache(0..KEYS, async || {
                server.cli(&["FLUSHALL"]);
            })
            .await;
        eventually(SOON, async || near.ping().await.is_ok() && plain.ping().await.is_ok()).await;
        passes(&t, BOUND).await;
        for key in 0..KEYS {
            assert!(stage.write(&writer, key).await, "the store is up");
        }
        passes(&t, BOUND).await;
        for key in 0..KEYS {
            stage.read(&reader, key).await.expect("the store is up");
        }
        stage.verdict_with(&[&reader, &writer]).await
    });
}
