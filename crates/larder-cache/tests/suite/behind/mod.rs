//! Write-behind: what is accepted is read at once, reaches the source in its order, and is lost nowhere.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod accepting;
mod cancelled;
pub(crate) mod checks;
mod counting;
mod epochs;
mod flushing;
mod killed;
pub(crate) mod ledger;
mod letters;
pub(crate) mod naive;
pub(crate) mod retries;

use std::time::Duration;

use larder_cache::{Ack, Cache, CacheBuilder, WriteBehind, WritePolicy};
use larder_store::Store;
use larder_testkit::{Kind, Topology, eventually};

use ledger::Ledger;

pub(crate) type Numbers = Cache<u64, u64>;

/// When a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Write-behind as most tests want it: due after a unit.
pub(crate) fn behind() -> WriteBehind {
    WriteBehind::new(Ack::Memory).delay(Duration::from_millis(50))
}

/// The same of a process that flushes nothing by itself.
pub(crate) fn unflushed() -> WriteBehind {
    behind().flushes(false)
}

/// One process's cache over a ledger.
pub(crate) async fn open(store: &Store, ledger: &Ledger, policy: WriteBehind) -> Numbers {
    open_with(store, ledger, policy, |b| b).await
}

/// The same with other settings.
pub(crate) async fn open_with(
    store: &Store,
    ledger: &Ledger,
    policy: WriteBehind,
    settings: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>,
) -> Numbers {
    let builder = Cache::builder("behind")
        .store(store)
        .ttl(Duration::from_secs(3600))
        .jitter(0.0)
        .source(ledger.clone())
        .write(WritePolicy::Behind(policy));
    settings(builder).build().await.unwrap()
}

/// Lets time pass until `holds`.
pub(crate) async fn until(t: &Topology, mut holds: impl AsyncFnMut() -> bool) {
    eventually(PATIENCE, async || {
        let is_so = holds().await;
        if !is_so {
            t.advance(1).await;
        }
        is_so
    })
    .await;
}

/// Lets time pass until `work` is done.
pub(crate) async fn meanwhile<F: Future>(t: &Topology, work: F) -> F::Output {
    tokio::select! {
        biased;
        done = work => done,
        () = async { until(t, async || false).await } => unreachable!("it panics"),
    }
}

/// Runs a test on the embedded engine, on this thread alone.
pub(crate) fn on_this_thread(test: impl AsyncFnOnce(Topology)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .unwrap()
        .block_on(async { test(Topology::start(Kind::Embedded).await).await });
}

pub(crate) async fn read(cache: &Numbers, key: u64) -> Option<u64> {
    cache.get(&key).await.unwrap().map(|value| *value)
}
