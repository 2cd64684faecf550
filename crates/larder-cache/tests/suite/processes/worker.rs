//! What one process of a stampede does: many tasks ask for one missing key at once, and say what they saw.

use std::{sync::Arc, time::Duration};

use larder_base::Clock;
use larder_cache::Cache;
use larder_store::Store;
use larder_testkit::{
    naive::{CacheAside, LockAroundLoad},
    worker,
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::faults::row::Baseline;

/// The test that is a worker's whole program.
pub(crate) const ENTRY: &str = "processes::worker::stampede_worker";

/// The key that everyone asks for.
const KEY: u64 = 1;

/// Counts the loads of all processes, so that the first one knows itself.
const LOADS: &str = "stampede:loads";

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) tasks: usize,
    pub(crate) lease: Duration,
    pub(crate) load: Duration,
    /// What the first load of all does.
    pub(crate) first: First,
    /// Whose cache it is.
    pub(crate) by: Baseline,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum First {
    Answers,
    Fails,
    Panics,
    /// Its caller goes away.
    IsCancelled,
    /// Never ends: its process is killed.
    Hangs,
}

/// What a worker says, with moments of `CLOCK_MONOTONIC`, which all processes of a machine share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Saw {
    /// A load began.
    Load,
    /// A task has its answer.
    Answer { began: Duration, ended: Duration, ok: bool },
}

/// The cache of one process.
#[derive(Clone)]
enum AnyCache {
    Naive(CacheAside<Store>),
    Lock(LockAroundLoad<Store>),
    Larder(Cache<u64, u64>),
}

impl AnyCache {
    async fn open(job: &Job, store: &Store) -> Self {
        match job.by {
            Baseline::Naive => Self::Naive(CacheAside::new(store.clone())),
            Baseline::Lock => Self::Lock(LockAroundLoad::new(store.clone(), Clock::system())),
            Baseline::Larder => {
                let builder = Cache::builder("stampede")
                    .store(store)
                    .ttl(Duration::from_secs(600))
                    .lease(job.lease);
                Self::Larder(builder.build().await.expect("the settings agree"))
            }
        }
    }

    /// Whether the value came.
    async fn get<F>(&self, load: impl FnOnce() -> F + Send) -> bool
    where
        F: Future<Output = Result<u64, std::io::Error>> + Send,
    {
        // Code written by hand has no word for a failed load.
        const SURE: &str = "loads do not fail here";
        match self {
            Self::Naive(cache) => {
                let value = || async { load().await.expect(SURE) };
                cache.get("stampede:row", &[], value).await.is_ok()
            }
            Self::Lock(cache) => {
                let value = || async { load().await.expect(SURE) };
                cache.get("stampede:row", value).await.is_ok()
            }
            Self::Larder(cache) => cache.get_or_load(&KEY, load).await.is_ok(),
        }
    }
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
    let (cache, job) = (AnyCache::open(&job, &store).await, Arc::new(job));
    worker::ready();
    let tasks: Vec<_> = (0..job.tasks)
        .map(|_| tokio::spawn(ask(job.clone(), store.clone(), cache.clone())))
        .collect();
    for task in tasks {
        // Only the one whose load panics has no answer.
        if let Ok(answer) = task.await {
            worker::report(&answer);
        }
    }
}

async fn ask(job: Arc<Job>, store: Store, cache: AnyCache) -> Saw {
    let (clock, goes_away) = (Clock::system(), Notify::new());
    let began = clock.monotonic();
    let ok = tokio::select! {
        ok = cache.get(|| load(&job, store, &clock, &goes_away)) => ok,
        () = goes_away.notified() => false,
    };
    Saw::Answer {
        began,
        ended: clock.monotonic(),
        ok,
    }
}

async fn load(job: &Job, mut store: Store, clock: &Clock, goes_away: &Notify) -> Result<u64, std::io::Error> {
    let nth: u64 = store.incr(LOADS, 1).await.expect("the server is up");
    worker::report(&Saw::Load);
    let first = if nth == 1 { job.first } else { First::Answers };
    if first == First::Hangs {
        std::future::pending::<()>().await;
    }
    clock.sleep(job.load).await;
    match first {
        First::Fails => Err(std::io::Error::other("the source is down")),
        First::Panics => panic!("the loader was told to"),
        First::IsCancelled => {
            goes_away.notify_one();
            std::future::pending().await
        }
        First::Answers | First::Hangs => Ok(7),
    }
}
