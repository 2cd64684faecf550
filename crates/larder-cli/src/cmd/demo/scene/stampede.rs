//! Stampede: a thousand callers want one key that has just expired.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "stampede",
    shows: "1,000 callers on one expired key",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const CALLERS: usize = 1_000;

/// Loads take at least this long, as a real query would: the window in which callers pile up.
const LOAD: Duration = Duration::from_millis(50);
const TTL: Duration = Duration::from_millis(200);

/// Longer than the TTL with its jitter of a tenth, so that the key has expired.
const EXPIRED: Duration = Duration::from_millis(300);

async fn play(stage: &Stage) -> Outcome<Report> {
    let key = stage.keys[0].clone();
    let source = stage.table.fresh(LOAD);
    let cache = stage.cache("stampede").ttl(TTL).source(source.clone()).build().await?;
    cache.get(&key).await?;
    let naive_source = stage.table.fresh(LOAD);
    let naive = stage.naive("stampede", TTL);
    let row = naive_source.row(&key).await?;
    naive.set(&key, &row.unwrap_or_default()).await?;
    stage.clock.sleep(EXPIRED).await;

    let before = source.loads();
    let (answered, took) = stage
        .timed(crowd(|| {
            let (cache, key) = (cache.clone(), key.clone());
            async move { cache.get(&key).await.is_ok_and(|row| row.is_some()) }
        }))
        .await;
    let loads = source.loads() - before;
    let before = naive_source.loads();
    let (_, naive_took) = stage
        .timed(crowd(|| {
            let (naive, source, key) = (naive.clone(), naive_source.clone(), key.clone());
            async move {
                naive
                    .get_or_load(&key, || source.row(&key))
                    .await
                    .is_ok_and(|row| row.is_some())
            }
        }))
        .await;
    let naive_loads = naive_source.loads() - before;

    let mut report = Report::default();
    report.count("callers", CALLERS as u64);
    report.count("loads", loads);
    report.count("loads_naive", naive_loads);
    report.span("all_answered", took);
    report.span("all_answered_naive", naive_took);
    report.claim(
        answered == CALLERS,
        format_args!("every caller was answered: {answered}"),
    );
    report.claim(loads == 1, format_args!("one load for all callers: {loads}"));
    report.lesson(format_args!(
        "an expired key costs one load, not {naive_loads}: the others wait for it"
    ));
    Ok(report)
}

/// Runs a thousand callers at once; how many of them got their answer.
async fn crowd<F>(caller: impl Fn() -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut crowd: JoinSet<bool> = (0..CALLERS).map(|_| caller()).collect();
    let mut answered = 0;
    while let Some(ended) = crowd.join_next().await {
        answered += usize::from(ended.unwrap_or(false));
    }
    answered
}
