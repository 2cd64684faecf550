//! 10: the connection that invalidations come by is away while 100 keys are written.

use larder_cache::Coherence;
use larder_testkit::{Kind, eventually};

use super::{
    far::Far,
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

const KEYS: u64 = 100;

#[test]
fn fault_10() {
    row(10, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        away(turn, Coherence::Tracking).await
    });
}

/// The log is read on where it was left.
#[test]
fn fault_10_by_log() {
    row(10, &[], &[Kind::Redis], async |turn| away(turn, Coherence::Log).await);
}

async fn away(turn: Turn, coherence: Coherence) -> Verdict {
    let t = turn.topology().await;
    let far = Far::from(t.port().expect("a server has a port")).await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = Process::near_by(coherence, turn.baseline, 0, &far.store).await;
    let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;
    stage.prime(&writer, &reader, KEYS).await;

    far.cut_off();
    for key in 0..KEYS {
        assert!(stage.write(&writer, key).await, "the writer is not affected");
        stage.read(&reader, key).await;
    }
    passes(&t, BOUND).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("a copy, or the source");
    }
    far.proxy.normal();
    eventually(SOON, async || far.store.ping().await.is_ok()).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("the store is back");
    }
    if reader.larder().is_some() {
        eventually(SOON, async || {
            stage.read(&reader, 0).await;
            reader.has_copy(0).await
        })
        .await;
    }
    stage.verdict_with(&[&reader, &writer]).await
}
