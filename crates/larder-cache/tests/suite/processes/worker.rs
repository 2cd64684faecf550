//! What one process of a stampede does: many tasks ask for one missing key at once, and say what they saw.

use std::{sync::Arc, time::Duration};

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{naive::CacheAside, worker};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};

/// The test that is a worker's whole program.
pub(super) const ENTRY: &str = "processes::worker::stampede_worker";

/// The key that everyone asks for.
const KEY: u64 = 1;

/// Counts the loads of all processes, so that the first one knows itself.
const LOADS: &str = "stampede:loads";

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) url: String,
    pub(super) tasks: usize,
    pub(super) lease: Duration,
    pub(super) load: Duration,
    /// What the first load of all does.
    pub(super) first: First,
    /// Whether this is plain get and set instead.
    pub(super) naive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum First {
    Answers,
    Fails,
    /// Never ends: its process is killed.
    Hangs,
}

/// What a worker says, with moments of `CLOCK_MONOTONIC`, which all processes of a machine share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Saw {
    /// A load began.
    Load,
    /// A task has its answer.
    Answer { began: Duration, ended: Duration, ok: bool },
}

#[test]
fn stampede_worker() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(stampede(job));
}

async fn stampede(job: Job) {
    let store = Store::open(&job.url).await.expect("the server is up");
    let cache = Cache::builder("stampede")
        .store(&store)
        .ttl(Duration::from_secs(600))
        .lease(job.lease);
    let cache: Cache<u64, u64> = cache.build().await.expect("the settings agree");
    let (job, naive) = (Arc::new(job), CacheAside::new(store.clone()));
    worker::ready();
    let tasks: Vec<_> = (0..job.tasks)
        .map(|_| tokio::spawn(ask(job.clone(), store.clone(), cache.clone(), naive.clone())))
        .collect();
    for task in tasks {
        worker::report(&task.await.expect("a task does not panic"));
    }
}

async fn ask(job: Arc<Job>, store: Store, cache: Cache<u64, u64>, naive: CacheAside<Store>) -> Saw {
    let clock = Clock::system();
    let began = clock.monotonic();
    let ok = if job.naive {
        let load = || async { load(&job, store, &clock).await.expect("naive loads do not fail here") };
        naive.get("stampede:row", &[], load).await.is_ok()
    } else {
        cache.get_or_load(&KEY, || load(&job, store, &clock)).await.is_ok()
    };
    Saw::Answer {
        began,
        ended: clock.monotonic(),
        ok,
    }
}

async fn load(job: &Job, mut store: Store, clock: &Clock) -> Result<u64, std::io::Error> {
    let nth: u64 = store.incr(LOADS, 1).await.expect("the server is up");
    worker::report(&Saw::Load);
    if nth > 1 || job.first != First::Hangs {
        clock.sleep(job.load).await;
    } else {
        std::future::pending::<()>().await;
    }
    match job.first {
        First::Fails if nth == 1 => Err(std::io::Error::other("the source is down")),
        _ => Ok(7),
    }
}
