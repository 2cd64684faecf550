//! 35: an operator at work: rows changed by hand and FLUSHALL, another eviction policy, every client's connection killed.

use larder_testkit::{Kind, eventually};

use super::{
    row::{Baseline, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

const KEYS: u64 = 20;

/// Nothing is pushed about single keys: the server says once that all of them are gone.
#[test]
fn fault_35() {
    row(35, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let stage = Stage::new(t.clock(), &turn.random, near_bound());
        let reader = Process::near(turn.baseline, 0, &t.another_store().await).await;
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
        let mut verdict = stage.verdict_with(&[&reader, &writer]).await;
        if reader.larder().is_some() {
            stage.read(&reader, 0).await.expect("the store is up");
            verdict.expect(reader.has_copy(0).await, "the near tier does not serve again");
        }
        verdict
    });
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
