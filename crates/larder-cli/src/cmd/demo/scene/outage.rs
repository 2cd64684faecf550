//! Outage: the database fails for a while, and values past their TTL cover for it.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::{Failure, Outcome},
};

pub(super) const SCENE: Scene = Scene {
    name: "outage",
    shows: "the database fails, and grace covers it",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const READS: u64 = 100;
const TTL: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(60);

/// Longer than the TTL with its jitter of a tenth.
const EXPIRED: Duration = Duration::from_millis(150);

/// How long the cache may take to be fresh again once the database is back.
const RECOVERY: Duration = Duration::from_secs(5);

async fn play(stage: &Stage) -> Outcome<Report> {
    let key = &stage.keys[0];
    let source = stage.table.fresh(Duration::ZERO);
    let cache = stage
        .cache("outage")
        .ttl(TTL)
        .grace(GRACE)
        .source(source.clone())
        .build()
        .await?;
    cache.get(key).await?;
    let naive = stage.naive("outage", TTL);
    let row = source.row(key).await?.unwrap_or_default();
    naive.set(key, &row).await?;
    stage.clock.sleep(EXPIRED).await;

    source.set_down(true);
    let (mut served, mut served_naive) = (0, 0);
    let (_, took) = stage
        .timed(async {
            for _ in 0..READS {
                served += u64::from(cache.get(key).await.is_ok_and(|row| row.is_some()));
            }
        })
        .await;
    // Each of these waits for a load, so few are made where loads are slowed down.
    let tried = stage.affordable(READS as usize) as u64;
    for _ in 0..tried {
        served_naive += u64::from(naive.get_or_load(key, || source.row(key)).await.is_ok());
    }
    source.set_down(false);
    let (fresh, recovered) = stage
        .timed(stage.clock.timeout(RECOVERY + 3 * stage.table.delay(), async {
            while !cache.lookup(key).await?.is_fresh() {
                cache.get(key).await?;
                stage.clock.sleep(Duration::from_millis(2)).await;
            }
            Outcome::Ok(())
        }))
        .await;
    fresh.unwrap_or_else(|| Err(Failure::new("the cache did not become fresh again after the outage")))?;

    let mut report = Report::default();
    report.count("reads_during_outage", READS);
    report.count("answered", served);
    report.text("answered_naive", format_args!("{served_naive} of {tried}"));
    report.span("all_answered_in", took);
    report.span("fresh_again_after", recovered);
    report.claim(
        served == READS,
        format_args!("grace answered every read: {served} of {READS}"),
    );
    report.lesson("grace serves the last known value while the source is down, and one caller at a time asks again");
    Ok(report)
}
