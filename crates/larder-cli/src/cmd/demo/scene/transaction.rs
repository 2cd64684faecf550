//! Transaction: two callers read a balance, decide, and write it, at once. What one decided by is old when he writes.

use larder::{
    Store,
    redis::{self, AsyncCommands as _},
    transaction::{Attempt, TransactionError, Transactions, Watched},
};
use tokio::sync::Barrier;

use super::{Playing, Scene, duel::Duel};
use crate::{
    cmd::demo::{report::Report, stage::Stage},
    failure::Outcome,
};

pub(super) const SCENE: Scene = Scene {
    name: "transaction",
    shows: "two callers read, decide and write at once",
    run: |stage| -> Playing<'_> { Box::pin(play(stage)) },
};

/// What each round begins with, and what each caller takes.
const BALANCE: i64 = 100;
const TAKEN: i64 = 30;
const LEFT: i64 = BALANCE - 2 * TAKEN;

const TTL_S: u64 = 60;

async fn play(stage: &Stage) -> Outcome<Report> {
    let key = stage.namespace("transaction");
    let transactions = Transactions::builder("demo").store(&stage.store).build()?;
    let mut attempts = 0;
    let duel = Duel::play(
        stage,
        async |_, _| {
            set(&stage.store, &key).await?;
            attempts += two_of_ours(&transactions, &key).await?;
            Ok(left(&stage.store, &key).await? != LEFT)
        },
        async |_, _| {
            set(&stage.store, &key).await?;
            two_on_one_connection(&stage.store, &key).await?;
            Ok(left(&stage.store, &key).await? != LEFT)
        },
    )
    .await?;

    let mut report = duel.report("two_callers_at_once", "withdrawals_lost");
    report.count("attempts", attempts);
    report.claim(duel.larder == 0, format_args!("no withdrawal is lost: {}", duel.larder));
    report.lesson(
        "WATCH belongs to a connection: on one that two share, the EXEC of one ends the watch of the other, and both are told that all is well",
    );
    Ok(report)
}

async fn set(store: &Store, key: &str) -> Outcome {
    Ok(store.clone().set_ex(key, BALANCE, TTL_S).await?)
}

async fn left(store: &Store, key: &str) -> Outcome<i64> {
    Ok(store.clone().get(key).await?)
}

/// Both have read before one writes; how many attempts they took.
async fn two_of_ours(transactions: &Transactions, key: &str) -> Outcome<u64> {
    let both_have_read = Barrier::new(2);
    let caller = async || {
        let mut attempts = 0;
        let work = transactions.run([key], |watched| {
            attempts += 1;
            take(watched, key, (attempts == 1).then_some(&both_have_read))
        });
        work.await.map(|()| attempts)
    };
    let (one, other) = tokio::join!(caller(), caller());
    Ok(one? + other?)
}

async fn take(mut watched: Watched, key: &str, meet: Option<&Barrier>) -> Result<Attempt<()>, TransactionError> {
    let balance: i64 = watched.get(key).await?;
    if let Some(meet) = meet {
        meet.wait().await;
    }
    let write = redis::pipe().set_ex(key, balance - TAKEN, TTL_S).ignore().to_owned();
    watched.commit(write).await
}

/// The same by hand: two callers on one connection.
async fn two_on_one_connection(store: &Store, key: &str) -> Outcome {
    let mut shared = store.dedicated().await?;
    let mut read = [0; 2];
    for balance in &mut read {
        redis::cmd("WATCH").arg(key).exec_async(&mut shared).await?;
        *balance = shared.get(key).await?;
    }
    for balance in read {
        let mut write = redis::pipe();
        write.atomic().set_ex(key, balance - TAKEN, TTL_S).ignore();
        // Neither is told that the other came between.
        write.exec_async(&mut shared).await?;
    }
    Ok(())
}
