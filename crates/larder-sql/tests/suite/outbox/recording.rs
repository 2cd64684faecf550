//! What a writer does: records in its transaction, invalidates after it.

use std::time::Duration;

use larder_cache::{Cache, Patch, WritePolicy};
use larder_sql::{Outbox, SqlError, SqlTable};
use larder_testkit::eventually;

use super::{End, Row, SOON, cache, lag, prepared, rows, store, v, write};
use crate::databases::for_each_database;

#[tokio::test]
async fn a_record_is_committed_with_its_change_and_goes_when_it_is_delivered() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        assert_eq!(v(&cache, 1).await, 1);

        let rolled_back = write(&db, &outbox, &cache, 2, End::RollBack).await;
        assert_eq!(rows(&db).await, 0);
        drop(rolled_back);

        let owed = write(&db, &outbox, &cache, 3, End::Commit).await;
        assert_eq!(
            (rows(&db).await, v(&cache, 1).await),
            (1, 1),
            "nobody has invalidated yet"
        );
        let left = lag(&outbox).await;
        assert_eq!(
            (left[0].namespace.as_str(), left[0].rows, left[0].refused),
            ("ns", 1, 0)
        );

        owed.deliver().await.expect("the store is up");
        assert_eq!(v(&cache, 1).await, 3);
        eventually(SOON, async || rows(&db).await == 0).await;
        assert_eq!(lag(&outbox).await, []);
    })
    .await;
}

/// The database takes a number back that was rolled back, and gives it to another: delivering must not delete that one.
#[tokio::test]
async fn delivering_what_was_rolled_back_deletes_nobody_elses_record() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let cache = cache(&store, &db, "ns").await;
        for _ in 0..3 {
            let rolled_back = write(&db, &outbox, &cache, 2, End::RollBack).await;
            let owed = write(&db, &outbox, &cache, 3, End::Commit).await;
            rolled_back.deliver().await.expect("the store is up");
            // Deleted in order: when this one is gone, the other would be.
            let other = write(&db, &outbox, &cache, 3, End::Commit).await;
            other.deliver().await.expect("the store is up");
            eventually(SOON, async || rows(&db).await == 1).await;
            owed.deliver().await.expect("the store is up");
            eventually(SOON, async || rows(&db).await == 0).await;
        }
    })
    .await;
}

#[tokio::test]
async fn tags_and_many_keys_are_recorded_whatever_they_look_like() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        let builder = Cache::<String, i64>::builder("odd").store(&store);
        let cache = builder.ttl(Duration::from_secs(3600)).build().await.expect("builds");
        let long = "x".repeat(20_000);
        let odd = ["a'; DROP TABLE t; --", "\0", "\"\\", "größe 💥", "", "%00", "{}", &long].map(str::to_owned);
        for key in &odd {
            cache.put(key, 1).await.expect("puts");
        }
        let tagged = "tagged".to_owned();
        let tag = "tag\0 ' \"";
        cache.put_with(&tagged, 1, |put| put.tag(tag)).await.expect("puts");
        macro_rules! record {
            ($pool:expr) => {{
                let mut transaction = $pool.begin().await.expect("begins");
                drop(
                    outbox
                        .invalidate_many(&mut transaction, &cache, &odd)
                        .await
                        .expect("records"),
                );
                drop(
                    outbox
                        .invalidate_tags(&mut transaction, &cache, [tag])
                        .await
                        .expect("records"),
                );
                let none = outbox.invalidate_many(&mut transaction, &cache, &[]).await;
                drop(none.expect("nothing to record"));
                let long = "x".repeat(256);
                let refused = outbox.invalidate_tags(&mut transaction, &cache, [&long]).await;
                assert!(matches!(refused, Err(SqlError::Tag { bytes: 256 })));
                transaction.commit().await.expect("commits");
            }};
        }
        match (db.pool.sqlite(), db.pool.postgres()) {
            (Some(pool), _) => record!(pool),
            (_, Some(pool)) => record!(pool),
            _ => unreachable!("there are two"),
        }
        assert_eq!(rows(&db).await, odd.len() as i64 + 1);
        assert_eq!(cache.get(&odd[0]).await.expect("reads").as_deref(), Some(&1));
        let swept = outbox.relay().cache(&cache).sweep().await.expect("relays");
        assert_eq!((swept.delivered, swept.refused), (odd.len() as u64 + 1, 0));
        for key in odd.iter().chain([&tagged]) {
            assert_eq!(cache.get(key).await.expect("reads"), None, "{key:?}");
        }
        assert_eq!(rows(&db).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_table_records_what_its_cache_writes() {
    for_each_database(async |db| {
        let (outbox, store) = (prepared(&db).await, store().await);
        for (policy, namespace) in [(WritePolicy::Through, "through"), (WritePolicy::Around, "around")] {
            let table = SqlTable::new(db.pool.clone(), "t").outbox(&outbox, namespace);
            let builder = Cache::<i64, Row>::builder(namespace).store(&store);
            let builder = builder.ttl(Duration::from_secs(3600)).source(table.clone());
            let cache = builder.write(policy).build().await.expect("builds");
            // By the sink alone: a writer that dies right after its commit.
            larder_cache::Sink::put(&table, &1, &(1, 5)).await.expect("puts");
            larder_cache::Sink::put_many(&table, &[(1, (1, 6)), (2, (2, 6))])
                .await
                .expect("puts");
            let patch = Patch::default().set("v", 7).expect("a number");
            let patched: Option<Row> = larder_cache::Sink::update(&table, &2, &patch).await.expect("patches");
            assert_eq!(patched, Some((2, 7)));
            larder_cache::Sink::<i64, Row>::remove(&table, &3)
                .await
                .expect("removes");
            assert_eq!(rows(&db).await, 5, "{policy:?}");
            let swept = outbox.relay().cache(&cache).sweep().await.expect("relays");
            assert_eq!((swept.delivered, rows(&db).await), (5, 0));

            // By the cache, which invalidates at once.
            cache.put(&1, (1, 8)).await.expect("puts");
            cache.put_many([(1, (1, 9)), (2, (2, 9))]).await.expect("puts");
            cache.update(&2, patch.clone()).await.expect("patches");
            cache.remove(&3).await.expect("removes");
            eventually(SOON, async || rows(&db).await == 0).await;
            assert_eq!((v(&cache, 1).await, v(&cache, 2).await), (9, 7));
        }
    })
    .await;
}

#[tokio::test]
async fn without_its_table_it_says_what_to_do() {
    for_each_database(async |db| {
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
            .await;
        let (outbox, store) = (Outbox::new(db.pool.clone()), store().await);
        let cache = cache(&store, &db, "ns").await;
        let missing = [
            outbox.lag().await.expect_err("there is none"),
            outbox.relay().cache(&cache).sweep().await.expect_err("there is none"),
        ];
        for error in missing {
            assert!(error.to_string().contains("larder sql outbox"), "{error}");
            assert!(matches!(error, SqlError::NoOutbox { .. }));
        }
        let table = SqlTable::new(db.pool.clone(), "t").outbox(&outbox, "ns");
        let refused = larder_cache::Sink::put(&table, &1_i64, &(1_i64, 1_i64)).await;
        let refused = refused.expect_err("there is none");
        let source = std::error::Error::source(&refused)
            .expect("it has a reason")
            .to_string();
        assert!(source.contains("larder sql outbox"), "{source}");
        assert_eq!(db.number("SELECT count(*) FROM t").await, 0, "nothing was committed");
        outbox.prepare().await.expect("prepares");
        outbox.prepare().await.expect("once more");
        larder_cache::Sink::put(&table, &1_i64, &(1_i64, 1_i64))
            .await
            .expect("puts");
    })
    .await;
}

#[tokio::test]
async fn it_may_be_in_a_schema_of_its_own() {
    let db = crate::databases::Db::postgres().await;
    db.run("CREATE SCHEMA \"odd schema\"").await;
    let (outbox, store) = (Outbox::new(db.pool.clone()).schema("odd schema"), store().await);
    outbox.prepare().await.expect("prepares");
    db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
        .await;
    let cache = cache(&store, &db, "ns").await;
    drop(write(&db, &outbox, &cache, 2, End::Commit).await);
    assert_eq!(db.number("SELECT count(*) FROM \"odd schema\".larder_outbox").await, 1);
}
