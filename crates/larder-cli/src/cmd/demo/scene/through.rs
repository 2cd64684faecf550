//! Through: a write goes to the database and leaves the new value cached. Two writers at once are where code written by hand
//! goes wrong: the one that commits first may store last, and the older value then stays.

use std::time::Duration;

use anyhow::{Context as _, Result};
use larder::{Cache, Patch, Sink as _, SqlTable, WritePolicy};
use serde_json::json;

use super::{
    Playing, Scene,
    duel::{Duel, ROUNDS},
};
use crate::{
    cmd::demo::{
        naive::Naive,
        report::Report,
        stage::Stage,
        users::{self, Row},
    },
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "through",
    shows: "writes through the cache, two writers at once",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let table = stage.users.table();
    let cache = stage.cache("through").ttl(TTL).source(table.clone());
    let cache = cache.write(WritePolicy::Through).build().await?;
    let naive = stage.naive("through", TTL);
    let duel = Duel::play(
        stage,
        async |_, id| larder_keeps_the_older(&table, &cache, &id.to_string()).await,
        async |_, id| naive_keeps_the_older(&table, &naive, &id.to_string()).await,
    )
    .await?;

    let loads = cache.stats().loads;
    let (reads, took) = stage.timed(write_and_read(stage, &cache)).await;
    let loads = cache.stats().loads - loads;
    let updated = one_field(&cache, &table).await?;

    let mut report = duel.report("pairs_of_writers", "older_value_stayed");
    report.claim(
        duel.larder == 0,
        format_args!(
            "of two committed values the older one never stays cached: {}",
            duel.larder
        ),
    );
    report.count("puts_with_a_read_after_each", reads?);
    report.span("one_put_and_read", took / u32::try_from(ROUNDS).unwrap_or(u32::MAX));
    report.count("loads_for_those_reads", loads);
    report.claim(loads == 0, format_args!("what was put is cached: {loads} loads"));
    report.claim(updated, "an update of one field leaves the others as they are");
    report.lesson("a writer stores what it committed only if nobody else held, wrote or invalidated the key meanwhile");
    Ok(report)
}

/// One writer commits, another one commits and stores, and then the first one stores; whether its older value stays.
async fn larder_keeps_the_older(table: &SqlTable, cache: &Cache<String, Row>, key: &String) -> Outcome<bool> {
    let (older, newer) = two_values(table, key).await?;
    let hold = cache.hold(key).await?;
    let commit = async {
        table.put(key, &older).await?;
        cache.put(key, newer.clone()).await?;
        Ok::<_, anyhow::Error>(older)
    };
    let _committed = hold.commit_value(commit).await?;
    let cached = cache.get(key).await?;
    Ok(cached.as_deref() != Some(&newer))
}

/// The same with a SET after each commit.
async fn naive_keeps_the_older(table: &SqlTable, naive: &Naive, key: &String) -> Outcome<bool> {
    let (older, newer) = two_values(table, key).await?;
    table.put(key, &older).await?;
    table.put(key, &newer).await?;
    naive.set(key, &newer).await?;
    naive.set(key, &older).await?;
    Ok(naive.get(key).await?.as_ref() != Some(&newer))
}

/// Two changes of a user, one after the other.
async fn two_values(table: &SqlTable, key: &String) -> Result<(Row, Row)> {
    let found = table.rows::<String, Row>(std::slice::from_ref(key)).await?.pop();
    let (_, row) = found.context("the user is gone")?;
    let visits = row.get("visits").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let with = |visits: u64| {
        let mut row = row.clone();
        row.insert("visits".to_owned(), json!(visits));
        row
    };
    Ok((with(visits + 1), with(visits + 2)))
}

async fn write_and_read(stage: &Stage, cache: &Cache<String, Row>) -> Outcome<u64> {
    for round in 0..ROUNDS {
        let id = stage.user_of(round);
        let mut row = users::row(id);
        row.insert("visits".to_owned(), json!(round));
        cache.put(&id.to_string(), row.clone()).await?;
        let read = cache.get(&id.to_string()).await?;
        if read.as_deref() != Some(&row) {
            return Err(anyhow::anyhow!("user {id} is not what was just put").into());
        }
    }
    Ok(ROUNDS)
}

/// Whether a change of one field left the others alone.
async fn one_field(cache: &Cache<String, Row>, table: &SqlTable) -> Outcome<bool> {
    let key = "1".to_owned();
    let patch = Patch::default().set("name", "Margaret Hamilton")?;
    let updated = cache.update(&key, patch).await?.value.context("user 1 is gone")?;
    let found = table.rows::<String, Row>(std::slice::from_ref(&key)).await?.pop();
    let (_, row) = found.context("user 1 is gone")?;
    let is_merged =
        row.get("name") == Some(&json!("Margaret Hamilton")) && row.get("email") == users::row(1).get("email");
    Ok(is_merged && *updated == row)
}
