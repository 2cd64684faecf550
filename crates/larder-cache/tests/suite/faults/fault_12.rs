//! 12: a process fills a key itself, then another one invalidates it.
//!
//! On a connection without an echo (NOLOOP) a server sends no push for one's own write, and forgets that the key was
//! read: nothing is pushed about it from then on.

use larder_testkit::{Kind, eventually};

use super::{
    row::{Baseline, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

/// Each filled by its reader.
const KEYS: u64 = 5;

#[test]
fn fault_12() {
    row(12, &[Baseline::Naive], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let stage = Stage::new(t.clock(), &turn.random, near_bound());
        let reader = Process::near(turn.baseline, 0, &t.another_store().await).await;
        let writer = Process::near(turn.baseline, 1, &t.another_store().await).await;
        for key in 0..KEYS {
            stage.read(&reader, key).await.expect("the store is up");
            // Or there is nothing to lose. On a busy machine a stream may not be proven at this very moment.
            eventually(SOON, async || reader.has_copy(key).await).await;
            assert!(stage.write(&writer, key).await, "the store is up");
        }
        passes(&t, BOUND).await;
        for key in 0..KEYS {
            stage.read(&reader, key).await.expect("the store is up");
        }
        stage.verdict_with(&[&reader, &writer]).await
    });
}
