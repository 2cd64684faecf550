//! 1: a load is delayed across an invalidation. What it loaded is old by then, and must not be stored.

use std::time::Duration;

use larder_testkit::{Kind, eventually, history::Bounds};

use super::{
    row::{Baseline, row},
    stage::{Process, Stage},
};

#[test]
fn fault_01() {
    row(1, &[Baseline::Naive, Baseline::Lock], &Kind::ALL, async |turn| {
        let t = turn.topology().await;
        let stage = Stage::new(t.clock(), &turn.random, Bounds::default());
        let reader = Process::new(turn.baseline, 0, &t.another_store().await).await;
        let writer = Process::new(turn.baseline, 1, &t.another_store().await).await;

        stage.rows().hold_loads();
        let early = stage.reading(&reader, 1);
        stage.rows().loads_held(1).await;
        assert!(stage.write(&writer, 1).await, "the store is up");
        stage.rows().let_loads_go();
        early.await.expect("no panic").expect("the store is up");

        stage.read(&reader, 1).await.expect("the store is up");
        stage.read(&writer, 1).await.expect("the store is up");
        let mut verdict = stage.verdict_with(&[&reader, &writer]).await;
        if let Some(cache) = reader.larder() {
            eventually(Duration::from_secs(20), async || cache.stats().fills_rejected() > 0).await;
            verdict.expect(
                cache.stats().fills_rejected() == 1,
                "the late fill is refused and counted",
            );
        }
        verdict
    });
}
