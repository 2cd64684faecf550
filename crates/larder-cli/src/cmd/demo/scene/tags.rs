//! Tags: one call invalidates every key that carries a label, and no other.

use std::time::Duration;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{
        report::Report,
        stage::Stage,
        users::{Row, TEAMS},
    },
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "tags",
    shows: "one call invalidates a whole team",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const USERS: u64 = 200;
const TTL: Duration = Duration::from_secs(60);

/// The team that is invalidated.
const TEAM: u64 = 7 % TEAMS;

async fn play(stage: &Stage) -> Outcome<Report> {
    let source = stage.own.fresh(Duration::ZERO);
    let cache = stage
        .cache("tags")
        .ttl(TTL)
        .tags(team)
        .source(source.clone())
        .build()
        .await?;
    let ids = 1..=USERS.min(stage.user_count);
    let members = ids.clone().filter(|id| id % TEAMS == TEAM).count() as u64;
    let keys: Vec<String> = ids.map(|id| id.to_string()).collect();
    cache.get_many(&keys).await.all()?;
    cache.get_many(&keys).await.all()?;
    let before = source.keys_asked();
    let (done, took) = stage.timed(cache.invalidate_tag(&format!("team:{TEAM}"))).await;
    done?;
    cache.get_many(&keys).await.all()?;
    let reloaded = source.keys_asked() - before;

    let mut report = Report::default();
    report.count("users_cached", keys.len() as u64);
    report.count("in_the_team", members);
    report.count("reloaded", reloaded);
    report.span("invalidate_tag", took);
    report.claim(
        before == keys.len() as u64,
        format_args!("each user was loaded once before: {before}"),
    );
    report.claim(
        reloaded == members,
        format_args!("exactly the team was reloaded: {reloaded} of {members}"),
    );
    report.lesson("label values when they are loaded; one change then drops whatever shows it");
    Ok(report)
}

/// The label of a user: the team it is in.
fn team(user: &Row) -> [String; 1] {
    let team = user.get("team").and_then(serde_json::Value::as_u64).unwrap_or_default();
    [format!("team:{team}")]
}
