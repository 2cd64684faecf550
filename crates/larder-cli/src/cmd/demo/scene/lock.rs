//! Lock: its holder loses it while it works, and gives it back when it is done. What it gives back is another's by then.

use std::time::Duration;

use larder::{
    lock::{Guard, Lock as _, StoreLock},
    redis::{self, AsyncCommands as _},
};

use super::{
    Playing, Scene,
    duel::{Duel, ROUNDS},
};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::{Failure, Outcome},
};

pub(super) const SCENE: Scene = Scene {
    name: "lock",
    shows: "a holder loses its lock while it works",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// Longer than any round: locks are lost here by hand.
const TTL: Duration = Duration::from_secs(60);

async fn play(stage: &Stage) -> Outcome<Report> {
    let locks = StoreLock::builder(stage.namespace("lock"))
        .store(&stage.store)
        .ttl(TTL)
        .build()?;
    let mut round_trips = Vec::new();
    let mut fences_grew = true;
    let mut stopped = 0;
    let duel = Duel::play(
        stage,
        async |_, id| {
            let (guard, took) = stage.timed(locks.try_acquire(&id)).await;
            round_trips.push(took);
            let first = granted(guard?)?;
            lose(stage, first.resource()).await?;
            let second = granted(locks.try_acquire(&id).await?)?;
            fences_grew &= second.fence() > first.fence();
            // The watchdog finds out by itself, a third of the ttl later.
            stopped += u64::from(first.extend().await.is_err_and(|error| error.is_lost()));
            first.release().await?;
            let third = locks.try_acquire(&id).await?;
            second.release().await?;
            Ok(third.is_some())
        },
        async |_, id| {
            let key = stage.namespace(&format!("lock-naive-{id}"));
            let mut taken = set_nx(stage, &key).await?;
            lose(stage, &key).await?;
            taken &= set_nx(stage, &key).await?;
            // The first one is done.
            lose(stage, &key).await?;
            let third = set_nx(stage, &key).await?;
            lose(stage, &key).await?;
            Ok(taken && third)
        },
    )
    .await?;

    let mut report = duel.report("locks_lost_at_work", "two_holders");
    report.count("holders_told", stopped);
    report.percentiles("acquire", &mut round_trips);
    report.claim(
        duel.larder == 0,
        format_args!("nobody releases another's lock: {}", duel.larder),
    );
    report.claim(
        stopped == ROUNDS,
        format_args!("every holder is told: {stopped} of {ROUNDS}"),
    );
    report.claim(fences_grew, "each fence is above the one before");
    report.lesson(
        "a lock is released by whoever holds it, who is told when it is lost; DEL takes it from whoever has it",
    );
    Ok(report)
}

fn granted(guard: Option<Guard>) -> Outcome<Guard> {
    guard.ok_or_else(|| Failure::new("a lock that nobody holds was not granted"))
}

/// The lock is gone, as when it ran out or the store lost it; by hand, `DEL` is also how it is given back.
async fn lose(stage: &Stage, key: &str) -> Outcome {
    Ok(stage.store.clone().del(key).await?)
}

/// `SET key 1 NX PX ttl`, as it is written by hand.
async fn set_nx(stage: &Stage, key: &str) -> Outcome<bool> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(1).arg("NX").arg("PX").arg(TTL.as_millis() as u64);
    let set: Option<String> = set.query_async(&mut stage.store.clone()).await?;
    Ok(set.is_some())
}
