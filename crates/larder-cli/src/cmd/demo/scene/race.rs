//! Race: a row changes while a load of it is under way. The load has read the old row; whoever lets it store that
//! row after the invalidation serves it until it expires.

use std::time::Duration;

use anyhow::{Context as _, Result};
use larder::{Cache, SqlTable};
use tokio::sync::oneshot;

use super::{Playing, Scene, duel::Duel};
use crate::{
    cmd::demo::{naive::Naive, report::Report, stage::Stage, users::Row},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "race",
    shows: "a row is updated while it is being loaded",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let table = stage.users.table();
    let cache = stage.cache("race").ttl(TTL).build().await?;
    let naive = stage.naive("race", TTL);
    let duel = Duel::play(
        stage,
        async |_, id| cache_is_stale(stage, &table, &cache, id).await,
        async |_, id| naive_is_stale(stage, &table, &naive, id).await,
    )
    .await?;

    let mut report = duel.report("updates_during_a_load", "stale_reads_after");
    report.claim(
        duel.larder == 0,
        format_args!("no stale read after an acknowledged invalidation: {}", duel.larder),
    );
    report.lesson("a fill is accepted only while its lease stands, and an invalidation ends the lease");
    Ok(report)
}

/// One race with Larder; whether the next read is stale.
async fn cache_is_stale(stage: &Stage, table: &SqlTable, cache: &Cache<String, Row>, id: u64) -> Outcome<bool> {
    let key = id.to_string();
    let (load, gate) = paused_load(table, &key);
    let read = cache.get_or_load(&key, || load);
    let write = gate.change(async {
        stage.users.visit(id).await?;
        Ok(cache.invalidate(&key).await?)
    });
    let (read, written) = tokio::join!(read, write);
    read?;
    written?;
    let cached = cache.get_or_load(&key, || row(table, &key)).await?;
    let is_stale = *cached != row(table, &key).await?;
    cache.invalidate(&key).await?;
    Ok(is_stale)
}

/// The same race with hand-written code.
async fn naive_is_stale(stage: &Stage, table: &SqlTable, naive: &Naive, id: u64) -> Outcome<bool> {
    let key = id.to_string();
    let (load, gate) = paused_load(table, &key);
    let read = naive.get_or_load(&key, || async { load.await.map(Some) });
    let write = gate.change(async {
        stage.users.visit(id).await?;
        Ok(naive.del(&key).await?)
    });
    let (read, written) = tokio::join!(read, write);
    read?;
    written?;
    let cached = naive
        .get_or_load(&key, || async { row(table, &key).await.map(Some) })
        .await?;
    let is_stale = cached != Some(row(table, &key).await?);
    naive.del(&key).await?;
    Ok(is_stale)
}

/// Lets a load read its row, and holds it there until the row has changed.
struct Gate {
    has_read: oneshot::Receiver<()>,
    go_on: oneshot::Sender<()>,
}

impl Gate {
    /// Runs `change` between the load's read and its end.
    async fn change(self, change: impl Future<Output = Outcome>) -> Outcome {
        self.has_read.await?;
        change.await?;
        // The load may have been given up by now: then nobody waits to go on.
        let _ = self.go_on.send(());
        Ok(())
    }
}

fn paused_load(table: &SqlTable, key: &str) -> (impl Future<Output = Result<Row>> + Send, Gate) {
    let (reads, has_read) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let load = async move {
        let row = row(table, key).await?;
        let _ = reads.send(());
        may_go_on.await?;
        Ok(row)
    };
    (load, Gate { has_read, go_on })
}

async fn row(table: &SqlTable, key: &str) -> Result<Row> {
    let found = table.rows(&[key.to_owned()]).await?.pop();
    found.map(|(_, row)| row).context("the user is gone")
}
