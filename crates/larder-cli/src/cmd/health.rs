//! `larder health`: whether a store is well.

use larder_store::Health;
use serde_json::json;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    flags::LiveStore,
    shown,
};

/// Look at a store once: reachable, how fast, how full.
///
/// Exit code 0 if it is healthy. 1 if it does not answer or something is wrong, which is named: memory that is nearly full
/// without eviction, a replica that lost its primary.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    store: LiveStore,
}

pub(crate) async fn run(args: Args, context: &Context) -> Outcome {
    let store = args.store.lazy().await?;
    let health = store.health().await;
    let problems = health.problems();
    let chain: Option<Vec<String>> = unwell(&health).map(|failure| failure.chain().collect());
    let ui = &context.ui;
    ui.line(format_args!("store      {}", health.address));
    ui.line(format_args!("status     {}", status(&health)));
    if let Ok(latency) = &health.latency {
        ui.line(format_args!("ping       {latency:.1?}"));
    }
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "unknown".into());
    ui.line(format_args!("version    {}", or_unknown(health.server_version.clone())));
    ui.line(format_args!("role       {}", or_unknown(health.role.clone())));
    ui.line(format_args!(
        "clients    {}",
        or_unknown(health.clients.map(|n| n.to_string()))
    ));
    ui.line(format_args!(
        "memory     {}",
        shown::memory(health.memory_used, health.memory_max)
    ));
    for problem in &problems {
        ui.line(format_args!("problem    {problem}"));
    }
    ui.document(&json!({
        "store": health.address,
        "status": status(&health),
        "problems": problems,
        "error": chain,
        "ping_seconds": health.latency.as_ref().ok().map(std::time::Duration::as_secs_f64),
        "version": health.server_version,
        "role": health.role,
        "clients": health.clients,
        "replicas": health.replicas,
        "memory_used_bytes": health.memory_used,
        "memory_max_bytes": health.memory_max,
        "eviction_policy": health.eviction_policy,
        "evicted_keys": health.evicted_keys,
        "uptime_seconds": health.uptime.map(|span| span.as_secs()),
    }));
    match unwell(&health) {
        None => Ok(()),
        Some(failure) => Err(failure.told_in_json()),
    }
}

/// The failure that an unwell store is, with its cause where there is one.
fn unwell(health: &Health) -> Option<Failure> {
    let what = format!("{} is {}", health.address, status(health));
    match &health.latency {
        Err(error) => Some(Failure::from(error.clone()).heading(what).hint(LiveStore::HINT)),
        Ok(_) => (!health.problems().is_empty()).then(|| Failure::new(what)),
    }
}

/// Degraded is named, and is not healthy.
fn status(health: &Health) -> &'static str {
    match (health.is_reachable(), health.is_healthy()) {
        (_, true) => "healthy",
        (true, false) => "degraded",
        (false, false) => "unreachable",
    }
}
