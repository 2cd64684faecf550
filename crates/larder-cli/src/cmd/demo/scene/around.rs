//! Around: a write goes to the database, and what is cached goes away. Between the two a writer may vanish: a request that
//! is cancelled, a task that is aborted.

use std::{task::Poll, time::Duration};

use anyhow::Context as _;
use larder::{Cache, Sink as _, SqlTable, WritePolicy};
use serde_json::json;

use super::{Playing, Scene, duel::Duel};
use crate::{
    cmd::demo::{
        report::Report,
        stage::Stage,
        users::{self, Row},
    },
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "around",
    shows: "writes round the cache, by writers that vanish after their commit",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let table = stage.users.table();
    let cache = stage.cache("around").ttl(TTL).source(table.clone());
    let cache = cache.write(WritePolicy::Around).build().await?;
    let naive = stage.naive("around", TTL);
    let mut vanished = 0;
    let duel = Duel::play(
        stage,
        async |round, id| {
            let (key, row) = (id.to_string(), visited(id, 1_000 + round));
            cache.get(&key).await?;
            vanished += u64::from(vanishes_after_its_commit(&cache, &table, &key, &row).await?);
            Ok(cache.get(&key).await?.as_deref() != Some(&row))
        },
        async |round, id| {
            let (key, row) = (id.to_string(), visited(id, 2_000 + round));
            let load = || stage.own.row(&key);
            naive.get_or_load(&key, load).await?;
            // The commit, and then no DEL: nobody is there any more who would send it.
            table.put(&key, &row).await?;
            Ok(naive.get_or_load(&key, load).await?.as_ref() != Some(&row))
        },
    )
    .await?;

    let mut report = duel.report("writers", "stale_reads_after");
    report.count("vanished_after_the_commit", vanished);
    report.claim(
        duel.larder == 0,
        format_args!(
            "whoever reads after the commit reads what was committed: {} stale",
            duel.larder
        ),
    );
    report.lesson("the invalidation is owed from before the commit: a writer that vanishes leaves it to the cache");
    Ok(report)
}

/// The user `id`, visited so often.
fn visited(id: u64, visits: u64) -> Row {
    let mut row = users::row(id);
    row.insert("visits".to_owned(), json!(visits));
    row
}

/// Puts `row`, and drops the call as soon as the database has it; whether that was before the call was done.
async fn vanishes_after_its_commit(
    cache: &Cache<String, Row>,
    table: &SqlTable,
    key: &String,
    row: &Row,
) -> Outcome<bool> {
    let mut writing = Box::pin(cache.put(key, row.clone()));
    loop {
        if let Poll::Ready(written) = futures_util::poll!(writing.as_mut()) {
            written?;
            return Ok(false);
        }
        let found = table.rows::<String, Row>(std::slice::from_ref(key)).await?.pop();
        let (_, committed) = found.context("the user is gone")?;
        if committed == *row {
            return Ok(true);
        }
    }
}
