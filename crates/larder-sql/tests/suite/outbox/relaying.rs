//! What a relay does, and several of them.

use std::time::Duration;

use larder_testkit::eventually;

use super::{End, SOON, cache, lag, prepared, rows, store, v, write};
use crate::databases::for_each_database;

#[tokio::test]
async fn a_relay_that_runs_delivers_what_is_left() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        assert_eq!(v(&cache, 1).await, 1);
        let relay = outbox.relay().cache(&cache).every(Duration::from_millis(5));
        let relaying = relay.start();
        for value in 2..5 {
            drop(write(&db, &outbox, &cache, value, End::Commit).await);
            eventually(SOON, async || v(&cache, 1).await == value).await;
        }
        eventually(SOON, async || rows(&db).await == 0).await;
        assert!(relaying.stop(SOON).await);
        drop(write(&db, &outbox, &cache, 9, End::Commit).await);
        assert_eq!((v(&cache, 1).await, rows(&db).await), (4, 1), "it has stopped");
    })
    .await;
}

#[tokio::test]
async fn a_row_is_left_to_its_writer_at_first() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        let patient = outbox.clone().delay(Duration::from_secs(3600));
        drop(write(&db, &patient, &cache, 2, End::Commit).await);
        let relay = outbox.relay().cache(&cache);
        assert_eq!(relay.sweep().await.expect("relays").delivered, 0);
        drop(write(&db, &outbox, &cache, 3, End::Commit).await);
        assert_eq!(relay.sweep().await.expect("relays").delivered, 1);
        assert_eq!(rows(&db).await, 1);
    })
    .await;
}

/// Two relays in turn, row by row, while the same rows are taken: each is delivered, and none by both.
#[tokio::test]
async fn two_relays_share_the_work() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        db.run("INSERT INTO larder_outbox (namespace, kind, item) SELECT 'ns', 'key', CAST(id AS TEXT) FROM t")
            .await;
        let doubled =
            "INSERT INTO larder_outbox (namespace, kind, item) SELECT namespace, kind, item FROM larder_outbox";
        for _ in 0..6 {
            db.run(doubled).await;
        }
        let all = rows(&db).await as u64;
        let sweep = async || {
            let relay = outbox.relay().cache(&cache).batch(7);
            relay.sweep().await.expect("relays").delivered
        };
        let (one, other) = tokio::join!(sweep(), sweep());
        assert_eq!((one + other, rows(&db).await), (all, 0), "{one} and {other}");
    })
    .await;
}

/// Rows written by SQL alone, as a trigger or a service in another language does.
#[tokio::test]
async fn rows_that_no_cache_takes_are_kept_and_block_nobody() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        assert_eq!(v(&cache, 1).await, 1);
        db.run("UPDATE t SET v = 2").await;
        db.run(
            "INSERT INTO larder_outbox (namespace, kind, item, due_at) VALUES
             ('ns', 'key', 'no number', 0), ('ns', 'key', '007', 1), ('ns', 'row', '1', 2), ('ns', 'tag', '', 3),
             ('unknown', 'key', '1', 4), ('ns', 'key', '1', 5)",
        )
        .await;
        // Row by row: the first that are due are the bad ones.
        let relay = outbox.relay().cache(&cache).batch(1);
        let swept = relay.sweep().await.expect("relays");
        assert_eq!((swept.delivered, swept.refused, swept.failed), (1, 4, 0));
        assert_eq!(v(&cache, 1).await, 2);
        let again = relay.sweep().await.expect("relays");
        assert_eq!(
            (again.delivered, again.refused),
            (0, 0),
            "put off, and not tried all the time"
        );
        let left = lag(&outbox).await;
        let left: Vec<_> = left
            .iter()
            .map(|lag| (lag.namespace.as_str(), lag.rows, lag.refused))
            .collect();
        assert_eq!(left, [("ns", 4, 4), ("unknown", 1, 0)]);
        assert_eq!(
            db.number("SELECT count(*) FROM larder_outbox WHERE why LIKE '%no written key%'")
                .await,
            2
        );

        // A relay that knows the namespace delivers it.
        let other = super::cache(&store, &db, "unknown").await;
        let swept = outbox.relay().cache(&other).sweep().await.expect("relays");
        assert_eq!(swept.delivered, 1);
    })
    .await;
}
