//! Batch: a hundred keys in one call against a hundred calls.

use std::time::Duration;

use larder::Cache;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, source::Counted, stage::Stage, users::Row},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "batch",
    shows: "100 keys in one call, against one by one",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const KEYS: usize = 100;
const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let keys = &stage.keys[..KEYS.min(stage.keys.len())];
    let singles = &keys[..stage.affordable(keys.len())];
    let (one_source, many_source) = (stage.table.fresh(Duration::ZERO), stage.table.fresh(Duration::ZERO));
    let one = cache(stage, "batch-one", &one_source).await?;
    let many = cache(stage, "batch-many", &many_source).await?;
    let (done, one_cold) = stage.timed(one_by_one(&one, singles)).await;
    done?;
    let (found, many_cold) = stage.timed(at_once(&many, keys)).await;
    let found = found?;
    // Once more unmeasured: a cache that has only missed so far asks in the way that is cheap for misses.
    one_by_one(&one, singles).await?;
    at_once(&many, keys).await?;
    let (again, one_warm) = stage.timed(one_by_one(&one, singles)).await;
    again?;
    let (again, many_warm) = stage.timed(at_once(&many, keys)).await;
    again?;

    let mut report = Report::default();
    report.count("keys", keys.len() as u64);
    if singles.len() < keys.len() {
        report.note(format_args!(
            "one by one with {} of the keys, for each load is slowed down",
            singles.len()
        ));
    }
    report.span("cold_one_by_one", one_cold);
    report.span("cold_batch", many_cold);
    report.span("warm_one_by_one", one_warm);
    report.span("warm_batch", many_warm);
    report.count("loads_one_by_one", one_source.loads());
    report.count("loads_batch", many_source.loads());
    report.claim(
        found == keys.len(),
        format_args!("the batch found every row: {found} of {}", keys.len()),
    );
    report.claim(
        many_source.loads() == 1,
        format_args!("one load for the batch: {}", many_source.loads()),
    );
    report.lesson("ask for what a page needs in one call: one round trip and one query instead of one each");
    Ok(report)
}

/// A cache without a near tier: what is measured is the way to the store.
async fn cache(stage: &Stage, name: &str, source: &Counted) -> Outcome<Cache<String, Row>> {
    Ok(stage
        .cache(name)
        .near(0)
        .ttl(TTL)
        .source(source.clone())
        .build()
        .await?)
}

async fn one_by_one(cache: &Cache<String, Row>, keys: &[String]) -> Outcome {
    for key in keys {
        cache.get(key).await?;
    }
    Ok(())
}

/// How many rows were found.
async fn at_once(cache: &Cache<String, Row>, keys: &[String]) -> Outcome<usize> {
    Ok(cache.get_many(keys).await.all()?.len())
}
