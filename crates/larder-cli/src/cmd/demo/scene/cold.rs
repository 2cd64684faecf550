//! Cold: each key is read for the first time, so each read goes to the database, and the value is kept on the way.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "cold",
    shows: "the first read of a key goes to the database",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const READS: usize = 200;
const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let source = stage.table.fresh(Duration::ZERO);
    let cache = stage.cache("cold").ttl(TTL).source(source.clone()).build().await?;
    let keys = &stage.keys[..stage.affordable(READS).min(stage.keys.len())];

    let mut bare = Vec::with_capacity(keys.len());
    for key in keys {
        let (row, took) = stage.timed(stage.table.row(key)).await;
        row?;
        bare.push(took);
    }
    let mut cold = Vec::with_capacity(keys.len());
    let mut found = 0;
    for key in keys {
        let (row, took) = stage.timed(cache.get(key)).await;
        found += u64::from(row?.is_some());
        cold.push(took);
    }

    let mut report = Report::default();
    let reads = keys.len() as u64;
    report.count("reads", reads);
    report.count("loads", source.loads());
    report.percentiles("database_alone", &mut bare);
    report.percentiles("cold_read", &mut cold);
    report.claim(found == reads, format_args!("every row was found: {found} of {reads}"));
    report.claim(
        source.loads() == reads,
        format_args!("one load per cold read: {} for {reads}", source.loads()),
    );
    report.lesson("a miss costs the database's time and two round trips to the store");
    Ok(report)
}
