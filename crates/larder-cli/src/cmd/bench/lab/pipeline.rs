//! Pipelines of 100 against 100 single commands: what a batch spares.

use std::hint::black_box;

use larder_base::Clock;
use larder_store::Store;
use redis::{cmd, pipe};

use super::{
    cpu,
    figure::Figure,
    rounds::{Round, Tournament, histogram},
};

/// Commands in a pipeline.
const BATCH: u64 = 100;

/// Batches of one round.
const BATCHES: u64 = 100;

/// What the names of all its keys begin with.
pub(crate) const PREFIX: &str = "larder:bench:pipeline:";

/// `GET`s through the shared handle: 100 single ones and pipelines of 100, in turns. Latencies are of a batch.
pub(crate) async fn run(store: &Store, case: &str, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let keys: Vec<String> = (0..BATCH).map(|i| format!("{PREFIX}{i}")).collect();
    fill(store, &keys).await?;
    let mut tournament = Tournament::new(case);
    for _ in 0..rounds {
        let single = round(async || one_by_one(store, &keys).await).await?;
        tournament.add("single commands", single);
        let together = round(async || pipelined(store, &keys).await).await?;
        tournament.add("pipelines of 100", together);
    }
    let _removed: u64 = cmd("DEL").arg(&keys).query_async(&mut store.clone()).await?;
    Ok(tournament.figures())
}

async fn fill(store: &Store, keys: &[String]) -> anyhow::Result<()> {
    let mut all = pipe();
    for key in keys {
        all.set(key, "x".repeat(100)).ignore();
    }
    Ok(all.query_async(&mut store.clone()).await?)
}

async fn one_by_one(store: &Store, keys: &[String]) -> anyhow::Result<usize> {
    let mut connection = store.clone();
    let mut bytes = 0;
    for key in keys {
        let value: Vec<u8> = cmd("GET").arg(key).query_async(&mut connection).await?;
        bytes += value.len();
    }
    Ok(bytes)
}

async fn pipelined(store: &Store, keys: &[String]) -> anyhow::Result<usize> {
    let mut all = pipe();
    for key in keys {
        all.get(key);
    }
    let values: Vec<Vec<u8>> = all.query_async(&mut store.clone()).await?;
    Ok(values.iter().map(Vec::len).sum())
}

async fn round(batch: impl AsyncFn() -> anyhow::Result<usize>) -> anyhow::Result<Round> {
    let clock = Clock::system();
    let mut latencies = histogram();
    let (began, cpu) = (clock.monotonic(), cpu::of_process());
    for _ in 0..BATCHES {
        let sent = clock.monotonic();
        black_box(batch().await?);
        latencies.saturating_record((clock.monotonic() - sent).as_nanos() as u64);
    }
    Ok(Round {
        operations: BATCH * BATCHES,
        cpu: cpu::of_process() - cpu,
        wall: clock.monotonic() - began,
        allocations: None,
        latencies: Some(latencies),
    })
}
