//! 9: the log of invalidations is trimmed, or lost, between two reads of it.

use larder_cache::Coherence;
use larder_store::Store;
use larder_testkit::{Kind, Topology, naive::LogTail};

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, Stage, near_bound, passes},
};

const KEYS: u64 = 20;

/// What happens to the log.
#[derive(Clone, Copy)]
enum Loss {
    Trimmed,
    Deleted,
}

#[test]
fn fault_09_trimmed() {
    row(9, &[Baseline::Naive], &Kind::ALL, async |turn| {
        lost_log(turn, Loss::Trimmed).await
    });
}

#[test]
fn fault_09_deleted() {
    row(9, &[Baseline::Naive], &Kind::ALL, async |turn| {
        lost_log(turn, Loss::Deleted).await
    });
}

async fn lost_log(turn: Turn, loss: Loss) -> Verdict {
    let t = turn.topology().await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = process(turn.baseline, 0, &t.store().await).await;
    let writer = process(turn.baseline, 1, &t.another_store().await).await;
    stage.prime(&writer, &reader, KEYS).await;
    for key in 0..KEYS {
        assert!(stage.write(&writer, key).await, "the store is up");
        lose(&t, loss);
    }
    passes(&t, BOUND).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("the store is up");
    }
    stage.verdict_with(&[&reader, &writer]).await
}

async fn process(baseline: Baseline, number: u32, store: &Store) -> Process {
    match baseline {
        Baseline::Larder => {
            Process::with(baseline, number, store, |b| {
                b.near(10_000).max_staleness(BOUND).coherence(Coherence::Log)
            })
            .await
        }
        _ => Process::by_hand(number, LogTail::new(store), store),
    }
}

/// Every log that there is loses its items.
fn lose(t: &Topology, loss: Loss) {
    let mut wire = t.wire();
    for pattern in ["*:l", "*:log"] {
        let logs = wire.call(&["KEYS", pattern]).expect("a list");
        for log in logs.list() {
            let log = log.text();
            if wire.call(&["TYPE", &log]).expect("a name").text() != "stream" {
                continue;
            }
            let lost = match loss {
                Loss::Trimmed => wire.call(&["XTRIM", &log, "MAXLEN", "0"]),
                Loss::Deleted => wire.call(&["DEL", &log]),
            };
            lost.expect("a count");
        }
    }
}
