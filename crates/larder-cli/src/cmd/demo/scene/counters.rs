//! Counters: many tasks count at once, and none of it is lost.

use std::time::Duration;

use larder::redis;
use tokio::task::JoinSet;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "counters",
    shows: "50 tasks count at once",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TASKS: usize = 50;
const EACH: i64 = 20;
const TTL: Duration = Duration::from_secs(60);
const KEY: &str = "visits";

async fn play(stage: &Stage) -> Outcome<Report> {
    let cache = stage.cache_of::<i64>("counters").ttl(TTL).build().await?;
    let mut tasks: JoinSet<Outcome> = JoinSet::new();
    let (done, took) = stage
        .timed(async {
            for _ in 0..TASKS {
                let cache = cache.clone();
                tasks.spawn(async move {
                    for _ in 0..EACH {
                        cache.incr(&KEY.to_owned(), 1).await?;
                    }
                    Ok(())
                });
            }
            all(tasks).await
        })
        .await;
    done?;
    let counted = cache.counter(&KEY.to_owned()).await?.unwrap_or(0);
    let naive = count_naively(stage).await?;

    let mut report = Report::default();
    let expected = TASKS as i64 * EACH;
    report.count("increments", expected as u64);
    report.count("counted", counted.unsigned_abs());
    report.count("counted_naive", naive.unsigned_abs());
    report.span("per_increment", took / expected as u32);
    report.claim(
        counted == expected,
        format_args!("every increment counts: {counted} of {expected}"),
    );
    report.lesson("a counter is changed in the store, in one step; read, add, write back loses what came between");
    Ok(report)
}

/// GET, add one, SET, from as many tasks: what they counted.
async fn count_naively(stage: &Stage) -> Outcome<i64> {
    let key = stage.namespace("counters-naive");
    let mut tasks: JoinSet<Outcome> = JoinSet::new();
    for _ in 0..TASKS {
        let (mut store, key) = (stage.store.clone(), key.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                let count: Option<i64> = redis::cmd("GET").arg(&key).query_async(&mut store).await?;
                // Between the two commands others run, as they would on the network.
                tokio::task::yield_now().await;
                let set = redis::cmd("SET")
                    .arg(&key)
                    .arg(count.unwrap_or(0) + 1)
                    .arg("EX")
                    .arg(TTL.as_secs())
                    .to_owned();
                set.exec_async(&mut store).await?;
            }
            Ok(())
        });
    }
    all(tasks).await?;
    let mut store = stage.store.clone();
    Ok(redis::cmd("GET")
        .arg(&key)
        .query_async::<Option<i64>>(&mut store)
        .await?
        .unwrap_or(0))
}

async fn all(mut tasks: JoinSet<Outcome>) -> Outcome {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
