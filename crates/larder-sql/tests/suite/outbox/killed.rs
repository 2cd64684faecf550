//! 15: a writer killed with -9 between its COMMIT and its invalidation, and relays killed in the middle of theirs. By hand, and by
//! a cache without an outbox, the old value stays until its TTL.

use std::{collections::HashSet, time::Duration};

use larder_cache::Cache;
use larder_sql::{Outbox, PoolConfig};
use larder_store::Store;
use larder_testkit::{
    LarderServer, Proxy, RedisServer, eventually,
    naive::CacheAside,
    worker::{self, Worker},
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{End, Row, SOON, cache, prepared, rows, v, write};
use crate::databases::{Db, for_each_database};

const WRITER: &str = "outbox::killed::writer";
const RELAY: &str = "outbox::killed::relay";
const NS: &str = "ns";

/// How long rows that a killed relay had taken are left to it.
const VISIBILITY: Duration = Duration::from_millis(300);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    db: String,
    store: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Committed;

impl Job {
    async fn open(&self) -> (Db, Store, Outbox) {
        let pool = PoolConfig::new(&self.db).open().await.expect("the database is up");
        let db = Db::of(pool, self.db.clone());
        let store = Store::open(&self.store).await.expect("the store is up");
        let outbox = Outbox::new(db.pool.clone()).delay(Duration::ZERO).deadline(SOON);
        (db, store, outbox)
    }
}

/// As people write it, and as `CacheAside` keeps it.
async fn by_hand(store: &Store, db: &Db) -> u64 {
    let load = || async { u64::try_from(db.number("SELECT v FROM t WHERE id = 1").await).expect("not negative") };
    let read = CacheAside::new(store.clone()).get("by-hand:1", &[], load).await;
    read.expect("the store is up")
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built")
}

/// Reads the value in three ways, so that each has it cached, changes it, and is killed before it invalidates anything.
#[test]
fn writer() {
    let Some(job) = worker::job::<Job>() else { return };
    runtime().block_on(async {
        let (db, store, outbox) = job.open().await;
        let (recorded, forgotten) = (cache(&store, &db, NS).await, cache(&store, &db, "forgotten").await);
        for cache in [&recorded, &forgotten] {
            assert_eq!(v(cache, 1).await, 1);
        }
        assert_eq!(by_hand(&store, &db).await, 1);
        worker::ready();
        let owed = write(&db, &outbox, &recorded, 2, End::Commit).await;
        worker::report(&Committed);
        std::future::pending::<()>().await;
        owed.deliver().await.expect("never");
        forgotten.invalidate(&1).await.expect("never");
    });
}

/// Relays until it is killed.
#[test]
fn relay() {
    let Some(job) = worker::job::<Job>() else { return };
    runtime().block_on(async {
        let (db, store, outbox) = job.open().await;
        let cache = cache(&store, &db, NS).await;
        worker::ready();
        let relay = outbox.relay().cache(&cache).batch(5).visibility(VISIBILITY);
        let _relaying = relay.every(Duration::from_millis(5)).start();
        std::future::pending::<()>().await;
    });
}

async fn start(entry: &'static str, job: &Job) -> Worker {
    let job = job.clone();
    let started = tokio::task::spawn_blocking(move || {
        let mut worker = Worker::start(entry, &job);
        worker.go();
        if entry == WRITER {
            assert_eq!(worker.next_record(), Some(Committed));
        }
        worker
    });
    started.await.expect("it starts")
}

/// What is read after a writer's death, on the store at `url`.
async fn a_writer_dies(db: &Db, url: &str) {
    db.run("DELETE FROM larder_outbox").await;
    db.run("UPDATE t SET v = 1").await;
    let job = Job {
        db: db.url.clone(),
        store: url.to_owned(),
    };
    start(WRITER, &job).await.kill();
    let (db, store, outbox) = job.open().await;
    let (recorded, forgotten) = (cache(&store, &db, NS).await, cache(&store, &db, "forgotten").await);
    assert_eq!(db.number("SELECT v FROM t WHERE id = 1").await, 2, "it was committed");
    assert_eq!(v(&recorded, 1).await, 1, "nobody has invalidated yet");

    let _relaying = outbox.relay().cache(&recorded).every(Duration::from_millis(5)).start();
    eventually(SOON, async || v(&recorded, 1).await == 2).await;
    eventually(SOON, async || rows(&db).await == 0).await;
    // Beside it nothing else has helped: the others have the old value, and will until its TTL ends.
    assert_eq!((by_hand(&store, &db).await, v(&forgotten, 1).await), (1, 1));
}

#[tokio::test]
async fn fault_15_on_redis() {
    for_each_database(async |db| {
        let server = RedisServer::start().await;
        prepared(&db).await;
        a_writer_dies(&db, &server.url()).await;
    })
    .await;
}

#[tokio::test]
async fn fault_15_on_larder_serve() {
    for_each_database(async |db| {
        let server = LarderServer::start();
        prepared(&db).await;
        a_writer_dies(&db, &server.url()).await;
    })
    .await;
}

/// The store dies with the writer, and comes back from its log with the old value in it.
#[tokio::test]
async fn fault_15_on_an_embedded_store_with_a_log() {
    for_each_database(async |db| {
        let folder = TempDir::new().expect("a folder");
        prepared(&db).await;
        let url = format!("embedded:{}?fsync=always", folder.path().display());
        a_writer_dies(&db, &url).await;
    })
    .await;
}

/// A relay has taken a row and waits for the store: killed there, it leaves the row to another.
#[tokio::test]
async fn a_relay_killed_in_the_middle_leaves_its_rows_to_another() {
    for_each_database(async |db| {
        let server = RedisServer::start().await;
        let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
        let outbox = prepared(&db).await;
        let store = Store::open(&server.url()).await.expect("the server is up");
        let cache = cache(&store, &db, NS).await;
        assert_eq!(v(&cache, 1).await, 1);
        let job = Job {
            db: db.url.clone(),
            store: proxy.url(),
        };
        let mut victim = start(RELAY, &job).await;
        proxy.swallow_requests();
        drop(write(&db, &outbox, &cache, 2, End::Commit).await);
        eventually(SOON, async || {
            db.number("SELECT max(attempts) FROM larder_outbox").await > 0
        })
        .await;
        victim.kill();
        assert_eq!((rows(&db).await, v(&cache, 1).await), (1, 1));
        let _relaying = outbox.relay().cache(&cache).every(Duration::from_millis(5)).start();
        eventually(SOON, async || v(&cache, 1).await == 2 && rows(&db).await == 0).await;
    })
    .await;
}

/// Two relays in processes of their own, killed again and again, while every writer leaves its invalidation to them.
#[tokio::test]
async fn relays_that_are_killed_again_and_again_lose_nothing() {
    const ROUNDS: i64 = 6;
    const KEYS: i64 = 40;
    for_each_database(async |db| {
        let server = RedisServer::start().await;
        prepared(&db).await;
        let store = Store::open(&server.url()).await.expect("the server is up");
        let cache: Cache<i64, Row> = cache(&store, &db, NS).await;
        let insert = |key: i64| format!("INSERT INTO t VALUES ({key}, 0)");
        for key in 100..100 + KEYS {
            db.run(&insert(key)).await;
        }
        let job = Job {
            db: db.url.clone(),
            store: server.url(),
        };
        let mut relays = vec![start(RELAY, &job).await, start(RELAY, &job).await];
        for round in 1..=ROUNDS {
            let mut stale = HashSet::new();
            for key in 100..100 + KEYS {
                v(&cache, key).await;
                db.run(&format!(
                    "BEGIN; UPDATE t SET v = {round} WHERE id = {key};
                     INSERT INTO larder_outbox (namespace, kind, item) VALUES ('{NS}', 'key', '{key}'); COMMIT"
                ))
                .await;
                stale.insert(key);
                if key % 20 == 7 {
                    // Whatever it was doing.
                    relays.remove(0).kill();
                    relays.push(start(RELAY, &job).await);
                }
            }
            eventually(SOON, async || {
                for key in 100..100 + KEYS {
                    if v(&cache, key).await == round {
                        stale.remove(&key);
                    }
                }
                stale.is_empty()
            })
            .await;
        }
        eventually(SOON, async || rows(&db).await == 0).await;
        relays.iter_mut().for_each(Worker::kill);
    })
    .await;
}
