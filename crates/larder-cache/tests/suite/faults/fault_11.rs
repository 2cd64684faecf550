//! 11: the push of an invalidation comes before the reply that it concerns has been looked at.
//!
//! A reader has asked for a key and its answer is on the way; somebody invalidates; the push is applied, to nothing, and
//! then the reader keeps its answer.

use larder_testkit::{Kind, eventually};

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

/// Tries a turn: the row asks for one in 10,000.
const TRIES: u64 = 1_000;

#[test]
fn fault_11() {
    // On the embedded engine a push comes within the command that changes the key: code written by hand loses there
    // too, but seldom.
    row(11, &[], &[Kind::Embedded], race);
    row(11, &[Baseline::Naive], &[Kind::Serve, Kind::Redis], race);
}

async fn race(turn: Turn) -> Verdict {
    let t = turn.topology().await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = Process::near(turn.baseline, 0, &t.another_store().await).await;
    let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;
    for key in 0..TRIES {
        // What is in the store is followed from its first read on: the race is all that can go wrong.
        stage.read(&writer, key).await.expect("the store is up");
        let reading = stage.reading(&reader, key);
        assert!(stage.write(&writer, key).await, "the store is up");
        reading.await.expect("no panic").expect("the store is up");
    }
    passes(&t, BOUND).await;
    for key in 0..TRIES {
        stage.read(&reader, key).await.expect("the store is up");
    }
    // On a busy machine a stream may not be proven at this very moment.
    eventually(SOON, async || reader.has_copy(TRIES - 1).await).await;
    stage.verdict()
}
