//! 7: one process is cut off from the store and writes; the others read on.

use larder_testkit::{Kind, eventually};

use super::{
    far::Far,
    row::{Baseline, Turn, Verdict, row},
    stage::{BOUND, Process, SOON, Stage, near_bound, passes},
};

const KEYS: u64 = 10;

#[test]
fn fault_07() {
    row(7, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        cut_off(turn, Far::cut_off).await
    });
}

/// The same without a word: nothing arrives, and nothing says so.
#[test]
fn fault_07_in_silence() {
    row(7, &[Baseline::Naive], &[Kind::Redis], async |turn| {
        cut_off(turn, |far| {
            far.proxy.swallow_requests();
            far.proxy.swallow_replies();
        })
        .await
    });
}

async fn cut_off(turn: Turn, cut: impl Fn(&Far)) -> Verdict {
    let t = turn.topology().await;
    let far = Far::from(t.port().expect("a server has a port")).await;
    let stage = Stage::new(t.clock(), &turn.random, near_bound());
    let reader = Process::new(turn.baseline, 0, &t.another_store().await).await;
    let writer = Process::new(turn.baseline, 1, &far.store).await;
    for key in 0..KEYS {
        for process in [&reader, &writer] {
            stage.read(process, key).await.expect("the store is up");
        }
    }

    cut(&far);
    let mut verdict = Verdict::default();
    for key in 0..KEYS {
        let acknowledged = stage.write(&writer, key).await;
        verdict.expect(!acknowledged, "an invalidation that reached nobody was called done");
    }
    if let Some(cache) = writer.larder() {
        let told = cache.invalidate(&0).await;
        verdict.expect(
            told.is_err_and(|error| error.is_pending()),
            "it says that it is pending",
        );
        verdict.expect(cache.hold(&0).await.is_err(), "a strict write is not begun");
        verdict.expect(cache.stats().pending == KEYS, "and what waits is counted");
        for key in 0..KEYS {
            let seen = stage.read(&writer, key).await;
            verdict.expect(
                seen.is_some_and(|seen| seen.version == 1),
                "a process reads what it wrote",
            );
        }
    }

    far.proxy.normal();
    eventually(SOON, async || {
        let delivered = writer.larder().is_none_or(|cache| cache.stats().pending == 0);
        delivered && far.store.ping().await.is_ok()
    })
    .await;
    for key in 0..KEYS {
        stage.delivered(key);
    }
    passes(&t, BOUND).await;
    for key in 0..KEYS {
        stage.read(&reader, key).await.expect("the store is up");
        stage.read(&writer, key).await.expect("the store is back");
    }
    verdict += stage.verdict_with(&[&reader, &writer]).await;
    verdict
}
