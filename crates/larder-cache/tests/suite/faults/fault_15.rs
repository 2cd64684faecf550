//! 15: a writer stops for ever, or for a while, between its commit and its invalidation. By hand the old value then stays for
//! its TTL. Under a hold there is none: it went before the commit.

use std::{convert::Infallible, time::Duration};

use larder_cache::{Cache, Consistency};
use larder_store::Store;
use larder_testkit::{
    Kind, LarderServer, RedisServer, eventually,
    history::{Bounds, Event, Write},
    worker::{self, Worker},
};
use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    row::{Baseline, Turn, Verdict, row},
    stage::{Process, SOON, Stage, told},
};

/// What counts for a strict write is when it became visible, for every tier.
const STRICT: Bounds = Bounds {
    near: Duration::ZERO,
    grace: Duration::ZERO,
    strict: true,
    rollback: Duration::ZERO,
    behind: false,
};

/// Units of time that a near copy may be behind, and that a hold lasts.
const BOUND: u32 = 4;
const HOLD: u32 = 40;

async fn writer_dies(turn: Turn) -> Verdict {
    let t = turn.topology().await;
    let stage = Stage::new(t.clock(), &turn.random, STRICT);
    let process = async |number: u32| {
        let store = t.another_store().await;
        Process::with(turn.baseline, number, &store, |b| {
            b.near(100)
                .max_staleness(t.units(BOUND))
                .consistency(Consistency::Strict)
                .hold_for(t.units(HOLD))
        })
        .await
    };
    let (reader, writer) = (process(0).await, process(1).await);
    assert!(stage.write(&writer, 1).await, "the store is up");
    for _ in 0..2 {
        stage.read(&reader, 1).await.expect("the store is up");
    }
    let note = |(version, committed)| {
        stage.rows().recorder().note(Event::Write(Write {
            key: 1,
            version,
            committed,
            acknowledged: None,
        }));
    };
    let visible = Notify::new();
    match writer.larder() {
        // By hand the commit comes first, and nothing else comes.
        None => note(stage.rows().commit(1)),
        Some(cache) => {
            let hold = cache.hold(&1).await.expect("the store is up");
            let commit = async {
                note(stage.rows().commit(1));
                visible.notify_one();
                std::future::pending::<Result<(), Infallible>>().await
            };
            let mut writing = Box::pin(hold.commit(commit));
            loop {
                tokio::select! {
                    _ = writing.as_mut() => unreachable!("its commit does not return"),
                    () = visible.notified() => break,
                    () = t.advance(1) => {}
                }
            }
            // Never dropped, and never polled again: a process that dies does nothing more either.
            std::mem::forget(writing);
        }
    }
    // While the hold stands, when it has run out, and when the value is cached again.
    for _ in 0..3 {
        for process in [&reader, &writer] {
            stage.read(process, 1).await.expect("the store is up");
            stage.read(process, 1).await.expect("the store is up");
        }
        t.advance(HOLD / 2 + 1).await;
    }
    stage.verdict_with(&[&reader, &writer]).await
}

#[test]
fn fault_15() {
    row(15, &[Baseline::Naive, Baseline::Lock], &Kind::ALL, writer_dies);
}

/// The row, in the same server: every process sees it.
const ROW: &str = "fault15:row";

/// Set in the same server when a stopped writer goes on.
const GO: &str = "fault15:go";

/// What one writer process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    url: String,
    naive: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Said {
    Committed,
    Done { held: bool },
}

async fn open(url: &str) -> (Store, Cache<u64, u64>) {
    let store = Store::open(url).await.expect("the server is up");
    let builder = Cache::builder("fault15")
        .store(&store)
        .near(100)
        .max_staleness(Duration::from_millis(200))
        .consistency(Consistency::Strict)
        .hold_for(Duration::from_secs(2))
        .ttl(Duration::from_secs(600));
    let cache = builder.build().await.expect("the settings agree");
    (store, cache)
}

#[test]
fn writer() {
    let Some(job) = worker::job::<Job>() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let (mut store, cache) = open(&job.url).await;
        worker::ready();
        let mut row = store.clone();
        let commit = async {
            row.set::<_, _, ()>(ROW, 2).await?;
            worker::report(&Said::Committed);
            // Here the process is killed or stopped; when it goes on, this wait is over.
            told(row, GO).await;
            Ok::<_, redis::RedisError>(())
        };
        let held = if job.naive {
            commit.await.expect("the server is up");
            store.del::<_, ()>("by-hand:1").await.expect("the server is up");
            true
        } else {
            let hold = cache.hold(&1).await.expect("the server is up");
            hold.commit(commit).await.expect("the server is up").held
        };
        worker::report(&Said::Done { held });
    });
}

/// Whether a reader saw the old value after the commit was visible, with a writer killed or stopped in between.
async fn is_read_stale(url: &str, naive: bool, kill: bool) -> bool {
    let (store, cache) = open(url).await;
    let row = async || store.clone().get::<_, u64>(ROW).await;
    let read = async || {
        if !naive {
            return *cache.get_or_load(&1, row).await.expect("the server is up");
        }
        let mut by_hand = store.clone();
        if let Some(value) = by_hand
            .get::<_, Option<u64>>("by-hand:1")
            .await
            .expect("the server is up")
        {
            return value;
        }
        let value = row().await.expect("the server is up");
        by_hand
            .set::<_, _, ()>("by-hand:1", value)
            .await
            .expect("the server is up");
        value
    };
    let mut before = store.clone();
    before.set::<_, _, ()>(ROW, 1).await.expect("the server is up");
    before.del::<_, ()>(&["by-hand:1", GO]).await.expect("the server is up");
    cache.clear().await.expect("the server is up");
    assert_eq!((read().await, read().await), (1, 1));

    let job = Job {
        url: url.to_owned(),
        naive,
    };
    let mut writer = tokio::task::spawn_blocking(move || {
        let mut writer = Worker::start("faults::fault_15::writer", &job);
        writer.go();
        assert_eq!(writer.next_record(), Some(Said::Committed));
        if kill {
            writer.kill();
        } else {
            writer.pause();
        }
        writer
    })
    .await
    .expect("the writer commits");
    let mut stale = false;
    // Past the hold, which lasts 2 s by the server's clock: until a value is cached again.
    eventually(SOON, async || {
        stale |= read().await == 1;
        stale || naive || cache.stats().fills >= 2
    })
    .await;
    if !kill {
        before.set::<_, _, ()>(GO, 1).await.expect("the server is up");
        writer.resume();
        let said: Option<Said> = tokio::task::spawn_blocking(move || writer.next_record())
            .await
            .expect("no panic");
        // It stood still beyond its hold, and is told so.
        assert_eq!(said, Some(Said::Done { held: naive }));
        stale |= read().await == 1 && !naive;
    }
    stale
}

async fn processes(url: &str) {
    for kill in [true, false] {
        assert!(is_read_stale(url, true, kill).await, "by hand, {kill}");
        assert!(!is_read_stale(url, false, kill).await, "larder, {kill}");
    }
}

#[tokio::test]
async fn fault_15_with_processes_on_redis() {
    let server = RedisServer::start().await;
    processes(&server.url()).await;
}

#[tokio::test]
async fn fault_15_with_processes_on_larder_serve() {
    let server = LarderServer::start();
    processes(&server.url()).await;
}
