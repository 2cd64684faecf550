//! A relay while its store is away, and while its database is.

use std::time::Duration;

use larder_sql::{Outbox, PoolConfig, Relay};
use larder_store::{Store, StoreConfig};
use larder_testkit::{PgServer, Proxy, RedisServer, eventually};

use super::{End, SOON, cache, prepared, rows, store, v, write};
use crate::databases::{Db, for_each_database};

fn often(relay: Relay) -> Relay {
    relay
        .every(Duration::from_millis(5))
        .visibility(Duration::from_millis(200))
}

/// The relay's way to the store is cut; a reader in another process still has its own.
#[tokio::test]
async fn while_the_store_is_away_a_row_waits() {
    for_each_database(async |db| {
        let server = RedisServer::start().await;
        let proxy = Proxy::start(server.port()).await.expect("loopback has a free port");
        let config = StoreConfig::from_url(&format!("{}?max_attempts=1", proxy.url())).expect("a URL");
        let theirs = Store::connect(config).await.expect("the server is up");
        let ours = Store::open(&server.url()).await.expect("the server is up");
        let outbox = prepared(&db).await;
        let (relaying, reading) = (cache(&theirs, &db, "ns").await, cache(&ours, &db, "ns").await);
        assert_eq!(v(&reading, 1).await, 1);
        proxy.refuse(true);
        proxy.reset();
        drop(write(&db, &outbox, &reading, 2, End::Commit).await);
        let swept = outbox
            .relay()
            .cache(&relaying)
            .sweep()
            .await
            .expect("the database is up");
        assert_eq!((swept.delivered, swept.failed), (0, 1));
        assert_eq!(
            (rows(&db).await, v(&reading, 1).await),
            (1, 1),
            "kept, and not invalidated"
        );
        let task = often(outbox.relay().cache(&relaying)).start();
        // The task has tried it as well.
        eventually(SOON, async || db.number("SELECT attempts FROM larder_outbox").await > 1).await;
        assert_eq!(rows(&db).await, 1);
        proxy.normal();
        eventually(SOON, async || v(&reading, 1).await == 2).await;
        eventually(SOON, async || rows(&db).await == 0).await;
        drop(task);
    })
    .await;
}

/// A cache whose store is away does not keep another one's rows waiting.
#[tokio::test]
async fn one_store_that_is_away_does_not_block_another() {
    for_each_database(async |db| {
        let outbox = prepared(&db).await;
        let away = Store::lazy("redis://127.0.0.1:1?max_attempts=1").expect("a URL");
        let (away, here) = (
            cache(&away, &db, "away").await,
            cache(&store().await, &db, "here").await,
        );
        assert_eq!(v(&here, 1).await, 1);
        for cache in [&away, &here] {
            drop(write(&db, &outbox, cache, 2, End::Commit).await);
        }
        let relay = outbox.relay().cache(&away).cache(&here);
        let swept = relay.sweep().await.expect("the database is up");
        assert_eq!((swept.delivered, swept.failed), (1, 1));
        assert_eq!(v(&here, 1).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_database_that_was_away_is_relayed_again() {
    let mut server = PgServer::start().await;
    let url = server.database();
    let config = PoolConfig::new(&url).acquire_timeout(Duration::from_millis(500));
    let pool = config.open().await.expect("opens");
    let db = Db::of(pool, url);
    let (outbox, store) = (prepared(&db).await, store().await);
    let cache = cache(&store, &db, "ns").await;
    assert_eq!(v(&cache, 1).await, 1);
    drop(write(&db, &outbox, &cache, 2, End::Commit).await);
    server.kill();
    let relay = often(outbox.relay().cache(&cache));
    relay.sweep().await.expect_err("the database is down");
    let task = relay.start();
    assert_eq!(v(&cache, 1).await, 1);
    server.restart().await;
    eventually(SOON, async || v(&cache, 1).await == 2).await;
    drop(task);
}

/// Records whose deletion fails are deleted later; meanwhile a relay may make their invalidation once more.
#[tokio::test]
async fn a_writer_of_sqlite_that_holds_its_lock_delays_and_loses_nothing() {
    let db = Db::sqlite().await;
    let outbox = prepared(&db).await;
    let quick = PoolConfig::new(&db.url).busy_timeout(Duration::from_millis(20));
    let relayed = Outbox::new(quick.open().await.expect("opens"));
    let cache = cache(&store().await, &db, "ns").await;
    assert_eq!(v(&cache, 1).await, 1);
    drop(write(&db, &outbox, &cache, 2, End::Commit).await);
    let owed = write(&db, &relayed, &cache, 3, End::Commit).await;
    let pool = db.pool.sqlite().expect("it is");
    let writer = pool.begin_with("BEGIN IMMEDIATE").await.expect("locks");
    let failed = relayed.relay().cache(&cache).sweep().await.expect_err("it is locked");
    assert!(failed.is_retryable(), "{failed}");
    owed.deliver().await.expect("the store is up");
    assert_eq!(rows(&db).await, 2);
    writer.rollback().await.expect("unlocks");
    eventually(SOON, async || rows(&db).await == 1).await;
    assert_eq!(
        relayed.relay().cache(&cache).sweep().await.expect("relays").delivered,
        1
    );
    assert_eq!((rows(&db).await, v(&cache, 1).await), (0, 3));
}
