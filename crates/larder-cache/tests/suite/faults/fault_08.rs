//! 8: the connection that invalidations come by is half dead: one direction is a black hole, and nobody says so.

use larder_cache::Coherence;
use larder_testkit::{Kind, eventually};

use super::{
    far::Far,
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

/// Each with a copy in the reader.
const KEYS: u64 = 10;

/// Pushes are lost, and with them the answers to heartbeats.
#[test]
fn fault_08() {
    row(8, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        half_dead(turn, Coherence::Tracking, |far| far.proxy.swallow_replies()).await
    });
}

/// Pushes come, but no heartbeat reaches the server: nothing can be proven.
#[test]
fn fault_08_in_the_other_direction() {
    row(8, &[], &[Kind::Redis], async |turn| {
        half_dead(turn, Coherence::Tracking, |far| far.proxy.swallow_requests()).await
    });
}

/// The log cannot be read any more.
#[test]
fn fault_08_by_log() {
    row(8, &[], &[Kind::Redis], async |turn| {
        half_dead(turn, Coherence::Log, |far| far.proxy.swallow_replies()).await
    });
}

async fn half_dead(turn: Turn, coherence: Coherence, cut: impl Fn(&Far)) -> Verdict {
    let t = turn.topology().await;
    let far = Far::from(t.port().expect("a server has a port")).await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = Process::near_by(coherence, turn.baseline, 0, &far.store).await;
    let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;
    stage.prime(&writer, &reader, KEYS).await;

    cut(&far);
    for key in 0..KEYS {
        assert!(stage.write(&writer, key).await, "the writer is not affected");
    }
    passes(&t, BOUND).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("a copy, or the source");
    }
    let mut verdict = Verdict::default();
    if let Some(cache) = reader.larder() {
        verdict.expect(!reader.has_copy(0).await, "the near tier serves unproven copies");
        far.proxy.normal();
        eventually(SOON, async || {
            stage.read(&reader, 0).await;
            reader.has_copy(0).await
        })
        .await;
        verdict.expect(
            cache.stats().near_hits > KEYS,
            "near hits before the fault and after it",
        );
    }
    far.proxy.normal();
    verdict += stage.verdict_with(&[&writer]).await;
    verdict
}
