//! Warm: the same keys again, once from the near tier (in process) and once from the store, each measured alone.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "warm",
    shows: "the same keys again: near tier and store, each alone",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const KEYS: usize = 500;
const TTL: Duration = Duration::from_secs(60);

/// Near hits are timed in groups: one costs about as much as looking at the clock does.
const GROUP: usize = 100;

async fn play(stage: &Stage) -> Outcome<Report> {
    let keys = &stage.keys[..KEYS.min(stage.keys.len())];
    let source = stage.table.fresh(Duration::ZERO);
    let near = stage.cache("warm-near").ttl(TTL).source(source.clone()).build().await?;
    let store = stage
        .cache("warm-store")
        .near(0)
        .ttl(TTL)
        .source(source.clone())
        .build()
        .await?;
    near.get_many(keys).await.all()?;
    store.get_many(keys).await.all()?;
    let filled = source.loads();

    let mut near_hits = Vec::new();
    let mut around = keys.iter().cycle();
    for _ in 0..stage.lookups.div_ceil(GROUP as u64) {
        let group = async {
            for key in around.by_ref().take(GROUP) {
                near.get(key).await?;
            }
            Outcome::Ok(())
        };
        let (done, took) = stage.timed(group).await;
        done?;
        near_hits.push(took / GROUP as u32);
    }
    let mut store_hits = Vec::new();
    let mut around = keys.iter().cycle();
    for _ in 0..stage.lookups {
        let key = around.next().expect("there is at least one key");
        let (row, took) = stage.timed(store.get(key)).await;
        row?;
        store_hits.push(took);
    }

    let mut report = Report::default();
    report.count("reads_per_tier", stage.lookups);
    report.percentiles("near_hit", &mut near_hits);
    report.percentiles("store_hit", &mut store_hits);
    report.count("loads", source.loads() - filled);
    report.claim(source.loads() == filled, "no warm read reached the database");
    report.lesson("a near hit is a map lookup: no round trip, no decoding, no copy; a store hit is one round trip");
    Ok(report)
}
