//! Rate limits: a crowd gets what the limit says, and whoever was denied is admitted again when told.

use std::time::Duration;

use larder::{
    limit::{FixedWindow, Gcra, Limiter, OnStoreDown},
    redis,
};
use tokio::task::JoinSet;

use super::{Playing, Scene};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::{Failure, Outcome},
};

pub(super) const SCENE: Scene = Scene {
    name: "limit",
    shows: "a user who calls too often, and a process that dies while it counts",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// A crowd at once, under a limit of ten that gives one back every six seconds.
const CALLERS: u64 = 20;
const EACH: u64 = 10;
const BURST: u64 = 10;
const INTERVAL: Duration = Duration::from_secs(6);

/// Then five a window.
const LIMIT: u64 = 5;
const WINDOW: Duration = Duration::from_millis(300);

/// For a window to end, on a store that is far away too.
const DEADLINE: Duration = Duration::from_secs(10);

const USER: &str = "42";

async fn play(stage: &Stage) -> Outcome<Report> {
    let (admitted, took) = stage.timed(crowd(stage)).await;
    let admitted = admitted?;
    let back_after = come_back(stage).await?;
    let is_locked_out = count_naively(stage).await?;

    let mut report = Report::default();
    report.count("calls", CALLERS * EACH);
    report.count("admitted", admitted);
    report.span("per_call", took / (CALLERS * EACH) as u32);
    report.span("back_after", back_after);
    report.flag("naive_locked_out_for_ever", is_locked_out);
    let formula = BURST + (took.as_secs_f64() / INTERVAL.as_secs_f64()) as u64;
    report.claim(
        (BURST..=formula).contains(&admitted),
        format_args!("a crowd is admitted what the limit says: {admitted} of {BURST} to {formula}"),
    );
    report.lesson(
        "count and expiry are one step in the store; INCR, then EXPIRE, locks a user out if you die in between",
    );
    Ok(report)
}

/// How many calls of a crowd are admitted.
async fn crowd(stage: &Stage) -> Outcome<u64> {
    let builder = Limiter::builder(&stage.namespace("limit")).store(&stage.store);
    let limiter = builder
        .limit(Gcra::per(1, INTERVAL).burst(BURST))
        .on_store_down(OnStoreDown::Closed)
        .build()?;
    let mut callers: JoinSet<Outcome<u64>> = JoinSet::new();
    for _ in 0..CALLERS {
        let limiter = limiter.clone();
        callers.spawn(async move {
            let mut admitted = 0;
            for _ in 0..EACH {
                admitted += u64::from(limiter.check(USER).await?.allowed);
            }
            Ok(admitted)
        });
    }
    let mut admitted = 0;
    while let Some(caller) = callers.join_next().await {
        admitted += caller??;
    }
    Ok(admitted)
}

/// How long somebody waits who has used up a window.
async fn come_back(stage: &Stage) -> Outcome<Duration> {
    let builder = Limiter::builder(&stage.namespace("limit-window")).store(&stage.store);
    let limiter = builder
        .limit(FixedWindow::per(LIMIT, WINDOW))
        .on_store_down(OnStoreDown::Closed)
        .build()?;
    // A window may end on the way, and then some more are needed.
    const ATTEMPTS_MAX: usize = 100;
    for _ in 0..ATTEMPTS_MAX {
        if !limiter.check(USER).await?.allowed {
            let (admitted, waited) = stage.timed(limiter.acquire(USER, 1, DEADLINE)).await;
            return Ok(admitted.map(|_| waited)?);
        }
    }
    Err(Failure::new(format_args!(
        "{ATTEMPTS_MAX} calls took {ATTEMPTS_MAX} windows of {WINDOW:?}: the store is too slow for this scene"
    )))
}

/// INCR, and EXPIRE where it was the first, by a process that dies in between: whether its user is denied two windows later.
async fn count_naively(stage: &Stage) -> Outcome<bool> {
    let (mut store, key) = (stage.store.clone(), stage.namespace("limit-naive"));
    let incr = redis::cmd("INCR").arg(&key).to_owned();
    // Here it dies: the next ones see a count of two, and leave the expiry to the first.
    incr.exec_async(&mut store).await?;
    for _ in 0..LIMIT {
        incr.exec_async(&mut store).await?;
    }
    stage.clock.sleep(WINDOW * 2).await;
    let count: u64 = incr.query_async(&mut store).await?;
    Ok(count > LIMIT)
}
