//! Plain: JSON under the bare key, as redis-cli and services in other languages read it.

use std::time::Duration;

use larder::{PlainStore as _, redis};
use serde_json::Value;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{
        report::Report,
        stage::Stage,
        users::{self, Row},
    },
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "plain",
    shows: "JSON under the bare key, for redis-cli and other languages",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

const ID: u64 = 42;

/// Long enough to look at it with redis-cli after the demo, short enough to leave nothing behind.
const TTL: Duration = Duration::from_secs(600);

async fn play(stage: &Stage) -> Outcome<Report> {
    let mut report = Report::default();
    let mut name = "user";
    if holds_foreign(stage, &format!("user:{ID}")).await? {
        // The demo may run on a store in use: what it did not write it must not overwrite.
        name = "larder-demo-user";
        report.note(format_args!(
            "the store holds a user:{ID} of somebody else: using {name}:{ID}"
        ));
    }
    let key = format!("{name}:{ID}");
    let user = users::row(ID);
    let plain = stage.store.plain::<Row>(name);
    plain.put(&ID, &user, TTL).await?;
    let raw: Option<String> = redis::cmd("GET")
        .arg(&key)
        .query_async(&mut stage.store.clone())
        .await?;
    let raw = raw.unwrap_or_default();
    let back = plain.get(&ID).await?;

    report.text("key", &key);
    report.text("redis_cli_get", &raw);
    report.claim(
        serde_json::from_str::<Value>(&raw).ok() == Some(Value::Object(user.clone())),
        "GET shows the value as JSON",
    );
    report.claim(back.is_some_and(|back| back == user), "what was put is read back");
    if !stage.store.is_embedded() {
        report.note(format_args!(
            "it stays for {} minutes: redis-cli GET {key}",
            TTL.as_secs() / 60
        ));
    }
    report.lesson("plain keys are for sharing; they have no leases, so keep what must be right in a cache");
    Ok(report)
}

/// Whether `key` holds something that no demo wrote.
async fn holds_foreign(stage: &Stage, key: &str) -> Outcome<bool> {
    let mut store = stage.store.clone();
    let kind: String = redis::cmd("TYPE").arg(key).query_async(&mut store).await?;
    if kind == "none" {
        return Ok(false);
    }
    if kind != "string" {
        return Ok(true);
    }
    let held: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut store).await?;
    Ok(serde_json::from_slice::<Row>(&held)
        .ok()
        .is_none_or(|held| held.get("email") != users::row(ID).get("email")))
}
