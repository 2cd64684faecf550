//! 14: a loader's process is stopped beyond its lease, and goes on when the world has changed. Its fill is refused.

use std::time::Duration;

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{
    Kind, RedisServer, eventually,
    naive::{CacheAside, LockAroundLoad},
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{SOON, told},
};

/// The row's value, in the same server: every process sees it.
const ROW: &str = "paused:row";

/// Set in the same server when the stopped process goes on.
const GO: &str = "paused:go";

const LEASE: Duration = Duration::from_millis(400);

/// The test that is the stopped process's whole program.
const LOADER: &str = "faults::fault_14::loader";

/// What the stopped process is told.
#[derive(Serialize, Deserialize)]
struct Job {
    url: String,
    by: Baseline,
}

/// What it says: that it has read the row, then what became of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    Read(u64),
    Done { value: u64, superseded: u64, gone: u64 },
}

/// The row through one of the caches, in one process.
struct Process {
    store: Store,
    cache: AnyCache,
}

enum AnyCache {
    Naive(CacheAside<Store>),
    Lock(LockAroundLoad<Store>),
    Larder(Cache<u64, u64>),
}

impl Process {
    async fn open(url: &str, by: Baseline) -> Self {
        let store = Store::open(url).await.expect("the server is up");
        let cache = match by {
            Baseline::Naive => AnyCache::Naive(CacheAside::new(store.clone())),
            Baseline::Lock => AnyCache::Lock(LockAroundLoad::new(store.clone(), Clock::system())),
            Baseline::Larder => {
                let builder = Cache::builder("paused")
                    .store(&store)
                    .ttl(Duration::from_secs(600))
                    .lease(LEASE);
                AnyCache::Larder(builder.build().await.expect("the settings agree"))
            }
        };
        Self { store, cache }
    }

    async fn get<F: Future<Output = u64> + Send>(&self, load: impl FnOnce() -> F + Send) -> u64 {
        match &self.cache {
            AnyCache::Naive(cache) => cache.get("row", &[], load).await.expect("the server is up"),
            AnyCache::Lock(cache) => cache.get("row", load).await.expect("the server is up"),
            AnyCache::Larder(cache) => {
                let load = || async { Ok::<_, std::convert::Infallible>(load().await) };
                *cache.get_or_load(&1, load).await.expect("the server is up")
            }
        }
    }

    async fn read(&self) -> u64 {
        self.get(|| row_of(self.store.clone())).await
    }

    /// Writes the row; `invalidate` says whether the cache is told.
    async fn write(&self, version: u64, invalidate: bool) {
        self.store
            .clone()
            .set::<_, _, ()>(ROW, version)
            .await
            .expect("the server is up");
        if !invalidate {
            return;
        }
        match &self.cache {
            AnyCache::Naive(cache) => cache.invalidate("row").await.expect("the server is up"),
            AnyCache::Lock(cache) => cache.invalidate("row").await.expect("the server is up"),
            AnyCache::Larder(cache) => cache.invalidate(&1).await.expect("the server is up"),
        }
    }
}

async fn row_of(mut store: Store) -> u64 {
    store.get(ROW).await.expect("the server is up")
}

#[test]
fn loader() {
    let Some(Job { url, by }) = worker::job() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let here = Process::open(&url, by).await;
        worker::ready();
        let load = || async {
            let seen = row_of(here.store.clone()).await;
            worker::report(&Said::Read(seen));
            // Here the process is stopped; when it goes on, this wait is over.
            told(here.store.clone(), GO).await;
            seen
        };
        let value = here.get(load).await;
        let (superseded, gone) = match &here.cache {
            AnyCache::Larder(cache) => (cache.stats().fills_superseded, cache.stats().fills_gone),
            AnyCache::Naive(_) | AnyCache::Lock(_) => (0, 0),
        };
        worker::report(&Said::Done {
            value,
            superseded,
            gone,
        });
    });
}

/// Starts the loader, and stops it when it has read version 1.
async fn stopped(turn: &Turn, server: &RedisServer) -> (Process, Worker) {
    let here = Process::open(&server.url(), turn.baseline).await;
    here.write(1, false).await;
    let job = Job {
        url: server.url(),
        by: turn.baseline,
    };
    let mut loader = Worker::start(LOADER, &job);
    loader.go();
    assert_eq!(loader.next_record(), Some(Said::Read(1)));
    loader.pause();
    (here, loader)
}

/// Lets the loader go on: what became of its fill, and what is read afterwards.
async fn goes_on(turn: &Turn, here: &Process, loader: Worker, verdict: &mut Verdict) {
    let mut store = here.store.clone();
    store.set::<_, _, ()>(GO, 1).await.expect("the server is up");
    loader.resume();
    let said: Vec<Said> = tokio::task::spawn_blocking(|| loader.finish()).await.expect("no panic");
    let [
        Said::Done {
            value,
            superseded,
            gone,
        },
    ] = said[..]
    else {
        panic!("{said:?}")
    };
    verdict.expect(
        value == 1,
        "its own caller asked before the write, and has what was there",
    );
    if turn.is_larder() {
        verdict.expect(
            superseded + gone == 1,
            format!("the fill is refused: {superseded} superseded, {gone} gone"),
        );
    }
    let now = here.read().await;
    verdict.expect(now == 2, format!("version 2, not {now}, after the loader went on"));
}

#[test]
fn fault_14() {
    row(14, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        let server = RedisServer::start().await;
        let (here, loader) = stopped(&turn, &server).await;
        let mut verdict = Verdict::default();
        here.write(2, true).await;
        let now = here.read().await;
        verdict.expect(now == 2, format!("version 2, not {now}, while the loader stands still"));
        goes_on(&turn, &here, loader, &mut verdict).await;
        verdict
    });
}

/// Nobody invalidates: the lease just ends. Another then loads under a lease of its own, and the first one's is refused.
#[test]
fn fault_14_replaced() {
    row(14, &[Baseline::Naive, Baseline::Lock], &[Kind::Redis], async |turn| {
        let server = RedisServer::start().await;
        let (here, loader) = stopped(&turn, &server).await;
        let mut verdict = Verdict::default();
        here.write(2, false).await;
        eventually(SOON, async || here.read().await == 2).await;
        goes_on(&turn, &here, loader, &mut verdict).await;
        verdict
    });
}
