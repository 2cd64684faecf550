//! Batch: a hundred keys in one call against a hundred calls.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
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
    let one = stage
        .cache("batch-one")
        .near(0)
        .ttl(TTL)
        .source(one_source.clone())
        .build()
        .await?;
    let many = stage
        .cache("batch-many")
        .near(0)
        .ttl(TTL)
        .source(many_source.clone())
        .build()
        .await?;
    let one_by_one = async {
        for key in singles {
            one.get(key).await?;
        }
        Outcome::Ok(())
    };
    let (cold_singles, one_cold) = stage.timed(one_by_one).await;
    cold_singles?;
    let (rows, many_cold) = stage.timed(many.get_many(keys)).await;
    let found = rows.all()?.len();
    let one_by_one = async {
        for key in singles {
            one.get(key).await?;
        }
        Outcome::Ok(())
    };
    let (warm_singles, one_warm) = stage.timed(one_by_one).await;
    warm_singles?;
    let (rows, many_warm) = stage.timed(many.get_many(keys)).await;
    rows.all()?;

    let mut report = Report::default();
    report.count("keys", keys.len() as u64);
    if singles.len() < keys.len() {
        report.note(format_args!(
            "one by one with {} keys only, for each load is slowed down",
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
